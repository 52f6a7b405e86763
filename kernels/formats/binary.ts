/**
 * One bit and more: w ~ sum of s_i sign(r_i), where r_1 = w and r_(i+1) = r_i - s_i sign(r_i), s_i = mean |r_i| of the block,
 * which is the scale of least squared error for its signs (residual binarization: XNOR-Net for one basis, BinaryDM for two).
 * The sign of zero is positive.
 */
import { blockLayout } from './blocks';
import { bitsToFloat16, float16Bits, toFloat16 } from './fields';
import { FormatIdError, type FormatFamily, type WeightView } from './format';
import { granularityTitle, parseIdTail, tailText } from './grammar';
import { heldFormat, type FieldValues } from './held-format';

const MOST_BASES = 4;

export const binaryFamily: FormatFamily = {
  name: 'binary',
  title: 'Binary, with residual bases',
  grammar: 'binary<1..4>[-<channel|g<n>>]; the number counts bases, and binary alone is binary1-channel',
  listed: ['binary1-channel', 'binary1-g128', 'binary2-channel', 'binary2-g128', 'binary3-channel'],
  layout: 'one bit per basis and weight (1 is negative; basis 1 lowest) | per block: one float16 scale for each basis',
  oracle: 'closed form on normal weights: relative error 1 - 2/pi for one basis, 0.131 for two',
  source: 'Rastegari et al., XNOR-Net, 2016; Zheng et al., BinaryDM, 2024 (learnable multi-basis binarizer, here at its initial values)',
  ladders: [['binary1-channel', 'binary2-channel', 'binary3-channel', 'binary4-channel']],
  parse(id) {
    const match = /^binary(\d*)(?:-(.*))?$/s.exec(id);
    if (!match) return null;
    const bases = match[1] === '' ? 1 : Number(match[1]);
    if (!(bases >= 1 && bases <= MOST_BASES) || match[1]!.length > 1) throw new FormatIdError(`"${id}": 1 to ${MOST_BASES} bases, for example binary2-channel`);
    const { granularity, scaleStorage } = parseIdTail(id, match[2] === undefined ? [] : match[2].split('-'));
    if (granularity.kind === 'tensor' || scaleStorage !== 'f32') throw new FormatIdError(`"${id}": binary formats have float16 scales per channel or group`);
    /** Greedy signs of one block with the scales given, or with those of least error. */
    const encodeBlock = (weights: Float32Array, codes: Uint8Array, from: number, to: number, scales: Float32Array, found: boolean): void => {
      const rest = Float64Array.from(weights.subarray(from, to));
      for (let basis = 0; basis < bases; basis += 1) {
        if (!found) {
          let sum = 0;
          for (const x of rest) sum += Math.abs(x);
          scales[basis] = toFloat16(to === from ? 0 : sum / (to - from));
        }
        for (let i = 0; i < rest.length; i += 1) {
          const negative = rest[i]! < 0;
          if (negative) codes[from + i]! |= 1 << basis;
          rest[i]! -= negative ? -scales[basis]! : scales[basis]!;
        }
      }
    };
    const encode = (weights: Float32Array, view: WeightView, like: Float32Array | null, poll: () => void): FieldValues => {
      const { count, size } = blockLayout(view, granularity);
      const codes = new Uint8Array(weights.length);
      const scales = like ?? new Float32Array(count * bases);
      for (let block = 0; block < count; block += 1) {
        poll();
        encodeBlock(weights, codes, block * size, (block + 1) * size, scales.subarray(block * bases, (block + 1) * bases), like !== null);
      }
      return [codes, float16Bits(scales, 'f16')];
    };
    return heldFormat({
      id: `binary${bases}-${tailText(granularity, 'f32')}`, family: 'binary', title: `Binary, ${bases === 1 ? 'one basis' : `${bases} residual bases`}, ${granularityTitle({ granularity, scaleStorage })}`,
      catalogue: ['binarydm'], codeBits: bases, granularity, holds: 'row',
      // Greedy signs of a decoded value are its own where every scale exceeds the sum of the later ones, which two bases grant.
      traits: { monotone: bases <= 2, signSymmetric: false, idempotent: bases <= 2 ? true : 'with three bases and more the greedy signs of a decoded value may be others' },
      fields: (view) => [
        { name: 'codes', part: 'code', bits: bases, count: view.rows * view.cols },
        { name: 'scales', part: 'scale', bits: 16, count: blockLayout(view, granularity).count * bases },
      ],
      encode: (weights, view, _rule, poll) => encode(weights, view, null, poll),
      encodeLike: (weights, view, like) => encode(weights, view, bitsToFloat16(like[1]!, 'f16'), () => undefined),
      decode: (values, view) => {
        const { size } = blockLayout(view, granularity);
        const scales = bitsToFloat16(values[1]!, 'f16');
        return Float32Array.from(values[0]!, (code, i) => {
          const first = Math.floor(i / size) * bases;
          let sum = 0;
          for (let basis = 0; basis < bases; basis += 1) sum += (code >> basis) & 1 ? -scales[first + basis]! : scales[first + basis]!;
          return sum;
        });
      },
    });
  },
};
