/**
 * SpQR storage: most weights in small asymmetric groups whose scales and zero points are themselves quantized, and a fixed share
 * of outliers per row kept in float16 with their columns. Outliers are the weights with the largest error in the dense code; the
 * groups are then quantized again without them.
 *
 * Groups of 16 have a 3-bit scale and a 3-bit zero point; sixteen groups share the float16 ranges of these (second level).
 */
import { bitsToFloat16, float16Bits, toFloat16 } from './fields';
import { FormatIdError, type FormatFamily, type WeightView } from './format';
import { heldFormat, type FieldValues } from './held-format';

const GROUP = 16;
const SECOND = 16;
const STATISTIC_BITS = 3;
const STATISTIC_LEVELS = 2 ** STATISTIC_BITS - 1;

interface Shape { readonly groups: number; readonly seconds: number; readonly outliers: number; readonly columnBits: number }

/** Numbers quantized to 3 bits over their own range: float16 start and step. */
function quantizeStatistics(values: readonly number[]): { start: number; step: number; codes: number[] } {
  const start = toFloat16(Math.min(...values));
  const step = toFloat16((Math.max(...values) - start) / STATISTIC_LEVELS);
  return { start, step, codes: values.map((value) => (step > 0 ? Math.min(STATISTIC_LEVELS, Math.max(0, Math.round((value - start) / step))) : 0)) };
}

