/** Turns the server's work-done reports into VS Code's progress: increments, and a time left when the server gave none. */

/** Below this share the estimate would jump about. */
const ESTIMATE_FROM_PERCENT = 5;

export class ProgressText {
  private started: number | undefined;
  private shown = 0;

  /** @param now milliseconds; @param percentage 0 to 100, never shown to go back. */
  next(now: number, percentage: number | undefined, message: string | undefined): { message?: string; increment?: number } {
    this.started ??= now;
    if (percentage === undefined) return message === undefined ? {} : { message };
    const percent = Math.min(100, Math.max(this.shown, percentage));
    const increment = percent - this.shown;
    this.shown = percent;
    const parts = [`${Math.floor(percent)} %`];
    if (message) parts.push(message);
    if (percent >= ESTIMATE_FROM_PERCENT && percent < 100 && !/\bleft\b/.test(message ?? '')) {
      parts.push(timeLeft(((now - this.started) / percent) * (100 - percent) / 1000));
    }
    return { message: parts.join(' · '), increment };
  }
}

/** "about 40 s left", "about 3 min left". */
export function timeLeft(seconds: number): string {
  if (seconds < 1) return 'less than a second left';
  return seconds < 90 ? `about ${Math.ceil(seconds)} s left` : `about ${Math.round(seconds / 60)} min left`;
}
