/** Keeps a kernel process at hand: starts it on demand, with back-off after crashes, and stops trying when it is hopeless. */
import { KernelError } from './errors';
import { explainExit, type ExitReason } from './exit-reason';
import { KernelProcess, ProcessEnded, VersionMismatch, type ProcessOptions } from './kernel-process';
import { RestartPolicy } from './restart-policy';
import type { Clock } from './timing';

export type KernelState = 'idle' | 'starting' | 'ready' | 'busy' | 'stopping' | 'failed';

/** A start that did not end in a handshake; the next attempt may. */
export class LaunchFailed extends Error {
  constructor(readonly reason: ExitReason) {
    super(reason.message);
    this.name = 'LaunchFailed';
  }
}

export class Supervisor {
  private current: KernelProcess | null = null;
  private launching: Promise<KernelProcess> | null = null;
  private failure: KernelError | null = null;
  private stopping = false;
  private wakeUp: (() => void) | null = null;
  private busy = false;
  private shown: KernelState = 'idle';
  private readonly policy: RestartPolicy;

  constructor(
    private readonly options: ProcessOptions,
    private readonly clock: Clock,
    random: () => number,
    private readonly onState: (state: KernelState) => void,
  ) {
    this.policy = new RestartPolicy(options.timing, random);
  }

  get state(): KernelState {
    if (this.stopping) return 'stopping';
    if (this.failure) return 'failed';
    if (this.launching) return 'starting';
    if (!this.current) return 'idle';
    return this.busy ? 'busy' : 'ready';
  }

  get pid(): number | undefined {
    return this.current?.pid;
  }

  /** A process that is ready. @throws LaunchFailed to be tried again, KernelError when it is not. */
  acquire(): Promise<KernelProcess> {
    if (this.failure) return Promise.reject(this.failure);
    if (this.current && !this.current.exit) return Promise.resolve(this.current);
    this.launching ??= this.launch().finally(() => {
      this.launching = null;
      this.changed();
    });
    this.changed();
    return this.launching;
  }

  setBusy(busy: boolean): void {
    this.busy = busy;
    // Only a job keeps the program alive; an idle kernel does not.
    this.current?.holdProgram(busy);
    this.changed();
  }

  /** What a dead process died of. */
  explain(ended: ProcessEnded): ExitReason {
    return explainExit(ended.exit, this.options.memoryMb);
  }

  private async launch(): Promise<KernelProcess> {
    const wait = this.policy.delay(this.clock.now());
    if (wait > 0) {
      this.options.log(`The kernel is started again in ${(wait / 1000).toFixed(1)} s.`);
      await new Promise<void>((resolve) => {
        const timer = this.clock.setTimeout(resolve, wait);
        this.wakeUp = () => { this.clock.clearTimeout(timer); resolve(); };
      });
      this.wakeUp = null;
    }
    if (this.stopping) throw new KernelError('The kernel was stopped.', 'stopped');
    const started = this.clock.now();
    const process = this.current = new KernelProcess(this.options);
    void process.exited.then(() => this.ended(process, this.clock.now() - started));
    try {
      const { pid, threads } = await process.handshake();
      this.options.log(`The kernel is ready (pid ${pid}, ${threads} threads).`);
      return process;
    } catch (error) {
      if (error instanceof VersionMismatch) {
        this.failure = new KernelError(`The kernel does not fit this program: ${error.message}. Reload the window; if that does not help, install Bitlens again.`, 'failed');
        await process.stop();
        throw this.failure;
      }
      if (error instanceof ProcessEnded) throw this.failure ?? new LaunchFailed(this.explain(error));
      throw error;
    }
  }

  /** Every exit passes here once. One we asked for, or a quiet one after idling, is no crash. */
  private ended(process: KernelProcess, upMs: number): void {
    if (this.current === process) this.current = null;
    const exit = process.exit!;
    const wanted = exit.killedFor === 'stop' || exit.killedFor === 'cancel';
    const quiet = exit.killedFor === null && exit.code === 0 && !this.launching;
    if (!wanted && !quiet) {
      const { message } = explainExit(exit, this.options.memoryMb);
      this.options.log(`The kernel crashed: ${message}`);
      if (!this.policy.crashed(this.clock.now(), upMs)) {
        const { maxCrashes, crashWindowMs } = this.options.timing;
        this.failure ??= new KernelError(`The kernel crashed more than ${maxCrashes} times in ${Math.round(crashWindowMs / 60_000)} minutes and is not started again by itself. Last time: ${message}. Use "Restart Kernel" to try again.`, 'failed');
      }
    }
    this.changed();
  }

  /** Ends the process, if any, and forgets the crashes. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.changed();
    this.wakeUp?.();
    await Promise.all([this.current?.stop(), this.launching?.catch(() => undefined)]);
    await this.current?.stop();
    this.current = null;
    this.failure = null;
    this.policy.reset();
    this.stopping = false;
    this.changed();
  }

  private changed(): void {
    const { state } = this;
    if (state === this.shown) return;
    this.shown = state;
    this.onState(state);
  }
}
