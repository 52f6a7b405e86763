/** A dataset: its shape, the type of its elements, and where they are. */
import { checkedBytes, checkedProduct } from '../checked';
import { DTYPE_BITS, type ChunkedRange, type DType } from '../checkpoint';
import { chunkTable } from './chunks';
import { Hdf5Error, Hdf5Unsupported, type H5File } from './h5-file';
import { messageOf, type Message } from './object-header';

export interface ElementType {
  /** Null for elements without numbers that we have: texts, records, references. */
  readonly dtype: DType | null;
  readonly byteOrder: 'little' | 'big';
  readonly size: number;
  readonly what: string;
}

export interface Dataset {
  readonly shape: readonly number[];
  readonly type: ElementType;
  readonly bytes: number;
  readonly place: { readonly offset: number } | { readonly packed: ChunkedRange } | { readonly absent: string };
}

const DATASPACE = 0x01, DATATYPE = 0x03, EXTERNAL = 0x07, LAYOUT = 0x08, FILTERS = 0x0b;
export const MOST_DIMS = 32;

export function isDataset(messages: readonly Message[]): boolean {
  return messages.some(({ type }) => type === LAYOUT) && messages.some(({ type }) => type === DATATYPE);
}

/** @param budget chunks that may still be listed. @throws Hdf5Error for a dataset that contradicts itself */
export function readDataset(file: H5File, messages: readonly Message[], budget: { chunks: number }): Dataset {
  const space = messageOf(file, messages, DATASPACE);
  const typeMessage = messageOf(file, messages, DATATYPE);
  const layout = messageOf(file, messages, LAYOUT);
  if (!space || !typeMessage || !layout) throw new Hdf5Error('a dataset lacks its shape, its type or its layout', messages[0]?.start ?? 0);
  const shape = readDataspace(file, space);
  const type = readDatatype(file, typeMessage.start, typeMessage.start + typeMessage.length, 0);
  const count = shape === null ? 0 : checkedProduct(shape, Number.MAX_SAFE_INTEGER);
  const bytes = count === null ? null : checkedBytes(count, type.size * 8);
  if (bytes === null) throw new Hdf5Error('the shape of a dataset is larger than 2^53 bytes', space.start);
  const whole = { shape: shape ?? [0], type, bytes };
  if (messages.some(({ type: each }) => each === EXTERNAL)) return { ...whole, place: { absent: 'its values are in another file, which is not followed' } };
  if (type.dtype === null) return { ...whole, place: { absent: `it holds ${type.what}` } };
  if (type.size * 8 !== DTYPE_BITS[type.dtype]) throw new Hdf5Error(`elements of ${type.dtype} take ${type.size} bytes`, typeMessage.start);
  if (bytes === 0) return { ...whole, place: { offset: 0 } };
  try {
    return { ...whole, place: readLayout(file, layout, messages, shape ?? [], type.size, bytes, budget) };
  } catch (error) {
    if (error instanceof Hdf5Unsupported) return { ...whole, place: { absent: error.message } };
    throw error;
  }
}

/** Null for a dataset without elements (a null dataspace). */
function readDataspace(file: H5File, { start, length }: Message): number[] | null {
  const version = file.u8(start);
  const rank = file.u8(start + 1);
  if (version !== 1 && version !== 2) throw new Hdf5Error(`a shape has version ${version}`, start);
  if (rank > MOST_DIMS) throw new Hdf5Error(`a dataset has ${rank} dimensions, and HDF5 allows ${MOST_DIMS}`, start + 1);
  if (version === 2 && file.u8(start + 3) === 2) return null;
  const first = start + (version === 1 ? 8 : 4);
  if (first + rank * file.lengthSize > start + length) throw new Hdf5Error('a shape runs over its end', start);
  return Array.from({ length: rank }, (_, i) => file.length(first + i * file.lengthSize));
}

