import type { ByteSource } from './byte-source';
import { checkedBytes, checkedProduct } from './checked';
import { DTYPE_BITS, type Checkpoint, type DType, type TensorInfo, type TensorLocation } from './checkpoint';
import { JsonScanner, JsonSyntaxError } from './json-scanner';
import { FETCH_AGAIN, ProblemList, refuse, SAVE_AGAIN, shown } from './problems';
import { readLong, type CheckpointReader, type ReaderContext } from './reader';

/** Element types of the format; C128 and the quantized types of PyTorch are not among them. */
const SAFETENSORS_DTYPES: ReadonlySet<string> = new Set<DType>([
  'BOOL', 'F4', 'F6_E2M3', 'F6_E3M2', 'U8', 'I8', 'F8_E5M2', 'F8_E4M3', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ',
  'I16', 'U16', 'F16', 'BF16', 'I32', 'U32', 'F32', 'C64', 'F64', 'I64', 'U64',
]);

/** Bytes before the header: its length as an unsigned 64-bit little-endian integer. */
const PREFIX = 8;

/**
 * safetensors: u64 length, JSON header, data that the tensors must tile exactly
 * (https://github.com/huggingface/safetensors#format). What the reference implementation refuses is refused here; what
 * it accepts against its own specification is shown with a finding.
 */
export const safetensorsReader: CheckpointReader = {
  name: 'safetensors',

  match(head) {
    // White space before the brace is against the specification, but the reference accepts it.
    let at = PREFIX;
    while (at < head.length && (head[at] === 0x20 || head[at] === 0x09 || head[at] === 0x0a || head[at] === 0x0d)) at++;
    if (head[at] !== 0x7b) return false;
    // Text with a brace in that place is JSON, and a protocol mark with anything but zeros behind it is a pickle.
    const prefix = head.subarray(0, PREFIX);
    if (prefix.every((byte) => byte >= 0x09 && byte < 0x7f)) return false;
    return !(head[0] === 0x80 && head[1] <= 5 && (head[4] | head[5] | head[6] | head[7]) !== 0);
  },

  open: openSafetensors,
};

async function openSafetensors(source: ByteSource, context: ReaderContext): Promise<Checkpoint> {
  const { limits } = context;
  const refuseHere = (message: string, fix: string, offset?: number, tensor?: string): never => refuse(source.path, message, fix, { offset, tensor });
  const declared = source.read(0, PREFIX).readBigUInt64LE(0);
  if (declared > BigInt(limits.safetensorsHeader)) {
    refuseHere(`the header claims ${declared} bytes, more than the ${limits.safetensorsHeader} the format allows`, FETCH_AGAIN, 0);
  }
  const length = Number(declared);
  if (PREFIX + length > source.size) {
    refuseHere(`the header claims ${length} bytes, but only ${source.size - PREFIX} follow its length: ${PREFIX + length - source.size} are missing`, FETCH_AGAIN, 0);
  }
  const header = await readLong(source, PREFIX, length, context);
  const problems = new ProblemList(limits.problems);
  try {
    return parse(header, source, context, problems, PREFIX + length);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    return refuseHere(`the safetensors header is damaged: ${error.message}`, `${FETCH_AGAIN}, or save it again`, PREFIX + error.offset);
  }
}

/**
 * The tensors as the header declares them, by column: a header can name millions, and one object for each is what the
 * caller keeps anyway.
 */
class Declared {
  /** What will be listed; `data.offset` is still relative to the data. Null for a name that was given again later. */
  readonly infos: (Omit<Mutable<TensorInfo>, 'data'> & { data: Mutable<TensorLocation> | null } | null)[] = [];
  /** Byte offset of each name in the file. */
  readonly at: number[] = [];
  readonly end: number[] = [];
  /** Shapes with dimensions of 2^53 and more, exactly. */
  readonly large = new Map<number, readonly (number | bigint)[]>();
  readonly places = new Map<string, number>();
}
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function parse(header: Buffer, source: ByteSource, context: ReaderContext, problems: ProblemList, dataStart: number): Checkpoint {
  const { limits } = context;
  const json = new JsonScanner(header, limits.jsonDepth);
  const first = json.peek();
  if (json.position > 0 && first === 0x7b) {
    problems.add('questionable', 'white space stands before the header, which the specification forbids', SAVE_AGAIN, { offset: PREFIX });
  }
  if (first !== 0x7b) json.fail('the header must be a JSON object');

  const declared = new Declared();
  let metadata: [string, string][] | null = null;
  json.object((name, at) => {
    if (name === '__metadata__') {
      if (metadata) json.fail('__metadata__ is given twice', at);
      metadata = parseMetadata(json, problems, limits.metadataEntries);
      return;
    }
    const index = declared.infos.length;
    parseEntry(json, name, PREFIX + at, problems, declared);
    const earlier = declared.places.get(name);
    if (earlier !== undefined) {
      problems.add('questionable', `the name ${shown(name)} is given twice, at byte ${declared.at[earlier]} and at byte ${PREFIX + at}; loaders use the second`,
        'Save the checkpoint again with unique names', { offset: PREFIX + at, tensor: name });
      declared.infos[earlier] = null;
    }
    declared.places.set(name, index);
    if (index >= limits.tensors) json.fail(`there are more than ${limits.tensors} tensors`, at);
  });
  json.end();
  declared.places.clear();
  const tensors = place(declared, source, problems, dataStart, limits.dims);
  return {
    format: 'safetensors', path: source.path, files: [{ path: source.path, identity: source.identity }],
    tensors, problems: problems.list(), imports: [], metadata: metadata ?? [],
  };
}

