import { factorInPlace } from '../../numerics/cholesky';
import { cut, type Multiply } from '../../numerics/matrix';
import { Multiplier } from '../../run/multiply';
import type { PtqMethod } from '../method';
import { blockScaledOnly, Grid } from './grid';
import { importanceGrid } from './importance';
import { importanceOf, layerProblem, leastLoss, type LayerProblem } from './layer-problem';

/** Rows that are rounded together: each reads the factor once for all of them. */
const ROWS = 8;
/** Columns whose errors are fed forward one by one; those of earlier ones arrive in one product. */
const BLOCK = 128;
/** Rows whose errors are held at once. */
const MOST_ROWS = 1024;

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
    const rounded = await errorFeedback(problem, grid, { refit: actOrder || grid.perRow <= 1 ? null : scales, actOrder, damping }, poll);
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
export function errorFeedback(problem: LayerProblem, grid: Grid, options: FeedbackOptions, poll?: () => void): Promise<Float32Array> {
  const { weights, view: { rows, cols } } = problem;
  const out = new Float32Array(weights.length);
  const each = rows / problem.inputs.groups.length;
  return Multiplier.with(async (multiply) => {
    for (let group = 0; group < rows; group += each) {
      const moment = problem.momentOf(group);
      const ready = await prepare(moment, cols, options, multiply, poll);
      const energy = importanceOf(moment, cols);
      for (let first = group; first < group + each; first += MOST_ROWS) {
        await feed(problem, grid, ready, options.refit && { rule: options.refit, energy }, first, Math.min(MOST_ROWS, group + each - first), out, multiply, poll);
      }
    }
    return out;
  });
}

/** R in the order of rounding; null where the inputs are all 0, so that nothing is to be made up for. */
interface Prepared { readonly factor: Float64Array | null; readonly order: Int32Array }

async function prepare(moment: Float64Array, n: number, { actOrder, damping }: FeedbackOptions, multiply: Multiply, poll?: () => void): Promise<Prepared> {
  const energy = Float64Array.from({ length: n }, (_, i) => moment[i * n + i]!);
  const order = Int32Array.from({ length: n }, (_, i) => i);
  if (actOrder) order.sort((a, b) => energy[b]! - energy[a]! || a - b);
  const mean = energy.reduce((a, b) => a + b, 0) / n;
  if (mean === 0) return { factor: null, order };
  const factor = new Float64Array(n * n);
  if (!Number.isFinite(mean)) throw new Error('gptq: the inputs of this layer are too large to be squared in float32 or not finite; leave this layer out or look for what overflows before it');
  for (let share = Math.max(damping, 1e-8); ; share *= 10) {
    for (let i = 0; i < n; i += 1) { const from = order[i]! * n; for (let j = 0; j < n; j += 1) factor[i * n + j] = moment[from + order[j]!]!; }
    if (await factorInPlace(factor, n, share * mean, multiply, poll)) return { factor, order };
  }
}

/** What a block of columns [start, start + length) takes from errors: row k holds R_jm / R_mm for the columns j before m = start + k. */
interface Incoming {
  readonly start: number;
  readonly length: number;
  /** For columns inside the block, [length, length]. */
  readonly inside: Float64Array;
  /** Sums over the columns before the block, [rows, length]. */
  readonly before: Float64Array;
}

async function feed(problem: LayerProblem, grid: Grid, { factor, order }: Prepared, refit: Refit | null, first: number, many: number, out: Float32Array, multiply: Multiply, poll?: () => void): Promise<void> {
  const { view: { cols } } = problem;
  // Whole groups, when their scales are found again.
  const block = refit ? grid.size * Math.max(1, Math.floor(BLOCK / grid.size)) : BLOCK;
  /** Errors of the columns that are rounded, [cols, many]. */
  const errors = new Float64Array(cols * many);
  for (let start = 0; start < cols; start += block) {
    poll?.();
    const length = Math.min(block, cols - start);
    const inside = new Float64Array(length * length);
    let before: Float64Array = new Float64Array(many * length);
    if (factor) {
      const above = cut(factor, cols, 0, start, start, start + length);
      for (let k = 0; k < length; k += 1) {
        const scale = 1 / factor[(start + k) * cols + start + k]!;
        for (let j = 0; j < start; j += 1) above.data[j * length + k]! *= scale;
        for (let j = 0; j < k; j += 1) inside[k * length + j] = factor[(start + j) * cols + start + k]! * scale;
      }
      if (start > 0) before = await multiply({ data: errors.subarray(0, start * many), rows: start, cols: many, turned: true }, above);
    }
    for (let row = 0; row < many; row += ROWS) roundRows(problem, grid, { start, length, inside, before }, order, refit, { first, at: row, many }, errors, out);
  }
}

