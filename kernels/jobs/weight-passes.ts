/** The passes over the tiles of one weight. Pure in their input: the same tiles give the same numbers in any worker. */
import { blockLayout, isLongBlock, tileLength, type Tile, type WeightLayout } from '../formats/blocks';
import { bestClip, CLIP_FRACTIONS, outerScales } from '../formats/clip-search';
import { hasZeroPoint } from '../formats/element';
import type { BlockScaledFormat, BlockScales, ScaleRule } from '../formats/format';
import type { ErrorSums } from '../wasm/errors.ref';
import type { KernelOps, ScaleSink } from '../wasm/ops';
import type { TileLoader } from './tile-loader';
import type { TilePart, WeightSummary } from './weight-summary';

/** Weights handled between two looks at the cancel flag: a few milliseconds, less with the 81 candidates of the mse rule. */
const SLICE_WEIGHTS = { absmax: 2 ** 20, mse: 2 ** 16 } as const;

export type Poll = () => void;

export function statisticsPass(loader: TileLoader, layout: WeightLayout, tiles: readonly Tile[], poll: Poll): TilePart[] {
  return tiles.map((tile) => {
    poll();
    loader.load(tile, false);
    const rows = Math.max(1, Math.floor(tile.length / layout.cols));
    const minima = new Float32Array(rows);
    const maxima = new Float32Array(rows);
    loader.ops.ranges(rows, tile.length / rows, minima, maxima);
    return { tile, statistics: loader.ops.statistics(tile.length), minima, maxima };
  });
}

/** For a format whose blocks are longer than a tile: squared error of each clip fraction on each tile. */
export function searchPass(
  loader: TileLoader, tiles: readonly Tile[], formats: readonly BlockScaledFormat[], rangesOf: (format: BlockScaledFormat, tile: Tile) => LongRange, poll: Poll,
): Float64Array[][] {
  return tiles.map((tile) => {
    loader.load(tile, true);
    return formats.map((format) => {
      const [minimum, maximum, outer] = rangesOf(format, tile);
      return Float64Array.from(CLIP_FRACTIONS, (clip) => {
        poll();
        const { scale, zeroPoint } = format.scaleOf(minimum, maximum, clip, outer);
        return loader.ops.pieceErrors(format.element, 0, tile.length, scale, zeroPoint).squared;
      });
    });
  });
}

/** Smallest and largest value of a long block, and the scale above its own. */
export type LongRange = readonly [minimum: number, maximum: number, outer: number];

/** Range of the long block that a tile belongs to: the tensor's, or its row's. */
export function longBlockRange(layout: WeightLayout, summary: WeightSummary, format: BlockScaledFormat, tile: Tile): LongRange {
  const row = Math.floor(tile.start / layout.cols);
  const outer = summaryOuter(layout, summary, format);
  if (format.granularity?.kind === 'tensor') return [summary.min, summary.max, outer?.[0] ?? 1];
  return [summary.rowMin[row]!, summary.rowMax[row]!, outer?.[outer.length === 1 ? 0 : row] ?? 1];
}

/** The scales above the block scales, from the ranges that the first pass found; null for formats without. */
export function summaryOuter(layout: WeightLayout, summary: WeightSummary, format: BlockScaledFormat): Float32Array | null {
  if (format.granularity === null) return null;
  return outerScales(format.element, format.scaleStorage, layout, (start, length) => (length === layout.rows * layout.cols
    ? { minimum: summary.min, maximum: summary.max }
    : { minimum: summary.rowMin[start / layout.cols]!, maximum: summary.rowMax[start / layout.cols]! }));
}

/** Room for the scales that a pass over `weights` consecutive weights finds; null for formats without scales. */
export function scaleSink(layout: WeightLayout, format: BlockScaledFormat, weights: number): ScaleSink | null {
  if (format.granularity === null) return null;
  const blocks = weights / Math.min(blockLayout(layout, format.granularity).size, weights);
  return { scales: new Float32Array(blocks), zeroPoints: hasZeroPoint(format.element) ? new Int32Array(blocks) : null, at: 0 };
}

/**
 * Scales of a format whose blocks are longer than a tile; null for other formats, which find theirs on the way.
 * @param searched squared errors per tile, in order, for the mse rule.
 */
