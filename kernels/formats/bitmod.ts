/**
 * BitMoD: small floats whose code of negative zero stands for one extra value, chosen per group of weights by least squared
 * error. FP3 {0, 1, 2, 4} with 3, -3, 6 or -6; FP4 E2M1 with 5, -5, 8 or -8. Group scales are 8-bit multiples of a row scale.
 */
import { blockLayout } from './blocks';
import { codebookElement } from './codebook';
import { dequantizeElement, encodeElement, loadedCode } from './element';
import { bitsToFloats, floatBits } from './fields';
import { FormatIdError, type CodebookElement, type FormatFamily, type WeightView } from './format';
import { granularityTitle, parseIdTail, tailText } from './grammar';
import { heldFormat, type FieldValues } from './held-format';

/** Ascending; the code of a positive value is its place among the positive ones, 0 is zero, the sign bit alone is the extra value. */
function withExtra(positive: readonly number[], extra: number): CodebookElement {
  const sign = positive.length + 1;
  const all = [...positive.map((value, i) => ({ value, code: i + 1 })), ...positive.map((value, i) => ({ value: -value, code: sign + i + 1 })), { value: 0, code: 0 }, { value: extra, code: sign }]
    .sort((a, b) => a.value - b.value);
  return codebookElement({ values: all.map(({ value }) => value), codes: all.map(({ code }) => code), tie: 'zero' });
}

const TYPES: ReadonlyMap<number, readonly CodebookElement[]> = new Map([
  [3, [3, -3, 6, -6].map((extra) => withExtra([1, 2, 4], extra))],
  [4, [5, -5, 8, -8].map((extra) => withExtra([0.5, 1, 1.5, 2, 3, 4, 6], extra))],
]);

const SCALE_STEPS = 255;

export const bitmodFamily: FormatFamily = {
  name: 'bitmod',
  title: 'BitMoD: a data type per group',
  grammar: 'bitmod<3|4>[-g<n>]; bitmod4 alone is bitmod4-g128',
  listed: ['bitmod3-g128', 'bitmod4-g128', 'bitmod3-g32', 'bitmod4-g32'],
  layout: 'codes of b bits: sign and index into the group\'s table | per group: 8-bit scale, 2-bit type | per row: float32 scale',
  oracle: 'mirrored groups get mirrored types; the order of errors of the paper on normal weights',
  source: 'Chen et al., BitMoD: Bit-serial Mixture-of-Datatype LLM Acceleration, 2025',
  ladders: [['bitmod3-g128', 'bitmod4-g128']],
  parse(id) {
    const match = /^bitmod(\d*)(?:-(.*))?$/s.exec(id);
    if (!match) return null;
    const bits = Number(match[1]);
    const types = TYPES.get(bits);
    if (!types) throw new FormatIdError(`"${id}": bitmod has 3 or 4 bits`);
    const { granularity, scaleStorage } = parseIdTail(id, match[2] === undefined ? [] : match[2].split('-'), { kind: 'group', size: 128 });
    if (granularity.kind === 'tensor' || scaleStorage !== 'f32') throw new FormatIdError(`"${id}": bitmod chooses its types per group or channel, with 8-bit scales under a row scale`);

    /** Squared error of one group in one type. */
    const errorOf = (element: CodebookElement, weights: Float32Array, from: number, to: number, scale: number): number => {
      let sum = 0;
      for (let i = from; i < to; i += 1) sum += Math.fround(weights[i]! - dequantizeElement(element, loadedCode(element, encodeElement(element, weights[i]!, scale, 0)), scale, 0)) ** 2;
      return sum;
    };
    const scaleOf = (row: number, step: number): number => Math.fround(row * step);
    const choose = (weights: Float32Array, view: WeightView, poll: () => void): { rows: Float32Array; steps: Uint8Array; kinds: Uint8Array } => {
      const { count, size } = blockLayout(view, granularity);
      const perRow = view.rows === 0 ? 1 : count / view.rows;
      const ranges = Float32Array.from({ length: count }, (_, block) => {
        let range = 0;
        for (let i = block * size; i < (block + 1) * size; i += 1) range = Math.max(range, Math.abs(weights[i]!));
        return range;
      });
      // The row scale lets the widest group in the type of the smallest reach have its free scale.
      const reach = types[0]!.divisor!;
      const rows = Float32Array.from({ length: view.rows }, (_, row) => {
        const widest = Math.max(0, ...ranges.subarray(row * perRow, (row + 1) * perRow));
        const scale = Math.fround(widest / reach / SCALE_STEPS);
        return scale > 0 ? scale : 1;
      });
      const steps = new Uint8Array(count);
      const kinds = new Uint8Array(count);
      for (let block = 0; block < count; block += 1) {
        poll();
        const row = rows[Math.floor(block / perRow)]!;
        let least = Infinity;
        types.forEach((element, kind) => {
          const step = Math.min(SCALE_STEPS, Math.max(1, Math.round(ranges[block]! / element.divisor! / row)));
          const error = errorOf(element, weights, block * size, (block + 1) * size, scaleOf(row, step));
          if (error < least) [least, steps[block], kinds[block]] = [error, step, kind];
        });
      }
      return { rows, steps, kinds };
    };
    const encodeWith = (weights: Float32Array, view: WeightView, rows: Float32Array, steps: ArrayLike<number>, kinds: ArrayLike<number>): FieldValues => {
      const { count, size } = blockLayout(view, granularity);
      const perRow = view.rows === 0 ? 1 : count / view.rows;
      const codes = Uint8Array.from(weights, (x, i) => {
        const block = Math.floor(i / size);
        return encodeElement(types[kinds[block]!]!, x, scaleOf(rows[Math.floor(block / perRow)]!, steps[block]!), 0);
      });
      return [codes, Uint8Array.from(steps), Uint8Array.from(kinds), floatBits(rows)];
    };
    return heldFormat({
      id: `bitmod${bits}-${tailText(granularity, 'f32')}`, family: 'bitmod', title: `BitMoD FP${bits} with an extra value per group, ${granularityTitle({ granularity, scaleStorage })}`,
      catalogue: ['bitmod'], codeBits: bits, granularity, holds: 'row',
      traits: { monotone: true, signSymmetric: false, idempotent: true },
      fields: (view) => {
        const { count } = blockLayout(view, granularity);
        return [
          { name: 'codes', part: 'code', bits, count: view.rows * view.cols },
          { name: 'scales', part: 'scale', bits: 8, count },
          { name: 'types', part: 'other', bits: 2, count },
          { name: 'row scales', part: 'scale', bits: 32, count: view.rows },
        ];
      },
      encode: (weights, view, _rule, poll) => {
        const { rows, steps, kinds } = choose(weights, view, poll);
        return encodeWith(weights, view, rows, steps, kinds);
      },
      encodeLike: (weights, view, like) => encodeWith(weights, view, bitsToFloats(like[3]!), like[1]!, like[2]!),
      decode: (values, view) => {
        const { count, size } = blockLayout(view, granularity);
        const perRow = view.rows === 0 ? 1 : count / view.rows;
        const rows = bitsToFloats(values[3]!);
        return Float32Array.from(values[0]!, (code, i) => {
          const block = Math.floor(i / size);
          const element = types[values[2]![block]!]!;
          return dequantizeElement(element, loadedCode(element, code), scaleOf(rows[Math.floor(block / perRow)]!, values[1]![block]!), 0);
        });
      },
    });
  },
};
