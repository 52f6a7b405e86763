/** Encoders of IQ4_NL and IQ4_XS: scales tried so that the values fall onto the 16 of the table, following ggml in float32. */
import type { RowEncoder } from './block-codec';
import { NONLINEAR } from './decode-small-floats';
import { importanceWeights, nearest, sumOfSquares } from './encode-search';
import { putHalf } from './half';

const f = Math.fround;
const weights = new Float32Array(32);
const codes = new Uint8Array(256);
const scales = new Float32Array(8);
const TRIES = 7;

/** Index of the nearest value of the table; a tie goes to the larger. */
export function nonlinearIndex(x: number): number {
  if (x <= NONLINEAR[0]!) return 0;
  if (x >= NONLINEAR[15]!) return 15;
  let low = 0;
  let high = 15;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (x < NONLINEAR[middle]!) high = middle;
    else low = middle;
  }
  return f(x - NONLINEAR[high - 1]!) < f(NONLINEAR[high]! - x) ? high - 1 : high;
}

/** The scale of 32 values that fits the table best. */
function searchScale(x: Float32Array, at: number): number {
  let amax = 0;
  let extreme = 0;
  for (let j = at; j < at + 32; j += 1) {
    if (Math.abs(x[j]!) > amax) {
      amax = Math.abs(x[j]!);
      extreme = x[j]!;
    }
  }
  if (amax < f(1e-15)) return 0;
  let sumQX = 0;
  let sumQ2 = 0;
  const sums = (inverse: number): void => {
    sumQX = 0;
    sumQ2 = 0;
    for (let j = 0; j < 32; j += 1) {
      const q = NONLINEAR[nonlinearIndex(f(inverse * x[at + j]!))]!;
      const wq = f(weights[j]! * q);
      sumQX = f(sumQX + f(wq * x[at + j]!));
      sumQ2 = f(sumQ2 + f(wq * q));
    }
  };
  sums(f(1 / f(-extreme / NONLINEAR[0]!)));
  let d = sumQ2 > 0 ? f(sumQX / sumQ2) : 0;
  let best = f(d * sumQX);
  for (let index = -TRIES; index <= TRIES; index += 1) {
    sums(f((index + NONLINEAR[0]!) / extreme));
    if (sumQ2 > 0 && f(sumQX * sumQX) > f(best * sumQ2)) {
      d = f(sumQX / sumQ2);
      best = f(d * sumQX);
    }
  }
  return d;
}

/** Scales of a super-block into {@link scales}. @returns the one of largest magnitude */
function searchScales(x: Float32Array, at: number, size: number, importance: Float32Array | null): number {
  const sigma2 = f(sumOfSquares(size, x, at) * f(2 / size));
  let amax = 0;
  let extreme = 0;
  for (let block = 0; block < size / 32; block += 1) {
    const first = at + 32 * block;
    if (importance) importanceWeights(32, x, first, importance, first, sigma2, weights);
    else for (let j = 0; j < 32; j += 1) weights[j] = x[first + j]! * x[first + j]!;
    const d = scales[block] = searchScale(x, first);
    if (Math.abs(d) > amax) {
      amax = Math.abs(d);
      extreme = d;
    }
  }
  return extreme;
}

function putNibbles(out: Uint8Array, to: number, first: number): void {
  for (let j = 0; j < 16; j += 1) out[to + j] = codes[first + j]! | (codes[first + 16 + j]! << 4);
}

export const encodeIq4Nl: RowEncoder = (x, importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 32, to += 18) {
    searchScales(x, at, 32, importance);
    const d = scales[0]!;
    putHalf(out, to, d);
    const inverse = d ? f(1 / d) : 0;
    for (let j = 0; j < 32; j += 1) codes[j] = nonlinearIndex(f(inverse * x[at + j]!));
    putNibbles(out, to + 2, 0);
  }
};

export const encodeIq4Xs: RowEncoder = (x, importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 256, to += 136) {
    out.fill(0, to, to + 8);
    const d = f(-searchScales(x, at, 256, importance) / 32);
    putHalf(out, to, d);
    const inverse = d ? f(1 / d) : 0;
    let high = 0;
    for (let block = 0; block < 8; block += 1) {
      const l = Math.max(-32, Math.min(31, nearest(f(inverse * scales[block]!))));
      const dl = f(d * l);
      const byScale = dl ? f(1 / dl) : 0;
      for (let j = 32 * block; j < 32 * block + 32; j += 1) codes[j] = nonlinearIndex(f(byScale * x[at + j]!));
      out[to + 4 + (block >> 1)]! |= ((l + 32) & 15) << (4 * (block & 1));
      high |= ((l + 32) >> 4) << (2 * block);
      putNibbles(out, to + 8 + 16 * block, 32 * block);
    }
    out[to + 2] = high & 0xff;
    out[to + 3] = high >> 8;
  }
};
