import { ByteCursor } from './byte-cursor';
import type { ByteSource } from './byte-source';
import { checkedProduct } from './checked';
import { CheckpointError, type Checkpoint, type TensorEncoding, type TensorInfo } from './checkpoint';
import { ggmlType, REMOVED_GGML_TYPES, type GgmlType } from './ggml-types';
import { damagedAsText } from './gguf-damage';
import { checkPairCount, pairText, readPairs, type GgufPair } from './gguf-metadata';
import { withModelNames } from './gguf-names';
import { openSplit, partOf } from './gguf-split';
import { decodeText } from './gguf-text';
import { NameTable } from './name-table';
import { counted, FETCH_AGAIN, IS, ProblemList, refuse, SAVE_AGAIN, shown } from './problems';
import { breathe, type CheckpointReader, type ReaderContext } from './reader';

/**
 * GGUF, the file format of llama.cpp: pairs of metadata, a table of tensors, their data
 * (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Versions 2 and 3, of either byte order. What ggml refuses when it
 * loads a file with its data is refused here.
 */
export const ggufReader: CheckpointReader = {
  name: 'gguf',
  match: (head) => head.length >= 4 && head[0] === 0x47 && head[1] === 0x47 && head[2] === 0x55 && head[3] === 0x46,

  async open(source, context) {
    let header: GgufHeader;
    try {
      header = await readGgufHeader(source, context);
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      throw damagedAsText(source, error) ?? error;
    }
    const part = partOf(header.pairs, source.path);
    if (context.isPart) return checkpointOf(header, source);
    return withModelNames(part && part.count > 1 ? await openSplit(source, part, context) : checkpointOf(header, source));
  },
};

/** What stands before the data. */
export interface GgufHeader {
  readonly version: number;
  readonly bigEndian: boolean;
  readonly alignment: number;
  readonly pairs: readonly GgufPair[];
  readonly tensors: readonly TensorInfo[];
  readonly problems: ProblemList;
}

const WINDOW = 2 ** 20;
const DEFAULT_ALIGNMENT = 32;
/** ggml's own: a name takes 64 bytes with the zero behind it, a tensor has four dimensions. */
const NAME_BYTES = 63;
const MOST_DIMS = 4;
/** Bytes of the smallest table entry: length of the name, dimensions, type, offset. */
const SMALLEST_TENSOR = 8 + 4 + 4 + 8;
const TENSORS_AT_ONCE = 20_000;

/** Reads and checks everything before the data. @throws CheckpointError */
export async function readGgufHeader(source: ByteSource, context: ReaderContext): Promise<GgufHeader> {
  const { limits } = context;
  const { path } = source;
  const cursor = new ByteCursor(source, WINDOW);
  cursor.skip(4, 'the mark GGUF');
  const version = readVersion(cursor, path);
  const tensorCountAt = cursor.position;
  const tensorCount = cursor.u64('the number of tensors');
  const pairCountAt = cursor.position;
  const pairCount = cursor.u64('the number of metadata entries');
  if (tensorCount > BigInt(limits.tensors) || Number(tensorCount) * SMALLEST_TENSOR > cursor.left) {
    refuse(path, `the header claims ${counted(tensorCount, 'tensor')}, more than ${tensorCount > BigInt(limits.tensors) ? `the ${limits.tensors} that are read` : `its ${cursor.left} bytes can hold`}`, FETCH_AGAIN, { offset: tensorCountAt });
  }
  const problems = new ProblemList(limits.problems);
  const pairs = await readPairs(cursor, checkPairCount(pairCount, pairCountAt, cursor.left, limits.metadataEntries, path), path, context);
  const alignment = alignmentOf(pairs, path);
  const table = await readTable(cursor, Number(tensorCount), path, context, problems);
  const dataStart = table.length === 0 ? cursor.position : Math.ceil(cursor.position / alignment) * alignment;
  const tensors = place(table, dataStart, alignment, source, problems, cursor.bigEndian);
  return { version, bigEndian: cursor.bigEndian, alignment, pairs, tensors, problems };
}

/** The version, and from it the byte order: no version is a multiple of 65,536. */
function readVersion(cursor: ByteCursor, path: string): number {
  const at = cursor.position;
  let version = cursor.u32('the version');
  if (version !== 0 && (version & 0xffff) === 0) {
    cursor.bigEndian = true;
    version = Buffer.from(new Uint32Array([version]).buffer).readUInt32BE();
  }
  if (version === 1) refuse(path, 'this is GGUF version 1, which ggml no longer reads', 'Convert the model again with a current llama.cpp', { offset: at });
  if (version !== 2 && version !== 3) {
    refuse(path, `this is GGUF version ${version}; versions 2 and 3 are read`, version > 3 && version < 100 ? 'Update Bitlens if the format has a new version' : FETCH_AGAIN, { offset: at });
  }
  return version;
}

