/** When a kernel that crashed may be started again, and when not at all. Pure: time and chance come from outside. */
import type { Timing } from './timing';

export class RestartPolicy {
  private inARow = 0;
  private crashes: number[] = [];
  private allowedAt = 0;

  constructor(private readonly timing: Timing, private readonly random: () => number) {}

  /** Counts a crash at `now` of a process that had been up for `upMs`. False: it stays down. */
  crashed(now: number, upMs: number): boolean {
    const { timing } = this;
    if (upMs >= timing.stableMs) this.inARow = 0;
    this.crashes = [...this.crashes.filter((at) => now - at < timing.crashWindowMs), now];
    const base = timing.backOffMs[Math.min(this.inARow, timing.backOffMs.length - 1)] ?? 0;
    this.inARow++;
    this.allowedAt = now + base * (1 + timing.jitter * (2 * this.random() - 1));
    return this.crashes.length <= timing.maxCrashes;
  }

  /** Milliseconds to wait at `now` before the next start. */
  delay(now: number): number {
    return Math.max(0, this.allowedAt - now);
  }

  /** The user asked for a new start. */
  reset(): void {
    this.inARow = 0;
    this.crashes = [];
    this.allowedAt = 0;
  }
}
