/**
 * Ternary weights: a times -1, 0 or 1, five codes in a byte. The rules differ in a and in what becomes zero:
 *
 * - absmean (BitNet b1.58): a = mean |w|, code = clip(round(w / a), -1, 1).
 * - absmedian (its variant): a = median |w|.
 * - fourthirds (TBT): a = 4/3 mean |w|, which keeps the codes' entropy and the variance near their greatest.
 * - twn (Ternary Weight Networks): zero below 0.7 mean |w|; a = mean of the others.
 * - best: the threshold and a of least squared error, found over all thresholds.
 */
import { blockLayout } from './blocks';
import { bitsToFloat16, float16Bits, toFloat16 } from './fields';
import { FormatIdError, type FormatFamily, type WeightView } from './format';
import { granularityTitle, parseIdTail, tailText } from './grammar';
import { heldFormat, type FieldValues } from './held-format';

/** Scale, and the magnitude from which on a weight is not zero. Ties of rounding half go to zero (half to even). */
interface Cut { readonly scale: number; readonly threshold: number; /** The threshold itself is not zero. */ readonly inclusive: boolean }

function meanOf(values: Float64Array, from = 0): number {
  let sum = 0;
  for (let i = from; i < values.length; i += 1) sum += values[i]!;
  return values.length === from ? 0 : sum / (values.length - from);
}

