/** What every job that runs a model does first: weights, data, and the input and output that the task is about. */
import { CheckpointError } from '../checkpoint';
import type { Dataset } from '../data/data';
import type { GraphValue } from '../graph/graph';
import { Feed, firstSamples, mainOutput } from '../run/feed';
import { executionProviders, ranOn } from '../run/execution-providers';
import { PreparedModel } from '../run/prepared-model';
import { openData } from '../synthetic/open-data';
import { JobCancelled, JobError, type JobContext, type ModelRun, type UsedData } from './job';
import { MemoryExceeded } from '../process/thread-messages';

export interface OpenRun {
  readonly model: PreparedModel;
  readonly dataset: Dataset;
  readonly feed: Feed;
  readonly output: GraphValue;
  /** Samples asked for, by index. */
  readonly indices: readonly number[];
}

/** Opens model and data, runs the work and closes both. What is wrong with the user's input becomes a JobError. */
export async function withRun<T>(params: ModelRun, context: JobContext, work: (run: OpenRun) => Promise<T>): Promise<T> {
  return withInputErrors(async () => {
    const model = await PreparedModel.open(params.graph, params.checkpoint, context.threads);
    try {
      const dataset = await openData(params.data, model, params.task, context);
      try {
        return await work({ model, dataset, feed: new Feed(params.graph, dataset), output: mainOutput(params.graph), indices: firstSamples(dataset, params.samples) });
      } finally { dataset.close(); }
    } finally { model.close(); }
  });
}

/** Errors of plain `Error` class are messages for the user in the rooms that run models; bugs have other classes. */
export async function withInputErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof JobError || error instanceof JobCancelled || error instanceof MemoryExceeded) throw error;
    if (error instanceof CheckpointError || (error instanceof Error && error.constructor === Error)) throw new JobError(error.message);
    throw error;
  }
}

/** What figures on a dataset rest on. */
export const usedData = ({ title, synthetic }: Dataset): UsedData => ({ data: `${title}${ranOn(executionProviders())}`, ...(synthetic ? { synthetic } : {}) });
