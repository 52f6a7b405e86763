import { upperFactor } from '../../numerics/cholesky';
import type { PtqMethod } from '../method';
import { blockScaledOnly, Grid } from './grid';
import { importanceGrid } from './importance';
import { importanceOf, layerProblem, leastLoss, type LayerProblem } from './layer-problem';

/** Rows that are worked on together: each reads the factor once for all of them. */
const ROWS = 8;
/** Columns between two looks at the scales where the format has no groups. */
const RUN = 64;

export type GptqScales = 'absmax' | 'mse' | 'importance';

/**
 * GPTQ: weights are rounded one input after another, and what is not yet rounded makes up for the error. With M = R R^T (R upper
 * triangular) the error is sum_m (e R)_m^2, and (e R)_m holds e_m and what came before it alone: each weight is rounded to
 * w_m + sum_{j<m} e_j R_jm / R_mm, which is GPTQ's update without the inverse (Chen et al., The Geometry of LLM Quantization,
 * 2025: GPTQ is Babai's nearest plane).
 */
export const gptq: PtqMethod = {
  id: 'gptq',
  kind: 'ptq',
  title: 'GPTQ (error feedback between the inputs of a layer)',
  source: 'Frantar et al., GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers, 2023',
  needs: 'calibration',
  catalogue: ['gptq'],
  parameters: {
    scales: { type: 'enum', default: 'importance', values: ['absmax', 'mse', 'importance'], description: 'how scales are found: the largest weight, least squared error, or least error weighted by the energy of the inputs' },
    actOrder: { type: 'boolean', default: true, description: 'inputs of most energy first; scales are then found before any weight is rounded' },
    damping: { type: 'number', default: 0.01, minimum: 0, maximum: 1, description: 'share of the mean energy that is added to every input\'s' },
  },
  scaleRule: null,
  async run(weights, view, format, options, inputs, poll) {
    const problem = layerProblem(weights, view, inputs, 'gptq');
    const block = blockScaledOnly(format, 'gptq');
    const { scales = 'importance', actOrder = true, damping = 0.01 } = options as { scales?: GptqScales; actOrder?: boolean; damping?: number };
    const grid = startGrid(problem, block, scales, poll);
    const rounded = errorFeedback(problem, grid, { refit: actOrder || grid.perRow <= 1 ? null : scales, actOrder, damping }, poll);
    return leastLoss(problem, format, [grid.encode(rounded), format.encode(problem.weights, view, 'absmax')]);
  },
};

export function startGrid(problem: LayerProblem, format: ReturnType<typeof blockScaledOnly>, scales: GptqScales, poll?: () => void): Grid {
  if (scales === 'importance') return importanceGrid(problem, format, poll);
  const grid = new Grid(format, problem.view, problem.weights);
  if (scales === 'mse') {
    const found = format.findScales(problem.weights, problem.view, 'mse');
    grid.scales.set(found.scales);
    if (found.zeroPoints) grid.zeroPoints!.set(found.zeroPoints);
  }
  return grid;
}

export interface FeedbackOptions {
  /** Groups' scales are found again from the weights as they are when the group is reached; null: scales stay. */
  readonly refit: GptqScales | null;
  readonly actOrder: boolean;
  readonly damping: number;
}

/** Rounds all weights with error feedback. @returns values on the grid */
export function errorFeedback(problem: LayerProblem, grid: Grid, { refit, actOrder, damping }: FeedbackOptions, poll?: () => void): Float32Array {
  const { weights, view } = problem;
  const { rows, cols } = view;
  const out = new Float32Array(weights.length);
  const prepared = new Map<Float64Array, { factor: Float32Array; order: Int32Array }>();
  const groupRows = rows / problem.inputs.groups.length;
  for (let first = 0; first < rows;) {
    // Rows of one input group at a time, a few together.
    const many = Math.min(ROWS, rows - first, groupRows - (first % groupRows));
    const moment = problem.momentOf(first);
    let ready = prepared.get(moment);
    if (!ready) { prepared.clear(); ready = prepare(moment, cols, actOrder, damping, poll); prepared.set(moment, ready); }
    feedRows(problem, grid, ready.factor, ready.order, refit, importanceOf(moment, cols), first, many, out, poll);
    first += many;
  }
  return out;
}