function readDatatype(file: H5File, start: number, end: number, depth: number): ElementType {
  if (start + 8 > end) throw new Hdf5Error('a type runs over its end', start);
  const kind = file.u8(start) & 15;
  const version = file.u8(start) >> 4;
  const bits = file.u8(start + 1);
  const size = file.u32(start + 4);
  const byteOrder = bits & 1 ? 'big' : 'little';
  const opaque = (what: string): ElementType => ({ dtype: null, byteOrder: 'little', size, what });
  const property = start + 8;
  switch (kind) {
    case 0: {
      const whole = file.u16(property) === 0 && file.u16(property + 2) === size * 8;
      const dtype = whole ? ([['U8', 'I8'], ['U16', 'I16'], ['U32', 'I32'], ['U64', 'I64']] as const)[Math.log2(size)]?.[bits & 8 ? 1 : 0] : undefined;
      return dtype ? { dtype, byteOrder, size, what: 'integers' } : opaque(`integers of ${file.u16(property + 2)} bits in ${size} bytes`);
    }
    case 1: {
      if (property + 12 > end) throw new Hdf5Error('a type runs over its end', start);
      const [exponent, mantissa, bias] = [file.u8(property + 5), file.u8(property + 7), file.u32(property + 8)];
      const whole = file.u16(property) === 0 && file.u16(property + 2) === size * 8 && (bits & 0x40) === 0;
      const dtype = whole ? FLOATS.get(`${size} ${exponent} ${mantissa} ${bias}`) : undefined;
      return dtype ? { dtype, byteOrder, size, what: 'floats' } : opaque(`floats of ${exponent} exponent and ${mantissa} mantissa bits`);
    }
    case 3: return opaque('texts');
    case 6: return compound(file, start, end, version, size, depth) ?? opaque('records');
    case 8: {
      if (depth > 4) throw new Hdf5Error('a type is nested too deep', start);
      const base = readDatatype(file, property, end, depth + 1);
      // h5py keeps booleans as an enumeration of FALSE and TRUE in a byte.
      return base.dtype === 'I8' && file.u16(start + 1) === 2 ? { ...base, dtype: 'BOOL' } : base;
    }
    case 9: return opaque('lists of varying length');
    case 10: return opaque('arrays as elements');
    default: return opaque(['', '', 'times', '', 'bit fields', 'bytes of no type', '', 'references'][kind] ?? `elements of class ${kind}`);
  }
}

/** By size, exponent bits, mantissa bits and bias. */
const FLOATS: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['8 11 52 1023', 'F64'], ['4 8 23 127', 'F32'], ['2 5 10 15', 'F16'], ['2 8 7 127', 'BF16'], ['1 4 3 7', 'F8_E4M3'], ['1 5 2 15', 'F8_E5M2'],
]);

/** A record of two equal floats named r and i is a complex number, as h5py keeps it. */
function compound(file: H5File, start: number, end: number, version: number, size: number, depth: number): ElementType | null {
  if (file.u16(start + 1) !== 2 || (size !== 8 && size !== 16) || depth > 0) return null;
  const name = file.bytes(start + 8, Math.min(8, end - start - 8)).toString('latin1');
  if (!name.startsWith('r\0')) return null;
  // The name is padded to 8 bytes before version 3; then the offset, in as few bytes as the size needs in version 3.
  const inner = start + 8 + (version < 3 ? 8 + 4 + (version === 1 ? 28 : 0) : 2 + 1);
  const part = readDatatype(file, inner, end, depth + 1);
  const dtype = part.dtype === 'F32' && size === 8 ? 'C64' : part.dtype === 'F64' && size === 16 ? 'C128' : null;
  return dtype ? { ...part, dtype, size } : null;
}

