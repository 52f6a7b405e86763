/** Worker threads that run a job's tasks: dynamic scheduling, results in task order whatever the order they ended in. */
import { Worker } from 'node:worker_threads';
import type { SharedState } from './shared-state';
import { reviveError, threadFailure, WorkerCrash, type TaskAnswer, type TaskMessage, type ThreadData } from './thread-messages';
import { JobCancelled } from '../jobs/job';

/** How long workers may go on after their batch has failed before they are replaced. */
const SETTLE_MS = 500;
/** A thread that still starts sees no flag: one that has never answered gets this long before it is ended. */
const FIRST_ANSWER_MS = 60;
/** How often the flag is looked at while tasks run. */
const WATCH_MS = 20;

interface Member {
  readonly worker: Worker;
  readonly slot: number;
  /** Position in the dispatch order, or -1 when idle. */
  position: number;
  /** Has answered before: its modules are loaded and its tasks look at the flag. */
  proven: boolean;
}
interface Batch {
  /** Task indexes, in the order they are handed out. */
  readonly order: readonly number[];
  send(member: Member, position: number): void;
  finished(position: number, answer: TaskAnswer | Error): void;
}

export class WorkerPool {
  private readonly members: (Member | null)[];
  private batch: Batch | null = null;
  private closed = false;
  private idleWaiters: (() => void)[] = [];

  constructor(private readonly data: Omit<ThreadData, 'role' | 'slot'>, private readonly shared: SharedState) {
    this.members = new Array<Member | null>(data.threads).fill(null);
  }

  /**
   * Runs tasks on the workers, heaviest first. Results come in task order. Of several failures the one earliest in the order
   * of dispatch is thrown, which does not depend on how threads were scheduled: what was handed out before it has ended by then.
   *
   * @throws JobCancelled when the flag is set; WorkerCrash or MemoryExceeded when a worker died (it is replaced); the task's own error.
   */
  async map<Task, Result>(kind: string, tasks: readonly Task[], weight: (task: Task) => number, onDone?: (index: number, result: Result) => void): Promise<Result[]> {
    if (this.batch) throw new Error('map was called while another map is running; await the first');
    if (tasks.length === 0) return [];
    const weights = tasks.map(weight);
    const order = tasks.map((_, index) => index).sort((a, b) => weights[b]! - weights[a]! || a - b);
    const results = new Array<Result>(tasks.length);
    let next = 0;
    let running = 0;
    let failure: { readonly position: number; readonly error: Error } | null = null;
    const watch = this.endUnprovenOnCancel();
    try {
      await new Promise<void>((resolve) => {
        const advance = (): void => {
          if (this.shared.cancelled && failure === null) failure = { position: order.length, error: new JobCancelled() };
          while (failure === null && next < order.length) {
            const member = this.idleMember();
            if (!member) break;
            running++;
            batch.send(member, next++);
          }
          if (running === 0 && (failure !== null || next === order.length)) resolve();
        };
        const batch: Batch = {
          order,
          send: (member, position) => {
            member.position = position;
            const index = order[position]!;
            try {
              member.worker.postMessage({ type: 'task', index, kind, task: tasks[index] } satisfies TaskMessage);
            } catch (error) {
              // The task cannot be copied to another thread: the job's mistake, not the worker's.
              member.position = -1;
              queueMicrotask(() => batch.finished(position, error instanceof Error ? error : new Error(String(error))));
            }
          },
          finished: (position, answer) => {
            running--;
            let error: Error | null = null;
            if (answer instanceof Error) error = answer;
            else if (answer.type === 'error') error = reviveError(answer.error);
            else {
              results[order[position]!] = answer.result as Result;
              try {
                onDone?.(answer.index, answer.result as Result);
              } catch (thrown) {
                error = thrown instanceof Error ? thrown : new Error(String(thrown));
              }
            }
            if (error && (failure === null || position < failure.position)) failure = { position, error };
            advance();
          },
        };
        this.batch = batch;
        advance();
      });
    } finally {
      clearInterval(watch);
      this.batch = null;
    }
    if (failure !== null) throw (failure as { error: Error }).error;
    return results;
  }

  /** A cancel while threads start must not wait for them: loading a thread takes longer than a cancel may. */
  private endUnprovenOnCancel(): NodeJS.Timeout {
    let seen: number | null = null;
    return setInterval(() => {
      if (!this.shared.cancelled) return;
      seen ??= performance.now();
      if (performance.now() - seen < FIRST_ANSWER_MS) return;
      for (const member of this.members) {
        if (member === null || member.proven || member.position < 0) continue;
        this.drop(member, true);
        this.finish(member, new JobCancelled());
      }
    }, WATCH_MS);
  }

  /** Waits until no worker has a task; one that does not stop within half a second is replaced. The cancel flag must be set. */
  async settle(): Promise<void> {
    if (!this.busy) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        for (const member of this.members) if (member && member.position >= 0) this.drop(member, true);
        resolve();
      }, SETTLE_MS);
      this.idleWaiters.push(() => { clearTimeout(timer); resolve(); });
    });
  }

  private get busy(): boolean {
    return this.members.some((member) => member !== null && member.position >= 0);
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.members.map((member) => member?.worker.terminate()));
  }

  private idleMember(): Member | null {
    for (const [slot, member] of this.members.entries()) {
      if (member === null) return this.start(slot);
      if (member.position < 0) return member;
    }
    return null;
  }

  private start(slot: number): Member {
    const { threads, memoryMb } = this.data;
    const worker = new Worker(this.data.file, {
      workerData: { ...this.data, role: 'worker', slot } satisfies ThreadData,
      resourceLimits: { maxOldGenerationSizeMb: Math.max(64, Math.floor(memoryMb / threads)) },
    });
    const member: Member = { worker, slot, position: -1, proven: false };
    this.members[slot] = member;
    worker.on('message', (answer: TaskAnswer) => {
      this.shared.setUnits(slot, 0);
      member.proven = true;
      this.finish(member, answer);
    });
    const name = `worker ${slot + 1}`;
    worker.on('messageerror', (error) => this.lose(member, new WorkerCrash(`${name} sent a result that cannot be read: ${error.message}`)));
    worker.on('error', (error) => this.lose(member, threadFailure(name, error)));
    worker.on('exit', (code) => this.lose(member, new WorkerCrash(`${name} ended unexpectedly (exit code ${code})`)));
    return member;
  }

  private lose(member: Member, error: Error): void {
    if (this.closed || this.members[member.slot] !== member) return;
    this.drop(member, false);
    this.finish(member, error);
  }

  /** The next task takes a new thread in its place. */
  private drop(member: Member, terminate: boolean): void {
    this.members[member.slot] = null;
    this.shared.setUnits(member.slot, 0);
    if (terminate) void member.worker.terminate();
  }

  private finish(member: Member, answer: TaskAnswer | Error): void {
    const { position } = member;
    member.position = -1;
    if (position >= 0) this.batch?.finished(position, answer);
    if (!this.busy) for (const waiter of this.idleWaiters.splice(0)) waiter();
  }
}