interface Refit { readonly rule: GptqScales; readonly energy: Float64Array }
/** Up to {@link ROWS} rows from `first + at` on, of `many` that errors are held of. */
interface RowRun { readonly first: number; readonly at: number; readonly many: number }

function roundRows({ weights, view: { cols } }: LayerProblem, grid: Grid, { start, length, inside, before }: Incoming, order: Int32Array, refit: Refit | null, { first, at, many }: RowRun, errors: Float64Array, out: Float32Array): void {
  const count = Math.min(ROWS, many - at);
  // Errors inside the block, interleaved: own[j * ROWS + r].
  const own = new Float64Array(length * ROWS);
  const shift = new Float64Array(ROWS);
  for (let k = 0; k < length; k += 1) {
    if (refit && k % grid.size === 0) {
      for (let r = 0; r < count; r += 1) refitGroup(weights, grid, refit, { start, length, inside, before }, k, first + at + r, at + r, cols, own, r);
    }
    dot(inside, k * length, own, k, shift);
    const col = order[start + k]!;
    for (let r = 0; r < count; r += 1) {
      const index = (first + at + r) * cols + col;
      const weight = weights[index]!;
      const value = grid.nearest(weight + shift[r]! + before[(at + r) * length + k]!, grid.block(first + at + r, col));
      out[index] = value;
      own[k * ROWS + r] = weight - value;
    }
  }
  for (let k = 0; k < length; k += 1) for (let r = 0; r < count; r += 1) errors[(start + k) * many + at + r] = own[k * ROWS + r]!;
}

/** The scale of the group that starts at column k of the block, from where its weights would go if none of them were rounded: what it has to cover. */
function refitGroup(weights: Float32Array, grid: Grid, { rule, energy }: Refit, { start, length, inside, before }: Incoming, k: number, row: number, at: number, cols: number, own: Float64Array, r: number): void {
  const free = new Float64Array(grid.size);
  for (let i = 0; i < grid.size; i += 1) {
    const from = (k + i) * length;
    let shift = before[at * length + k + i]!;
    for (let j = 0; j < k; j += 1) shift += inside[from + j]! * own[j * ROWS + r]!;
    for (let j = 0; j < i; j += 1) shift -= inside[from + k + j]! * free[j]!;
    free[i] = shift;
  }
  for (let i = 0; i < grid.size; i += 1) free[i]! += weights[row * cols + start + k + i]!;
  grid.fit(grid.block(row, start + k), free, 0, grid.size, rule === 'importance' ? energy : null, start + k, rule !== 'absmax');
}

/** sums[r] = sum over j < count of factor[from + j] * error[j * ROWS + r], for all rows at once. */
function dot(factor: Float64Array, from: number, error: Float64Array, count: number, sums: Float64Array): void {
  let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let j = 0, i = 0; j < count; j += 1, i += ROWS) {
    const x = factor[from + j]!;
    a += x * error[i]!; b += x * error[i + 1]!; c += x * error[i + 2]!; d += x * error[i + 3]!;
    e += x * error[i + 4]!; f += x * error[i + 5]!; g += x * error[i + 6]!; h += x * error[i + 7]!;
  }
  sums[0] = a; sums[1] = b; sums[2] = c; sums[3] = d; sums[4] = e; sums[5] = f; sums[6] = g; sums[7] = h;
}
