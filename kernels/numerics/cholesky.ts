/** Triangular factors of symmetric positive matrices, in float64. */

/**
 * Upper triangular R with H = R R^T (the Cholesky factor counted from the last row). Row-major [n, n]; the part below the diagonal is 0.
 *
 * @param h symmetric; only its upper triangle is read
 * @param damping added to the diagonal
 * @returns null when H + damping I is not positive definite
 */
export function upperFactor(h: Float64Array, n: number, damping: number, poll?: () => void): Float64Array | null {
  // Column-oriented from the last: S is stored transposed, so that inner loops run along memory.
  const t = new Float64Array(n * n);
  for (let k = n - 1; k >= 0; k -= 1) {
    if ((k & 63) === 0) poll?.();
    // Row k of t holds column k of R: t[k][i] = R[i][k], i <= k.
    const row = k * n;
    for (let i = 0; i <= k; i += 1) t[row + i] = h[i * n + k]! + (i === k ? damping : 0);
  }
  for (let k = n - 1; k >= 0; k -= 1) {
    if ((k & 15) === 0) poll?.();
    const row = k * n;
    const pivot = t[row + k]!;
    if (!(pivot > 0)) return null;
    const root = Math.sqrt(pivot);
    const inverse = 1 / root;
    for (let i = 0; i < k; i += 1) t[row + i]! *= inverse;
    t[row + k] = root;
    // Remaining columns j < k: H[i][j] -= R[i][k] R[j][k] for i <= j.
    for (let j = k - 1; j >= 0; j -= 1) {
      const factor = t[row + j]!;
      if (factor === 0) continue;
      const at = j * n;
      for (let i = 0; i <= j; i += 1) t[at + i]! -= t[row + i]! * factor;
    }
  }
  const r = new Float64Array(n * n);
  for (let k = 0; k < n; k += 1) for (let i = 0; i <= k; i += 1) r[i * n + k] = t[k * n + i]!;
  return r;
}

/** Solves A X = B for symmetric positive A [n, n] and B [n, m] in place. @returns false when A is not positive definite */
export function solveSymmetric(a: Float64Array, n: number, b: Float64Array, m: number): boolean {
  const r = upperFactor(a, n, 0);
  if (!r) return false;
  // R y = b from the last row up, then R^T x = y from the first row down.
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let k = i + 1; k < n; k += 1) { const f = r[i * n + k]!; if (f !== 0) for (let c = 0; c < m; c += 1) b[i * m + c]! -= f * b[k * m + c]!; }
    for (let c = 0; c < m; c += 1) b[i * m + c]! /= r[i * n + i]!;
  }
  for (let i = 0; i < n; i += 1) {
    for (let k = 0; k < i; k += 1) { const f = r[k * n + i]!; if (f !== 0) for (let c = 0; c < m; c += 1) b[i * m + c]! -= f * b[k * m + c]!; }
    for (let c = 0; c < m; c += 1) b[i * m + c]! /= r[i * n + i]!;
  }
  return true;
}
