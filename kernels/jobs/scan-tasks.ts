/** The worker's side of a scan. Each task names a tensor and says which pass to make over which tiles. */
import { TensorReader, type Checkpoint, type TensorInfo } from '../checkpoint';
import { isLongBlock, tileLength, tilesOf, type Tile, type WeightLayout } from '../formats/blocks';
import { isBlockScaled, type BlockScaledFormat, type BlockScales, type NumberFormat, type ScaleRule } from '../formats/format';
import { parseFormat } from '../formats/registry';
import type { ErrorSums } from '../wasm/errors.ref';
import { kernelOps } from '../wasm/load';
import { heldPass } from './held-pass';
import { TileLoader } from './tile-loader';
import { byTileLength, errorPass, longBlockRange, longBlockScales, scaleSink, searchPass, statisticsPass, summaryOuter, type LongRange, type PassFormat, type Poll, type TileErrors } from './weight-passes';
import { summarise, type TilePart, type WeightSummary } from './weight-summary';
import { withCheckpointErrors } from './weights';

/** One format to measure, and how its scales are found. */
export interface FormatRequest {
  readonly id: string;
  readonly rule: ScaleRule;
  /** Return the scales too (for an export). */
  readonly keepScales?: boolean;
}

interface TensorTask {
  /** Without tensors and metadata: see filesOf. */
  readonly checkpoint: Checkpoint;
  readonly tensor: TensorInfo;
  readonly layout: WeightLayout;
  /** Weights the task reads: what it costs. */
  readonly work: number;
}
/** Both passes over a whole weight that is small enough for one worker. */
export interface WholeTask extends TensorTask {
  readonly pass: 'whole';
  readonly formats: readonly FormatRequest[];
}
export interface StatisticsTask extends TensorTask {
  readonly pass: 'statistics';
  readonly tiles: readonly Tile[];
}
/** Squared error of every clip fraction, for formats whose blocks are longer than a tile. */
export interface SearchTask extends TensorTask {
  readonly pass: 'search';
  readonly tiles: readonly Tile[];
  readonly formats: readonly string[];
  /** Finite range of the block that each tile belongs to, per format, per tile. */
  readonly ranges: readonly (readonly LongRange[])[];
}
export interface ErrorsTask extends TensorTask {
  readonly pass: 'errors';
  readonly tiles: readonly Tile[];
  /** `outer`: the scales above the block scales, of the tensor or of the rows of these tiles. */
  readonly formats: readonly (FormatRequest & { readonly long: BlockScales | null; readonly outer: Float32Array | null })[];
  readonly zScore: { readonly mean: number; readonly std: number } | null;
}
/** Encode and decode of runs of a weight in a format that is not block-scaled. */
export interface HeldTask extends TensorTask {
  readonly pass: 'held';
  readonly bands: readonly Tile[];
  readonly format: FormatRequest;
}
export type ScanTask = WholeTask | StatisticsTask | SearchTask | ErrorsTask | HeldTask;

export interface WholeResult {
  readonly pass: 'whole';
  readonly summary: WeightSummary;
  readonly one: number;
  readonly six: number;
  readonly errors: readonly ErrorSums[];
  /** Where asked for: scales of all blocks; null otherwise and for formats without scales. */
  readonly scales: readonly (BlockScales | null)[];
}
export interface ErrorsResult {
  readonly pass: 'errors';
  readonly tiles: readonly TileErrors[];
  /** Where asked for: scales of the blocks within these tiles. */
  readonly scales: readonly (BlockScales | null)[];
}
export type ScanTaskResult =
  | WholeResult
  | { readonly pass: 'statistics'; readonly parts: readonly TilePart[] }
  | { readonly pass: 'search'; readonly squared: readonly (readonly Float64Array[])[] }
  | ErrorsResult
  | { readonly pass: 'held'; readonly errors: readonly ErrorSums[] };

export function blockScaled(format: NumberFormat): BlockScaledFormat {
  if (!isBlockScaled(format)) throw new Error(`${format.id} has no streaming pass`);
  return format;
}

