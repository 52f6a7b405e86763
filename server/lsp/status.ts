/** One status from many things that happen at once: what the server and its kernel are doing now. */
import type { JobProgress, ServerStatus } from '../protocol';

type Work = 'reading' | 'measuring' | 'trial';
/** A trial is what the user waits for; measuring goes on beside it. */
const ORDER: readonly Work[] = ['trial', 'measuring', 'reading'];
/** Progress is sent at most this often. */
const LEAST_PAUSE_MS = 100;

export class StatusBoard {
  private readonly work = new Map<symbol, { kind: Work; message: string; progress?: JobProgress }>();
  private kernel: ServerStatus['kernel'] = 'stopped';
  private readonly failures = new Map<string, string>();
  private timer: NodeJS.Timeout | null = null;
  private lastSent = '';

  constructor(private readonly send: (status: ServerStatus) => void) {}

  /** Starts a piece of work; call the result with progress, and `end` when it is over. */
  begin(kind: Work, message: string): { progress(progress: JobProgress): void; end(): void } {
    const key = Symbol(kind);
    this.work.set(key, { kind, message });
    this.later();
    return {
      progress: (progress) => {
        if (!this.work.has(key)) return;
        this.work.set(key, { kind, message, progress });
        this.later();
      },
      end: () => {
        if (this.work.delete(key)) this.later();
      },
    };
  }

  setKernel(kernel: ServerStatus['kernel']): void {
    this.kernel = kernel;
    this.later();
  }

  /** A failure stays on the board until its cause is cleared: the editor goes on, and says so. */
  setFailure(cause: string, message: string | null): void {
    if (message === null ? !this.failures.delete(cause) : this.failures.get(cause) === message) return;
    if (message !== null) this.failures.set(cause, message);
    this.later();
  }

  clearFailures(): void {
    this.failures.clear();
    this.later();
  }

  get current(): ServerStatus {
    for (const kind of ORDER) {
      for (const work of this.work.values()) {
        if (work.kind === kind) return { state: kind, message: work.message, ...(work.progress && { progress: work.progress }), kernel: this.kernel };
      }
    }
    for (const message of this.failures.values()) return { state: 'error', message, kernel: this.kernel };
    return { state: 'idle', message: '', kernel: this.kernel };
  }

  dispose(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.work.clear();
  }

  private later(): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      const status = this.current;
      const text = JSON.stringify(status);
      if (text === this.lastSent) return;
      this.lastSent = text;
      this.send(status);
    }, LEAST_PAUSE_MS);
  }
}
