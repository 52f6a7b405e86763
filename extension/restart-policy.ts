/**
 * When a crashed server is started again: with growing pauses, five times in three minutes, then no more. A server that
 * dies at once would otherwise be started in a loop and hide its own error message.
 */

const WINDOW_MS = 3 * 60_000;
const MAX_RESTARTS = 5;
const FIRST_DELAY_MS = 300;

export class RestartPolicy {
  private restarts: number[] = [];

  /** Pause in milliseconds before the next start, or null when the server shall stay down. */
  next(now: number): number | null {
    this.restarts = this.restarts.filter((time) => now - time < WINDOW_MS);
    if (this.restarts.length >= MAX_RESTARTS) return null;
    this.restarts.push(now);
    return FIRST_DELAY_MS * 2 ** (this.restarts.length - 1);
  }

  /** A restart that the user asked for starts counting anew. */
  reset(): void {
    this.restarts = [];
  }
}
