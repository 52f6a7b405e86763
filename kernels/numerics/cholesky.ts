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
  // Panels of columns: within one the columns are finished one after another, what lies before it then takes the whole panel at
  // once, four columns a pass, so that the matrix is read from memory n / PANEL times instead of n times.
  for (let end = n; end > 0; end -= PANEL) {
    const begin = Math.max(0, end - PANEL);
    for (let k = end - 1; k >= begin; k -= 1) {
      const row = k * n;
      const pivot = t[row + k]!;
      if (!(pivot > 0)) return null;
      const root = Math.sqrt(pivot);
      const inverse = 1 / root;
      for (let i = 0; i < k; i += 1) t[row + i]! *= inverse;
      t[row + k] = root;
      // Remaining columns j < k of the panel: H[i][j] -= R[i][k] R[j][k] for i <= j.
      for (let j = k - 1; j >= begin; j -= 1) {
        const factor = t[row + j]!;
        const at = j * n;
        for (let i = 0; i <= j; i += 1) t[at + i]! -= t[row + i]! * factor;
      }
    }
    for (let j = begin - 1; j >= 0; j -= 1) {
      if ((j & 63) === 0) poll?.();
      subtractColumns(t, n, begin, end, j);
    }
  }
  const r = new Float64Array(n * n);
  for (let k = 0; k < n; k += 1) for (let i = 0; i <= k; i += 1) r[i * n + k] = t[k * n + i]!;
  return r;
}

/** Columns that are finished together. */
const PANEL = 64;

/** Column j of t minus the columns [begin, end), each times its entry j: t[j][i] -= sum_k t[k][i] t[k][j], i <= j. */
function subtractColumns(t: Float64Array, n: number, begin: number, end: number, j: number): void {
  const at = j * n;
  let k = begin;
  for (; k + 4 <= end; k += 4) {
    const [a, b, c, d] = [k * n, (k + 1) * n, (k + 2) * n, (k + 3) * n];
    const [fa, fb, fc, fd] = [t[a + j]!, t[b + j]!, t[c + j]!, t[d + j]!];
    for (let i = 0; i <= j; i += 1) t[at + i] = t[at + i]! - t[a + i]! * fa - t[b + i]! * fb - t[c + i]! * fc - t[d + i]! * fd;
  }
  for (; k < end; k += 1) {
    const row = k * n;
    const factor = t[row + j]!;
    for (let i = 0; i <= j; i += 1) t[at + i]! -= t[row + i]! * factor;
  }
}

/** Solves A X = B for symmetric positive A [n, n] and B [n, m] in place. @returns false when A is not positive definite */
export function solveSymmetric(a: Float64Array, n: number, b: Float64Array, m: number): boolean {
  const r = upperFactor(a, n, 0);
  if (!r) return false;
  // R y = b from the last row up, then R^T x = y from the first row down.
  for (let i = n - 1; i >= 0; i -= 1) {
    subtractRows(b, m, i, i + 1, n, (k) => r[i * n + k]!);
    for (let c = 0; c < m; c += 1) b[i * m + c]! /= r[i * n + i]!;
  }
  for (let i = 0; i < n; i += 1) {
    subtractRows(b, m, i, 0, i, (k) => r[k * n + i]!);
    for (let c = 0; c < m; c += 1) b[i * m + c]! /= r[i * n + i]!;
  }
  return true;
}

/** Row i of b [., m] minus the rows [begin, end), each times its factor: four rows a pass. */
function subtractRows(b: Float64Array, m: number, i: number, begin: number, end: number, factor: (k: number) => number): void {
  const at = i * m;
  let k = begin;
  for (; k + 4 <= end; k += 4) {
    const [fa, fb, fc, fd] = [factor(k), factor(k + 1), factor(k + 2), factor(k + 3)];
    const [p, q, u, v] = [k * m, (k + 1) * m, (k + 2) * m, (k + 3) * m];
    for (let c = 0; c < m; c += 1) b[at + c] = b[at + c]! - fa * b[p + c]! - fb * b[q + c]! - fc * b[u + c]! - fd * b[v + c]!;
  }
  for (; k < end; k += 1) { const f = factor(k); for (let c = 0; c < m; c += 1) b[at + c]! -= f * b[k * m + c]!; }
}
