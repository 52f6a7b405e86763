/** The thread that runs jobs, one at a time, and owns the workers. The main thread stays free for messages, heartbeat and cancel. */
import type { MessagePort } from 'node:worker_threads';
import { JobError, type Job, type JobContext } from '../jobs/job';
import { PROGRESS_INTERVAL_MS } from '../jobs/wire';
import { lookup, type Table } from './lookup';
import { WorkerPool } from './pool';
import { ProgressMeter } from './progress';
import { SharedState } from './shared-state';
import { errorData, type JobMessage, type RunMessage, type ThreadData } from './thread-messages';

/** A job of any kind; the kinds' own types meet again in the registry. */
export type AnyJob = { run(params: never, context: JobContext): Promise<unknown> } | Job;

export function runJobThread(port: MessagePort, data: ThreadData, jobs: Table<AnyJob>): void {
  const shared = new SharedState(data.shared);
  const { file, threads, memoryMb } = data;
  const pool = new WorkerPool({ file, threads, memoryMb, shared: data.shared }, shared);
  const send = (message: JobMessage): void => port.postMessage(message);

  const run = async ({ job, kind, params }: RunMessage): Promise<void> => {
    const meter = new ProgressMeter((progress) => send({ type: 'progress', job, progress }));
    const ticker = setInterval(() => meter.running(shared.sumUnits()), PROGRESS_INTERVAL_MS);
    const context: JobContext = {
      cancelFlag: shared.cancelFlag,
      throwIfCancelled: shared.throwIfCancelled,
      progress: (done, total, message) => {
        shared.step();
        meter.report(done, total, message);
      },
      writesInto: (folder) => send({ type: 'writes', job, folder }),
      map: (taskKind, tasks, weight, onDone) => pool.map(taskKind, tasks, weight, onDone),
      memoryCapBytes: memoryMb * 2 ** 20,
      threads,
    };
    let message: JobMessage;
    try {
      const known = lookup(jobs, kind);
      if (!known) throw new JobError(`the kernel knows no job "${kind}"; the editor and the kernel may be of different versions`);
      shared.throwIfCancelled();
      message = { type: 'done', job, result: await known.run(params as never, context) };
    } catch (error) {
      message = { type: 'failed', job, error: errorData(error) };
    } finally {
      clearInterval(ticker);
    }
    // A job that ended leaves no worker behind in its tasks: the next one starts with all of them idle and the flag clear.
    shared.setCancelled(true);
    await pool.settle();
    try {
      send(message);
    } catch (error) {
      send({ type: 'failed', job, error: errorData(error) });
    }
  };
  port.on('message', (message: RunMessage) => void run(message));
}
