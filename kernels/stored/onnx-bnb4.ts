/**
 * MatMulBnb4 of onnxruntime: bitsandbytes' four-bit codes over the flattened weight, the high half of each byte first, one
 * largest magnitude for each block; value = table[code] x scale. Tables: NF4 of https://arxiv.org/abs/2305.14314 (appendix E),
 * FP4 of bitsandbytes.
 */
import type { TensorInfo } from '../checkpoint';
import { roundTo } from './affine';
import { PartNumbers } from './part-numbers';
import type { StoredLayout } from './stored-layout';

const NF4 = new Float32Array([-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
  0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1]);
const FP4_POSITIVE = [0, 0.005208333333, 0.66666667, 1, 0.33333333, 0.5, 0.16666667, 0.25];
const FP4 = new Float32Array([...FP4_POSITIVE, ...FP4_POSITIVE.map((value) => -value)]);

export const onnxBnb4: StoredLayout = {
  id: 'onnx-bnb4',
  open(tensor, reader) {
    const { codes, scales } = tensor.encoding!.parts as Readonly<Record<string, TensorInfo>>;
    const block = Number(tensor.encoding!.options!.block);
    const table = tensor.encoding!.options!.type === 'nf4' ? NF4 : FP4;
    const bytes = new PartNumbers(codes!, reader);
    const scale = new PartNumbers(scales!, reader);
    return {
      read(first, count, out) {
        for (let i = 0; i < count; i += 1) {
          const index = first + i;
          const byte = bytes.get(Math.floor(index / 2));
          out[i] = Math.fround(table[index % 2 === 0 ? byte >> 4 : byte & 15]! * scale.get(Math.floor(index / block)));
        }
        roundTo(tensor.dtype, out, count);
      },
    };
  },
};
