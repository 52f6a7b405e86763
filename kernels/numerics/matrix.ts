/** Matrices in float64, row-major, and what may multiply them. */

export interface Operand {
  readonly data: Float64Array;
  readonly rows: number;
  readonly cols: number;
  /** Its transpose is meant. */
  readonly turned?: boolean;
}

/**
 * A B. The same numbers give the same bits however many threads work on it. On all cores: run/multiply.ts.
 * @throws RangeError when the sizes do not fit
 */
export type Multiply = (a: Operand, b: Operand) => Promise<Float64Array>;

/** Rows [top, bottom) and columns [left, right) of a matrix with `stride` columns, copied to the start of `room` where that is given. */
export function cut(from: Float64Array, stride: number, top: number, bottom: number, left: number, right: number, room?: Float64Array): Operand {
  const cols = right - left;
  const data = room ? room.subarray(0, (bottom - top) * cols) : new Float64Array((bottom - top) * cols);
  for (let i = top; i < bottom; i += 1) data.set(from.subarray(i * stride + left, i * stride + right), (i - top) * cols);
  return { data, rows: bottom - top, cols };
}
