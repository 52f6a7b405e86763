/** The main thread's hold on the job thread: start, cancel, replace, and the memory limit. */
import { Worker } from 'node:worker_threads';
import { JobCancelled, type JobProgress } from '../jobs/job';
import { removeUnfinished } from '../checkpoint/unfinished';
import { SharedState } from './shared-state';
import { MemoryExceeded, reviveError, threadFailure, WorkerCrash, type JobMessage, type RunMessage, type ThreadData } from './thread-messages';

/** A job that does not stop by itself this long after it was cancelled has its threads ended: only their caches are lost. */
const CANCEL_GRACE_MS = 1000;
const MEMORY_POLL_MS = 200;
/** What the program itself takes, beside what jobs hold: the process, and each thread's isolate. */
const BASE_BYTES = 64 * 2 ** 20;
const THREAD_BYTES = 16 * 2 ** 20;

interface Running {
  readonly job: number;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: (progress: JobProgress) => void;
  readonly timers: NodeJS.Timeout[];
  /** Where the job may have files that are not finished. */
  readonly folders: Set<string>;
}

export class JobHost {
  private thread: Worker | null = null;
  private shared: SharedState;
  private running: Running | null = null;
  private pastSteps = 0;
  private onIdle: (() => void) | null = null;
  private abandoning = false;

  constructor(private readonly file: string, readonly threads: number, private readonly memoryMb: number) {
    this.shared = SharedState.create(threads);
  }

  get busy(): boolean {
    return this.running !== null;
  }

  /** Never goes down while the process lives. */
  get steps(): number {
    return this.pastSteps + this.shared.stepCount;
  }

  /** Runs one job; the caller sees to it that none is running. */
  run(job: number, kind: string, params: unknown, onProgress: (progress: JobProgress) => void): Promise<unknown> {
    if (this.running) throw new Error('a job is running');
    return new Promise((resolve, reject) => {
      const memory = setInterval(() => this.watchMemory(), MEMORY_POLL_MS);
      this.running = { job, resolve, reject, onProgress, timers: [memory], folders: new Set() };
      const thread = this.thread ??= this.start();
      this.shared.setCancelled(false);
      thread.postMessage({ type: 'run', job, kind, params } satisfies RunMessage);
    });
  }

  cancel(job: number): void {
    const { running } = this;
    if (running?.job !== job) return;
    this.shared.setCancelled(true);
    running.timers.push(setTimeout(() => {
      if (this.running === running) this.abandon(new JobCancelled());
    }, CANCEL_GRACE_MS));
  }

  /** Cancels the job that runs, so that it takes its unfinished files along, and calls back when there is none. */
  stop(then: () => void): void {
    if (!this.running) return then();
    this.onIdle = then;
    this.cancel(this.running.job);
  }

  private start(): Worker {
    const { file, threads, memoryMb } = this;
    const thread = new Worker(file, {
      workerData: { role: 'job', file, threads, memoryMb, shared: this.shared.buffers, slot: 0 } satisfies ThreadData,
      resourceLimits: { maxOldGenerationSizeMb: memoryMb },
    });
    const lost = (error: Error): void => {
      if (this.thread === thread) this.abandon(error instanceof MemoryExceeded ? this.tooMuchMemory() : error);
    };
    thread.on('message', (message: JobMessage) => this.receive(message));
    thread.on('messageerror', (error) => lost(new WorkerCrash(`the job's result cannot be read: ${error.message}`)));
    thread.on('error', (error) => lost(threadFailure('the job', error)));
    thread.on('exit', (code) => lost(new WorkerCrash(`the job's thread ended unexpectedly (exit code ${code})`)));
    return thread;
  }

  private receive(message: JobMessage): void {
    if (this.running?.job !== message.job || this.abandoning) return;
    if (message.type === 'progress') this.running.onProgress(message.progress);
    else if (message.type === 'writes') this.running.folders.add(message.folder);
    else if (message.type === 'done') this.end()?.resolve(message.result);
    else {
      const error = reviveError(message.error);
      this.end()?.reject(error instanceof MemoryExceeded ? this.tooMuchMemory() : error);
    }
  }

  private end(): Running | null {
    const { running } = this;
    this.running = null;
    for (const timer of running?.timers ?? []) clearTimeout(timer);
    if (running) this.onIdle?.();
    return running;
  }

  /**
   * Ends the job thread, and its workers with it, takes away what it had not finished writing, and then fails the job.
   * The next job starts a new thread with memory of its own.
   */
  private abandon(error: Error): void {
    const { thread, running } = this;
    if (this.abandoning) return;
    this.abandoning = true;
    this.thread = null;
    this.pastSteps = this.steps;
    this.shared = SharedState.create(this.threads);
    for (const timer of running?.timers ?? []) clearTimeout(timer);
    const clean = async (): Promise<void> => {
      for (const folder of running?.folders ?? []) await removeUnfinished(folder, 'own too');
    };
    // Not waited for: the thread may stand in a long write, whose file can be taken away all the same; where it cannot, afterwards.
    void thread?.terminate().then(() => (this.running === null ? clean() : undefined));
    void clean().then(() => {
      this.abandoning = false;
      this.end()?.reject(error);
    });
  }

  /** Heap limits see JavaScript objects only; weights live in array buffers, which show in the resident size. */
  private watchMemory(): void {
    const allowed = this.memoryMb * 2 ** 20 + BASE_BYTES + THREAD_BYTES * (this.threads + 1);
    if (process.memoryUsage.rss() > allowed) this.abandon(this.tooMuchMemory());
  }

  private tooMuchMemory(): MemoryExceeded {
    return new MemoryExceeded(`the job needs more than ${this.memoryMb} MB of memory`);
  }
}
