/**
 * Measures weights on the workers: statistics and the error in each format asked for.
 *
 * A weight of a few tiles is one task. A larger one is cut into tasks of a few tiles, so that all workers share it: one pass
 * for the statistics (ranges and moments), one for the errors, and with the mse rule one between them for blocks longer
 * than a tile. Sums are merged in tile order: the result does not depend on the number of workers.
 */
import type { Checkpoint } from '../checkpoint';
import { isLongBlock, TILE_WEIGHTS, tileLength, tilesOf, type Tile } from '../formats/blocks';
import { isBlockScaled, type BlockScaledFormat, type BlockScales, type ScaleRule } from '../formats/format';
import { parseFormat } from '../formats/registry';
import type { ErrorSums } from '../wasm/errors.ref';
import { heldBands, refuseOversized } from './held-pass';
import type { JobContext } from './job';
import { blockScaled, totalErrors, type ErrorsResult, type FormatRequest, type ScanTask, type ScanTaskResult, type WholeResult } from './scan-tasks';
import { byTileLength, longBlockRange, longBlockScales, summaryOuter } from './weight-passes';
import { summarise, type WeightSummary } from './weight-summary';
import { filesOf, type ResolvedWeight } from './weights';

/** Tiles that one task may take. */
export const TILES_PER_TASK = 4;

/** What was measured of one weight, before it is put into words. Errors and scales are in the order of the formats. */
export type MeasuredWeight = Omit<WholeResult, 'pass'>;

export interface MeasureRequest {
  readonly weight: ResolvedWeight;
  readonly formats: readonly FormatRequest[];
}

interface Format { readonly format: BlockScaledFormat; readonly request: FormatRequest; readonly index: number }

/** Tasks for one weight with what to do with their results. */
interface Step { readonly task: ScanTask; readonly credit: number; take(result: ScanTaskResult): void }

/**
 * @returns for each request, errors and scales in the order of its formats; scales are null for formats that are not block-scaled
 * @throws JobError when a format must hold more of a weight than memory allows
 */