function parseMetadata(json: JsonScanner, problems: ProblemList, most: number): [string, string][] {
  if (json.takeNull()) {
    problems.add('questionable', '__metadata__ is null, which the specification forbids', SAVE_AGAIN);
    return [];
  }
  const pairs = new Map<string, string>();
  json.object((key, at) => {
    if (json.peek() !== 0x22) json.fail('a value of __metadata__ must be a string');
    if (pairs.has(key)) {
      problems.add('questionable', `the metadata key ${shown(key)} is given twice; loaders use the second`, SAVE_AGAIN, { offset: PREFIX + at });
      pairs.delete(key);
    }
    pairs.set(key, json.string());
    if (pairs.size > most) json.fail(`__metadata__ has more than ${most} entries`, at);
  });
  return [...pairs];
}

/** A tensor's object, or the array form that the reference accepts although the specification does not know it. */
function parseEntry(json: JsonScanner, name: string, at: number, problems: ProblemList, declared: Declared): void {
  let dtype: DType | undefined;
  let shape: (number | bigint)[] | undefined;
  let offsets: (number | bigint)[] | undefined;
  const opened = json.peek();
  const valueAt = json.position;
  if (opened === 0x5b) {
    problems.add('questionable', `${shown(name)} is written as an array, which the specification does not know`, SAVE_AGAIN, { offset: at, tensor: name });
    let count = 0;
    json.array((index) => {
      count++;
      if (index === 0) dtype = parseDtype(json, name);
      else if (index === 1) shape = parseIntegers(json, 'a dimension', name);
      else if (index === 2) offsets = parseIntegers(json, 'a data offset', name);
      else json.fail(`${shown(name)} has too many parts`);
    });
    if (count !== 3) json.fail(`${shown(name)} has ${count} parts instead of dtype, shape and data_offsets`, valueAt);
  } else {
    if (opened !== 0x7b) json.fail(`${shown(name)} must be an object with dtype, shape and data_offsets`);
    json.object((field, fieldAt) => {
      if (field === 'dtype') {
        if (dtype !== undefined) json.fail(`${shown(name)} gives dtype twice`, fieldAt);
        dtype = parseDtype(json, name);
      } else if (field === 'shape') {
        if (shape) json.fail(`${shown(name)} gives shape twice`, fieldAt);
        shape = parseIntegers(json, 'a dimension', name);
      } else if (field === 'data_offsets') {
        if (offsets) json.fail(`${shown(name)} gives data_offsets twice`, fieldAt);
        offsets = parseIntegers(json, 'a data offset', name);
      } else {
        problems.add('questionable', `${shown(name)} has a field ${shown(field)} that the specification does not know`, SAVE_AGAIN, { offset: PREFIX + fieldAt, tensor: name });
        json.skipValue();
      }
    });
  }
  if (dtype === undefined || !shape || !offsets) {
    const missing = dtype === undefined ? 'dtype' : !shape ? 'shape' : 'data_offsets';
    return json.fail(`${shown(name)} has no ${missing}`, valueAt);
  }
  if (offsets.length !== 2) json.fail(`data_offsets of ${shown(name)} must be [begin, end]`, valueAt);
  const large = shape.some((dim) => typeof dim === 'bigint');
  if (large) declared.large.set(declared.infos.length, shape);
  declared.infos.push({
    name, dtype, shape: large ? shape.map(Number) : shape as number[], bytes: 0,
    // An offset beyond 2^53 loses its last digits here, but not its place outside of every file.
    data: { file: 0, offset: Number(offsets[0]), byteOrder: 'little' },
  });
  declared.at.push(at);
  declared.end.push(Number(offsets[1]));
}

function parseDtype(json: JsonScanner, name: string): DType {
  if (json.peek() !== 0x22) json.fail(`the dtype of ${shown(name)} must be a string`);
  const at = json.position;
  const text = json.string();
  if (!SAFETENSORS_DTYPES.has(text)) json.fail(`the dtype ${shown(text)} of ${shown(name)} is not one of the format`, at);
  return text as DType;
}

