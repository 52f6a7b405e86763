import type { CheckpointProblem } from '../../kernels/checkpoint/checkpoint';

/** Something the user can put right: shown as it is, without a stack, and never retried. */
export class UserError extends Error {
  /** `problem`: the checkpoint's, when that is what is wrong. */
  constructor(message: string, readonly problem?: CheckpointProblem) {
    super(message);
    this.name = 'UserError';
  }
}

/** The message of anything thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The candidate closest to what was typed, when it is close enough to be meant. Edit distance, at most a third of the length. */
export function nearest(typed: string, candidates: Iterable<string>): string | null {
  let best: string | null = null;
  let least = Math.max(1, Math.floor(typed.length / 3)) + 0.5;
  for (const candidate of candidates) {
    const distance = editDistance(typed.toLowerCase(), candidate.toLowerCase(), Math.ceil(least));
    if (distance < least) { best = candidate; least = distance; }
  }
  return best;
}

/** ` Did you mean X?`, or nothing. */
export function didYouMean(typed: string, candidates: Iterable<string>): string {
  const close = nearest(typed, candidates);
  return close === null ? '' : ` Did you mean ${close}?`;
}

function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
