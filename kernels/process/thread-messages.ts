/** What the kernel's threads say to each other: main thread, job thread, workers. */
import { JobCancelled, JobError, type JobProgress } from '../jobs/job';
import type { SharedBuffers } from './shared-state';

/** How a thread is started. One bundle serves both roles, so that one file is shipped and checked. */
export interface ThreadData {
  readonly role: 'job' | 'worker';
  readonly shared: SharedBuffers;
  /** The bundle itself: the job thread starts workers from it. */
  readonly file: string;
  readonly threads: number;
  readonly memoryMb: number;
  /** Worker only: its progress counter. */
  readonly slot: number;
}

export interface RunMessage { readonly type: 'run'; readonly job: number; readonly kind: string; readonly params: unknown }
export type JobMessage =
  | { readonly type: 'progress'; readonly job: number; readonly progress: JobProgress }
  | { readonly type: 'writes'; readonly job: number; readonly folder: string }
  | { readonly type: 'done'; readonly job: number; readonly result: unknown }
  | { readonly type: 'failed'; readonly job: number; readonly error: ErrorData };

export interface TaskMessage { readonly type: 'task'; readonly index: number; readonly kind: string; readonly task: unknown }
export type TaskAnswer =
  | { readonly type: 'result'; readonly index: number; readonly result: unknown }
  | { readonly type: 'error'; readonly index: number; readonly error: ErrorData };

/** An exception as plain data: structured clone forgets the names of our own error classes. */
export interface ErrorData {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
}

/** A worker thread died under a task. */
export class WorkerCrash extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'WorkerCrash';
  }
}
/** A thread reached its heap limit, or the process its memory limit. */
export class MemoryExceeded extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MemoryExceeded';
  }
}

export function errorData(error: unknown): ErrorData {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  return { name: error.name, message: error.message, ...(error.stack ? { stack: error.stack } : {}) };
}

/** The error that `errorData` described, of its own class where that class is ours. */
export function reviveError(data: ErrorData): Error {
  switch (data.name) {
    case 'JobError': return new JobError(data.message);
    case 'JobCancelled': return new JobCancelled();
    case 'WorkerCrash': return new WorkerCrash(data.message);
    case 'MemoryExceeded': return new MemoryExceeded(data.message);
    default: {
      const error = new Error(data.message);
      error.name = data.name;
      if (data.stack) error.stack = data.stack;
      return error;
    }
  }
}

/** Why a thread ended by itself, from its `error` event. */
export function threadFailure(who: string, error: unknown): Error {
  const { code, message } = error as { code?: string; message?: string };
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return new MemoryExceeded(`${who} ran out of memory`);
  return new WorkerCrash(`${who} crashed: ${message ?? String(error)}`);
}
