/** The kernel as the rest of the server sees it: jobs in, results out, one at a time. */
import { backgroundJobs, JobCancelled, JobError, type JobKind, type JobProgress, type JobTypes } from '../../kernels/jobs/job';
import { assetPath } from '../../kernels/assets';
import { KernelError } from './errors';
import type { KernelProcess } from './kernel-process';
import { ProcessEnded } from './kernel-process';
import { memoryLimitMb, threadCount } from './launch';
import { inputOf, Quarantine, type JobInput } from './quarantine';
import { LaunchFailed, Supervisor, type KernelState } from './supervisor';
import { defaultTiming, realClock, type Clock, type Timing } from './timing';

export interface KernelOptions {
  /** 0 or nothing: as many as the machine has, at most 16. */
  readonly threads?: number;
  /** `bitlens.memoryMb`; never more than half of the machine's memory is used. */
  readonly memoryMb?: number;
  /** `bitlens.executionProviders`: what models run on, the most wanted first. */
  readonly executionProviders?: readonly string[];
  readonly log?: (line: string) => void;
  readonly onState?: (state: KernelState) => void;
  /** Tests: another program in the kernel's place, shorter waits, time and chance under control. */
  readonly entry?: string;
  readonly timing?: Partial<Timing>;
  readonly clock?: Clock;
  readonly random?: () => number;
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: JobProgress) => void;
  /** Someone waits for an interactive job: it goes before queued background ones. By default what the job's kind says. */
  readonly priority?: 'interactive' | 'background';
}

interface Entry {
  readonly kind: string;
  readonly params: unknown;
  readonly background: boolean;
  readonly abort: AbortController;
  readonly onProgress: (progress: JobProgress) => void;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Attempts per job: a crash that is its first is answered with one more. */
const ATTEMPTS = 2;
/** Jobs that may wait; more than this is a caller in a loop. */
const MAX_QUEUE = 1000;

export class Kernel {
  private readonly supervisor: Supervisor;
  private readonly quarantine = new Quarantine();
  private queue: Entry[] = [];
  private active: Entry | null = null;
  private interrupted: KernelError | null = null;
  private changing: Promise<void> | null = null;
  private disposed = false;

  constructor(options: KernelOptions = {}) {
    this.supervisor = new Supervisor({
      entry: options.entry ?? assetPath('kernel.js'),
      threads: threadCount(options.threads),
      memoryMb: memoryLimitMb(options.memoryMb),
      ...(options.executionProviders ? { executionProviders: options.executionProviders } : {}),
      timing: { ...defaultTiming, ...options.timing },
      log: options.log ?? (() => undefined),
    }, options.clock ?? realClock, options.random ?? Math.random, options.onState ?? (() => undefined));
  }

  get state(): KernelState {
    return this.supervisor.state;
  }

  /** Process id while one runs. */
  get pid(): number | undefined {
    return this.supervisor.pid;
  }

  /**
   * Runs a job, starting the kernel when there is none. Jobs run one at a time; interactive ones overtake queued background ones.
   *
   * @throws JobError (bad parameters or input), JobCancelled (the signal), KernelError (trouble with the process).
   */
  run<K extends JobKind>(kind: K, params: JobTypes[K]['params'], options: RunOptions = {}): Promise<JobTypes[K]['result']> {
    const { signal, onProgress, priority } = options;
    if (this.disposed) return Promise.reject(new KernelError('The kernel was shut down.', 'stopped'));
    if (signal?.aborted) return Promise.reject(new JobCancelled());
    if (this.queue.length >= MAX_QUEUE) return Promise.reject(new KernelError(`${MAX_QUEUE} jobs are waiting for the kernel already.`, 'internal'));
    return new Promise((resolve, reject) => {
      const background = priority ? priority === 'background' : backgroundJobs.has(kind);
      const cancel = (): void => this.cancel(entry);
      const finish = <Args extends unknown[]>(settle: (...args: Args) => void) => (...args: Args): void => {
        signal?.removeEventListener('abort', cancel);
        settle(...args);
      };
      const entry: Entry = {
        kind, params, background, abort: new AbortController(), onProgress: onProgress ?? (() => undefined),
        resolve: finish(resolve as (result: unknown) => void), reject: finish(reject),
      };
      signal?.addEventListener('abort', cancel, { once: true });
      this.queue.push(entry);
      this.pump();
    });
  }