function alignmentOf(pairs: readonly GgufPair[], path: string): number {
  const pair = pairs.find(({ key }) => key === 'general.alignment');
  if (!pair) return DEFAULT_ALIGNMENT;
  if (pair.items !== undefined || pair.type !== 'uint32') {
    return refuse(path, `general.alignment is ${pair.items === undefined ? `a ${pair.type}` : 'an array'}; it must be a uint32`, SAVE_AGAIN, { offset: pair.offset });
  }
  const alignment = pair.value as number;
  if (alignment === 0 || !Number.isInteger(Math.log2(alignment))) refuse(path, `general.alignment is ${alignment}, which is no power of two`, SAVE_AGAIN, { offset: pair.offset });
  return alignment;
}

/** One entry of the table of tensors; `offset` counts from the start of the data. */
interface Entry {
  readonly name: string;
  readonly type: GgmlType;
  /** Outermost first, as PyTorch writes shapes. */
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly offset: bigint;
  readonly at: number;
}

async function readTable(cursor: ByteCursor, count: number, path: string, context: ReaderContext, problems: ProblemList): Promise<Entry[]> {
  const entries: Entry[] = [];
  // ggml compares names as C strings: what follows a zero byte does not tell them apart.
  const names = new NameTable((index) => cString(entries[index]!.name));
  for (let index = 0; index < count; index++) {
    if (index % TENSORS_AT_ONCE === TENSORS_AT_ONCE - 1) await breathe(context);
    const at = cursor.position;
    const length = cursor.u64(`the length of the name of tensor ${index}`);
    if (length > NAME_BYTES) {
      refuse(path, `the name of tensor ${index} claims ${counted(length, 'byte')}; ggml takes at most ${NAME_BYTES}`, `${FETCH_AGAIN}, or write it again with shorter names`, { offset: at });
    }
    const { text: name, valid } = decodeText(cursor.bytes(Number(length), `the name of tensor ${index}`));
    if (!valid) problems.add('questionable', `the name ${shown(name)} is not UTF-8, which the format wants`, SAVE_AGAIN, { offset: at, tensor: name });
    entries.push(readEntry(cursor, name, at, path));
    const other = names.add(cString(name), index);
    if (other >= 0) refuse(path, `the tensor name ${shown(name)} is given twice, to the tensors ${other} and ${index}`, SAVE_AGAIN, { offset: at, tensor: name });
  }
  return entries;
}

const cString = (name: string): string => {
  const end = name.indexOf('\0');
  return end < 0 ? name : name.slice(0, end);
};

function readEntry(cursor: ByteCursor, name: string, at: number, path: string): Entry {
  const refuseTensor = (message: string, fix: string, offset: number): never => refuse(path, `${shown(name)} ${message}`, fix, { offset, tensor: name });
  const dimsAt = cursor.position;
  const dims = cursor.u32(`the number of dimensions of ${shown(name)}`);
  if (dims > MOST_DIMS) refuseTensor(`claims ${dims} dimensions; the format has at most ${MOST_DIMS}`, FETCH_AGAIN, dimsAt);
  const shape: number[] = [];
  for (let i = 0; i < dims; i++) {
    const dim = cursor.u64(`the shape of ${shown(name)}`);
    if (dim > BigInt(Number.MAX_SAFE_INTEGER)) refuseTensor(`claims a dimension of ${dim}, which is not below 2^53`, FETCH_AGAIN, dimsAt);
    // Innermost first in the file.
    shape.unshift(Number(dim));
  }
  const typeAt = cursor.position;
  const id = cursor.u32(`the type of ${shown(name)}`);
  const type = ggmlType(id);
  if (!type) {
    const removed = REMOVED_GGML_TYPES.get(id);
    return refuseTensor(removed ? `has the type ${removed} (${id}), which ggml removed` : `has the unknown type ${id}`,
      removed ? 'Convert the model again with a current llama.cpp' : `${FETCH_AGAIN}; update Bitlens if the file is newer than it`, typeAt);
  }
  const row = shape.at(-1) ?? 1;
  if (row % type.block !== 0) refuseTensor(`has rows of ${counted(row, 'value')}, no multiple of the ${type.block} of a block of ${type.name}`, SAVE_AGAIN, typeAt);
  const count = checkedProduct(shape, Number.MAX_SAFE_INTEGER);
  const bytes = count === null ? NaN : count / type.block * type.bytes;
  if (!Number.isSafeInteger(bytes)) refuseTensor(`has the shape [${shape.join(', ')}], more than 2^53 bytes of ${type.name}`, FETCH_AGAIN, dimsAt);
  return { name, type, shape, bytes, offset: cursor.u64(`the offset of ${shown(name)}`), at };
}

