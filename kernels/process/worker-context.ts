/** What a worker task may use while it runs on a worker thread. */

export interface WorkerContext {
  /** Shared by every thread of the kernel: non-zero once the job is cancelled. Polled at least every 8 MiB read or 5 ms of work. */
  readonly cancelFlag: Int32Array;
  /** Throws JobCancelled once cancelled. */
  throwIfCancelled(): void;
  /**
   * Counts work done inside the current task, in the units of `JobContext.progress`.
   * Only shown while the task runs: what the job itself reports when the task is done takes its place.
   */
  reportDone(units: number): void;
  /**
   * Caches of this thread (open readers, a WebAssembly instance). Empty at the start of each job when the thread is new;
   * results may never depend on what is in it.
   */
  readonly state: Map<string, unknown>;
}

/** Runs one task kind on a worker thread. Tasks and results are plain data; each function names its own task type. */
export type WorkerTask = (task: never, context: WorkerContext) => unknown;

const transfers = new WeakMap<object, readonly ArrayBuffer[]>();

/** Marks buffers of a task's result that may be moved instead of copied; the task must not use them afterwards. */
export function transferring<Value extends object>(value: Value, buffers: readonly ArrayBuffer[]): Value {
  transfers.set(value, buffers);
  return value;
}

/** The buffers marked by `transferring`. */
export function transfersOf(value: unknown): readonly ArrayBuffer[] {
  return typeof value === 'object' && value !== null ? transfers.get(value) ?? [] : [];
}
