/** Values of any tensor as numbers, piece by piece: floats of every width, integers, quantized and encoded tensors. */
import { DTYPE_BITS, elementCount, type DType, type TensorInfo, type TensorReader } from '../checkpoint';
import { MINIFLOAT_DTYPES } from '../numerics/codecs';
import { decodeTable } from '../numerics/minifloat';
import { storedValues } from '../stored/registry';
import type { TensorView } from './job';

/** Reads elements [first, first + count) in row-major order into the start of `out`. Complex numbers are two values each. */
export type NumberReader = (first: number, count: number, out: Float64Array) => void;

/** Numbers of one element: 2 for complex types. */
export function numbersPerElement(tensor: TensorInfo): number {
  return tensor.dtype === 'C64' || tensor.dtype === 'C128' ? 2 : 1;
}

/** Why a tensor has no numbers to compare; null when it has. */
export function unreadable(tensor: TensorInfo): string | null {
  if (!tensor.data) return 'the file holds no values for it';
  if (tensor.encoding) return null;
  if (tensor.quantizer?.scheme === 'per_channel') return 'it is quantized per channel in PyTorch\'s own way';
  return tensor.dtype in READS || tensor.dtype in MINIFLOAT_DTYPES ? null : `${tensor.dtype} values are not compared`;
}

/**
 * @returns a reader of the tensor's numbers; 64-bit integers beyond 2^53 lose their low bits
 * @throws CheckpointError while reading, as TensorReader does
 */
export function numberReader(tensor: TensorInfo, reader: TensorReader): NumberReader {
  if (tensor.encoding) {
    const stored = storedValues(tensor, reader);
    let values = new Float32Array(0);
    return (first, count, out) => {
      if (values.length < count) values = new Float32Array(count);
      stored.read(first, count, values);
      for (let i = 0; i < count; i += 1) out[i] = values[i]!;
    };
  }
  const each = DTYPE_BITS[tensor.dtype] / 8;
  const per = numbersPerElement(tensor);
  const minifloat = MINIFLOAT_DTYPES[tensor.dtype];
  const table = minifloat && decodeTable(minifloat);
  const read = READS[tensor.dtype];
  const quantizer = tensor.quantizer?.scheme === 'per_tensor' ? tensor.quantizer : null;
  let bytes = new Uint8Array(0);
  return (first, count, out) => {
    if (bytes.length < count * each) bytes = new Uint8Array(count * each);
    reader.readInto(tensor, first, count, bytes);
    const view = new DataView(bytes.buffer);
    if (table) for (let i = 0; i < count; i += 1) out[i] = table[each === 1 ? bytes[i]! : view.getUint16(2 * i, true)]!;
    else for (let i = 0; i < count * per; i += 1) out[i] = read!(view, i);
    if (quantizer) for (let i = 0; i < count; i += 1) out[i] = (out[i]! - quantizer.zeroPoint) * quantizer.scale;
  };
}

const READS: Readonly<Partial<Record<DType, (view: DataView, i: number) => number>>> = {
  F64: (view, i) => view.getFloat64(8 * i, true),
  F32: (view, i) => view.getFloat32(4 * i, true),
  C64: (view, i) => view.getFloat32(4 * i, true),
  C128: (view, i) => view.getFloat64(8 * i, true),
  I64: (view, i) => Number(view.getBigInt64(8 * i, true)),
  U64: (view, i) => Number(view.getBigUint64(8 * i, true)),
  I32: (view, i) => view.getInt32(4 * i, true),
  QI32: (view, i) => view.getInt32(4 * i, true),
  U32: (view, i) => view.getUint32(4 * i, true),
  I16: (view, i) => view.getInt16(2 * i, true),
  U16: (view, i) => view.getUint16(2 * i, true),
  I8: (view, i) => view.getInt8(i),
  QI8: (view, i) => view.getInt8(i),
  U8: (view, i) => view.getUint8(i),
  QU8: (view, i) => view.getUint8(i),
  BOOL: (view, i) => view.getUint8(i),
};

/**
 * The tensor as another program would index it, row-major.
 * @returns null when the values do not lie element after element, so that only the whole can be rearranged
 */
export function rearranged(tensor: TensorInfo, view: TensorView): TensorInfo | null {
  if (view.kind === 'same') return tensor;
  if (tensor.encoding || !tensor.data || tensor.data.strides || DTYPE_BITS[tensor.dtype] % 8 !== 0) return null;
  const { shape, strides } = viewOf(tensor.shape, view);
  return { ...tensor, shape, data: { ...tensor.data, strides } };
}

/** Shape and strides that read a contiguous tensor in the order of the view. */
export function viewOf(shape: readonly number[], view: TensorView): { readonly shape: readonly number[]; readonly strides: readonly number[] } {
  if (view.kind === 'transposed') return { shape: [...shape].reverse(), strides: shape.map((_, i) => strideOf(shape, shape.length - 1 - i)) };
  if (view.kind === 'heads') {
    const cols = elementCount(shape.slice(1));
    const half = shape[0]! / view.heads / 2;
    const head = 2 * half * cols;
    return view.stored === 'pairs' ? { shape: [view.heads, 2, half, cols], strides: [head, cols, 2 * cols, 1] } : { shape: [view.heads, half, 2, cols], strides: [head, cols, half * cols, 1] };
  }
  return { shape, strides: shape.map((_, i) => strideOf(shape, i)) };
}

function strideOf(shape: readonly number[], axis: number): number {
  return shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
}

/** Elements that are read at once. */
const PIECE = 2 ** 18;

/** All values of a tensor in storage order. */
export function wholeValues(tensor: TensorInfo, reader: TensorReader): Float32Array {
  const count = elementCount(tensor.shape);
  const out = new Float32Array(count);
  const read = numberReader(tensor, reader);
  const piece = new Float64Array(Math.min(PIECE, count));
  for (let at = 0; at < count; at += PIECE) {
    const many = Math.min(PIECE, count - at);
    read(at, many, piece);
    for (let i = 0; i < many; i += 1) out[at + i] = piece[i]!;
  }
  return out;
}
