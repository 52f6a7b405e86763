/** Encoders of the types that decode-simple.ts decodes. Without importance they are closed forms: byte for byte what ggml writes. */
import type { RowEncoder } from './block-codec';
import { affineSearch, foundMinimum, symmetricSearch } from '../../wasm/search';
import { importanceWeights, nearest, sumOfSquares, type AffineSteps } from './encode-search';
import { putHalf } from './half';

const f = Math.fround;
const codes = new Int32Array(256);
const weights = new Float32Array(256);
/** The steps that ggml tries where there is importance. */
export const WITH_IMPORTANCE: AffineSteps = { least: -0.9, step: 0.05, count: 36, absolute: false };

/** The nearest integer, ties away from zero. */
export const roundAway = (x: number): number => (x < 0 ? -Math.floor(0.5 - x) : Math.floor(x + 0.5));

/** Codes of 32 values to nibbles j and j + 16, with the fifth bits apart when there are any. */
function putNibbles(out: Uint8Array, at: number, high: number): void {
  let bits = 0;
  for (let j = 0; j < 16; j += 1) {
    out[at + j] = (codes[j]! & 15) | ((codes[j + 16]! & 15) << 4);
    bits |= ((codes[j]! & 16) >> 4) << j;
    bits |= ((codes[j + 16]! & 16) >> 4) << (j + 16);
  }
  if (high >= 0) for (let i = 0; i < 4; i += 1) out[high + i] = (bits >>> (8 * i)) & 0xff;
}

/** Q4_0 and Q5_0: the value of largest magnitude becomes the lowest code. */
function symmetric(most: number, bytes: number): RowEncoder {
  const codesAt = bytes - 16;
  const high = most === 16 ? 2 : -1;
  return (x, importance, out) => {
    const sigma2 = importance ? f(sumOfSquares(x.length, x, 0) / x.length) : 0;
    for (let at = 0, to = 0; at < x.length; at += 32, to += bytes) {
      if (importance) {
        importanceWeights(32, x, at, importance, at, sigma2, weights);
        putHalf(out, to, symmetricSearch(32, most, x, at, codes, 0, weights, 0));
      } else {
        let amax = 0;
        let extreme = 0;
        for (let j = at; j < at + 32; j += 1) {
          const a = Math.abs(x[j]!);
          if (amax < a) {
            amax = a;
            extreme = x[j]!;
          }
        }
        const d = f(extreme / -most);
        const inverse = d ? f(1 / d) : 0;
        putHalf(out, to, d);
        for (let j = 0; j < 32; j += 1) codes[j] = Math.min(2 * most - 1, Math.trunc(f(f(x[at + j]! * inverse) + (most + 0.5))));
      }
      putNibbles(out, to + codesAt, high < 0 ? -1 : to + high);
    }
  };
}

export const encodeQ4_0 = symmetric(8, 18);
export const encodeQ5_0 = symmetric(16, 22);

/** Q4_1 and Q5_1: codes run from the smallest to the largest value. */
function affine(most: number, bytes: number): RowEncoder {
  const codesAt = bytes - 16;
  const high = most === 31 ? 4 : -1;
  return (x, importance, out) => {
    const sigma2 = importance ? f(sumOfSquares(x.length, x, 0) / x.length) : 0;
    for (let at = 0, to = 0; at < x.length; at += 32, to += bytes) {
      if (importance) {
        importanceWeights(32, x, at, importance, at, sigma2, weights);
        putHalf(out, to, affineSearch(32, most, x, at, weights, 0, codes, 0, WITH_IMPORTANCE));
        putHalf(out, to + 2, -foundMinimum);
      } else {
        let minimum = 3.4028234663852886e38;
        let maximum = -minimum;
        for (let j = at; j < at + 32; j += 1) {
          if (x[j]! < minimum) minimum = x[j]!;
          if (x[j]! > maximum) maximum = x[j]!;
        }
        const d = f(f(maximum - minimum) / most);
        const inverse = d ? f(1 / d) : 0;
        putHalf(out, to, d);
        putHalf(out, to + 2, minimum);
        for (let j = 0; j < 32; j += 1) codes[j] = Math.min(most, Math.trunc(f(f(f(x[at + j]! - minimum) * inverse) + 0.5)));
      }
      putNibbles(out, to + codesAt, high < 0 ? -1 : to + high);
    }
  };
}

