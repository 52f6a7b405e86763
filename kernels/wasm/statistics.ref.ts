/**
 * Statistics of a tile, plain reference of assembly/statistics.ts. Element i adds to float64 lane i mod 4; the total is
 * (lane0 + lane2) + (lane1 + lane3). NaN and infinities are counted and left out of everything else.
 */
import { laneTotal } from './errors.ref';

export interface TileStatistics {
  /** Finite values. */
  readonly count: number;
  readonly nan: number;
  readonly inf: number;
  readonly zeros: number;
  /** +Infinity / -Infinity when nothing is finite. */
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Sum of squares. */
  readonly signal: number;
  /** Sums of powers 2, 3, 4 of the distance from the tile's mean. */
  readonly m2: number;
  readonly m3: number;
  readonly m4: number;
  readonly fp16Overflow: number;
  readonly fp16Underflow: number;
}

/** Finite magnitudes from here become infinite in fp16 (half way to the next value after 65504; the tie goes up). */
export const FP16_OVERFLOW = 65520;
/** Non-zero magnitudes up to here become zero in fp16 (half of the least subnormal; the tie goes to zero). */
export const FP16_UNDERFLOW = 2 ** -25;

export function tileStatistics(values: Float32Array, start: number, length: number): TileStatistics {
  let [nan, inf, zeros, fp16Overflow, fp16Underflow] = [0, 0, 0, 0, 0];
  let [min, max] = [Infinity, -Infinity];
  const sum = [0, 0, 0, 0];
  const squares = [0, 0, 0, 0];
  for (let i = 0; i < length; i += 1) {
    const x = values[start + i]!;
    if (!Number.isFinite(x)) {
      if (Number.isNaN(x)) nan += 1;
      else inf += 1;
      continue;
    }
    const magnitude = Math.abs(x);
    if (magnitude === 0) zeros += 1;
    else if (magnitude <= FP16_UNDERFLOW) fp16Underflow += 1;
    else if (magnitude >= FP16_OVERFLOW) fp16Overflow += 1;
    if (x < min) min = x;
    if (x > max) max = x;
    sum[i & 3]! += x;
    squares[i & 3]! += x * x;
  }
  const count = length - nan - inf;
  const mean = count === 0 ? 0 : laneTotal(sum) / count;
  const [m2, m3, m4] = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]];
  for (let i = 0; i < length; i += 1) {
    const x = values[start + i]!;
    if (!Number.isFinite(x)) continue;
    const d = x - mean;
    const d2 = d * d;
    m2![i & 3]! += d2;
    m3![i & 3]! += d2 * d;
    m4![i & 3]! += d2 * d2;
  }
  // Adding zero turns a negative zero into a positive one, whichever came first.
  return {
    count, nan, inf, zeros, min: min + 0, max: max + 0, mean, signal: laneTotal(squares),
    m2: laneTotal(m2!), m3: laneTotal(m3!), m4: laneTotal(m4!), fp16Overflow, fp16Underflow,
  };
}

/** Smallest and largest finite value of a run; +Infinity and -Infinity when there is none. */
export function finiteRange(values: Float32Array, start: number, length: number): { minimum: number; maximum: number } {
  let [minimum, maximum] = [Infinity, -Infinity];
  for (let i = start; i < start + length; i += 1) {
    const x = values[i]!;
    if (!Number.isFinite(x)) continue;
    if (x < minimum) minimum = x;
    if (x > maximum) maximum = x;
  }
  return { minimum: minimum + 0, maximum: maximum + 0 };
}

/** How many finite values lie more than one standard deviation above the mean (z > 1), and more than six from it on either side. */
export function exceedances(values: Float32Array, start: number, length: number, mean: number, std: number): { one: number; six: number } {
  let [one, six] = [0, 0];
  for (let i = start; i < start + length; i += 1) {
    const x = values[i]!;
    if (!Number.isFinite(x)) continue;
    const distance = x - mean;
    if (distance > std) one += 1;
    if (Math.abs(distance) > 6 * std) six += 1;
  }
  return { one, six };
}

/** Adds each finite value in [low, high] to its bin of equal width; `high` itself falls in the last bin. */
export function addToHistogram(values: Float32Array, start: number, length: number, low: number, high: number, counts: Float64Array): void {
  const last = counts.length - 1;
  const perUnit = high > low ? counts.length / (high - low) : 0;
  for (let i = start; i < start + length; i += 1) {
    const x = values[i]!;
    if (!Number.isFinite(x) || x < low || x > high) continue;
    counts[Math.min(last, Math.floor((x - low) * perUnit))]! += 1;
  }
}
