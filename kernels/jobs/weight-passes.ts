/** The passes over the tiles of one weight. Pure in their input: the same tiles give the same numbers in any worker. */
import { blockLayout, isLongBlock, tileLength, type Tile, type WeightLayout } from '../formats/blocks';
import { bestClip, CLIP_FRACTIONS } from '../formats/clip-search';
import type { BlockScaledFormat, BlockScales, ScaleRule } from '../formats/format';
import type { ErrorSums } from '../wasm/errors.ref';
import type { ScaleSink } from '../wasm/ops';
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
  loader: TileLoader, tiles: readonly Tile[], formats: readonly BlockScaledFormat[], rangesOf: (format: BlockScaledFormat, tile: Tile) => readonly [number, number], poll: Poll,
): Float64Array[][] {
  return tiles.map((tile) => {
    loader.load(tile, true);
    return formats.map((format) => {
      const [minimum, maximum] = rangesOf(format, tile);
      return Float64Array.from(CLIP_FRACTIONS, (clip) => {
        poll();
        const { scale, zeroPoint } = format.scaleOf(minimum, maximum, clip);
        return loader.ops.pieceErrors(format.element, 0, tile.length, scale, zeroPoint).squared;
      });
    });
  });
}

/** Range of the long block that a tile belongs to: the tensor's, or its row's. */
export function longBlockRange(layout: WeightLayout, summary: WeightSummary, format: BlockScaledFormat, tile: Tile): readonly [number, number] {
  if (format.granularity?.kind === 'tensor') return [summary.min, summary.max];
  const row = Math.floor(tile.start / layout.cols);
  return [summary.rowMin[row]!, summary.rowMax[row]!];
}

/** Room for the scales that a pass over `weights` consecutive weights finds; null for formats without scales. */
export function scaleSink(layout: WeightLayout, format: BlockScaledFormat, weights: number): ScaleSink | null {
  if (format.granularity === null) return null;
  const blocks = weights / Math.min(blockLayout(layout, format.granularity).size, weights);
  return { scales: new Float32Array(blocks), zeroPoints: hasZeroPoints(format) ? new Int32Array(blocks) : null, at: 0 };
}

export function hasZeroPoints(format: BlockScaledFormat): boolean {
  return format.element.kind === 'int' && !format.element.symmetric;
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
  const zeroPoints = hasZeroPoints(format) ? new Int32Array(count) : null;
  const totals = Array.from({ length: rule === 'mse' ? count : 0 }, () => new Float64Array(CLIP_FRACTIONS.length));
  for (const { tile, squared } of searched) {
    const total = totals[Math.floor(tile.start / size)]!;
    squared.forEach((value, i) => { total[i]! += value; });
  }
  for (let block = 0; block < count; block += 1) {
    const [minimum, maximum] = longBlockRange(layout, summary, format, { start: block * size, length: 1 });
    const clip = rule === 'mse' ? CLIP_FRACTIONS[bestClip(totals[block]!)]! : 1;
    const { scale, zeroPoint } = format.scaleOf(minimum, maximum, clip);
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

function tileErrors(loader: TileLoader, layout: WeightLayout, tile: Tile, { format, rule, long, sink }: PassFormat, poll: Poll): ErrorSums {
  poll();
  const { ops } = loader;
  if (long) {
    const block = Math.floor(tile.start / blockLayout(layout, format.granularity).size);
    return ops.pieceErrors(format.element, 0, tile.length, long.scales[block]!, long.zeroPoints?.[block] ?? 0);
  }
  if (format.granularity === null) return ops.pieceErrors(format.element, 0, tile.length, 1, 0);
  const size = Math.min(blockLayout(layout, format.granularity).size, tile.length);
  const blocks = tile.length / size;
  const slice = Math.max(1, Math.floor(SLICE_WEIGHTS[rule] / size));
  const sums: ErrorSums = { squared: 0, cross: 0 };
  for (let block = 0; block < blocks; block += slice) {
    if (block > 0) poll();
    ops.blockErrors(format.element, format.scaleStorage, rule, block * size, Math.min(slice, blocks - block), size, sums, sink ?? null);
  }
  return sums;
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