export function longBlockScales(
  layout: WeightLayout, summary: WeightSummary, format: BlockScaledFormat, rule: ScaleRule, searched: readonly { readonly tile: Tile; readonly squared: Float64Array }[],
): BlockScales | null {
  if (!isLongBlock(layout, format.granularity)) return null;
  const { count, size } = blockLayout(layout, format.granularity);
  const scales = new Float32Array(count);
  const zeroPoints = hasZeroPoint(format.element) ? new Int32Array(count) : null;
  const totals = Array.from({ length: rule === 'mse' ? count : 0 }, () => new Float64Array(CLIP_FRACTIONS.length));
  for (const { tile, squared } of searched) {
    const total = totals[Math.floor(tile.start / size)]!;
    squared.forEach((value, i) => { total[i]! += value; });
  }
  for (let block = 0; block < count; block += 1) {
    const [minimum, maximum, outer] = longBlockRange(layout, summary, format, { start: block * size, length: 1 });
    const clip = rule === 'mse' ? CLIP_FRACTIONS[bestClip(totals[block]!)]! : 1;
    const { scale, zeroPoint } = format.scaleOf(minimum, maximum, clip, outer);
    scales[block] = scale;
    if (zeroPoints) zeroPoints[block] = zeroPoint;
  }
  return { scales, zeroPoints };
}

export interface TileErrors {
  /** Values beyond one and six standard deviations; zero when not asked for. */
  readonly one: number;
  readonly six: number;
  /** In the order of the formats. */
  readonly errors: readonly ErrorSums[];
}

/** A format of an error pass, with its scales where its blocks are longer than a tile. */
export interface PassFormat {
  readonly format: BlockScaledFormat;
  readonly rule: ScaleRule;
  readonly long: BlockScales | null;
  /** The scales above the block scales: one for the tensor or one for each row from `firstRow` on; null where there are none. */
  readonly outer: Float32Array | null;
  readonly firstRow: number;
  /** Collects the scales found on the way; null when nobody asks. */
  readonly sink?: ScaleSink | null;
}

export function errorPass(
  loader: TileLoader, layout: WeightLayout, tiles: readonly Tile[], formats: readonly PassFormat[], zScore: { mean: number; std: number } | null, poll: Poll,
): TileErrors[] {
  return tiles.map((tile) => {
    poll();
    let beyond = { one: 0, six: 0 };
    if (zScore) {
      loader.load(tile, false);
      beyond = loader.ops.exceedances(tile.length, zScore.mean, zScore.std);
    }
    loader.load(tile, true);
    return { ...beyond, errors: formats.map((each) => tileErrors(loader, layout, tile, each, poll)) };
  });
}

function tileErrors(loader: TileLoader, layout: WeightLayout, tile: Tile, each: PassFormat, poll: Poll): ErrorSums {
  poll();
  const { format, long } = each;
  const { ops } = loader;
  if (long) {
    const block = Math.floor(tile.start / blockLayout(layout, format.granularity).size);
    return ops.pieceErrors(format.element, 0, tile.length, long.scales[block]!, long.zeroPoints?.[block] ?? 0);
  }
  if (format.granularity === null) return ops.pieceErrors(format.element, 0, tile.length, format.castScale, 0);
  const sums: ErrorSums = { squared: 0, power: 0 };
  const { outer } = each;
  if (!outer || outer.length === 1) {
    runErrors(ops, layout, each, 0, tile.length, outer?.[0] ?? 1, sums, poll);
    return sums;
  }
  // Each row has its own scale above the block scales.
  const size = Math.min(layout.cols, tile.length);
  for (let at = 0; at < tile.length; at += size) runErrors(ops, layout, each, at, size, outer[Math.floor((tile.start + at) / layout.cols) - each.firstRow]!, sums, poll);
  return sums;
}

/** Adds the errors of the blocks in `length` values of the tile, which share the scale above their own. */
function runErrors(ops: KernelOps, layout: WeightLayout, { format, rule, sink }: PassFormat, start: number, length: number, outer: number, sums: ErrorSums, poll: Poll): void {
  const size = Math.min(blockLayout(layout, format.granularity).size, length);
  const blocks = length / size;
  const slice = Math.max(1, Math.floor(SLICE_WEIGHTS[rule] / size));
  const scaling = { element: format.element, storage: format.scaleStorage, rule, outer };
  for (let block = 0; block < blocks; block += slice) {
    if (block > 0) poll();
    ops.blockErrors(scaling, start + block * size, Math.min(slice, blocks - block), size, sums, sink ?? null);
  }
}

/** Formats by the tile length they need, in order of first use: nearly always one group, and at least one (for the z-scores). */
export function byTileLength<T extends { readonly format: BlockScaledFormat }>(layout: WeightLayout, formats: readonly T[]): { length: number; group: T[] }[] {
  const groups = new Map<number, T[]>();
  for (const each of formats) {
    const length = tileLength(layout, each.format.granularity);
    const group = groups.get(length);
    if (group) group.push(each);
    else groups.set(length, [each]);
  }
  if (groups.size === 0) groups.set(tileLength(layout, null), []);
  return [...groups].map(([length, group]) => ({ length, group }));
}
