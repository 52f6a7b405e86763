import { basename } from 'node:path';
import type { ByteSource } from './byte-source';
import { CheckpointError, type Checkpoint, type CheckpointFile, type PickleImport, type TensorInfo } from './checkpoint';
import { JsonScanner, JsonSyntaxError } from './json-scanner';
import { counted, FETCH_AGAIN, ProblemList, refuse, SAVE_AGAIN, shown } from './problems';
import { breathe, readLong, type CheckpointReader, type ReaderContext } from './reader';
import { shardPath } from './shard-path';

/** What an index of shards says. */
interface Index {
  /** Tensor name -> place in {@link shards}. */
  readonly map: ReadonlyMap<string, number>;
  readonly shards: readonly string[];
  readonly totalSize: number | null;
}

/**
 * An index of shards as transformers and diffusers write it: `{"metadata": {"total_size": n}, "weight_map": {tensor:
 * file}}`, over safetensors or PyTorch files beside it.
 */
export const shardIndexReader: CheckpointReader = {
  name: 'shard-index',

  match(head) {
    let at = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf ? 3 : 0;
    while (at < head.length && (head[at] === 0x20 || (head[at] >= 0x09 && head[at] <= 0x0d))) at++;
    if (head[at] !== 0x7b) return false;
    // Text only: JSON holds no control characters.
    return head.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d));
  },

  open: openIndex,
};

async function openIndex(source: ByteSource, context: ReaderContext): Promise<Checkpoint> {
  const { limits } = context;
  if (source.size > limits.indexBytes) refuse(source.path, `the index has ${source.size} bytes, more than the ${limits.indexBytes} that are read`, SAVE_AGAIN, { offset: 0 });
  const problems = new ProblemList(limits.problems);
  let index: Index;
  try {
    index = parseIndex(await readLong(source, 0, source.size, context), context, problems);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    return refuse(source.path, `the index of shards is damaged: ${error.message}`, FETCH_AGAIN, { offset: error.offset });
  }
  const parts = await openShards(source, index, context);
  return combine(source, index, parts, context, problems);
}

function parseIndex(bytes: Buffer, context: ReaderContext, problems: ProblemList): Index {
  const { limits } = context;
  const json = new JsonScanner(bytes, limits.jsonDepth);
  const map = new Map<string, number>();
  const shards = new Map<string, number>();
  let totalSize: number | null = null;
  let found = false;
  json.object((key, at) => {
    if (key === 'metadata' && json.peek() === 0x7b) {
      json.object((field) => {
        const digits = json.peek();
        if (field !== 'total_size' || digits < 0x30 || digits > 0x39) return json.skipValue();
        const from = json.position;
        json.skipValue();
        // Some tools write it as a float.
        const size = Number(bytes.toString('latin1', from, json.position));
        totalSize = Number.isFinite(size) ? size : null;
      });
    } else if (key === 'weight_map') {
      if (found) json.fail('weight_map is given twice', at);
      found = true;
      if (json.peek() !== 0x7b) json.fail('weight_map must be an object from tensor names to file names');
      json.object((name, nameAt) => {
        if (json.peek() !== 0x22) json.fail(`the file of ${shown(name)} must be a string`);
        const file = json.string();
        let shard = shards.get(file);
        if (shard === undefined) {
          shard = shards.size;
          if (shard >= limits.shards) json.fail(`there are more than ${limits.shards} shards`, nameAt);
          shards.set(file, shard);
        }
        const before = map.get(name);
        if (before !== undefined && before !== shard) {
          problems.add('questionable', `the index puts ${shown(name)} in two shards; loaders use the second`, SAVE_AGAIN, { offset: nameAt, tensor: name });
        }
        map.set(name, shard);
        if (map.size > limits.tensors) json.fail(`there are more than ${limits.tensors} tensors`, nameAt);
      });
    } else json.skipValue();
  });
  json.end();
  if (!found) json.fail('this is JSON without a weight_map, so it is no index of shards', 0);
  if (map.size === 0) json.fail('weight_map is empty', 0);
  return { map, shards: [...shards.keys()], totalSize };
}

/** Opens every shard. A missing one refuses the whole: a part of a model is never shown as a model. */
async function openShards(source: ByteSource, index: Index, context: ReaderContext): Promise<Checkpoint[]> {
  const paths = index.shards.map((name) => shardPath(source.path, name));
  const missing = index.shards.filter((_, i) => paths[i] === null);
  if (missing.length > 0) {
    const gone = new Set(missing);
    let tensors = 0;
    for (const shard of index.map.values()) if (gone.has(index.shards[shard])) tensors++;
    refuse(source.path, `${missing.length} of ${counted(index.shards.length, 'shard')} ${missing.length === 1 ? 'is' : 'are'} missing (${missing.slice(0, 3).map((name) => shown(name, 80)).join(', ')}${missing.length > 3 ? ', ...' : ''}), with ${tensors} of ${counted(index.map.size, 'tensor')}`,
      'Download the missing shards into the folder of the index');
  }
  const parts: Checkpoint[] = [];
  for (const path of paths) {
    await breathe(context);
    try {
      parts.push(await context.openPart(path!));
    } catch (error) {
      if (!(error instanceof CheckpointError) || error.path !== path || path === source.path) throw error;
      const { message, fix, ...where } = error.problem;
      refuse(path, `in the shard ${shown(basename(path))}: ${message}`, fix, where);
    }
  }
  return parts;
}

