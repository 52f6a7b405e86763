/** Error bars of figures that are no plain means: the samples are split into folds, and each fold is left out once. */
import type { Estimate } from './judge';

/** Folds of a set of samples; one sample is one fold. */
export const MOST_FOLDS = 8;
export const foldsOf = (samples: number): number => Math.min(MOST_FOLDS, samples);

/**
 * The grouped jackknife (Quenouille 1949, Tukey 1958): sqrt((F - 1) / F * sum (x_f - mean)^2) over the figures without each fold. For a
 * mean over folds of one size it is the standard error of the folds' means.
 *
 * @param without the figure with each fold left out; fewer than two give no error
 */
export function jackknife(value: number, without: readonly number[]): Estimate {
  const n = without.length;
  if (n < 2) return { value, stderr: null };
  const mean = without.reduce((a, b) => a + b, 0) / n;
  return { value, stderr: Math.sqrt(((n - 1) / n) * without.reduce((sum, each) => sum + (each - mean) ** 2, 0)) };
}
