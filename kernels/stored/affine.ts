/**
 * DequantizeLinear of ONNX (https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html): y = (x - zero point) x scale in float32, rounded
 * to the type of y where that is shorter. One scale for the tensor, for each index along `axis`, or for each `block` of them.
 */
import { DTYPE_BITS, type TensorInfo } from '../checkpoint';
import { decodeFloats, encodeFloats } from '../numerics/codecs';
import { PartNumbers } from './part-numbers';
import type { StoredLayout } from './stored-layout';

export const affine: StoredLayout = {
  id: 'affine',
  open(tensor, reader) {
    const { codes, scales, zeros } = tensor.encoding!.parts as Readonly<Record<string, TensorInfo | undefined>>;
    const axis = Number(tensor.encoding!.options!.axis);
    const block = Math.max(1, Number(tensor.encoding!.options!.block));
    const code = new PartNumbers(codes!, reader);
    const scale = new PartNumbers(scales!, reader);
    const zero = zeros ? new PartNumbers(zeros, reader) : null;
    const dim = axis < 0 ? 1 : tensor.shape[axis]!;
    const inner = axis < 0 ? 1 : tensor.shape.slice(axis + 1).reduce((product, each) => product * each, 1);
    const blocked = Number(tensor.encoding!.options!.block) > 0;
    const steps = Math.ceil(dim / block);
    const place = (index: number): number => {
      if (axis < 0) return 0;
      const at = Math.floor(index / inner) % dim;
      return blocked ? (Math.floor(index / (inner * dim)) * steps + Math.floor(at / block)) * inner + (index % inner) : at;
    };
    // Along how many elements one scale holds, from an index on.
    const run = (index: number): number => {
      if (axis < 0) return Infinity;
      if (!blocked) return inner - (index % inner);
      if (inner > 1) return 1;
      const at = index % dim;
      return Math.min(block - (at % block), dim - at);
    };
    return {
      read(first, count, out) {
        for (let i = 0; i < count;) {
          const at = place(first + i);
          const s = scale.get(at);
          const z = zero ? zero.get(at) : 0;
          const end = Math.min(count, i + run(first + i));
          while (i < end) {
            if (first + i < code.from || first + i >= code.end) code.load(first + i);
            const { values } = code;
            const shift = first - code.from;
            for (const stop = Math.min(end, code.end - first); i < stop; i += 1) out[i] = Math.fround(Math.fround(values[i + shift]! - z) * s);
          }
        }
        roundTo(tensor.dtype, out, count);
      },
    };
  },
};

/** Rounds float32 values to the nearest of a shorter type, ties to even. */
export function roundTo(dtype: TensorInfo['dtype'], values: Float32Array, count: number): void {
  if (dtype !== 'F16' && dtype !== 'BF16') return;
  const bytes = new Uint8Array(Math.min(count, 8192) * DTYPE_BITS[dtype] / 8);
  for (let at = 0; at < count; at += 8192) {
    const piece = values.subarray(at, Math.min(count, at + 8192));
    encodeFloats(dtype, piece, piece.length, bytes);
    decodeFloats(dtype, bytes, piece.length, piece);
  }
}