  /** Ends the process, forgets crashes and quarantines, and starts a new one. The running job fails; queued ones wait. */
  async restart(): Promise<void> {
    if (this.disposed) throw new KernelError('The kernel was shut down.', 'stopped');
    await this.interrupt(new KernelError('The kernel was restarted while this job ran.', 'stopped'));
    try {
      await this.supervisor.acquire();
      this.supervisor.setBusy(this.active !== null);
    } catch (error) {
      throw error instanceof LaunchFailed ? new KernelError(launchMessage(error), 'launch') : error;
    }
  }

  /** Ends the process. Jobs that run or wait are cancelled. Resolves when nothing of it is left. */
  async dispose(): Promise<void> {
    this.disposed = true;
    for (const entry of this.queue.splice(0)) entry.reject(new JobCancelled());
    this.active?.abort.abort();
    await this.interrupt(new KernelError('The kernel was shut down.', 'stopped'));
  }

  private async interrupt(reason: KernelError): Promise<void> {
    while (this.changing) await this.changing;
    this.changing = (async () => {
      if (this.active) this.interrupted = reason;
      await this.supervisor.stop();
      this.quarantine.reset();
    })();
    try {
      await this.changing;
    } finally {
      this.changing = null;
      this.pump();
    }
  }

  private cancel(entry: Entry): void {
    const queued = this.queue.indexOf(entry);
    if (queued >= 0) {
      this.queue.splice(queued, 1);
      entry.reject(new JobCancelled());
    } else {
      entry.abort.abort();
    }
  }

  private pump(): void {
    if (this.active || this.changing || this.queue.length === 0) return;
    const first = this.queue.findIndex(({ background }) => !background);
    const [entry] = this.queue.splice(Math.max(0, first), 1);
    this.active = entry!;
    // The state is settled before the caller hears of the result, so that what it reads then is true.
    const ended = (settle: () => void): void => {
      this.active = null;
      this.interrupted = null;
      this.supervisor.setBusy(false);
      settle();
      this.pump();
    };
    void this.execute(entry!).then((result) => ended(() => entry!.resolve(result)), (error: Error) => ended(() => entry!.reject(error)));
  }

  private async execute(entry: Entry): Promise<unknown> {
    const { kind, params, abort: { signal } } = entry;
    const input = await inputOf(kind, params);
    const refusal = this.quarantine.refusal(input);
    if (refusal !== null) throw new KernelError(`${refusal}.`, 'quarantined');
    for (let attempt = 1; ; attempt++) {
      try {
        const process = await this.acquire(signal);
        if (signal.aborted) throw new JobCancelled();
        this.supervisor.setBusy(true);
        const result = await process.run(kind, params, signal, entry.onProgress);
        this.quarantine.clear(input);
        return result;
      } catch (error) {
        if (this.interrupted) throw this.disposed ? new JobCancelled() : this.interrupted;
        if (error instanceof JobError) this.quarantine.clear(input);
        const final = this.failure(error, input, attempt);
        if (final) throw final;
        if (signal.aborted) throw new JobCancelled();
      }
    }
  }

  /** The error to give the caller, or null to try once more. */
  private failure(error: unknown, input: JobInput, attempt: number): unknown {
    if (error instanceof LaunchFailed) return attempt < ATTEMPTS ? null : new KernelError(launchMessage(error), 'launch');
    if (!(error instanceof ProcessEnded)) return error;
    const reason = this.supervisor.explain(error);
    this.quarantine.blame(input, reason.message);
    if (attempt < ATTEMPTS && !reason.certain) return null;
    if (reason.memory) return new KernelError(`The kernel ran out of memory: ${reason.message}.`, 'memory');
    const again = this.quarantine.refusal(input);
    return new KernelError(`The kernel crashed in this job: ${reason.message}.${again ? ` ${again}.` : ''}`, 'crash');
  }

  /** A ready process, or JobCancelled as soon as the signal fires: the start itself goes on for whoever comes next. */
  private async acquire(signal: AbortSignal): Promise<KernelProcess> {
    let abort: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(new JobCancelled());
      if (signal.aborted) abort();
      signal.addEventListener('abort', abort, { once: true });
    });
    try {
      const acquired = this.supervisor.acquire();
      acquired.catch(() => undefined);
      return await Promise.race([acquired, aborted]);
    } finally {
      signal.removeEventListener('abort', abort!);
    }
  }
}

function launchMessage({ reason }: LaunchFailed): string {
  return `The kernel does not start: ${reason.message}. "Show Log" has its output; if it goes on, install Bitlens again.`;
}