function parseIntegers(json: JsonScanner, what: string, name: string): (number | bigint)[] {
  if (json.peek() !== 0x5b) json.fail(`${what} of ${shown(name)} must stand in an array`);
  const values: (number | bigint)[] = [];
  json.array(() => { values.push(json.unsigned(what, name)); });
  return values;
}

/** Checks that the tensors, in order of their bytes, tile the data from its first byte to its last; keeps file order. */
function place(declared: Declared, source: ByteSource, problems: ProblemList, dataStart: number, mostDims: number): TensorInfo[] {
  const { infos, at, end, large } = declared;
  let next = 0;
  let misaligned: TensorInfo | null = null;
  for (const index of byPosition(declared)) {
    const info = infos[index]!;
    const begin = info.data!.offset;
    const shape = large.get(index) ?? info.shape;
    const refuseTensor = (message: string): never => refuse(source.path, `${shown(info.name)}: ${message}`, SAVE_AGAIN, { offset: at[index], tensor: info.name });
    const sizes = (): string => `its shape [${shape.slice(0, 16).join(', ')}${shape.length > 16 ? ', ...' : ''}] of ${info.dtype}`;
    if (begin !== next || end[index] < begin) {
      const how = end[index] < begin ? 'ends before it begins' : begin > next ? 'leaves a hole before it' : 'overlaps the tensor before it';
      refuseTensor(`its data [${begin}, ${end[index]}] ${how}; byte ${next} of the data was expected next`);
    }
    if (overflowsInOrder(shape, DTYPE_BITS[info.dtype])) refuseTensor(`${sizes()} is larger than 64 bits can count`);
    const count = checkedProduct(shape, Number.MAX_SAFE_INTEGER);
    const bytes = count === null ? null : checkedBytes(count, DTYPE_BITS[info.dtype]);
    if (bytes === null) return refuseTensor(`${sizes()} does not make whole bytes below 2^53`);
    if (end[index] - begin !== bytes) refuseTensor(`${sizes()} needs ${bytes} bytes, but data_offsets give it ${end[index] - begin}`);
    info.bytes = bytes;
    info.data!.offset = dataStart + begin;
    if (bytes > 0 && (dataStart + begin) % Math.max(1, Math.ceil(DTYPE_BITS[info.dtype] / 8)) !== 0) misaligned ??= info;
    if (shape.length > mostDims) {
      problems.add('questionable', `${shown(info.name)} has ${shape.length} dimensions; with more than ${mostDims} its values are not read`, 'Reshape the tensor before saving', { offset: at[index], tensor: info.name });
      info.data = null;
    }
    if (large.has(index)) {
      problems.add('questionable', `${shown(info.name)} is empty but has a dimension of 2^53 or more, which not every loader accepts`, SAVE_AGAIN, { offset: at[index], tensor: info.name });
    }
    next = end[index];
  }
  const present = source.size - dataStart;
  if (next > present) refuse(source.path, `the tensors need ${next} bytes of data, but the file holds ${present}: ${next - present} are missing`, FETCH_AGAIN, { offset: source.size });
  if (next < present) refuse(source.path, `${present - next} bytes follow the last tensor and belong to none`, SAVE_AGAIN, { offset: dataStart + next });
  if (misaligned) {
    problems.add('information', `the data of ${shown(misaligned.name)} does not start at a multiple of its element size; some loaders copy such tensors`, 'Save the checkpoint again with a current version of safetensors',
      { offset: misaligned.data?.offset, tensor: misaligned.name });
  }
  return infos.filter((info) => info !== null);
}

/** Indices of the tensors that count, by begin and then end of their data. Writers keep that order, so it is rarely sorted. */
function byPosition({ infos, end }: Declared): number[] {
  const order: number[] = [];
  let sorted = true;
  for (let index = 0; index < infos.length; index++) {
    if (infos[index] === null) continue;
    if (order.length > 0) {
      const before = order[order.length - 1];
      if (compare(before, index) > 0) sorted = false;
    }
    order.push(index);
  }
  function compare(a: number, b: number): number {
    return infos[a]!.data!.offset - infos[b]!.data!.offset || end[a] - end[b];
  }
  return sorted ? order : order.sort(compare);
}

/** The reference multiplies the dimensions in order and refuses when a step passes 2^64, even if a later dimension is zero. */
function overflowsInOrder(shape: readonly (number | bigint)[], bits: number): boolean {
  let small = 1;
  for (let i = 0; i < shape.length; i++) {
    small *= Number(shape[i]);
    if (small * bits > Number.MAX_SAFE_INTEGER) {
      let product = 1n;
      for (const dim of shape) {
        product *= BigInt(dim);
        if (product >= 2n ** 64n) return true;
      }
      return product * BigInt(bits) >= 2n ** 64n;
    }
    if (small === 0) return false;
  }
  return false;
}
