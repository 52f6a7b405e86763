/** Detail: what the report shows of one weight beyond its errors: histogram and channel ranges. */
import { TensorReader, type Checkpoint, type TensorInfo } from '../checkpoint';
import { tileLength, tilesOf, type WeightLayout } from '../formats/blocks';
import { kernelOps } from '../wasm/load';
import { JobError, type DetailParams, type DetailResult, type Job, type JobContext } from './job';
import { assertUnchanged } from './scan';
import { sweepFormats } from './sweep';
import { TileLoader } from './tile-loader';
import { errorPass, statisticsPass } from './weight-passes';
import { totalErrors } from './scan-tasks';
import { summarise, weightStatistics } from './weight-summary';
import { filesOf, formatForJob, openForJob, resolveWeight, tensorsByName, withCheckpointErrors } from './weights';

const MOST_BINS = 4096;
const MOST_CHANNELS = 4096;

interface DetailTask {
  readonly checkpoint: Checkpoint;
  readonly tensor: TensorInfo;
  readonly layout: WeightLayout;
  readonly bins: number;
  readonly sweep: readonly string[];
}

export const detailJob: Job<'detail'> = {
  kind: 'detail',
  async run(params: DetailParams, context: JobContext): Promise<DetailResult> {
    if (!Number.isInteger(params.bins) || params.bins < 1 || params.bins > MOST_BINS) throw new JobError(`a histogram has 1 to ${MOST_BINS} bins, not ${params.bins}`);
    const checkpoint = await openForJob(params.checkpoint);
    const resolved = resolveWeight(checkpoint, tensorsByName(checkpoint), params.weight);
    if (typeof resolved === 'string') throw new JobError(`${params.weight.tensor}: ${resolved}`);
    const task: DetailTask = { checkpoint: filesOf(checkpoint), tensor: resolved.tensor, layout: resolved.layout, bins: params.bins, sweep: (params.sweep ?? []).map((id) => formatForJob(id).id) };
    const [result] = await context.map<DetailTask, Omit<DetailResult, 'key'>>('detail', [task], () => resolved.weights);
    await assertUnchanged(checkpoint);
    return { key: params.weight.key, ...result! };
  },
};

/** The worker's side: statistics first, then the histogram between the extremes they found. */
export async function runDetailTask(task: DetailTask, context: { throwIfCancelled(): void }): Promise<Omit<DetailResult, 'key'>> {
  const poll = (): void => { context.throwIfCancelled(); };
  const reader = TensorReader.open(task.checkpoint);
  try {
    return await withCheckpointErrors(async () => {
      const { layout } = task;
      const ops = await kernelOps();
      const loader = new TileLoader(reader, ops, task.tensor, layout);
      const tiles = tilesOf(layout, tileLength(layout, null));
      const summary = summarise(layout, statisticsPass(loader, layout, tiles, poll));
      const beyond = totalErrors(errorPass(loader, layout, tiles, [], { mean: summary.moments.mean, std: summary.std }, poll), 0);
      const counts = new Float64Array(task.bins);
      const some = summary.moments.count > 0;
      const [low, high] = some ? [summary.min, summary.max] : [0, 0];
      for (const tile of some ? tiles : []) {
        poll();
        loader.load(tile, false);
        ops.histogram(tile.length, low, high, counts);
      }
      const edges = Array.from({ length: task.bins + 1 }, (_, i) => (i === task.bins ? high : low + ((high - low) * i) / task.bins));
      return {
        statistics: weightStatistics(layout, summary, beyond),
        histogram: { edges, counts: Array.from(counts) },
        channels: thinned(summary.rowMin, summary.rowMax),
        ...(task.sweep.length > 0 ? { sweep: sweepFormats(loader, task.tensor, layout, task.sweep, poll) } : {}),
      };
    });
  } finally {
    reader.close();
  }
}

/** At most MOST_CHANNELS channels, evenly spread; a channel without finite values shows as 0. */
function thinned(rowMin: Float32Array, rowMax: Float32Array): DetailResult['channels'] {
  const shown = Math.min(rowMin.length, MOST_CHANNELS);
  const index = Array.from({ length: shown }, (_, i) => Math.floor((i * rowMin.length) / shown));
  const finite = (value: number): number => (Number.isFinite(value) ? value : 0);
  return { index, min: index.map((row) => finite(rowMin[row]!)), max: index.map((row) => finite(rowMax[row]!)) };
}
