/** Starting, supervising and calling the kernel process. */
export { Kernel, type KernelOptions, type RunOptions } from './kernel';
export { KernelError, type KernelTrouble } from './errors';
export type { KernelState } from './supervisor';
export { JobCancelled, JobError } from '../../kernels/jobs/job';
