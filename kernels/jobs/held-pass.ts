/** Streaming of formats that are not block-scaled: runs of whole rows (or the whole weight) through encode and decode. */
import { TILE_WEIGHTS, tileLength, tilesOf, type Tile, type WeightLayout } from '../formats/blocks';
import type { NumberFormat, ScaleRule, WeightView } from '../formats/format';
import { valueErrorSums, type ErrorSums } from '../wasm/errors.ref';
import { JobError, type JobContext } from './job';
import type { TileLoader } from './tile-loader';
import type { Poll } from './weight-passes';
import type { ResolvedWeight } from './weights';

/**
 * The runs that are held at once, in order: as many rows as make about one tile, in multiples of `rowsAtOnce`; or everything.
 * They depend on the view and the format alone, so that no sum depends on tasks or threads.
 */
export function heldBands(view: WeightView, format: NumberFormat): Tile[] {
  const weights = view.rows * view.cols;
  if (format.holds === 'weight') return [{ start: 0, length: weights }];
  const unit = format.rowsAtOnce * view.cols;
  const length = Math.max(1, Math.floor(TILE_WEIGHTS / unit)) * unit;
  return Array.from({ length: Math.ceil(weights / length) }, (_, i) => ({ start: i * length, length: Math.min(length, weights - i * length) }));
}

/** A run of whole rows seen as a matrix. */
export function bandView(view: WeightView, band: Tile): WeightView {
  return { rows: band.length / view.cols, cols: view.cols };
}

/** The values of a run, NaN and infinities replaced by zero, in memory of its own. */
export function loadBand(loader: TileLoader, layout: WeightLayout, band: Tile): Float32Array {
  const values = new Float32Array(band.length);
  const view = bandView(layout, band);
  for (const tile of tilesOf(view, tileLength(view, null))) {
    loader.load({ start: band.start + tile.start, length: tile.length }, true);
    values.set(loader.ops.values.subarray(0, tile.length), tile.start);
  }
  return values;
}

/** The error of each run. */
export function heldPass(loader: TileLoader, layout: WeightLayout, format: NumberFormat, rule: ScaleRule, bands: readonly Tile[], poll: Poll): ErrorSums[] {
  return bands.map((band) => {
    poll();
    const weights = loadBand(loader, layout, band);
    const decoded = format.decode(format.encode(weights, bandView(layout, band), rule, poll));
    poll();
    return valueErrorSums(weights, decoded);
  });
}

/** @throws JobError when a run of this weight needs more than one worker's share of the memory. */
export function refuseOversized({ spec, layout }: ResolvedWeight, format: NumberFormat, context: JobContext): void {
  const needed = heldBands(layout, format)[0]!.length * (8 + format.workingBytes);
  const share = Math.floor(context.memoryCapBytes / context.threads);
  if (needed <= share) return;
  const what = format.holds === 'weight' ? 'the whole weight' : `${format.rowsAtOnce} rows of ${layout.cols} weights`;
  throw new JobError(`${spec.key}: ${format.id} is found over ${what} at once, which needs ${needed} bytes of memory; a worker may use ${share}. Leave this format or this layer out, or raise the memory limit`);
}