/** Checks that each tensor begins where the one before it ends, rounded up to the alignment, and that all of it is there. */
function place(table: readonly Entry[], dataStart: number, declared: number, source: ByteSource, problems: ProblemList, bigEndian: boolean): TensorInfo[] {
  let next = 0;
  const alignment = paddedOtherwise(table, declared, source.size - dataStart) ? DEFAULT_ALIGNMENT : declared;
  if (alignment !== declared) {
    problems.add('questionable', `general.alignment is ${declared}, but all tensors are padded to ${alignment}: the writer set it too late, and ggml refuses the file`, SAVE_AGAIN, { offset: table[0]!.at });
  }
  const tensors = table.map(({ name, type, shape, bytes, offset, at }): TensorInfo => {
    if (offset !== BigInt(next)) refuse(source.path, `${shown(name)} begins at byte ${offset} of the data, but byte ${next} was expected`, SAVE_AGAIN, { offset: at, tensor: name });
    const from = dataStart + next;
    next += padded(bytes, alignment);
    if (!Number.isSafeInteger(dataStart + next)) refuse(source.path, `the tensors up to ${shown(name)} need more than 2^53 bytes`, FETCH_AGAIN, { offset: at, tensor: name });
    const unknownOrder = bigEndian && type.dtype === undefined && type.halves === undefined;
    if (unknownOrder) {
      problems.add('questionable', `${shown(name)} is ${type.name} in a big-endian file, whose layout no program settles; its values are not read`, 'Convert the model on a little-endian machine', { offset: at, tensor: name });
    }
    return {
      name, dtype: type.dtype ?? 'F32', shape, bytes,
      ...(type.dtype === undefined ? { encoding: encodingOf(type) } : {}),
      data: unknownOrder ? null : { file: 0, offset: from, byteOrder: bigEndian ? 'big' : 'little' },
    };
  });
  const present = source.size - dataStart;
  if (next > present) {
    refuse(source.path, present < 0 ? `the data would begin at byte ${dataStart}, but the file ends at ${source.size}`
      : `the tensors need ${counted(next, 'byte')} of data, but the file holds ${present}: ${counted(next - present, 'byte', IS)} missing`, FETCH_AGAIN, { offset: source.size });
  }
  if (present - next > alignment) problems.add('information', `${counted(present - next, 'byte', ['follows', 'follow'])} the last tensor, part of none`, 'Nothing needs to be done: loaders pass over them', { offset: dataStart + next });
  return tensors;
}

const padded = (bytes: number, alignment: number): number => Math.ceil(bytes / alignment) * alignment;

/** Tensors that must agree before the table is believed rather than the key. */
const WITNESSES = 8;

/**
 * True when the whole table, to the last byte of the file, was laid out with the default alignment although the key names a larger
 * one: a writer of ggml's that sets the key after adding the tensors leaves such files. Many tensors must agree: a damaged key
 * alone is refused.
 */
function paddedOtherwise(table: readonly Entry[], declared: number, present: number): boolean {
  if (declared <= DEFAULT_ALIGNMENT) return false;
  let next = 0;
  let witnesses = 0;
  for (const { bytes, offset } of table) {
    if (offset !== BigInt(next)) return false;
    if (padded(bytes, DEFAULT_ALIGNMENT) !== padded(bytes, declared)) witnesses++;
    next += padded(bytes, DEFAULT_ALIGNMENT);
  }
  return next === present && witnesses >= WITNESSES;
}

/** Types of activations within ggml, which are no formats of weights. */
const DOT_PRODUCT_TYPES: ReadonlySet<string> = new Set(['Q8_1', 'Q8_K']);
const encodings = new Map<number, TensorEncoding>();

/** One object for each type: a file names thousands of tensors. */
function encodingOf(type: GgmlType): TensorEncoding {
  let encoding = encodings.get(type.id);
  if (!encoding) {
    const format = DOT_PRODUCT_TYPES.has(type.name) ? null : `gguf-${type.name.toLowerCase()}`;
    encoding = Object.freeze({ layout: 'ggml', name: type.name, ...(format ? { format } : {}), options: Object.freeze({ type: type.id }) });
    encodings.set(type.id, encoding);
  }
  return encoding;
}

function checkpointOf(header: GgufHeader, source: ByteSource): Checkpoint {
  return {
    format: 'gguf', path: source.path, files: [{ path: source.path, identity: source.identity }], tensors: header.tensors, problems: header.problems.list(), imports: [],
    metadata: header.pairs.map((pair) => [pair.key, pairText(pair)] as const),
  };
}