export async function measureWeights(checkpoint: Checkpoint, requests: readonly MeasureRequest[], context: JobContext): Promise<MeasuredWeight[]> {
  const files = filesOf(checkpoint);
  const split = requests.map(({ weight, formats }) => ({
    weight, formats, streamed: formats.filter(({ id }) => isBlockScaled(parseFormat(id))), held: formats.filter(({ id }) => !isBlockScaled(parseFormat(id))),
  }));
  for (const { weight, held } of split) for (const { id } of held) refuseOversized(weight, parseFormat(id), context);
  const heldCredit = (weight: ResolvedWeight): number => HELD_CREDIT * weight.weights;
  const total = split.reduce((sum, { weight, held }) => sum + 2 * weight.weights + held.length * heldCredit(weight), 0);
  let done = 0;
  const run = async (label: string, steps: readonly Step[]): Promise<void> => {
    if (steps.length === 0) return;
    const results = await context.map<ScanTask, ScanTaskResult>('scan', steps.map(({ task }) => task), (task) => (task.pass === 'held' ? HELD_CREDIT : 1) * task.work, (index) => {
      done += steps[index]!.credit;
      context.progress(done, total, label);
    });
    results.forEach((result, i) => { steps[i]!.take(result); });
  };

  const measured: MeasuredWeight[] = new Array(requests.length);
  const large: LargeWeight[] = [];
  const small: Step[] = [];
  split.forEach(({ weight, streamed }, i) => {
    if (tilesOf(weight.layout, tileLength(weight.layout, null)).length > TILES_PER_TASK) {
      large.push(new LargeWeight(files, weight, streamed, (result) => { measured[i] = result; }));
      return;
    }
    const task: ScanTask = { pass: 'whole', checkpoint: files, tensor: weight.tensor, layout: weight.layout, work: weight.weights, formats: streamed };
    small.push({ task, credit: 2 * weight.weights, take: (result) => { if (result.pass === 'whole') measured[i] = result; } });
  });
  await run('Reading weights', [...large.flatMap((weight) => weight.statisticsSteps()), ...small]);
  await run('Searching clip ranges', large.flatMap((weight) => weight.searchSteps()));
  await run('Measuring errors', large.flatMap((weight) => weight.errorSteps()));
  for (const weight of large) weight.finish();

  const bands = split.map(({ held }) => held.map((): (readonly ErrorSums[])[] => []));
  await run('Encoding and decoding', split.flatMap(({ weight, held }, i) => held.flatMap((format, k) => {
    const all = heldBands(weight.layout, parseFormat(format.id));
    const per = Math.max(1, Math.floor((TILES_PER_TASK * TILE_WEIGHTS) / all[0]!.length));
    return Array.from({ length: Math.ceil(all.length / per) }, (_, at): Step => {
      const some = all.slice(at * per, (at + 1) * per);
      const work = some.reduce((sum, { length }) => sum + length, 0);
      const task: ScanTask = { pass: 'held', checkpoint: files, tensor: weight.tensor, layout: weight.layout, work, bands: some, format };
      return { task, credit: HELD_CREDIT * work, take: (result) => { if (result.pass === 'held') bands[i]![k]!.push(result.errors); } };
    });
  })));
  return split.map(({ formats, streamed, held }, i) => {
    if (held.length === 0) return measured[i]!;
    const [errors, scales] = [measured[i]!.errors, measured[i]!.scales];
    return {
      ...measured[i]!,
      errors: formats.map((format) => (streamed.includes(format) ? errors[streamed.indexOf(format)]! : bands[i]![held.indexOf(format)]!.flat().reduce(addSums, { squared: 0, power: 0 }))),
      scales: formats.map((format) => (streamed.includes(format) ? scales[streamed.indexOf(format)]! : null)),
    };
  });
}

/** Work of encoding and decoding a weight, in passes of the fused kernels. */
const HELD_CREDIT = 8;

function addSums(a: ErrorSums, b: ErrorSums): ErrorSums {
  return { squared: a.squared + b.squared, power: a.power + b.power };
}

/** A weight that several tasks share, from pass to pass. */
class LargeWeight {
  private readonly formats: readonly Format[];
  private readonly partResults: ScanTaskResult[] = [];
  private readonly searched: { tile: Tile; squared: ReadonlyMap<number, Float64Array> }[] = [];
  private readonly groups: { readonly group: readonly Format[]; readonly results: ErrorsResult[] }[] = [];
  private readonly long = new Map<number, BlockScales>();
  private summary!: WeightSummary;

  constructor(private readonly files: Checkpoint, private readonly weight: ResolvedWeight, requests: readonly FormatRequest[], private readonly done: (result: MeasuredWeight) => void) {
    this.formats = requests.map((request, index) => ({ format: blockScaled(parseFormat(request.id)), request, index }));
  }

  statisticsSteps(): Step[] {
    return this.chunks(tileLength(this.weight.layout, null)).map((tiles) => {
      const task: ScanTask = { pass: 'statistics', tiles, ...this.base(tiles) };
      return { task, credit: task.work, take: (result) => { this.partResults.push(result); } };
    });
  }

  searchSteps(): Step[] {
    const { layout } = this.weight;
    this.summary = summarise(layout, this.partResults.flatMap((result) => (result.pass === 'statistics' ? result.parts : [])));
    const long = this.formats.filter(({ format, request }) => request.rule === 'mse' && isLongBlock(layout, format.granularity));
    if (long.length === 0) return [];
    return this.chunks(tileLength(layout, null)).map((tiles) => ({
      task: {
        pass: 'search', tiles, formats: long.map(({ format }) => format.id),
        ranges: long.map(({ format }) => tiles.map((tile) => longBlockRange(layout, this.summary, format, tile))), ...this.base(tiles),
      },
      credit: 0,
      take: (result) => {
        if (result.pass !== 'search') return;
        result.squared.forEach((squared, k) => { this.searched.push({ tile: tiles[k]!, squared: new Map(long.map(({ index }, at) => [index, squared[at]!])) }); });
      },
    }));
  }

