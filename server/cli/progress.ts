/** Progress on stderr: one line that is redrawn on a terminal, a line now and then elsewhere. */
import type { JobProgress } from '../../kernels/jobs/job';
import { plain } from './output';

const TERMINAL_INTERVAL = 80;
const FILE_INTERVAL = 2000;

export class Progress {
  private last = 0;
  private drawn = 0;

  constructor(private readonly stream: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number }, private readonly enabled: boolean) {}

  readonly show = (progress: JobProgress): void => {
    if (!this.enabled) return;
    const now = Date.now();
    const terminal = this.stream.isTTY === true;
    if (now - this.last < (terminal ? TERMINAL_INTERVAL : FILE_INTERVAL) && progress.done < progress.total) return;
    this.last = now;
    const share = progress.total > 0 ? Math.min(100, Math.floor((100 * progress.done) / progress.total)) : 0;
    const left = progress.secondsLeft === undefined ? '' : ` · ${Math.max(1, Math.ceil(progress.secondsLeft))} s left`;
    const text = `${String(share).padStart(3)} % ${plain(progress.message, 120)}${left}`.slice(0, Math.max(20, (this.stream.columns ?? 120) - 1));
    if (!terminal) { this.stream.write(`${text}\n`); return; }
    this.stream.write(`\r${text.padEnd(this.drawn)}`);
    this.drawn = text.length;
  };

  /** Removes the line, so that what is printed next starts clean. */
  clear(): void {
    if (this.drawn > 0) this.stream.write(`\r${' '.repeat(this.drawn)}\r`);
    this.drawn = 0;
  }
}