/** The factor in the order of rounding, each column divided by its diagonal, stored as rows: factor[m][j] = R[j][m] / R[m][m]. */
function prepare(moment: Float64Array, n: number, actOrder: boolean, damping: number, poll?: () => void): { factor: Float32Array; order: Int32Array } {
  const energy = Float64Array.from({ length: n }, (_, i) => moment[i * n + i]!);
  const order = Int32Array.from({ length: n }, (_, i) => i);
  if (actOrder) order.sort((a, b) => energy[b]! - energy[a]! || a - b);
  const sorted = new Float64Array(n * n);
  for (let i = 0; i < n; i += 1) for (let j = 0; j < n; j += 1) sorted[i * n + j] = moment[order[i]! * n + order[j]!]!;
  const mean = energy.reduce((a, b) => a + b, 0) / n;
  if (!(mean > 0)) return { factor: new Float32Array(n * n), order };
  let r: Float64Array | null = null;
  for (let share = Math.max(damping, 1e-8); r === null; share *= 10) r = upperFactor(sorted, n, share * mean, poll);
  const factor = new Float32Array(n * n);
  for (let m = 0; m < n; m += 1) { const d = 1 / r[m * n + m]!; for (let j = 0; j < m; j += 1) factor[m * n + j] = r[j * n + m]! * d; }
  return { factor, order };
}

function feedRows(problem: LayerProblem, grid: Grid, factor: Float32Array, order: Int32Array, refit: GptqScales | null, energy: Float64Array, first: number, many: number, out: Float32Array, poll?: () => void): void {
  const { weights, view: { cols } } = problem;
  // Errors of the rows, interleaved: error[j * ROWS + r].
  const error = new Float64Array(cols * ROWS);
  const run = refit ? grid.size : RUN;
  const base = new Float64Array(run * ROWS);
  const free = new Float64Array(run * ROWS);
  for (let start = 0; start < cols; start += run) {
    poll?.();
    const length = Math.min(run, cols - start);
    for (let k = 0; k < length; k += 1) dot(factor, (start + k) * cols, error, start, base, k * ROWS);
    if (refit) {
      // Where the weights of the group would go if none of them were rounded: what the scale has to cover.
      for (let k = 0; k < length; k += 1) {
        const at = (start + k) * cols + start;
        for (let r = 0; r < many; r += 1) {
          let shift = base[k * ROWS + r]!;
          for (let j = 0; j < k; j += 1) shift += factor[at + j]! * free[j * ROWS + r]!;
          free[k * ROWS + r] = -shift;
        }
      }
      for (let r = 0; r < many; r += 1) {
        const row = (first + r) * cols;
        grid.fit(grid.block(first + r, start), length, (i) => weights[row + start + i]! - free[i * ROWS + r]!, refit === 'importance' ? (i) => energy[start + i]! : null, refit !== 'absmax');
      }
    }
    for (let k = 0; k < length; k += 1) {
      const at = (start + k) * cols + start;
      const col = order[start + k]!;
      for (let r = 0; r < many; r += 1) {
        let shift = base[k * ROWS + r]!;
        for (let j = 0; j < k; j += 1) shift += factor[at + j]! * error[(start + j) * ROWS + r]!;
        const index = (first + r) * cols + col;
        const value = grid.nearest(weights[index]! + shift, grid.block(first + r, col));
        out[index] = value;
        error[(start + k) * ROWS + r] = weights[index]! - value;
      }
    }
  }
}

/** sums[at + r] = sum over j < count of factor[from + j] * error[j * ROWS + r], for all rows at once. */
function dot(factor: Float32Array, from: number, error: Float64Array, count: number, sums: Float64Array, at: number): void {
  let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let j = 0, i = 0; j < count; j += 1, i += ROWS) {
    const x = factor[from + j]!;
    a += x * error[i]!; b += x * error[i + 1]!; c += x * error[i + 2]!; d += x * error[i + 3]!;
    e += x * error[i + 4]!; f += x * error[i + 5]!; g += x * error[i + 6]!; h += x * error[i + 7]!;
  }
  sums[at] = a; sums[at + 1] = b; sums[at + 2] = c; sums[at + 3] = d; sums[at + 4] = e; sums[at + 5] = f; sums[at + 6] = g; sums[at + 7] = h;
}
