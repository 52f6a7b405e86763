/** Rank agreement of two measures of the same layers. */

/**
 * Kendall's tau-b: the share of pairs in the same order less that in opposite order, corrected for ties
 * (Kendall, The treatment of ties in ranking problems, Biometrika 33, 1945). O(n^2): layers are hundreds.
 *
 * @returns -1 to 1; null when there are fewer than two values, or one side has no order at all
 */
export function kendallTau(a: readonly number[], b: readonly number[]): number | null {
  let [concordant, tiedA, tiedB, pairs] = [0, 0, 0, 0];
  for (let i = 0; i < a.length; i += 1) {
    for (let j = 0; j < i; j += 1) {
      const [x, y] = [Math.sign(a[i]! - a[j]!), Math.sign(b[i]! - b[j]!)];
      pairs += 1;
      concordant += x * y;
      if (x === 0) tiedA += 1;
      if (y === 0) tiedB += 1;
    }
  }
  const scale = Math.sqrt((pairs - tiedA) * (pairs - tiedB));
  return scale > 0 ? concordant / scale : null;
}