  errorSteps(): Step[] {
    const { layout } = this.weight;
    const { summary } = this;
    for (const { format, request, index } of this.formats) {
      const found = this.searched.flatMap(({ tile, squared }) => (squared.has(index) ? [{ tile, squared: squared.get(index)! }] : []));
      const scales = longBlockScales(layout, summary, format, request.rule, found);
      if (scales) this.long.set(index, scales);
    }
    return byTileLength(layout, this.formats).flatMap(({ length, group }, pass) => {
      const results: ErrorsResult[] = [];
      this.groups.push({ group, results });
      return this.chunks(length).map((tiles): Step => {
        const [firstRow, lastRow] = [Math.floor(tiles[0]!.start / layout.cols), Math.floor((tiles.at(-1)!.start + tiles.at(-1)!.length - 1) / layout.cols)];
        const outerOf = (outer: Float32Array | null): Float32Array | null => (outer && outer.length > 1 ? outer.slice(firstRow, lastRow + 1) : outer);
        const task: ScanTask = {
          pass: 'errors', tiles, formats: group.map(({ request, format, index }) => ({ ...request, long: this.long.get(index) ?? null, outer: outerOf(summaryOuter(layout, summary, format)) })),
          zScore: pass === 0 ? { mean: summary.moments.mean, std: summary.std } : null, ...this.base(tiles),
        };
        return { task, credit: pass === 0 ? task.work : 0, take: (result) => { if (result.pass === 'errors') results.push(result); } };
      });
    });
  }

  finish(): void {
    const errors: ErrorSums[] = new Array(this.formats.length);
    const scales: (BlockScales | null)[] = new Array(this.formats.length);
    let [one, six] = [0, 0];
    for (const { group, results } of this.groups) {
      const totals = totalErrors(results.flatMap((result) => result.tiles), group.length);
      one += totals.one;
      six += totals.six;
      group.forEach(({ index, request }, k) => {
        errors[index] = totals.errors[k]!;
        scales[index] = request.keepScales ? this.long.get(index) ?? joinScales(results.map((result) => result.scales[k]!)) : null;
      });
    }
    this.done({ summary: this.summary, one, six, errors, scales });
  }

  private base(tiles: readonly Tile[]): Pick<ScanTask, 'checkpoint' | 'tensor' | 'layout' | 'work'> {
    return { checkpoint: this.files, tensor: this.weight.tensor, layout: this.weight.layout, work: tiles.reduce((sum, tile) => sum + tile.length, 0) };
  }

  private chunks(length: number): Tile[][] {
    const tiles = tilesOf(this.weight.layout, length);
    return Array.from({ length: Math.ceil(tiles.length / TILES_PER_TASK) }, (_, i) => tiles.slice(i * TILES_PER_TASK, (i + 1) * TILES_PER_TASK));
  }
}

function joinScales(parts: readonly (BlockScales | null)[]): BlockScales | null {
  if (parts.some((part) => part === null)) return null;
  const count = parts.reduce((sum, part) => sum + part!.scales.length, 0);
  const scales = new Float32Array(count);
  const zeroPoints = parts[0]?.zeroPoints ? new Int32Array(count) : null;
  let at = 0;
  for (const part of parts) {
    scales.set(part!.scales, at);
    zeroPoints?.set(part!.zeroPoints!, at);
    at += part!.scales.length;
  }
  return { scales, zeroPoints };
}

/** @returns whether `rule` is one of the two. */
export function isScaleRule(rule: unknown): rule is ScaleRule {
  return rule === 'absmax' || rule === 'mse';
}
