/** Encoders of the K-quants, following ggml step by step in float32: with and without importance the bytes are ggml's. */
import type { RowEncoder } from './block-codec';
import { minimum6, q3Scale, scale6 } from './decode-k';
import { affineSearch, foundMinimum, symmetricSearch } from '../../wasm/search';
import { coordinateSearch, importanceWeights, nearest, positiveSearch, sumOfSquares, type AffineSteps } from './encode-search';
import { WITH_IMPORTANCE } from './encode-simple';
import { putHalf } from './half';

const f = Math.fround;
const codes = new Int32Array(256);
const weights = new Float32Array(32);
const scales = new Float32Array(16);
const minima = new Float32Array(16);
const sums = new Float32Array(16);
const scaleCodes = new Int32Array(16);
const minimumCodes = new Int32Array(16);
const clamp = (x: number, low: number, high: number): number => Math.max(low, Math.min(high, x));

/** Adds the weights of a block in float32. */
function sumOf(count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i += 1) sum = f(sum + weights[i]!);
  return sum;
}

/** Codes again, with the scale and minimum as they are stored: code = (x + minimum) / scale. */
function again(x: Float32Array, at: number, block: number, size: number, d: number, m: number, most: number): void {
  if (!d) return;
  for (let i = 0; i < size; i += 1) codes[block * size + i] = clamp(nearest(f(f(x[at + block * size + i]! + m) / d)), 0, most);
}

/** Four 2-bit codes a byte: 32 values apart, in halves of 128. */
function putTwoBits(out: Uint8Array, to: number): void {
  for (let half = 0; half < 2; half += 1) {
    for (let l = 0; l < 32; l += 1) {
      const first = 128 * half + l;
      out[to + 32 * half + l] = codes[first]! | (codes[first + 32]! << 2) | (codes[first + 64]! << 4) | (codes[first + 96]! << 6);
    }
  }
}

const Q2_STEPS: AffineSteps = { least: -0.5, step: 0.1, count: 15, absolute: true };

export const encodeQ2_K: RowEncoder = (x, importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 256, to += 84) {
    const sigma2 = importance ? f(sumOfSquares(256, x, at) / 256) : 0;
    let largestScale = 0;
    let largestMinimum = 0;
    for (let j = 0; j < 16; j += 1) {
      const first = at + 16 * j;
      if (importance) importanceWeights(16, x, first, importance, first, sigma2, weights);
      else for (let l = 0; l < 16; l += 1) weights[l] = Math.abs(x[first + l]!);
      sums[j] = sumOf(16);
      scales[j] = affineSearch(16, 3, x, first, weights, 0, codes, 16 * j, importance ? WITH_IMPORTANCE : Q2_STEPS);
      minima[j] = foundMinimum;
      largestScale = Math.max(largestScale, scales[j]!);
      largestMinimum = Math.max(largestMinimum, minima[j]!);
    }
    let d: number;
    let dmin: number;
    if (importance) {
      d = putHalf(out, to + 80, positiveSearch(16, 15, scales, scaleCodes, sums));
      dmin = putHalf(out, to + 82, positiveSearch(16, 15, minima, minimumCodes, sums));
    } else {
      const byScale = largestScale > 0 ? f(15 / largestScale) : 0;
      const byMinimum = largestMinimum > 0 ? f(15 / largestMinimum) : 0;
      for (let j = 0; j < 16; j += 1) {
        scaleCodes[j] = nearest(f(byScale * scales[j]!));
        minimumCodes[j] = nearest(f(byMinimum * minima[j]!));
      }
      d = putHalf(out, to + 80, f(largestScale / 15));
      dmin = putHalf(out, to + 82, f(largestMinimum / 15));
    }
    for (let j = 0; j < 16; j += 1) {
      const scale = scaleCodes[j]! & 15;
      const minimum = minimumCodes[j]! & 15;
      out[to + j] = scale | (minimum << 4);
      again(x, at, j, 16, d * scale, dmin * minimum, 3);
    }
    putTwoBits(out, to + 16);
  }
};

