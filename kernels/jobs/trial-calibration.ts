/** Calibration data of a trial, opened once for all its steps. */
import { openData } from '../synthetic/open-data';
import type { PreparedModel } from '../run/prepared-model';
import { byContent, Feed, firstSamples } from '../run/feed';
import { JobError, type JobContext, type TrialParams, type TrialResult } from './job';
import { usedData } from './model-run';

export interface Calibration {
  readonly feed: Feed;
  readonly indices: readonly number[];
  readonly title: string;
  /** Seconds spent so far, up to now. */
  figures(): NonNullable<TrialResult['calibration']>;
}

/**
 * Runs the work with calibration data, or with none where no step needs it.
 * @param needing what needs it, in words; null when nothing does
 * @throws JobError when it is needed and none was named
 */
export async function withCalibration<T>(params: TrialParams, model: PreparedModel, context: JobContext, needing: string | null, work: (calibration: Calibration | null) => Promise<T>): Promise<T> {
  if (needing === null) return work(null);
  if (!params.calibration) throw new JobError(`${needing} calibrates on data, and none was named; give calibration inputs, in bitlens.json under data.calibration or with --calibration (--calibration synthetic makes them up)`);
  const { data, samples } = params.calibration;
  const started = performance.now();
  const dataset = await openData(data, model, params.task, context);
  try {
    const indices = byContent(dataset, firstSamples(dataset, samples));
    return await work({
      feed: new Feed(params.graph, dataset), indices, title: dataset.title,
      figures: () => ({ samples: indices.length, ...usedData(dataset), seconds: (performance.now() - started) / 1000 }),
    });
  } finally { dataset.close(); }
}

/** The calibration data of a step that needs it. */
export function required(calibration: Calibration | null): Calibration {
  if (!calibration) throw new Error('a step needs calibration data that nobody opened');
  return calibration;
}

/** Progress of one step of many, as a share of it. */
export function stepOf(context: JobContext, message: string): (share: number) => void {
  return (share) => { context.throwIfCancelled(); context.progress(Math.floor(Math.min(1, share) * 1000), 1000, message); };
}
