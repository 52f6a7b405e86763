/** The memory every thread of the kernel sees: the cancel flag, the step counter, and one progress counter per worker. */
import { JobCancelled } from '../jobs/job';

/** The buffers as they are handed to a new thread. */
export interface SharedBuffers {
  readonly cancel: SharedArrayBuffer;
  readonly steps: SharedArrayBuffer;
  readonly units: SharedArrayBuffer;
}

/** Typed views of the buffers, with the few things done to them. */
export class SharedState {
  readonly cancelFlag: Int32Array;
  private readonly steps: Int32Array;
  private readonly units: BigUint64Array;

  constructor(readonly buffers: SharedBuffers) {
    this.cancelFlag = new Int32Array(buffers.cancel);
    this.steps = new Int32Array(buffers.steps);
    this.units = new BigUint64Array(buffers.units);
  }

  static create(workers: number): SharedState {
    return new SharedState({
      cancel: new SharedArrayBuffer(4), steps: new SharedArrayBuffer(4), units: new SharedArrayBuffer(8 * Math.max(1, workers)),
    });
  }

  get cancelled(): boolean {
    return Atomics.load(this.cancelFlag, 0) !== 0;
  }

  /** Sets or clears the flag and wakes whoever waits on it. */
  setCancelled(cancelled: boolean): void {
    Atomics.store(this.cancelFlag, 0, cancelled ? 1 : 0);
    Atomics.notify(this.cancelFlag, 0);
  }

  /** @throws JobCancelled once the flag is set. Counts as a step: a job that polls is alive. */
  throwIfCancelled = (): void => {
    this.step();
    if (this.cancelled) throw new JobCancelled();
  };

  step(): void {
    Atomics.add(this.steps, 0, 1);
  }

  /** Steps so far; wraps at 2^32. */
  get stepCount(): number {
    return Atomics.load(this.steps, 0) >>> 0;
  }

  /** Work done inside the task that a worker is running. Only that worker writes its slot while it runs. */
  setUnits(slot: number, units: number): void {
    Atomics.store(this.units, slot, BigInt(Math.max(0, Math.floor(Number.isFinite(units) ? units : 0))));
  }

  sumUnits(): number {
    let sum = 0;
    for (let slot = 0; slot < this.units.length; slot++) sum += Number(Atomics.load(this.units, slot));
    return sum;
  }
}
