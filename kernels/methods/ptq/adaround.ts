import type { PtqMethod } from '../method';
import { Adam } from './adam';
import { blockScaledOnly } from './grid';
import { importanceGrid } from './importance';
import { Descent, POLISH, stepsParameter } from './learned';
import { layerProblem } from './layer-problem';

/** Stretch of the rectified sigmoid, and the regulariser's exponent from start to end (values of the paper). */
const [ZETA, GAMMA] = [1.1, -0.1];
const [FIRST_BETA, LAST_BETA] = [20, 2];
/** Share of the steps before the regulariser sets in. */
const WARMUP = 0.2;
const RATE = 0.02;
/** Weight of the regulariser beside the output error, which is counted in that of round-to-nearest per weight. */
const LAMBDA = 0.1;

/**
 * AdaRound: each weight goes to one of its two neighbours, by a variable that is pushed towards 0 or 1 while the layer's output
 * error is brought down.
 */
export const adaround: PtqMethod = {
  id: 'adaround',
  kind: 'ptq',
  title: 'AdaRound (learned rounding)',
  source: 'Nagel et al., Up or Down? Adaptive Rounding for Post-Training Quantization, 2020',
  needs: 'calibration',
  catalogue: ['adaround'],
  parameters: { steps: stepsParameter(600), polish: POLISH },
  scaleRule: null,
  run(weights, view, format, { steps = 600, polish = true }, inputs, poll) {
    const problem = layerProblem(weights, view, inputs, 'adaround');
    const grid = importanceGrid(problem, blockScaledOnly(format, 'adaround'), poll);
    return Descent.with(problem, poll, async (descent) => {
      const n = problem.weights.length;
      const [low, gap, v, soft, gradient] = Array.from({ length: 5 }, () => new Float32Array(n)) as [Float32Array, Float32Array, Float32Array, Float32Array, Float32Array];
      const nearest = new Float32Array(n);
      for (let i = 0; i < n; i += 1) {
        const [row, col] = [Math.floor(i / view.cols), i % view.cols];
        const block = grid.block(row, col);
        const [below, above] = grid.neighbours(problem.weights[i]!, block);
        nearest[i] = grid.nearest(problem.weights[i]!, block);
        low[i] = below;
        gap[i] = above - below;
        const share = gap[i]! > 0 ? Math.min(0.999, Math.max(0.001, (problem.weights[i]! - below) / gap[i]!)) : 0.5;
        v[i] = -Math.log((ZETA - GAMMA) / (share - GAMMA) - 1);
      }
      const reference = (await descent.at(nearest)).loss / Math.max(1, n);
      const adam = new Adam(n);
      const values = new Float32Array(n);
      const total = steps as number;
      for (let step = 0; step < total && reference > 0; step += 1) {
        const through = total > 1 ? step / (total - 1) : 1;
        const beta = through < WARMUP ? null : FIRST_BETA + (LAST_BETA - FIRST_BETA) * ((through - WARMUP) / (1 - WARMUP));
        for (let i = 0; i < n; i += 1) {
          soft[i] = 1 / (1 + Math.exp(-v[i]!));
          const h = Math.min(1, Math.max(0, soft[i]! * (ZETA - GAMMA) + GAMMA));
          values[i] = low[i]! + h * gap[i]!;
        }
        const { gradient: g } = await descent.at(values);
        for (let i = 0; i < n; i += 1) {
          const s = soft[i]!;
          const h = s * (ZETA - GAMMA) + GAMMA;
          if (h <= 0 || h >= 1) { gradient[i] = 0; continue; }
          let slope = (g[i]! * gap[i]!) / reference;
          if (beta !== null) { const d = 2 * h - 1; slope -= LAMBDA * beta * 2 * Math.sign(d) * Math.abs(d) ** (beta - 1); }
          gradient[i] = slope * s * (1 - s) * (ZETA - GAMMA);
        }
        adam.step(v, gradient, RATE);
      }
      for (let i = 0; i < n; i += 1) values[i] = v[i]! >= 0 ? low[i]! + gap[i]! : low[i]!;
      return descent.finish(format, grid, values, polish as boolean);
    });
  },
};
