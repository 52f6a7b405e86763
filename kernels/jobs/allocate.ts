/** Allocate: measurements and a budget into one format per layer, with the allocator named. Runs on a worker, so that it can be cancelled. */
import { methodOfKind } from '../methods/registry';
import { JobError, type AllocateParams, type AllocateResult, type Job, type JobContext } from './job';

export const allocateJob: Job<'allocate'> = {
  kind: 'allocate',
  async run(params: AllocateParams, context: JobContext): Promise<AllocateResult> {
    const [result] = await context.map<AllocateParams, AllocateResult>('allocate', [params], () => 1);
    return result!;
  },
};

/** The worker's side. @throws JobError for an unknown allocator, an infeasible budget or unusable numbers. */
export function runAllocateTask(params: AllocateParams, context: { throwIfCancelled(): void }): AllocateResult {
  try {
    return methodOfKind('allocation', params.allocator).run(params, () => { context.throwIfCancelled(); });
  } catch (error) {
    if (error instanceof RangeError) throw new JobError(error.message);
    throw error;
  }
}