function medianOf(sorted: Float64Array): number {
  const middle = sorted.length >> 1;
  return sorted.length === 0 ? 0 : sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const rounded = (scale: number): Cut => ({ scale, threshold: scale / 2, inclusive: false });

/** Each takes the magnitudes of a block in ascending order. */
const RULES: Readonly<Record<string, { readonly title: string; readonly catalogue: readonly string[]; cut(sorted: Float64Array): Cut }>> = {
  absmean: { title: 'absmean', catalogue: ['bitnet-b1.58'], cut: (sorted) => rounded(meanOf(sorted)) },
  absmedian: { title: 'absmedian', catalogue: ['bitnet-b1.58'], cut: (sorted) => rounded(medianOf(sorted)) },
  fourthirds: { title: '4/3 of the mean magnitude', catalogue: ['tbt'], cut: (sorted) => rounded((4 / 3) * meanOf(sorted)) },
  twn: {
    title: 'threshold at 0.7 of the mean magnitude', catalogue: [],
    cut: (sorted) => {
      const threshold = 0.7 * meanOf(sorted);
      return { scale: meanOf(sorted, sorted.findIndex((x) => x > threshold) < 0 ? sorted.length : sorted.findIndex((x) => x > threshold)), threshold, inclusive: false };
    },
  },
  best: {
    title: 'threshold of least squared error', catalogue: [],
    // Keeping the k largest costs sum w^2 - (sum of the kept)^2 / k: the largest gain wins.
    cut: (sorted) => {
      let [sum, gain, best] = [0, -1, sorted.length];
      for (let i = sorted.length - 1; i >= 0; i -= 1) {
        sum += sorted[i]!;
        const now = (sum * sum) / (sorted.length - i);
        if (now > gain) [gain, best] = [now, i];
      }
      return { scale: meanOf(sorted, best), threshold: sorted[best] ?? 0, inclusive: true };
    },
  },
};

const TRITS = 5;

export const ternaryFamily: FormatFamily = {
  name: 'ternary',
  title: 'Ternary',
  grammar: 'ternary[-<absmean|absmedian|fourthirds|twn|best>][-<channel|g<n>>]; ternary alone is ternary-absmean-channel',
  listed: ['ternary-absmean-channel', 'ternary-absmedian-channel', 'ternary-fourthirds-channel', 'ternary-twn-channel', 'ternary-best-channel', 'ternary-absmean-g128', 'ternary-best-g128'],
  layout: 'five codes a byte, base 3, first code lowest (0, 1, 2 are -1, 0, 1); each row starts a byte | per block: one float16 scale',
  oracle: 'closed forms on normal weights: zero share 31.0 % (absmean), 26.4 % (absmedian), 40.6 % (4/3)',
  source: 'Ma et al., The Era of 1-bit LLMs (BitNet b1.58), 2024; Liu et al., Ternary and Binary Transformers (TBT), 2023; Li and Liu, Ternary Weight Networks, 2016',
  parse(id) {
    const [head, ...parts] = id.split('-');
    if (head !== 'ternary') {
      if (/^ternary/.test(id)) throw new FormatIdError(`"${id}": write ternary-${Object.keys(RULES).join(', ternary-')}`);
      return null;
    }
    const name = parts[0] !== undefined && Object.hasOwn(RULES, parts[0]) ? parts.shift()! : 'absmean';
    const rule = RULES[name]!;
    const { granularity, scaleStorage } = parseIdTail(id, parts);
    if (granularity.kind === 'tensor' || scaleStorage !== 'f32') throw new FormatIdError(`"${id}": ternary formats have float16 scales per channel or group`);
    const bytesPerRow = (view: WeightView): number => Math.ceil(view.cols / TRITS);
    const packRow = (trits: Int8Array, view: WeightView): Uint8Array => {
      const bytes = new Uint8Array(view.rows * bytesPerRow(view));
      for (let i = trits.length - 1; i >= 0; i -= 1) {
        const at = Math.floor(i / view.cols) * bytesPerRow(view) + Math.floor((i % view.cols) / TRITS);
        bytes[at] = bytes[at]! * 3 + trits[i]! + 1;
      }
      return bytes;
    };
    const encode = (weights: Float32Array, view: WeightView, like: Float32Array | null, poll: () => void): FieldValues => {
      const { count, size } = blockLayout(view, granularity);
      const trits = new Int8Array(weights.length);
      const scales = like ?? new Float32Array(count);
      for (let block = 0; block < count; block += 1) {
        poll();
        const magnitudes = Float64Array.from(weights.subarray(block * size, (block + 1) * size), Math.abs);
        // With a scale given only decoded values are expected: half of it tells them apart.
        const cut = like ? rounded(like[block]!) : rule.cut(magnitudes.slice().sort());
        if (!like) scales[block] = toFloat16(cut.scale);
        if (scales[block] === 0) continue;
        magnitudes.forEach((x, i) => {
          if (x > cut.threshold || (cut.inclusive && x === cut.threshold && x > 0)) trits[block * size + i] = weights[block * size + i]! < 0 ? -1 : 1;
        });
      }
      return [packRow(trits, view), float16Bits(scales, 'f16')];
    };
    return heldFormat({
      id: `ternary-${name}-${tailText(granularity, 'f32')}`, family: 'ternary', title: `Ternary, ${rule.title}, ${granularityTitle({ granularity, scaleStorage })}`,
      catalogue: rule.catalogue, codeBits: 2, granularity, holds: 'row',
      traits: { monotone: true, signSymmetric: true, idempotent: true },
      fields: (view) => [
        { name: 'codes', part: 'code', bits: 8, count: view.rows * bytesPerRow(view) },
        { name: 'scales', part: 'scale', bits: 16, count: blockLayout(view, granularity).count },
      ],
      encode: (weights, view, _rule, poll) => encode(weights, view, null, poll),
      encodeLike: (weights, view, like) => encode(weights, view, bitsToFloat16(like[1]!, 'f16'), () => undefined),
      decode: (values, view) => {
        const { size } = blockLayout(view, granularity);
        const scales = bitsToFloat16(values[1]!, 'f16');
        return Float32Array.from({ length: view.rows * view.cols }, (_, i) => {
          const byte = values[0]![Math.floor(i / view.cols) * bytesPerRow(view) + Math.floor((i % view.cols) / TRITS)]!;
          const trit = (Math.floor(byte / 3 ** ((i % view.cols) % TRITS)) % 3) - 1;
          return trit * scales[Math.floor(i / size)]!;
        });
      },
    });
  },
};