/** Adds up tiles in order. */
export function totalErrors(tiles: readonly TileErrors[], formats: number): { one: number; six: number; errors: ErrorSums[] } {
  const errors = Array.from({ length: formats }, () => ({ squared: 0, power: 0 }));
  let [one, six] = [0, 0];
  for (const tile of tiles) {
    one += tile.one;
    six += tile.six;
    tile.errors.forEach((sums, i) => {
      errors[i]!.squared += sums.squared;
      errors[i]!.power += sums.power;
    });
  }
  return { one, six, errors };
}

export async function runScanTask(task: ScanTask, context: { throwIfCancelled(): void }): Promise<ScanTaskResult> {
  const poll: Poll = () => { context.throwIfCancelled(); };
  const reader = TensorReader.open(task.checkpoint);
  try {
    return await withCheckpointErrors(async () => {
      const loader = new TileLoader(reader, await kernelOps(), task.tensor, task.layout);
      switch (task.pass) {
        case 'statistics': return { pass: 'statistics' as const, parts: statisticsPass(loader, task.layout, task.tiles, poll) };
        case 'search': return { pass: 'search' as const, squared: searchOf(task, loader, poll) };
        case 'errors': return errorsOf(task, loader, poll);
        case 'whole': return wholeOf(task, loader, poll);
        case 'held': return { pass: 'held' as const, errors: heldPass(loader, task.layout, parseFormat(task.format.id), task.format.rule, task.bands, poll) };
      }
    });
  } finally {
    reader.close();
  }
}

function searchOf(task: SearchTask, loader: TileLoader, poll: Poll): Float64Array[][] {
  const formats = task.formats.map((id) => blockScaled(parseFormat(id)));
  return searchPass(loader, task.tiles, formats, (format, tile) => task.ranges[formats.indexOf(format)]![task.tiles.indexOf(tile)]!, poll);
}

function passFormat(layout: WeightLayout, request: FormatRequest, long: BlockScales | null, outer: Float32Array | null, first: number, weights: number): PassFormat {
  const format = blockScaled(parseFormat(request.id));
  return { format, rule: request.rule, long, outer, firstRow: Math.floor(first / layout.cols), sink: request.keepScales && !long ? scaleSink(layout, format, weights) : null };
}

/** Scales that a pass has: those it was given, or those it found. */
function scalesOf({ long, sink }: PassFormat): BlockScales | null {
  return long ?? (sink ? { scales: sink.scales, zeroPoints: sink.zeroPoints } : null);
}

function errorsOf(task: ErrorsTask, loader: TileLoader, poll: Poll): ErrorsResult {
  const formats = task.formats.map((request) => passFormat(task.layout, request, request.long, request.outer, task.tiles[0]!.start, task.work));
  const tiles = errorPass(loader, task.layout, task.tiles, formats, task.zScore, poll);
  return { pass: 'errors', tiles, scales: formats.map((format) => (format.long ? null : scalesOf(format))) };
}

function wholeOf(task: WholeTask, loader: TileLoader, poll: Poll): WholeResult {
  const { layout } = task;
  const tiles = tilesOf(layout, tileLength(layout, null));
  const summary = summarise(layout, statisticsPass(loader, layout, tiles, poll));
  const formats = task.formats.map((request, index) => {
    const format = blockScaled(parseFormat(request.id));
    const searched = request.rule === 'mse' && isLongBlock(layout, format.granularity)
      ? searchPass(loader, tiles, [format], (each, tile) => longBlockRange(layout, summary, each, tile), poll).map((squared, i) => ({ tile: tiles[i]!, squared: squared[0]! }))
      : [];
    return { index, ...passFormat(layout, request, longBlockScales(layout, summary, format, request.rule, searched), summaryOuter(layout, summary, format), 0, task.work) };
  });
  const errors: ErrorSums[] = new Array(formats.length);
  let [one, six] = [0, 0];
  byTileLength(layout, formats).forEach(({ length, group }, pass) => {
    const zScore = pass === 0 ? { mean: summary.moments.mean, std: summary.std } : null;
    const total = totalErrors(errorPass(loader, layout, tilesOf(layout, length), group, zScore, poll), group.length);
    one += total.one;
    six += total.six;
    group.forEach(({ index }, i) => { errors[index] = total.errors[i]!; });
  });
  return { pass: 'whole', summary, one, six, errors, scales: formats.map((format, i) => (task.formats[i]!.keepScales ? scalesOf(format) : null)) };
}
