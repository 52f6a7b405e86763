/** What the first pass over a weight finds, tile by tile, and the statistics that follow from it. */
import type { WeightLayout, Tile } from '../formats/blocks';
import { CompensatedSum, mergeMoments, NO_MOMENTS, type Moments } from '../numerics/sums';
import type { TileStatistics } from '../wasm/statistics.ref';
import type { WeightStatistics } from './job';

export interface TilePart {
  readonly tile: Tile;
  readonly statistics: TileStatistics;
  /** Finite range of each row in the tile (of the piece of a row, where a row is longer than a tile). */
  readonly minima: Float32Array;
  readonly maxima: Float32Array;
}

export interface WeightSummary {
  readonly moments: Moments;
  readonly signal: number;
  readonly nan: number;
  readonly inf: number;
  readonly zeros: number;
  readonly min: number;
  readonly max: number;
  readonly std: number;
  readonly fp16Overflow: number;
  readonly fp16Underflow: number;
  /** Finite range of each row; +-Infinity for a row without finite values. */
  readonly rowMin: Float32Array;
  readonly rowMax: Float32Array;
}

/** Merges parts, which must be in tile order and cover the weight. */
export function summarise(layout: WeightLayout, parts: readonly TilePart[]): WeightSummary {
  let moments = NO_MOMENTS;
  const signal = new CompensatedSum();
  let [nan, inf, zeros, fp16Overflow, fp16Underflow] = [0, 0, 0, 0, 0];
  let [min, max] = [Infinity, -Infinity];
  const rowMin = new Float32Array(layout.rows).fill(Infinity);
  const rowMax = new Float32Array(layout.rows).fill(-Infinity);
  for (const { tile, statistics, minima, maxima } of parts) {
    moments = mergeMoments(moments, statistics);
    signal.add(statistics.signal);
    nan += statistics.nan;
    inf += statistics.inf;
    zeros += statistics.zeros;
    fp16Overflow += statistics.fp16Overflow;
    fp16Underflow += statistics.fp16Underflow;
    min = Math.min(min, statistics.min);
    max = Math.max(max, statistics.max);
    const firstRow = Math.floor(tile.start / layout.cols);
    minima.forEach((value, i) => { rowMin[firstRow + i] = Math.min(rowMin[firstRow + i]!, value); });
    maxima.forEach((value, i) => { rowMax[firstRow + i] = Math.max(rowMax[firstRow + i]!, value); });
  }
  const std = moments.count === 0 ? 0 : Math.sqrt(moments.m2 / moments.count);
  return { moments, signal: signal.value, nan, inf, zeros, min, max, std, fp16Overflow, fp16Underflow, rowMin, rowMax };
}

const MOST_DEAD_LISTED = 100;

/** The statistics of the whole weight, given the counts of the second pass. */
export function weightStatistics(layout: WeightLayout, summary: WeightSummary, beyond: { readonly one: number; readonly six: number }): WeightStatistics {
  const { moments, rowMin, rowMax } = summary;
  const { count } = moments;
  const live: number[] = [];
  const deadChannels: number[] = [];
  let [deadChannelCount, constantChannelCount] = [0, 0];
  for (let row = 0; row < layout.rows; row += 1) {
    const [low, high] = [rowMin[row]!, rowMax[row]!];
    if (low > high) continue;
    if (low === 0 && high === 0) {
      deadChannelCount += 1;
      if (deadChannels.length < MOST_DEAD_LISTED) deadChannels.push(row);
      continue;
    }
    live.push(Math.max(-low, high));
    if (low === high && layout.cols > 1) constantChannelCount += 1;
  }
  const absmax = count === 0 ? 0 : Math.max(-summary.min, summary.max);
  const rms = count === 0 ? 0 : Math.sqrt(summary.signal / count);
  return {
    count,
    nan: summary.nan,
    inf: summary.inf,
    zeros: summary.zeros,
    min: count === 0 ? 0 : summary.min,
    max: count === 0 ? 0 : summary.max,
    absmax,
    mean: moments.mean,
    std: summary.std,
    rms,
    kurtosis: moments.m2 > 0 && moments.m2 * moments.m2 > 0 ? (count * moments.m4) / (moments.m2 * moments.m2) : null,
    outlierShare: count === 0 ? 0 : beyond.six / count,
    absmaxOverRms: rms > 0 ? absmax / rms : 0,
    channelRangeSpread: rangeSpread(live),
    deadChannels,
    deadChannelCount,
    constantChannelCount,
    zd: count === 0 ? 0 : beyond.one / count,
    fp16Overflow: summary.fp16Overflow,
    fp16Underflow: summary.fp16Underflow,
  };
}

/** Largest over median (the mean of the two middle values for an even number); 1 when no channel is alive. */
function rangeSpread(absmaxima: number[]): number {
  if (absmaxima.length === 0) return 1;
  const sorted = Float64Array.from(absmaxima).sort();
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return sorted[sorted.length - 1]! / median;
}