export const encodeQ3_K: RowEncoder = (x, importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 256, to += 110) {
    const sigma2 = importance ? f(f(2 * sumOfSquares(256, x, at)) / 256) : 0;
    let amax = 0;
    let extreme = 0;
    for (let j = 0; j < 16; j += 1) {
      const first = at + 16 * j;
      if (importance) {
        importanceWeights(16, x, first, importance, first, sigma2, weights);
        sums[j] = sumOf(16);
        scales[j] = symmetricSearch(16, 4, x, first, codes, 16 * j, weights, 0);
      } else {
        scales[j] = coordinateSearch(16, 4, x, first, codes, 16 * j);
        if (Math.abs(scales[j]!) > amax) {
          amax = Math.abs(scales[j]!);
          extreme = scales[j]!;
        }
      }
    }
    let d = 0;
    if (importance) d = symmetricSearch(16, 32, scales, 0, scaleCodes, 0, sums, 0);
    else if (extreme) {
      const inverse = f(-32 / extreme);
      for (let j = 0; j < 16; j += 1) scaleCodes[j] = clamp((nearest(f(inverse * scales[j]!)) << 24) >> 24, -32, 31) + 32;
      d = f(1 / inverse);
    } else scaleCodes.fill(0);
    out.fill(0, to, to + 32);
    out.fill(0, to + 96, to + 108);
    d = putHalf(out, to + 108, d);
    for (let j = 0; j < 16; j += 1) {
      const l = scaleCodes[j]!;
      out[to + 96 + (j & 7)]! |= (l & 15) << (j < 8 ? 0 : 4);
      out[to + 104 + (j & 3)]! |= (l >> 4) << (2 * (j >> 2));
    }
    for (let j = 0; j < 16; j += 1) {
      const dl = d * (q3Scale(out, to + 96, j) - 32);
      if (!dl) continue;
      for (let i = 16 * j; i < 16 * j + 16; i += 1) codes[i] = clamp(nearest(f(x[at + i]! / dl)), -4, 3) + 4;
    }
    for (let j = 0; j < 256; j += 1) {
      if (codes[j]! > 3) {
        out[to + (j & 31)]! |= 1 << (j >> 5);
        codes[j]! -= 4;
      }
    }
    putTwoBits(out, to + 32);
  }
};

/** Eight pairs of six bits in twelve bytes. */
function putPairs(out: Uint8Array, to: number): void {
  for (let j = 0; j < 4; j += 1) {
    out[to + j] = (scaleCodes[j]! & 63) | ((scaleCodes[j + 4]! & 48) << 2);
    out[to + j + 4] = (minimumCodes[j]! & 63) | ((minimumCodes[j + 4]! & 48) << 2);
    out[to + j + 8] = (scaleCodes[j + 4]! & 15) | ((minimumCodes[j + 4]! & 15) << 4);
  }
}

const Q4_STEPS: AffineSteps = { least: -1, step: 0.1, count: 20, absolute: false };
const Q5_STEPS: AffineSteps = { least: -0.5, step: 0.1, count: 15, absolute: false };

