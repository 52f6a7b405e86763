/** GGUF models in several files, as llama.cpp's gguf-split writes them: `name-00001-of-00003.gguf`, told in `split.*` keys. */
import { basename, dirname, join } from 'node:path';
import type { ByteSource } from './byte-source';
import { CheckpointError, type Checkpoint, type TensorInfo } from './checkpoint';
import type { GgufPair } from './gguf-metadata';
import { counted, ProblemList, refuse, SAVE_AGAIN, shown } from './problems';
import { breathe, type ReaderContext } from './reader';
import { shardPath } from './shard-path';

interface Part {
  /** Counts from 0. */
  readonly index: number;
  readonly count: number;
}

const NAME = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i;

/** Which part of how many a file says it is, or null when it says nothing. */
export function partOf(pairs: readonly GgufPair[], path: string): Part | null {
  const number = (key: string): number | null => {
    const pair = pairs.find((each) => each.key === key);
    if (!pair) return null;
    const { value } = pair;
    const whole = typeof value === 'bigint' ? Number(value) : value;
    if (typeof whole !== 'number' || !Number.isInteger(whole) || whole < 0 || whole > 65_535) refuse(path, `${key} is no number of parts`, SAVE_AGAIN, { offset: pair.offset });
    return whole as number;
  };
  const count = number('split.count');
  if (count === null) return null;
  return { index: number('split.no') ?? 0, count };
}

/**
 * Opens all parts of the set that `source` is one of.
 * @throws CheckpointError when one is missing or is part of another set: a part of a model is never shown as a model.
 */
export async function openSplit(source: ByteSource, part: Part, context: ReaderContext): Promise<Checkpoint> {
  const { path } = source;
  const name = NAME.exec(basename(path));
  if (!name) {
    return refuse(path, `this is part ${part.index + 1} of ${part.count} of a model, but its name does not tell the names of the others`,
      `Give the parts the names they had: name-${five(part.index + 1)}-of-${five(part.count)}.gguf and so on`);
  }
  if (Number(name[3]) !== part.count || Number(name[2]) !== part.index + 1) {
    refuse(path, `the name says part ${Number(name[2])} of ${Number(name[3])}, but the file says part ${part.index + 1} of ${part.count}`, 'Give the parts the names they had');
  }
  if (part.count > context.limits.shards) refuse(path, `the model claims ${part.count} parts, more than the ${context.limits.shards} that are read`, SAVE_AGAIN);
  const ending = basename(path).slice(-5);
  const names = Array.from({ length: part.count }, (_, i) => `${name[1]}-${five(i + 1)}-of-${name[3]}${ending}`);
  const missing = names.filter((each) => shardPath(path, each) === null);
  if (missing.length > 0) {
    refuse(path, `${missing.length} of ${counted(part.count, 'part')} ${missing.length === 1 ? 'is' : 'are'} missing: ${missing.slice(0, 3).map((each) => shown(each, 120)).join(', ')}${missing.length > 3 ? ', ...' : ''}`,
      'Download the missing parts into the same folder');
  }
  const parts: Checkpoint[] = [];
  for (const each of names) {
    await breathe(context);
    try {
      parts.push(await context.openPart(join(dirname(path), each)));
    } catch (error) {
      if (!(error instanceof CheckpointError) || each === basename(path)) throw error;
      const { message, fix, ...where } = error.problem;
      refuse(error.path, `in the part ${shown(each, 120)}: ${message}`, fix, where);
    }
  }
  return combine(path, names, parts, context);
}

const five = (number: number): string => String(number).padStart(5, '0');

function combine(path: string, names: readonly string[], parts: readonly Checkpoint[], context: ReaderContext): Checkpoint {
  const problems = new ProblemList(context.limits.problems);
  const tensors = new Map<string, TensorInfo>();
  for (const [index, part] of parts.entries()) {
    const said = new Map(part.metadata);
    if (part.format !== 'gguf' || said.get('split.count') !== String(parts.length) || (said.get('split.no') ?? '0') !== String(index)) {
      refuse(part.path, `${shown(names[index]!, 120)} says it is part ${Number(said.get('split.no') ?? 0) + 1} of ${said.get('split.count') ?? 'no set'}, not part ${index + 1} of ${parts.length}`, 'Fetch the parts of one model into one folder');
    }
    for (const tensor of part.tensors) {
      if (tensors.has(tensor.name)) refuse(part.path, `${shown(tensor.name)} is in two parts, the second time in ${shown(names[index]!, 120)}`, 'Fetch the parts of one model into one folder', { tensor: tensor.name });
      tensors.set(tensor.name, tensor.data ? { ...tensor, data: { ...tensor.data, file: index } } : tensor);
      if (tensors.size > context.limits.tensors) refuse(path, `there are more than ${context.limits.tensors} tensors`, SAVE_AGAIN);
    }
    problems.addAll(part.problems.map((problem) => ({ ...problem, message: `${shown(names[index]!, 120)}: ${problem.message}` })));
  }
  const promised = new Map(parts[0]!.metadata).get('split.tensors.count');
  if (promised !== undefined && promised !== String(tensors.size)) {
    refuse(path, `the model claims ${promised} tensors, but its parts hold ${tensors.size}`, 'Fetch the parts of one model into one folder');
  }
  return {
    format: 'gguf', path, files: parts.flatMap(({ files }) => files), tensors: [...tensors.values()], problems: problems.list(), imports: [], metadata: parts[0]!.metadata,
  };
}
