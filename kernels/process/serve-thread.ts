/** Starts this thread in the role it was given. */
import { parentPort, workerData } from 'node:worker_threads';
import { runJobThread, type AnyJob } from './job-thread';
import type { Table } from './lookup';
import type { ThreadData } from './thread-messages';
import type { WorkerTask } from './worker-context';
import { runWorkerThread } from './worker-thread';

export function serveThread(jobs: Table<AnyJob>, workerTasks: Table<WorkerTask>): void {
  if (!parentPort) throw new Error('this program is started by the Bitlens kernel process');
  const data = workerData as ThreadData;
  if (data.role === 'job') runJobThread(parentPort, data, jobs);
  else runWorkerThread(parentPort, data, workerTasks);
}
