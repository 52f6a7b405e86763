import type { PtqMethod } from '../method';
import { blockScaledOnly, Grid } from './grid';

/** Norm, weight of the coupling and its growth, after the authors' code. */
const [P, FIRST_BETA, GROWTH] = [0.7, 10, 1.01];

/**
 * HQQ: zero points (or scales, for symmetric formats) that minimise an l_p norm, p < 1, of the weight error, without data. Outliers
 * then count for less than in a squared error. Half-quadratic splitting: the error is shrunk, then the zero point (scale) solved for.
 */
export const hqq: PtqMethod = {
  id: 'hqq',
  kind: 'ptq',
  title: 'HQQ (half-quadratic fit, no data)',
  source: 'Badri and Shaji, Half-Quadratic Quantization of Large Machine Learning Models, 2023',
  needs: 'weights',
  catalogue: [],
  parameters: { steps: { type: 'integer', default: 20, minimum: 1, maximum: 1000, description: 'rounds of shrinking and solving' } },
  scaleRule: null,
  run(weights, view, format, { steps = 20 }, _inputs, poll) {
    if (!weights.every(Number.isFinite)) throw new Error('hqq: the weight holds NaN or infinite values');
    const grid = new Grid(blockScaledOnly(format, 'hqq'), view, weights);
    const { size } = grid;
    const shrunk = new Float64Array(size);
    for (let block = 0; block < grid.scales.length; block += 1) {
      if ((block & 255) === 0) poll?.();
      const at = block * size;
      const norm = (): number => { let sum = 0; for (let i = 0; i < size; i += 1) sum += Math.abs(weights[at + i]! - grid.nearest(weights[at + i]!, block)) ** P; return sum; };
      let [least, best] = [norm(), { scale: grid.scales[block]!, zero: grid.zeroPoints?.[block] ?? 0 }];
      let beta = FIRST_BETA / Math.max(1e-30, grid.scales[block]!);
      for (let step = 0; step < (steps as number); step += 1, beta *= GROWTH) {
        let [product, square, shift] = [0, 0, 0];
        for (let i = 0; i < size; i += 1) {
          const x = weights[at + i]!;
          const q = grid.nearest(x, block);
          const e = x - q;
          shrunk[i] = e === 0 ? 0 : Math.sign(e) * Math.max(0, Math.abs(e) - Math.abs(e) ** (P - 1) / beta);
          product += q * (x - shrunk[i]!);
          square += q * q;
          shift += q - (x - shrunk[i]!);
        }
        if (grid.zeroPoints) {
          const { low, high } = grid.format.element as { low: number; high: number };
          grid.zeroPoints[block] = Math.min(high, Math.max(low, grid.zeroPoints[block]! + Math.round(shift / size / grid.scales[block]!)));
        } else if (square > 0) grid.rescale(block, product / square);
        const now = norm();
        if (now >= least) break;
        [least, best] = [now, { scale: grid.scales[block]!, zero: grid.zeroPoints?.[block] ?? 0 }];
      }
      grid.scales[block] = best.scale;
      if (grid.zeroPoints) grid.zeroPoints[block] = best.zero;
    }
    return grid.encode(weights);
  },
};
