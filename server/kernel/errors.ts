/** Trouble with the kernel process itself, as against the user's input (JobError) or a cancel (JobCancelled). */
export type KernelTrouble =
  /** The process died or hung under the job. */
  | 'crash'
  /** It never became ready. */
  | 'launch'
  /** More memory than the setting allows. */
  | 'memory'
  /** The input made it die before and has not changed since. */
  | 'quarantined'
  /** It died too often and is not started again by itself. */
  | 'failed'
  /** It was restarted or disposed of under the job. */
  | 'stopped'
  /** A bug in the job; the process lives. */
  | 'internal';

/** The message says what happened and what to do. */
export class KernelError extends Error {
  constructor(message: string, readonly trouble: KernelTrouble) {
    super(message);
    this.name = 'KernelError';
  }
}
