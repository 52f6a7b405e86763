import type { JobContext } from '../../kernels/jobs/job';
import { workerTasks } from '../../kernels/jobs/worker-tasks';

/** A job context without processes: tasks run here, one after the other, in an order the test may choose. */
export function inlineJobContext(options: { readonly order?: (count: number) => number[]; readonly cancelAfterPolls?: number; readonly error?: () => Error } = {}): JobContext & { polls: number; reports: [number, number][] } {
  const context = {
    polls: 0,
    reports: [] as [number, number][],
    cancelFlag: new Int32Array(new SharedArrayBuffer(4)),
    throwIfCancelled(): void {
      context.polls += 1;
      if (options.cancelAfterPolls !== undefined && context.polls > options.cancelAfterPolls) throw options.error?.() ?? new Error('cancelled');
    },
    progress(done: number, total: number): void { context.reports.push([done, total]); },
    writesInto(): void { /* nobody ends this job from outside */ },
    async map<Task, Result>(kind: string, tasks: readonly Task[], _weight: (task: Task) => number, onDone?: (index: number, result: Result) => void): Promise<Result[]> {
      const run = workerTasks[kind as keyof typeof workerTasks] as unknown as (task: Task, context: { throwIfCancelled(): void }) => Result | Promise<Result>;
      const results: Result[] = new Array(tasks.length);
      for (const index of options.order?.(tasks.length) ?? tasks.keys()) {
        // Tasks and results cross thread borders in the product: they must survive that.
        results[index] = structuredClone(await run(structuredClone(tasks[index]!), context));
        onDone?.(index, results[index]!);
      }
      return results;
    },
    memoryCapBytes: 2 ** 31,
    threads: 1,
  };
  return context;
}
