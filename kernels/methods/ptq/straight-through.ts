/** Learning through rounding as if it were not there (Bengio et al., 2013): three methods that differ in what they learn. */
import type { PtqMethod } from '../method';
import { Adam } from './adam';
import { blockScaledOnly, type Grid } from './grid';
import { importanceGrid } from './importance';
import { Descent, POLISH, stepsParameter } from './learned';
import { layerProblem } from './layer-problem';

interface Learner {
  /** The weight that is rounded, from what has been learned. */
  shifted(index: number, weight: number, scale: number): number;
  /** @param gradient of the loss by the rounded weight */
  learn(gradient: Float32Array, through: number): void;
}

/** Runs the steps; the rounded weights of least error are what is given. */
async function straightThrough(descent: Descent, grid: Grid, steps: number, learner: Learner): Promise<Float32Array> {
  const { weights, view: { cols } } = descent.problem;
  const values = new Float32Array(weights.length);
  let [best, least] = [new Float32Array(0), Infinity];
  let start = grid.state();
  for (let step = 0; step <= steps; step += 1) {
    for (let i = 0; i < values.length; i += 1) {
      const block = grid.block(Math.floor(i / cols), i % cols);
      values[i] = grid.nearest(learner.shifted(i, weights[i]!, grid.scales[block]!), block);
    }
    const { gradient, loss } = await descent.at(values);
    if (loss < least) { least = loss; best = values.slice(); start = grid.state(); }
    if (step < steps) learner.learn(gradient, step / steps);
  }
  grid.restore(start);
  return best;
}

/** Mean scale of the weight's blocks: the unit in which steps are taken. */
const meanScale = ({ scales }: Grid): number => scales.reduce((a, b) => a + b, 0) / Math.max(1, scales.length);

/** AdaQuant: a continuous offset is added to every weight before rounding. */
export const adaquant: PtqMethod = {
  id: 'adaquant', kind: 'ptq', title: 'AdaQuant (learned weight offsets)', needs: 'calibration', catalogue: ['adaquant'], scaleRule: null,
  source: 'Hubara et al., Accurate Post Training Quantization With Small Calibration Sets, 2021: the layer-wise part',
  parameters: { steps: stepsParameter(300), polish: POLISH },
  run(weights, view, format, { steps = 300, polish = true }, inputs, poll) {
    const problem = layerProblem(weights, view, inputs, 'adaquant');
    const grid = importanceGrid(problem, blockScaledOnly(format, 'adaquant'), poll);
    return Descent.with(problem, poll, async (descent) => {
      const offset = new Float32Array(problem.weights.length);
      const adam = new Adam(offset.length);
      const rate = 0.05 * meanScale(grid);
      const values = await straightThrough(descent, grid, steps as number, {
        shifted: (i, weight) => weight + offset[i]!,
        learn: (gradient, through) => adam.step(offset, gradient, rate * (1 - through)),
      });
      return descent.finish(format, grid, values, polish as boolean);
    });
  },
};

/** FlexRound: every weight is divided by a learned positive number before rounding, so that large weights may move further. */
export const flexround: PtqMethod = {
  id: 'flexround', kind: 'ptq', title: 'FlexRound (learned division)', needs: 'calibration', catalogue: ['flexround'], scaleRule: null,
  source: 'Lee et al., FlexRound: Learnable Rounding based on Element-wise Division for Post-Training Quantization, 2023',
  parameters: { steps: stepsParameter(400), polish: POLISH },
  run(weights, view, format, { steps = 400, polish = true }, inputs, poll) {
    const problem = layerProblem(weights, view, inputs, 'flexround');
    const grid = importanceGrid(problem, blockScaledOnly(format, 'flexround'), poll);
    return Descent.with(problem, poll, async (descent) => {
      const n = problem.weights.length;
      // Logarithms of the divisors: they stay positive.
      const [divisor, slope] = [new Float32Array(n), new Float32Array(n)];
      const adam = new Adam(n);
      const values = await straightThrough(descent, grid, steps as number, {
        shifted: (i, weight) => weight * Math.exp(-divisor[i]!),
        learn(gradient, through) {
          for (let i = 0; i < n; i += 1) slope[i] = -gradient[i]! * problem.weights[i]! * Math.exp(-divisor[i]!);
          adam.step(divisor, slope, 0.03 * (1 - through));
        },
      });
      return descent.finish(format, grid, values, polish as boolean);
    });
  },
};

/** SignRound: a bounded offset of at most half a step, moved by the sign of its gradient. */
export const signround: PtqMethod = {
  id: 'signround', kind: 'ptq', title: 'SignRound (rounding by signed gradient descent)', needs: 'calibration', catalogue: ['signround'], scaleRule: null,
  source: 'Cheng et al., Optimize Weight Rounding via Signed Gradient Descent for the Quantization of LLMs, 2023',
  parameters: { steps: stepsParameter(400), polish: POLISH },
  run(weights, view, format, { steps = 400, polish = true }, inputs, poll) {
    const problem = layerProblem(weights, view, inputs, 'signround');
    const grid = importanceGrid(problem, blockScaledOnly(format, 'signround'), poll);
    return Descent.with(problem, poll, async (descent) => {
      const offset = new Float32Array(problem.weights.length);
      const rate = 1 / Math.max(1, steps as number);
      const values = await straightThrough(descent, grid, steps as number, {
        shifted: (i, weight, scale) => weight + offset[i]! * scale,
        learn(gradient, through) {
          for (let i = 0; i < offset.length; i += 1) offset[i] = Math.max(-0.5, Math.min(0.5, offset[i]! - 2 * rate * (1 - through) * Math.sign(gradient[i]!)));
        },
      });
      return descent.finish(format, grid, values, polish as boolean);
    });
  },
};
