/** Neumaier's compensated summation: the error does not grow with the number of terms. */
export class CompensatedSum {
  private sum = 0;
  private lost = 0;

  add(value: number): void {
    const next = this.sum + value;
    this.lost += Math.abs(this.sum) >= Math.abs(value) ? this.sum - next + value : value - next + this.sum;
    this.sum = next;
  }

  get value(): number {
    return this.sum + this.lost;
  }
}

/** Moments of a part of a sample: count, mean and sums of powers of the distance from that mean. */
export interface Moments {
  readonly count: number;
  readonly mean: number;
  readonly m2: number;
  readonly m3: number;
  readonly m4: number;
}

export const NO_MOMENTS: Moments = { count: 0, mean: 0, m2: 0, m3: 0, m4: 0 };

/**
 * Moments of two parts taken together, without cancellation.
 * Pebay, "Formulas for Robust, One-Pass Parallel Computation of Covariances and Arbitrary-Order Statistical Moments", SAND2008-6212.
 */
export function mergeMoments(a: Moments, b: Moments): Moments {
  if (a.count === 0) return b;
  if (b.count === 0) return a;
  const count = a.count + b.count;
  const delta = b.mean - a.mean;
  const step = delta / count;
  const product = delta * step * a.count * b.count;
  return {
    count,
    mean: a.mean + step * b.count,
    m2: a.m2 + b.m2 + product,
    m3: a.m3 + b.m3 + product * step * (a.count - b.count) + 3 * step * (a.count * b.m2 - b.count * a.m2),
    m4: a.m4 + b.m4 + product * step * step * (a.count * a.count - a.count * b.count + b.count * b.count)
      + 6 * step * step * (a.count * a.count * b.m2 + b.count * b.count * a.m2)
      + 4 * step * (a.count * b.m3 - b.count * a.m3),
  };
}