/** Q4_K and Q5_K up to the codes. */
function pairs(x: Float32Array, at: number, importance: Float32Array | null, out: Uint8Array, to: number, most: number): void {
  const sigma2 = importance ? f(f(2 * sumOfSquares(256, x, at)) / 256) : 0;
  let largestScale = 0;
  let largestMinimum = 0;
  for (let j = 0; j < 8; j += 1) {
    const first = at + 32 * j;
    if (importance) importanceWeights(32, x, first, importance, first, sigma2, weights);
    else {
      const mean = f(Math.sqrt(f(sumOfSquares(32, x, first) / 32)));
      for (let l = 0; l < 32; l += 1) weights[l] = mean + Math.abs(x[first + l]!);
    }
    sums[j] = sumOf(32);
    scales[j] = affineSearch(32, most, x, first, weights, 0, codes, 32 * j, importance ? WITH_IMPORTANCE : most === 15 ? Q4_STEPS : Q5_STEPS);
    minima[j] = foundMinimum;
    largestScale = Math.max(largestScale, scales[j]!);
    largestMinimum = Math.max(largestMinimum, minima[j]!);
  }
  let d: number;
  let dmin: number;
  if (importance) {
    d = positiveSearch(8, 63, scales, scaleCodes, sums);
    dmin = positiveSearch(8, 63, minima, minimumCodes, sums);
  } else {
    const byScale = largestScale > 0 ? f(63 / largestScale) : 0;
    const byMinimum = largestMinimum > 0 ? f(63 / largestMinimum) : 0;
    for (let j = 0; j < 8; j += 1) {
      scaleCodes[j] = Math.min(63, nearest(f(byScale * scales[j]!)) & 0xff);
      minimumCodes[j] = Math.min(63, nearest(f(byMinimum * minima[j]!)) & 0xff);
    }
    d = f(largestScale / 63);
    dmin = f(largestMinimum / 63);
  }
  d = putHalf(out, to, d);
  dmin = putHalf(out, to + 2, dmin);
  putPairs(out, to + 4);
  for (let j = 0; j < 8; j += 1) again(x, at, j, 32, d * scale6(out, to + 4, j), dmin * minimum6(out, to + 4, j), most);
}

export const encodeQ4_K: RowEncoder = (x, importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 256, to += 144) {
    pairs(x, at, importance, out, to, 15);
    for (let j = 0; j < 128; j += 1) {
      const first = 64 * (j >> 5) + (j & 31);
      out[to + 16 + j] = codes[first]! | (codes[first + 32]! << 4);
    }
  }
};

export const encodeQ5_K: RowEncoder = (x, importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 256, to += 176) {
    pairs(x, at, importance, out, to, 31);
    out.fill(0, to + 16, to + 48);
    for (let j = 0; j < 128; j += 1) {
      const block = 2 * (j >> 5);
      const first = 32 * block + (j & 31);
      out[to + 48 + j] = (codes[first]! & 15) | ((codes[first + 32]! & 15) << 4);
      out[to + 16 + (j & 31)]! |= ((codes[first]! >> 4) << block) | ((codes[first + 32]! >> 4) << (block + 1));
    }
  }
};

export const encodeQ6_K: RowEncoder = (x, importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 256, to += 210) {
    let amax = 0;
    let extreme = 0;
    for (let j = 0; j < 16; j += 1) {
      scales[j] = symmetricSearch(16, 32, x, at + 16 * j, codes, 16 * j, importance, at + 16 * j);
      if (Math.abs(scales[j]!) > amax) {
        amax = Math.abs(scales[j]!);
        extreme = scales[j]!;
      }
    }
    if (amax < f(1e-15)) {
      out.fill(0, to, to + 210);
      continue;
    }
    const inverse = f(-128 / extreme);
    const d = putHalf(out, to + 208, f(1 / inverse));
    for (let j = 0; j < 16; j += 1) {
      const scale = Math.min(127, nearest(f(inverse * scales[j]!)));
      out[to + 192 + j] = scale & 0xff;
      const dl = d * scale;
      if (!dl) continue;
      for (let i = 16 * j; i < 16 * j + 16; i += 1) codes[i] = clamp(nearest(f(x[at + i]! / dl)), -32, 31) + 32;
    }
    for (let half = 0; half < 2; half += 1) {
      for (let l = 0; l < 32; l += 1) {
        const first = 128 * half + l;
        const [q1, q2, q3, q4] = [codes[first]!, codes[first + 32]!, codes[first + 64]!, codes[first + 96]!];
        out[to + 64 * half + l] = (q1 & 15) | ((q3 & 15) << 4);
        out[to + 64 * half + 32 + l] = (q2 & 15) | ((q4 & 15) << 4);
        out[to + 128 + 32 * half + l] = (q1 >> 4) | ((q2 >> 4) << 2) | ((q3 >> 4) << 4) | ((q4 >> 4) << 6);
      }
    }
  }
};