export const sparseFamily: FormatFamily = {
  name: 'sparse',
  title: 'Dense codes with sparse outliers (SpQR)',
  grammar: 'spqr<2..4>[-o<percent>]; spqr3 alone is spqr3-o1: one percent of outliers in each row',
  listed: ['spqr2-o1', 'spqr3-o1', 'spqr4-o1', 'spqr3-o2', 'spqr3-o0'],
  layout: 'codes of b bits | per group of 16: 3-bit scale, 3-bit zero point | per 16 groups: float16 start and step of both | per row: outliers as column and float16 value',
  oracle: 'planted outliers are found; the dense part by brute force',
  source: 'Dettmers et al., SpQR: A Sparse-Quantized Representation, 2023 (storage; outliers by weight error, without a Hessian)',
  ladders: [['spqr2-o1', 'spqr3-o1', 'spqr4-o1']],
  parse(id) {
    const match = /^spqr(\d*)(?:-(.*))?$/s.exec(id);
    if (!match) return null;
    const bits = Number(match[1]);
    if (!/^\d$/.test(match[1]!) || bits < 2 || bits > 4) throw new FormatIdError(`"${id}": the dense part of spqr has 2 to 4 bits`);
    const share = /^o(\d|1\d|20)$/.exec(match[2] ?? 'o1');
    if (!share) throw new FormatIdError(`"${id}": the share of outliers is o0 to o20 (percent)`);
    const percent = Number(share[1]);
    const levels = 2 ** bits - 1;
    const shapeOf = ({ cols }: WeightView): Shape => {
      const groups = Math.ceil(cols / GROUP);
      return { groups, seconds: Math.ceil(groups / SECOND), outliers: Math.round((cols * percent) / 100), columnBits: Math.max(1, Math.ceil(Math.log2(Math.max(2, cols)))) };
    };
    /** Scales and zeros of a row's groups as they are stored, without the weights that `left` marks. */
    const statisticsOf = (row: Float32Array, left: Uint8Array, shape: Shape): { scaleCodes: number[]; zeroCodes: number[]; ranges: number[] } => {
      const scales: number[] = [];
      const zeros: number[] = [];
      for (let group = 0; group < shape.groups; group += 1) {
        let [low, high] = [Infinity, -Infinity];
        for (let i = group * GROUP; i < Math.min((group + 1) * GROUP, row.length); i += 1) {
          if (left[i]) continue;
          low = Math.min(low, row[i]!);
          high = Math.max(high, row[i]!);
        }
        if (low > high) [low, high] = [0, 0];
        scales.push((high - low) / levels);
        zeros.push(low);
      }
      const [scaleCodes, zeroCodes, ranges]: [number[], number[], number[]] = [[], [], []];
      for (let second = 0; second < shape.seconds; second += 1) {
        const of = (values: readonly number[]): readonly number[] => values.slice(second * SECOND, (second + 1) * SECOND);
        const [s, z] = [quantizeStatistics(of(scales)), quantizeStatistics(of(zeros))];
        scaleCodes.push(...s.codes);
        zeroCodes.push(...z.codes);
        ranges.push(s.start, s.step, z.start, z.step);
      }
      return { scaleCodes, zeroCodes, ranges };
    };
    const dense = (code: number, group: number, scaleCodes: ArrayLike<number>, zeroCodes: ArrayLike<number>, ranges: ArrayLike<number>): number => {
      const at = Math.floor(group / SECOND) * 4;
      const scale = ranges[at]! + ranges[at + 1]! * scaleCodes[group]!;
      return Math.fround(code * scale + ranges[at + 2]! + ranges[at + 3]! * zeroCodes[group]!);
    };
    const codesOf = (row: Float32Array, { scaleCodes, zeroCodes, ranges }: { readonly scaleCodes: ArrayLike<number>; readonly zeroCodes: ArrayLike<number>; readonly ranges: ArrayLike<number> }): Uint8Array => Uint8Array.from(row, (x, i) => {
      const group = Math.floor(i / GROUP);
      const zero = dense(0, group, scaleCodes, zeroCodes, ranges);
      const scale = dense(1, group, scaleCodes, zeroCodes, ranges) - zero;
      return scale === 0 ? 0 : Math.min(levels, Math.max(0, Math.round((x - zero) / scale)));
    });
    const encodeRow = (row: Float32Array, shape: Shape): { codes: Uint8Array; statistics: ReturnType<typeof statisticsOf>; columns: number[] } => {
      const left = new Uint8Array(row.length);
      let statistics = statisticsOf(row, left, shape);
      let codes = codesOf(row, statistics);
      if (shape.outliers > 0) {
        const error = (i: number): number => Math.abs(row[i]! - dense(codes[i]!, Math.floor(i / GROUP), statistics.scaleCodes, statistics.zeroCodes, statistics.ranges));
        // A weight that stretches its group shows in the whole group: its own distance from the group's middle breaks the tie.
        const middle = (group: number): number => { const part = [...row.subarray(group * GROUP, (group + 1) * GROUP)].sort((a, b) => a - b); return part[part.length >> 1]!; };
        const middles = Array.from({ length: shape.groups }, (_, group) => middle(group));
        const score = Float64Array.from(row, (x, i) => Math.max(error(i), Math.abs(x - middles[Math.floor(i / GROUP)]!)));
        [...score.keys()].sort((a, b) => score[b]! - score[a]! || a - b).slice(0, shape.outliers).forEach((i) => { left[i] = 1; });
        statistics = statisticsOf(row, left, shape);
        codes = codesOf(row, statistics);
      }
      const columns = [...left.keys()].filter((i) => left[i] === 1);
      for (const column of columns) codes[column] = 0;
      return { codes, statistics, columns };
    };
    return heldFormat({
      id: `spqr${bits}-o${percent}`, family: 'sparse', title: `${bits}-bit groups of ${GROUP} with ${percent} % outliers in float16 (SpQR)`, catalogue: ['spqr'],
      codeBits: bits, granularity: { kind: 'group', size: GROUP }, holds: 'row', workingBytes: 64,
      traits: { monotone: false, signSymmetric: false, idempotent: 'outliers and second-level ranges are chosen afresh' },
      fields: (view) => {
        const { groups, seconds, outliers, columnBits } = shapeOf(view);
        return [
          { name: 'codes', part: 'code', bits, count: view.rows * view.cols },
          { name: 'scales', part: 'scale', bits: STATISTIC_BITS, count: view.rows * groups },
          { name: 'zero points', part: 'zeroPoint', bits: STATISTIC_BITS, count: view.rows * groups },
          { name: 'second level', part: 'scale', bits: 16, count: view.rows * seconds * 4 },
          { name: 'outlier columns', part: 'other', bits: columnBits, count: view.rows * outliers },
          { name: 'outliers', part: 'other', bits: 16, count: view.rows * outliers },
        ];
      },
      encode: (weights, view, _rule, poll) => {
        const shape = shapeOf(view);
        const parts: [Uint8Array, Uint8Array, Uint8Array, Float32Array, Uint32Array, Float32Array] = [
          new Uint8Array(weights.length), new Uint8Array(view.rows * shape.groups), new Uint8Array(view.rows * shape.groups),
          new Float32Array(view.rows * shape.seconds * 4), new Uint32Array(view.rows * shape.outliers), new Float32Array(view.rows * shape.outliers),
        ];
        for (let r = 0; r < view.rows; r += 1) {
          poll();
          const row = weights.subarray(r * view.cols, (r + 1) * view.cols);
          const { codes, statistics, columns } = encodeRow(row, shape);
          parts[0].set(codes, r * view.cols);
          parts[1].set(statistics.scaleCodes, r * shape.groups);
          parts[2].set(statistics.zeroCodes, r * shape.groups);
          parts[3].set(statistics.ranges, r * shape.seconds * 4);
          parts[4].set(columns, r * shape.outliers);
          parts[5].set(columns.map((column) => row[column]!), r * shape.outliers);
        }
        return [parts[0], parts[1], parts[2], float16Bits(parts[3], 'f16'), parts[4], float16Bits(parts[5], 'f16')] satisfies FieldValues;
      },
      decode: (values, view) => {
        const shape = shapeOf(view);
        const out = new Float32Array(view.rows * view.cols);
        const ranges = bitsToFloat16(values[3]!, 'f16');
        const kept = bitsToFloat16(values[5]!, 'f16');
        for (let r = 0; r < view.rows; r += 1) {
          const [scaleCodes, zeroCodes] = [values[1]!.subarray(r * shape.groups, (r + 1) * shape.groups), values[2]!.subarray(r * shape.groups, (r + 1) * shape.groups)];
          const own = ranges.subarray(r * shape.seconds * 4, (r + 1) * shape.seconds * 4);
          for (let i = 0; i < view.cols; i += 1) out[r * view.cols + i] = dense(values[0]![r * view.cols + i]!, Math.floor(i / GROUP), scaleCodes, zeroCodes, own);
          for (let k = r * shape.outliers; k < (r + 1) * shape.outliers; k += 1) out[r * view.cols + values[4]![k]!] = kept[k]!;
        }
        return out;
      },
    });
  },
};