export const encodeQ4_1 = affine(15, 20);
export const encodeQ5_1 = affine(31, 24);

function absoluteMaximum(x: Float32Array, at: number, count: number): number {
  let amax = 0;
  for (let j = at; j < at + count; j += 1) amax = Math.max(amax, Math.abs(x[j]!));
  return amax;
}

export const encodeQ8_0: RowEncoder = (x, _importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 32, to += 34) {
    const d = f(absoluteMaximum(x, at, 32) / 127);
    const inverse = d ? f(1 / d) : 0;
    putHalf(out, to, d);
    for (let j = 0; j < 32; j += 1) out[to + 2 + j] = roundAway(f(x[at + j]! * inverse)) & 0xff;
  }
};

export const encodeQ8_1: RowEncoder = (x, _importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 32, to += 36) {
    const d = f(absoluteMaximum(x, at, 32) / 127);
    const inverse = d ? f(1 / d) : 0;
    putHalf(out, to, d);
    let sum = 0;
    for (let j = 0; j < 32; j += 1) {
      const q = roundAway(f(x[at + j]! * inverse));
      sum += q;
      out[to + 4 + j] = q & 0xff;
    }
    putHalf(out, to + 2, f(sum * d));
  }
};

export const encodeQ8_K: RowEncoder = (x, _importance, out) => {
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  for (let at = 0, to = 0; at < x.length; at += 256, to += 292) {
    let amax = 0;
    let extreme = 0;
    for (let j = at; j < at + 256; j += 1) {
      if (Math.abs(x[j]!) > amax) {
        amax = Math.abs(x[j]!);
        extreme = x[j]!;
      }
    }
    const inverse = amax ? f(-127 / extreme) : 0;
    view.setFloat32(to, inverse ? f(1 / inverse) : 0, true);
    for (let group = 0; group < 16; group += 1) {
      let sum = 0;
      for (let j = 16 * group; j < 16 * group + 16; j += 1) {
        const q = Math.min(127, nearest(f(inverse * x[at + j]!)));
        sum += q;
        out[to + 4 + j] = q & 0xff;
      }
      view.setInt16(to + 260 + 2 * group, sum, true);
    }
  }
};

/** The mean magnitude and the signs; zero counts as positive. */
export const encodeQ1_0: RowEncoder = (x, _importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 128, to += 18) {
    let sum = 0;
    for (let j = at; j < at + 128; j += 1) sum = f(sum + Math.abs(x[j]!));
    putHalf(out, to, f(sum / 128));
    for (let byte = 0; byte < 16; byte += 1) {
      let bits = 0;
      for (let j = 0; j < 8; j += 1) if (x[at + 8 * byte + j]! >= 0) bits |= 1 << j;
      out[to + 2 + byte] = bits;
    }
  }
};

/** The largest magnitude is the scale. The code 3 (twice the scale) is never needed. */
export const encodeQ2_0: RowEncoder = (x, _importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 64, to += 18) {
    const d = absoluteMaximum(x, at, 64);
    const inverse = d > 0 ? f(1 / d) : 0;
    putHalf(out, to, d);
    for (let byte = 0; byte < 16; byte += 1) {
      let bits = 0;
      for (let j = 0; j < 4; j += 1) bits |= Math.max(0, Math.min(3, roundAway(f(x[at + 4 * byte + j]! * inverse)) + 1)) << (2 * j);
      out[to + 2 + byte] = bits;
    }
  }
};
