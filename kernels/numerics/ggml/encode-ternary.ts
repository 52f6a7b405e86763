/** Encoders of TQ1_0 and TQ2_0: the largest magnitude is the scale, values round to -1, 0 or 1. Byte for byte what ggml writes. */
import type { RowEncoder } from './block-codec';
import { roundAway } from './encode-simple';
import { putHalf } from './half';

const f = Math.fround;
const trits = new Uint8Array(256);

/** Scale of 256 values into `out` at `to`; the values, 0 to 2, into {@link trits}. */
function ternary(x: Float32Array, at: number, out: Uint8Array, to: number): void {
  let amax = 0;
  for (let j = at; j < at + 256; j += 1) amax = Math.max(amax, Math.abs(x[j]!));
  const inverse = amax ? f(1 / amax) : 0;
  putHalf(out, to, amax);
  for (let j = 0; j < 256; j += 1) trits[j] = roundAway(f(x[at + j]! * inverse)) + 1;
}

/** Five digits of base 3 as the byte whose fraction of 256 they are, rounded up. */
function pack(first: number, step: number, digits: number): number {
  let n = 0;
  for (let digit = 0; digit < 5; digit += 1) n = 3 * n + (digit < digits ? trits[first + digit * step]! : 0);
  return Math.floor((n * 256 + 242) / 243);
}

export const encodeTq1_0: RowEncoder = (x, _importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 256, to += 54) {
    ternary(x, at, out, to + 52);
    for (let m = 0; m < 32; m += 1) out[to + m] = pack(m, 32, 5);
    for (let m = 0; m < 16; m += 1) out[to + 32 + m] = pack(160 + m, 16, 5);
    for (let m = 0; m < 4; m += 1) out[to + 48 + m] = pack(240 + m, 4, 4);
  }
};

export const encodeTq2_0: RowEncoder = (x, _importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 256, to += 66) {
    ternary(x, at, out, to + 64);
    for (let run = 0; run < 2; run += 1) {
      for (let m = 0; m < 32; m += 1) {
        const first = 128 * run + m;
        out[to + 32 * run + m] = trits[first]! | (trits[first + 32]! << 2) | (trits[first + 64]! << 4) | (trits[first + 96]! << 6);
      }
    }
  }
};