function readLayout(file: H5File, { start, length }: Message, messages: readonly Message[], shape: readonly number[], width: number, bytes: number, budget: { chunks: number }): Dataset['place'] {
  const version = file.u8(start);
  const within = (at: number, size: number): { offset: number } => {
    if (at + size > file.end) throw new Hdf5Error(`a dataset needs ${size} bytes at byte ${at}, but the file ends at ${file.end}: ${at + size - file.end} are missing`, start);
    return { offset: at };
  };
  const contiguous = (at: number | null, size: number | null): Dataset['place'] => {
    if (at === null) throw new Hdf5Unsupported('it was never written');
    if (size !== null && size !== bytes) throw new Hdf5Error(`a dataset has ${size} bytes, but its shape needs ${bytes}`, start);
    return within(at, bytes);
  };
  if (version === 1 || version === 2) {
    const rank = file.u8(start + 1);
    const kind = file.u8(start + 2);
    if (kind === 0) return compact(start + 8 + 4 * rank + 4, file.u32(start + 8 + 4 * rank));
    const at = file.address(start + 8);
    if (kind === 1) return contiguous(at, null);
    if (kind === 2) return chunked(rank, at, start + 8 + file.addressSize, 4, 0, 0);
  } else if (version === 3 || version === 4 || version === 5) {
    const kind = file.u8(start + 1);
    if (kind === 0) return compact(start + 4, file.u16(start + 2));
    if (kind === 1) return contiguous(file.address(start + 2), file.number(start + 2 + file.addressSize, file.lengthSize));
    if (kind === 2 && version === 3) return chunked(file.u8(start + 2), file.address(start + 3), start + 3 + file.addressSize, 4, 0, 0);
    if (kind === 2) {
      const rank = file.u8(start + 3);
      const size = file.u8(start + 4);
      if (size < 1 || size > 8) throw new Hdf5Error(`sizes of chunks take ${size} bytes`, start + 4);
      return chunked(rank, null, start + 5, size, file.u8(start + 5 + rank * size), start + 6 + rank * size);
    }
    if (kind === 3) throw new Hdf5Unsupported('it is a virtual dataset, whose values are in other files');
  }
  throw new Hdf5Error(`a layout has version ${version} or a class that is not known`, start);

  function compact(at: number, size: number): Dataset['place'] {
    if (size !== bytes || at + size > start + length) throw new Hdf5Error(`a dataset has ${size} bytes, but its shape needs ${bytes}`, start);
    return within(at, size);
  }

  function chunked(rank: number, tree: number | null, sizes: number, sizeWidth: number, index: number, indexAt: number): Dataset['place'] {
    // One more than the dimensions: the last is the size of an element.
    if (rank !== shape.length + 1) throw new Hdf5Error(`chunks have ${rank - 1} dimensions, but the dataset has ${shape.length}`, start);
    const chunk = Array.from({ length: shape.length }, (_, i) => file.number(sizes + i * sizeWidth, sizeWidth) ?? 0);
    if (chunk.some((dim) => dim < 1)) throw new Hdf5Error('a chunk has no elements', start);
    const chunkBytes = checkedProduct([...chunk, width], 2 ** 32 - 1);
    if (chunkBytes === null) throw new Hdf5Error('a chunk is larger than 4 GiB', start);
    const filters = readFilters(file, messageOf(file, messages, FILTERS));
    return { packed: chunkTable(file, { shape, chunk, chunkBytes, width, bytes, filters, tree, index, indexAt, messageEnd: start + length }, budget) };
  }
}

/** Filters that are undone, in the order in which they were applied. */
function readFilters(file: H5File, message: Message | null): ChunkedRange['filters'] {
  if (!message) return [];
  const version = file.u8(message.start);
  const count = file.u8(message.start + 1);
  if ((version !== 1 && version !== 2) || count > 32) throw new Hdf5Error('the filters of a dataset have an unknown form', message.start);
  const filters: ('deflate' | 'shuffle' | 'fletcher32')[] = [];
  let at = message.start + (version === 1 ? 8 : 2);
  for (let i = 0; i < count; i++) {
    const id = file.u16(at);
    const named = version === 1 || id >= 256;
    const nameLength = named ? file.u16(at + 2) : 0;
    const values = file.u16(at + (named ? 6 : 4));
    at += (named ? 8 : 6) + (version === 1 ? Math.ceil(nameLength / 8) * 8 : nameLength) + 4 * values + (version === 1 && values % 2 === 1 ? 4 : 0);
    if (at > message.start + message.length) throw new Hdf5Error('the filters of a dataset run over their end', message.start);
    const known = id === 1 ? 'deflate' : id === 2 ? 'shuffle' : id === 3 ? 'fletcher32' : null;
    if (!known) throw new Hdf5Unsupported(`it is compressed with ${FILTER_NAMES.get(id) ?? `filter ${id}`}, which is not read`);
    filters.push(known);
  }
  return filters;
}
const FILTER_NAMES: ReadonlyMap<number, string> = new Map([[4, 'szip'], [5, 'n-bit'], [6, 'scale-offset'], [32000, 'LZF'], [32001, 'Blosc'], [32004, 'LZ4'], [32015, 'Zstandard']]);
