/** Triangular factors of symmetric positive matrices, in float64: plain, and in blocks whose products run on all cores. */
import { cut, type Multiply } from './matrix';

/** Columns that are finished together: within them the work is plain, between them it is matrix products. */
const BLOCK = 256;

/**
 * Upper triangular R with H = R R^T (the Cholesky factor counted from the last row). Row-major [n, n]; the part below the diagonal is 0.
 * Plain: for small matrices, and the reference of the one in blocks.
 *
 * @param h symmetric; only its upper triangle is read
 * @param damping added to the diagonal
 * @returns null when H + damping I is not positive definite
 */
export function upperFactor(h: Float64Array, n: number, damping: number): Float64Array | null {
  // Columns are stored as rows, so that inner loops run along memory: t[k][i] = R[i][k], i <= k.
  const t = new Float64Array(n * n);
  for (let k = 0; k < n; k += 1) for (let i = 0; i <= k; i += 1) t[k * n + i] = h[i * n + k]! + (i === k ? damping : 0);
  for (let k = n - 1; k >= 0; k -= 1) {
    const row = k * n;
    const pivot = t[row + k]!;
    if (!(pivot > 0)) return null;
    const root = Math.sqrt(pivot);
    const inverse = 1 / root;
    for (let i = 0; i < k; i += 1) t[row + i]! *= inverse;
    t[row + k] = root;
    for (let j = k - 1; j >= 0; j -= 1) {
      const factor = t[row + j]!;
      const at = j * n;
      for (let i = 0; i <= j; i += 1) t[at + i]! -= t[row + i]! * factor;
    }
  }
  const r = new Float64Array(n * n);
  for (let k = 0; k < n; k += 1) for (let i = 0; i <= k; i += 1) r[i * n + k] = t[k * n + i]!;
  return r;
}

/**
 * As {@link upperFactor}, in place: blocks of columns from the last; each subtracts what the blocks after it contribute, in one product.
 *
 * @param h symmetric, its upper triangle and blocks on the diagonal are read; becomes the factor, or rubbish when there is none
 * @param poll called now and then; throws when the work is cancelled
 * @returns whether H + damping I is positive definite
 */
export async function factorInPlace(h: Float64Array, n: number, damping: number, multiply: Multiply, poll?: () => void): Promise<boolean> {
  // The blocks after one are gathered here: rows [0, end) of columns [end, n), the most half way.
  const room = new Float64Array(Math.ceil(n / 2) * Math.floor(n / 2));
  for (let end = n; end > 0;) {
    poll?.();
    const begin = Math.max(0, end - BLOCK);
    const size = end - begin;
    const { data: column } = cut(h, n, 0, end, begin, end);
    if (end < n) {
      const after = cut(h, n, 0, end, end, n, room);
      const own = { data: after.data.subarray(begin * after.cols), rows: size, cols: after.cols, turned: true };
      const known = await multiply(after, own);
      for (let i = 0; i < column.length; i += 1) column[i]! -= known[i]!;
    }
    const corner = upperFactor(column.subarray(begin * size), size, damping);
    if (!corner) return false;
    // Above the diagonal: X R^T = C, by the inverse of the small triangle.
    const above = begin === 0 ? column : await multiply({ data: column.subarray(0, begin * size), rows: begin, cols: size }, { data: inverseOfUpper(corner, size), rows: size, cols: size, turned: true });
    for (let i = 0; i < begin; i += 1) h.set(above.subarray(i * size, (i + 1) * size), i * n + begin);
    for (let i = 0; i < size; i += 1) {
      h.fill(0, (begin + i) * n, (begin + i) * n + begin);
      h.set(corner.subarray(i * size, (i + 1) * size), (begin + i) * n + begin);
    }
    end = begin;
  }
  return true;
}

/** The inverse of an upper triangular [n, n]. */
function inverseOfUpper(r: Float64Array, n: number): Float64Array {
  const x = new Float64Array(n * n);
  for (let i = n - 1; i >= 0; i -= 1) {
    const scale = 1 / r[i * n + i]!;
    x[i * n + i] = 1;
    for (let k = i + 1; k < n; k += 1) { const f = r[i * n + k]!; for (let j = k; j < n; j += 1) x[i * n + j]! -= f * x[k * n + j]!; }
    for (let j = i; j < n; j += 1) x[i * n + j]! *= scale;
  }
  return x;
}

/**
 * Solves X (R R^T) = S in place.
 *
 * @param r upper triangular [n, n]
 * @param s [rows, n]: becomes X
 */
export async function solveFactored(r: Float64Array, n: number, s: Float64Array, rows: number, multiply: Multiply, poll?: () => void): Promise<void> {
  const starts = Array.from({ length: Math.ceil(n / BLOCK) }, (_, i) => i * BLOCK);
  // S = U R^T from the last block of columns, then U = X R from the first: a block at a time, what is known of it in one product.
  const step = async (begin: number, end: number, left: number, right: number, turned: boolean): Promise<void> => {
    poll?.();
    const size = end - begin;
    const own = cut(s, n, 0, rows, begin, end);
    if (left < right) {
      const known = await multiply(cut(s, n, 0, rows, left, right), turned ? { ...cut(r, n, begin, end, left, right), turned } : cut(r, n, left, right, begin, end));
      for (let i = 0; i < known.length; i += 1) own.data[i]! -= known[i]!;
    }
    const solved = await multiply(own, { data: inverseOfUpper(cut(r, n, begin, end, begin, end).data, size), rows: size, cols: size, turned });
    for (let i = 0; i < rows; i += 1) s.set(solved.subarray(i * size, (i + 1) * size), i * n + begin);
  };
  for (const begin of [...starts].reverse()) { const end = Math.min(n, begin + BLOCK); await step(begin, end, end, n, true); }
  for (const begin of starts) await step(begin, Math.min(n, begin + BLOCK), 0, begin, false);
}
