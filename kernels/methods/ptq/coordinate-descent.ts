/** Exact steps on one code or one scale at a time: the error of the layer's output never rises. */
import { cut, type Multiply } from '../../numerics/matrix';
import { Multiplier } from '../../run/multiply';
import type { LayerProblem } from './layer-problem';
import type { Grid } from './grid';

export interface DescentOptions {
  /** Rounds over all codes, each followed by one over all scales. */
  readonly rounds: number;
  /** Scales are moved too. */
  readonly scales: boolean;
}

/** Columns whose steps see each other at once; what other columns add to their gradient is one product for all rows. */
const BLOCK = 128;

/**
 * Goes over the codes of each row (inputs in order) and sets each to the best of the grid with all others as they are:
 * q_j = nearest(w_j + d_j - (d M)_j / M_jj), d = q - w. Then each scale to its closed form with the codes as they are.
 * Both steps are the exact minimum of one variable (Zhang et al., COMQ: A Backpropagation-Free Algorithm for Post-Training
 * Quantization, 2024).
 *
 * @param values on the grid; changed in place, together with the grid's scales
 */
export function descend(problem: LayerProblem, grid: Grid, values: Float32Array, { rounds, scales }: DescentOptions, poll?: () => void): Promise<void> {
  const each = problem.view.rows / problem.inputs.groups.length;
  return Multiplier.with(async (multiply) => {
    for (let first = 0; first < problem.view.rows; first += each) {
      // Rows in which the last round moved nothing are done.
      let rowsLeft = Array.from({ length: each }, (_, row) => first + row);
      for (let round = 0; round < rounds && rowsLeft.length > 0; round += 1) {
        const state = new Rows(problem, grid, values, rowsLeft, multiply, poll);
        await state.moveCodes();
        if (scales && grid.perRow > 0) await state.moveScales();
        rowsLeft = rowsLeft.filter((_, i) => state.moved[i]);
      }
    }
  });
}

/** Rows with the same inputs, in one round. */
class Rows {
  /** Whether anything was changed in a row. */
  readonly moved: Uint8Array;
  private readonly moment: Float64Array;
  private readonly cols: number;
  /** Values less weights, [rows, cols]. */
  private readonly difference: Float64Array;

  constructor(
    private readonly problem: LayerProblem, private readonly grid: Grid, private readonly values: Float32Array, private readonly rows: readonly number[],
    private readonly multiply: Multiply, private readonly poll: (() => void) | undefined,
  ) {
    this.cols = problem.view.cols;
    this.moment = problem.momentOf(rows[0]!);
    this.moved = new Uint8Array(rows.length);
    this.difference = new Float64Array(rows.length * this.cols);
    rows.forEach((row, i) => { for (let j = 0; j < this.cols; j += 1) this.difference[i * this.cols + j] = values[row * this.cols + j]! - problem.weights[row * this.cols + j]!; });
  }

  async moveCodes(): Promise<void> {
    const { rows, cols } = this;
    for (let from = 0; from < cols; from += BLOCK) {
      const to = Math.min(from + BLOCK, cols);
      const gradient = await this.gradient(from, to);
      const { data: own } = cut(this.moment, cols, from, to, from, to);
      rows.forEach((row, i) => { if (this.moveRow(row, i, from, to - from, gradient, own)) this.moved[i] = 1; });
    }
  }

  async moveScales(): Promise<void> {
    const { grid, cols, rows } = this;
    const span = grid.size * Math.max(1, Math.floor(BLOCK / grid.size));
    for (let from = 0; from < cols; from += span) {
      const to = Math.min(from + span, cols);
      const gradient = await this.gradient(from, to);
      for (let at = from; at < to; at += grid.size) {
        const { data: own } = grid.size === cols ? { data: this.moment } : cut(this.moment, cols, at, at + grid.size, at, to);
        const codes = new Float64Array(rows.length * grid.size);
        rows.forEach((row, i) => { codes.set(this.values.subarray(row * cols + at, row * cols + at + grid.size), i * grid.size); });
        const product = await this.multiply({ data: codes, rows: rows.length, cols: grid.size }, { data: own, rows: grid.size, cols: to - at });
        rows.forEach((row, i) => { if (this.moveScale(row, i, { from, at, to }, gradient, product, own)) this.moved[i] = 1; });
      }
    }
  }

  /** Columns [from, to) of D M. */
  private gradient(from: number, to: number): Promise<Float64Array> {
    this.poll?.();
    const { cols, moment, difference, rows } = this;
    return this.multiply({ data: difference, rows: rows.length, cols }, { data: moment.subarray(from * cols, to * cols), rows: to - from, cols, turned: true });
  }

  /** One step on each code of a row in a block of columns. @param own the block's part of the moment */
  private moveRow(row: number, i: number, from: number, length: number, gradient: Float64Array, own: Float64Array): boolean {
    const { grid, values, cols } = this;
    let moved = false;
    for (let j = 0, at = i * length; j < length; j += 1) {
      const energy = own[j * length + j]!;
      if (!(energy > 0)) continue;
      const index = row * cols + from + j;
      const slope = gradient[at + j]!;
      const value = grid.nearest(values[index]! - slope / energy, grid.block(row, from + j));
      const step = value - values[index]!;
      // Only what makes the error smaller: the nearest of a codebook need not be.
      if (step === 0 || 2 * slope * step + energy * step * step >= 0) continue;
      for (let k = j + 1; k < length; k += 1) gradient[at + k]! += step * own[j * length + k]!;
      this.set(index, i * cols + from + j, value);
      moved = true;
    }
    return moved;
  }

  /**
   * The scale of the block of a row that starts at column `at` to the one of least error, its codes as they are.
   * @param span columns of the gradient, [from, to) @param product values times `own`, the moment's rows of the block from its own columns to the span's end
   */
  private moveScale(row: number, i: number, { from, at, to }: { from: number; at: number; to: number }, gradient: Float64Array, product: Float64Array, own: Float64Array): boolean {
    const { grid, values, cols } = this;
    const { size } = grid;
    const [slopes, products, width] = [i * (to - from) + at - from, i * (to - at), to - at];
    let [linear, square] = [0, 0];
    for (let j = 0; j < size; j += 1) {
      const x = values[row * cols + at + j]!;
      linear += x * gradient[slopes + j]!;
      square += x * product[products + j]!;
    }
    if (!(square > 0)) return false;
    const block = grid.block(row, at);
    const before = { scale: grid.scales[block]!, zero: grid.zeroPoints?.[block] ?? 0 };
    const factor = grid.rescale(block, 1 - linear / square);
    const change = factor - 1;
    if (Math.abs(change) < 1e-6 || 2 * linear * change + square * change * change >= 0) {
      grid.scales[block] = before.scale;
      if (grid.zeroPoints) grid.zeroPoints[block] = before.zero;
      return false;
    }
    for (let j = 0; j < size; j += 1) {
      const index = row * cols + at + j;
      const x = values[index]!;
      if (x === 0) continue;
      // The same code on the new scale.
      const value = grid.nearest(x * factor, block);
      const step = value - x;
      for (let k = size; k < width; k += 1) gradient[slopes + k]! += step * own[j * width + k]!;
      this.set(index, i * cols + at + j, value);
    }
    return true;
  }

  private set(index: number, local: number, value: number): void {
    this.values[index] = value;
    this.difference[local] = value - this.problem.weights[index]!;
  }
}
