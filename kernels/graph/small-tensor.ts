/** Values written out in a graph, as the bytes ONNX stores: little-endian, row-major. */
import { encodeFloats } from '../numerics/codecs';
import type { SmallTensor } from './graph';
import { onnxTypeBits, type OnnxType } from './onnx-types';

const WHOLE: Readonly<Partial<Record<OnnxType, (view: DataView, at: number, value: number) => void>>> = {
  I64: (view, at, value) => view.setBigInt64(at, BigInt(value), true), U64: (view, at, value) => view.setBigUint64(at, BigInt(value), true),
  I32: (view, at, value) => view.setInt32(at, value, true), U32: (view, at, value) => view.setUint32(at, value, true),
  I16: (view, at, value) => view.setInt16(at, value, true), U16: (view, at, value) => view.setUint16(at, value, true),
  I8: (view, at, value) => view.setInt8(at, value), U8: (view, at, value) => view.setUint8(at, value),
  BOOL: (view, at, value) => view.setUint8(at, value ? 1 : 0),
};

/** @throws RangeError for types that are packed below a byte or complex: nothing writes those out. */
export function smallTensorBytes(type: OnnxType, values: SmallTensor['values']): Uint8Array {
  const numbers = values.map(Number);
  const bytes = new Uint8Array((numbers.length * onnxTypeBits(type)) / 8);
  const put = WHOLE[type];
  if (!put) {
    encodeFloats(type as Parameters<typeof encodeFloats>[0], Float32Array.from(numbers), numbers.length, bytes);
    if (type === 'F64') { const view = new DataView(bytes.buffer); numbers.forEach((value, i) => view.setFloat64(8 * i, value, true)); }
    return bytes;
  }
  const view = new DataView(bytes.buffer);
  const width = onnxTypeBits(type) / 8;
  numbers.forEach((value, i) => put(view, i * width, value));
  return bytes;
}
