/** Exact steps on one code or one scale at a time: the error of the layer's output never rises. */
import type { LayerProblem } from './layer-problem';
import type { Grid } from './grid';

export interface DescentOptions {
  /** Rounds over all codes, each followed by one over all scales. */
  readonly rounds: number;
  /** Scales are moved too. */
  readonly scales: boolean;
}

/**
 * Goes over the codes of each row (inputs in order) and sets each to the best of the grid with all others as they are:
 * q_j = nearest(w_j + d_j - (d M)_j / M_jj), d = q - w. Then each scale to its closed form with the codes as they are.
 * Both steps are the exact minimum of one variable (Zhang et al., COMQ: A Backpropagation-Free Algorithm for Post-Training
 * Quantization, 2024).
 *
 * @param values on the grid; changed in place, together with the grid's scales
 */
export function descend(problem: LayerProblem, grid: Grid, values: Float32Array, { rounds, scales }: DescentOptions, poll?: () => void): void {
  const { view: { rows, cols } } = problem;
  const gradient = new Float64Array(cols);
  const difference = new Float64Array(cols);
  for (let row = 0; row < rows; row += 1) {
    poll?.();
    const moment = problem.momentOf(row);
    const at = row * cols;
    const restart = (): void => {
      gradient.fill(0);
      for (let j = 0; j < cols; j += 1) difference[j] = values[at + j]! - problem.weights[at + j]!;
      for (let j = 0; j < cols; j += 1) { const d = difference[j]!; if (d !== 0) addRow(gradient, moment, j * cols, cols, d); }
    };
    restart();
    for (let round = 0; round < rounds; round += 1) {
      let changed = 0;
      for (let j = 0; j < cols; j += 1) {
        const own = moment[j * cols + j]!;
        if (!(own > 0)) continue;
        const value = grid.nearest(values[at + j]! - gradient[j]! / own, grid.block(row, j));
        const step = value - values[at + j]!;
        // Only what makes the error smaller: the nearest of a codebook need not be.
        if (step === 0 || 2 * gradient[j]! * step + own * step * step >= 0) continue;
        addRow(gradient, moment, j * cols, cols, step);
        values[at + j] = value;
        changed += 1;
      }
      const moved = scales && grid.perRow > 0 ? moveScales(problem, grid, values, row, moment, gradient) : 0;
      if (changed + moved === 0) break;
      if (moved > 0) restart();
    }
  }
}

/** Each block's scale to the one of least error, its codes as they are. @returns blocks moved */
function moveScales(problem: LayerProblem, grid: Grid, values: Float32Array, row: number, moment: Float64Array, gradient: Float64Array): number {
  const { cols } = problem.view;
  let moved = 0;
  for (let b = 0; b < grid.perRow; b += 1) {
    const [from, to] = [b * grid.size, (b + 1) * grid.size];
    const q = values.subarray(row * cols, (row + 1) * cols);
    let [linear, square] = [0, 0];
    for (let i = from; i < to; i += 1) {
      const x = q[i]!;
      if (x === 0) continue;
      linear += x * gradient[i]!;
      let sum = 0;
      for (let j = from; j < to; j += 1) sum += moment[i * cols + j]! * q[j]!;
      square += x * sum;
    }
    if (!(square > 0)) continue;
    const block = row * grid.perRow + b;
    const before = { scale: grid.scales[block]!, zero: grid.zeroPoints?.[block] ?? 0 };
    const factor = grid.rescale(block, 1 - linear / square);
    const change = factor - 1;
    if (Math.abs(change) < 1e-6 || 2 * linear * change + square * change * change >= 0) {
      grid.scales[block] = before.scale;
      if (grid.zeroPoints) grid.zeroPoints[block] = before.zero;
      continue;
    }
    for (let i = from; i < to; i += 1) {
      const x = q[i]!;
      if (x === 0) continue;
      // The same code on the new scale.
      q[i] = grid.nearest(x * factor, block);
      addRow(gradient, moment, i * cols, cols, q[i]! - x);
    }
    moved += 1;
  }
  return moved;
}

function addRow(target: Float64Array, matrix: Float64Array, at: number, count: number, factor: number): void {
  for (let i = 0; i < count; i += 1) target[i]! += matrix[at + i]! * factor;
}
