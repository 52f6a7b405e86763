/**
 * Salient columns at 4 bits, the rest binary (PTQ1.61): one bit per input channel says which. Columns are chosen by their energy
 * in the weights, as nothing else is known here; with calibration data the energy of the inputs belongs in its place.
 * Salient part: 4-bit symmetric restricted integers with one scale per row; the rest: sign times the mean magnitude of the row.
 */
import { bitsToFloat16, float16Bits, toFloat16 } from './fields';
import { FormatIdError, type FormatFamily, type WeightView } from './format';
import { heldFormat, type FieldValues } from './held-format';

const MOST = 7;

export const mixedColumnsFamily: FormatFamily = {
  name: 'mixed-columns',
  title: 'Salient columns at 4 bits, the rest binary (PTQ1.61)',
  grammar: 'ptq1.61[-p<0..100>]; p is the percentage of salient columns, 20 unless said',
  listed: ['ptq1.61-p20', 'ptq1.61-p0', 'ptq1.61-p50'],
  layout: 'one bit per column (1 is salient) | binary codes of all other columns, row by row (1 is negative) | 4-bit codes of the salient columns | per row: float16 scale of both parts',
  oracle: 'p0 equals binary1-channel; the size formula of the paper',
  source: 'Zhao et al., PTQ1.61: Push the Real Limit of Extremely Low-Bit Post-Training Quantization, 2025 (storage)',
  parse(id) {
    const match = /^ptq1\.61(?:-(.*))?$/s.exec(id);
    if (!match) return null;
    const share = /^p(\d{1,3})$/.exec(match[1] ?? 'p20');
    const percent = Number(share?.[1]);
    if (!share || percent > 100) throw new FormatIdError(`"${id}": the share of salient columns is p0 to p100 (percent)`);
    const salientCount = ({ cols }: WeightView): number => Math.round((cols * percent) / 100);
    const columnsOf = (mask: ArrayLike<number>): { salient: number[]; others: number[] } => {
      const all = Array.from({ length: mask.length }, (_, i) => i);
      return { salient: all.filter((i) => mask[i] === 1), others: all.filter((i) => mask[i] !== 1) };
    };
    const encode = (weights: Float32Array, view: WeightView, mask: Uint8Array, like: readonly Float32Array[] | null): FieldValues => {
      const { salient, others } = columnsOf(mask);
      const signs = new Uint8Array(view.rows * others.length);
      const codes = new Uint8Array(view.rows * salient.length);
      const [means, steps] = like ?? [new Float32Array(view.rows), new Float32Array(view.rows)];
      for (let row = 0; row < view.rows; row += 1) {
        const at = row * view.cols;
        if (!like) {
          means![row] = toFloat16(others.reduce((sum, i) => sum + Math.abs(weights[at + i]!), 0) / Math.max(1, others.length));
          steps![row] = toFloat16(salient.reduce((most, i) => Math.max(most, Math.abs(weights[at + i]!)), 0) / MOST);
        }
        others.forEach((i, k) => { signs[row * others.length + k] = weights[at + i]! < 0 ? 1 : 0; });
        salient.forEach((i, k) => {
          const step = steps![row]!;
          codes[row * salient.length + k] = (step > 0 ? Math.min(MOST, Math.max(-MOST, Math.round(weights[at + i]! / step))) : 0) + MOST + 1;
        });
      }
      return [signs, codes, mask, float16Bits(means!, 'f16'), float16Bits(steps!, 'f16')];
    };
    return heldFormat({
      id: `ptq1.61-p${percent}`, family: 'mixed-columns', title: `Binary with ${percent} % of the columns at 4 bits (PTQ1.61)`, catalogue: ['ptq1.61'],
      codeBits: 1, granularity: { kind: 'channel' }, holds: 'weight',
      traits: { monotone: false, signSymmetric: false, idempotent: true },
      fields: (view) => {
        const salient = salientCount(view);
        return [
          { name: 'codes', part: 'code', bits: 1, count: view.rows * (view.cols - salient) },
          { name: 'salient codes', part: 'code', bits: 4, count: view.rows * salient },
          { name: 'salient columns', part: 'other', bits: 1, count: view.cols },
          { name: 'scales', part: 'scale', bits: 16, count: view.rows },
          { name: 'salient scales', part: 'scale', bits: 16, count: view.rows },
        ];
      },
      encode: (weights, view, _rule, poll) => {
        const energy = new Float64Array(view.cols);
        for (let i = 0; i < weights.length; i += 1) energy[i % view.cols]! += weights[i]! ** 2;
        poll();
        const mask = new Uint8Array(view.cols);
        [...energy.keys()].sort((a, b) => energy[b]! - energy[a]! || a - b).slice(0, salientCount(view)).forEach((i) => { mask[i] = 1; });
        return encode(weights, view, mask, null);
      },
      encodeLike: (weights, view, like) => encode(weights, view, Uint8Array.from(like[2]!), [bitsToFloat16(like[3]!, 'f16'), bitsToFloat16(like[4]!, 'f16')]),
      decode: (values, view) => {
        const { salient, others } = columnsOf(values[2]!);
        const [means, steps] = [bitsToFloat16(values[3]!, 'f16'), bitsToFloat16(values[4]!, 'f16')];
        const out = new Float32Array(view.rows * view.cols);
        for (let row = 0; row < view.rows; row += 1) {
          others.forEach((i, k) => { out[row * view.cols + i] = values[0]![row * others.length + k] === 1 ? -means[row]! : means[row]!; });
          salient.forEach((i, k) => { out[row * view.cols + i] = Math.fround((values[1]![row * salient.length + k]! - MOST - 1) * steps[row]!); });
        }
        return out;
      },
    });
  },
};
