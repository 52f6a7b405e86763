/** Turns what a job reports into what is shown: monotone, at most ten a second, with an estimate once it means something. */
import type { JobProgress } from '../jobs/job';
import { PROGRESS_INTERVAL_MS } from '../jobs/wire';

/** Below this share of the work the rate so far says nothing about the rest. */
const ESTIMATE_FROM = 0.05;

export class ProgressMeter {
  private readonly started: number;
  private committed = 0;
  private total = 0;
  private message = '';
  private inFlight = 0;
  /** Largest share shown so far: what is shown never goes back, even when a job changes its total. */
  private share = 0;
  private lastSent = -Infinity;
  private lastText = '';

  constructor(private readonly send: (progress: JobProgress) => void, private readonly now: () => number = () => performance.now()) {
    this.started = now();
  }

  /** What the job says is done. The end is always sent; anything else may be left out when it comes too soon. */
  report(done: number, total: number, message: string): void {
    this.committed = finite(done);
    this.total = finite(total);
    this.message = String(message).slice(0, 1000);
    this.emit(this.committed >= this.total);
  }

  /** Work inside tasks that still run, on top of what the job reported. */
  running(units: number): void {
    this.inFlight = units;
    if (this.total > 0) this.emit(false);
  }

  private emit(isEnd: boolean): void {
    const now = this.now();
    const raw = this.total > 0 ? Math.min(1, (this.committed + this.inFlight) / this.total) : 0;
    // Only committed work reaches 100 %: tasks that still run hold it just below.
    const share = Math.max(this.share, isEnd ? 1 : Math.min(raw, 0.999));
    const text = `${share} ${this.message}`;
    if (text === this.lastText) return;
    if (now - this.lastSent < PROGRESS_INTERVAL_MS && !(isEnd && this.share < 1)) return;
    this.share = share;
    this.lastSent = now;
    this.lastText = text;
    const elapsed = (now - this.started) / 1000;
    const secondsLeft = share >= ESTIMATE_FROM ? (elapsed * (1 - share)) / share : undefined;
    // Rounded: counts come back as the whole numbers they were.
    const done = Math.min(this.total, Math.round(share * this.total * 1e6) / 1e6);
    this.send({ done, total: this.total, message: this.message, ...(secondsLeft === undefined ? {} : { secondsLeft }) });
  }
}

function finite(value: number): number {
  return Number.isFinite(value) && value > 0 ? value : 0;
}
