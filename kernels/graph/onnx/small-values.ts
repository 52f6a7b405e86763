/** The values of a small tensor of an ONNX file, where they are few and plain enough to be written out in a graph. */
import type { DType } from '../../checkpoint/checkpoint';
import { ELEMENT_TYPES, type TensorProto } from '../../checkpoint/onnx/tensor-proto';
import type { WireReader } from '../../checkpoint/onnx/wire';
import { decodeFloats } from '../../numerics/codecs';
import type { SmallTensor } from '../graph';

/** Elements that are written out, at most. */
const MOST = 16;

/** Null for tensors that are large, scattered, in another file, or hold what no plain number is. */
export function smallValues(wire: WireReader, tensor: TensorProto): SmallTensor | null {
  const shape = tensor.dims.map(Number);
  const count = shape.reduce((product, dim) => product * dim, 1);
  const type = ELEMENT_TYPES.get(tensor.type);
  // Codes below a byte are weights, or belong to them.
  if (!type || type.bits < 8 || !(count >= 1 && count <= MOST) || tensor.outside || tensor.segment || shape.some((dim) => !(dim >= 0))) return null;
  const width = type.bits / 8;
  // float_data in one run is the values themselves; of the others only raw data is looked at.
  const run = tensor.raw ?? (type.dtype === 'F32' ? tensor.typed.get(4) ?? null : null);
  if (!run || run.length !== count * width) return null;
  const bytes = Uint8Array.from(wire.bytes(run.start, run.length));
  const values = numbers(type.dtype, bytes, count);
  const isPlain = (value: number): boolean => Math.abs(value) === Infinity || (!Object.is(value, -0) && Math.abs(value) <= Number.MAX_SAFE_INTEGER);
  return values?.every(isPlain) ? { type: type.dtype, shape, values: values.map((value) => (value === Infinity ? 'Infinity' : value === -Infinity ? '-Infinity' : value)) } : null;
}

function numbers(dtype: DType, bytes: Uint8Array, count: number): number[] | null {
  const view = new DataView(bytes.buffer);
  const each = (read: (at: number) => number | bigint, width: number): number[] => Array.from({ length: count }, (_, i) => Number(read(i * width)));
  switch (dtype) {
    case 'F32': case 'F16': case 'BF16': { const out = new Float32Array(count); decodeFloats(dtype, bytes, count, out); return [...out]; }
    case 'I64': return each((at) => view.getBigInt64(at, true), 8);
    case 'I32': return each((at) => view.getInt32(at, true), 4);
    case 'BOOL': case 'U8': return each((at) => view.getUint8(at), 1);
    default: return null;
  }
}