function combine(source: ByteSource, index: Index, parts: readonly Checkpoint[], context: ReaderContext, problems: ProblemList): Checkpoint {
  const files: CheckpointFile[] = [];
  const tensors = new Map<string, { tensor: TensorInfo; shard: number }>();
  const imports = new Map<string, PickleImport>();
  const order = index.shards.map((name, shard) => ({ name, shard })).sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  let bytes = 0;
  for (const { name, shard } of order) {
    const part = parts[shard];
    const first = files.length;
    files.push(...part.files);
    const unmapped: string[] = [];
    for (const tensor of part.tensors) {
      bytes += tensor.bytes;
      const wanted = index.map.get(tensor.name);
      if (wanted === undefined) unmapped.push(tensor.name);
      const other = tensors.get(tensor.name);
      if (other) {
        const used = wanted === shard ? shard : other.shard;
        problems.add('questionable', `${shown(tensor.name)} is in two shards, ${shown(index.shards[other.shard])} and ${shown(name)}; the index names ${shown(index.shards[used])}`, SAVE_AGAIN, { tensor: tensor.name });
        if (used !== shard) continue;
      }
      tensors.set(tensor.name, { tensor: moved(tensor, first), shard });
    }
    if (unmapped.length > 0) {
      problems.add('questionable', `${counted(unmapped.length, 'tensor')} of ${shown(name)} ${unmapped.length === 1 ? 'is' : 'are'} not in the index (${shown(unmapped[0])}${unmapped.length > 1 ? ', ...' : ''}); loaders leave ${unmapped.length === 1 ? 'it' : 'them'} out`, SAVE_AGAIN, { tensor: unmapped[0] });
    }
    problems.addAll(part.problems.map((problem) => ({ ...problem, message: `${shown(name)}: ${problem.message}` })));
    for (const item of part.imports) if (imports.size < context.limits.imports) imports.set(`${item.module}\u0000${item.name}`, item);
  }
  const misplaced = [...tensors].filter(([name, { shard }]) => (index.map.get(name) ?? shard) !== shard);
  if (misplaced.length > 0) {
    const [[name, { shard }]] = misplaced;
    problems.add('questionable', `the index names another shard for ${counted(misplaced.length, 'tensor')} than the one that holds ${misplaced.length === 1 ? 'it' : 'them'} (${shown(name)} is in ${shown(index.shards[shard])}, not in ${shown(index.shards[index.map.get(name)!])}${misplaced.length > 1 ? '; ...' : ''})`, SAVE_AGAIN, { tensor: name });
  }
  const absent = [...index.map].filter(([name]) => !tensors.has(name));
  if (absent.length > 0) {
    problems.add('questionable', `the index names ${counted(absent.length, 'tensor')} that the shards do not hold (${shown(absent[0][0])} in ${shown(index.shards[absent[0][1]])}${absent.length > 1 ? ', ...' : ''})`, FETCH_AGAIN, { tensor: absent[0][0] });
  }
  if (index.totalSize !== null && index.totalSize !== bytes) {
    problems.add('information', `the index claims ${counted(index.totalSize, 'byte')} of tensors, but its shards hold ${bytes}`, 'Nothing needs to be done: many tools write this number wrongly');
  }
  const formats = new Set(parts.map((part) => part.format));
  return {
    format: formats.size === 1 ? parts[0].format : 'mixed', path: source.path,
    // The index itself comes last: no tensor lies in it, but a change to it is a change of the checkpoint.
    files: [...files, { path: source.path, identity: source.identity }],
    tensors: [...tensors.values()].map(({ tensor }) => tensor), problems: problems.list(), imports: [...imports.values()],
    metadata: [['index', basename(source.path)], ...(parts[0]?.metadata ?? [])],
  };
}

/** The same tensor, with its files counted from `first`. */
function moved(tensor: TensorInfo, first: number): TensorInfo {
  const { data, quantizer } = tensor;
  if (!data) return tensor;
  const storage = data.storage === undefined ? {} : { storage: `${first + data.file}/${data.storage}` };
  const channels = quantizer?.scheme === 'per_channel'
    ? { quantizer: { ...quantizer, scales: moved(quantizer.scales, first), zeroPoints: moved(quantizer.zeroPoints, first) } } : {};
  return { ...tensor, data: { ...data, file: first + data.file, ...storage }, ...channels };
}
