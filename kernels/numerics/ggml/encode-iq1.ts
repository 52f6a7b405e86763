/**
 * Encoders of IQ1_S and IQ1_M, following ggml in float32: the values of a block are sorted and all ways to split them into -1, 0
 * and 1, with the shift up or down, are scored; then each eight are projected onto the code book.
 */
import type { RowEncoder } from './block-codec';
import { IQ1_DELTA } from './decode-iq';
import { importanceWeights, nearest, sumOfSquares } from './encode-search';
import { gridSearch } from './grid-search';
import { putHalf } from './half';

const f = Math.fround;
const UP: readonly number[] = [-1 + IQ1_DELTA, IQ1_DELTA, 1 + IQ1_DELTA];
const DOWN: readonly number[] = [-1 - IQ1_DELTA, -IQ1_DELTA, 1 - IQ1_DELTA];

const weights = new Float32Array(32);
const codes = new Int32Array(32);
const entries = new Int32Array(4);
const scales = new Float32Array(16);
const shifts = new Int32Array(16);
const sumX = new Float32Array(33);
const sumW = new Float32Array(33);

/** Places of a block's values, smallest first; equal values keep their order. */
function sorted(x: Float32Array, at: number, size: number): number[] {
  return Array.from({ length: size }, (_, i) => i).sort((a, b) => x[at + a]! - x[at + b]! || a - b);
}

function largestOf(x: Float32Array, at: number, size: number): number {
  let largest = 0;
  for (let i = at; i < at + size; i += 1) largest = Math.max(largest, Math.abs(x[i]!));
  return largest;
}

function takeWeights(x: Float32Array, at: number, size: number, importance: Float32Array | null, sigma2: number): void {
  if (importance) importanceWeights(size, x, at, importance, at, sigma2, weights);
  else for (let i = 0; i < size; i += 1) weights[i] = x[at + i]! * x[at + i]!;
}

/** Codes from the two borders in the sorted order. */
function split(order: readonly number[], first: number, second: number): void {
  order.forEach((place, j) => { codes[place] = j < first ? 0 : j < second ? 1 : 2; });
}

/** Projects each eight codes onto the grid; the scale is fitted again where they were not on it. */
function projectAll(x: Float32Array, at: number, size: number, scale: number, levels: (group: number) => readonly number[]): number {
  const grid = gridSearch('IQ1_S', 3);
  let all = true;
  for (let k = 0; k < size / 8; k += 1) {
    let entry = grid.find(codes, 8 * k);
    if (entry < 0) {
      all = false;
      entry = grid.project(codes, 8 * k, x, at + 8 * k, weights, 8 * k, scale, levels(k));
    }
    entries[k] = entry;
  }
  if (all) return scale;
  let sumQX = 0;
  let sumQ2 = 0;
  for (let i = 0; i < size; i += 1) {
    const q = levels(i >> 3)[grid.levels[entries[i >> 3]! * 8 + (i & 7)]!]!;
    const wq = f(weights[i]! * q);
    sumQX = f(sumQX + f(wq * x[at + i]!));
    sumQ2 = f(sumQ2 + f(wq * q));
  }
  return sumQX > 0 && sumQ2 > 0 ? f(sumQX / sumQ2) : scale;
}

/** Best split of 32 values by prefix sums. @returns scale, or 0; codes in {@link codes}, 1 or -1 for the shift */
function splitOf32(x: Float32Array, at: number): { scale: number; shift: number } {
  const order = sorted(x, at, 32);
  for (let j = 0; j < 32; j += 1) {
    const i = order[j]!;
    sumX[j + 1] = sumX[j]! + f(weights[i]! * x[at + i]!);
    sumW[j + 1] = sumW[j]! + weights[i]!;
  }
  let best = -3.4028234663852886e38;
  let scale = 0;
  let [first, second, shift] = [-1, -1, 0];
  for (let i1 = 0; i1 <= 32; i1 += 1) {
    for (let i2 = i1; i2 <= 32; i2 += 1) {
      const [xa, xb, xc] = [f(sumX[i1]! - sumX[0]!), f(sumX[i2]! - sumX[i1]!), f(sumX[32]! - sumX[i2]!)];
      const [wa, wb, wc] = [f(sumW[i1]! - sumW[0]!), f(sumW[i2]! - sumW[i1]!), f(sumW[32]! - sumW[i2]!)];
      for (let sign = 1; sign >= -1; sign -= 2) {
        const levels = sign === 1 ? UP : DOWN;
        const sumQX = f(f(f(xa * levels[0]!) + f(xb * levels[1]!)) + f(xc * levels[2]!));
        const sumQ2 = f(f(f(f(wa * levels[0]!) * levels[0]!) + f(f(wb * levels[1]!) * levels[1]!)) + f(f(wc * levels[2]!) * levels[2]!));
        if (sumQ2 > 0 && f(sumQX * sumQX) > f(best * sumQ2)) {
          scale = f(sumQX / sumQ2);
          best = f(scale * sumQX);
          [first, second, shift] = [i1, i2, sign];
        }
      }
    }
  }
  if (shift === 0) return { scale: 0, shift: 1 };
  split(order, first, second);
  return { scale, shift };
}

export const encodeIq1S: RowEncoder = (x, importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 256, to += 50) {
    out.fill(0, to, to + 50);
    const sigma2 = f(f(2 * sumOfSquares(256, x, at)) / 256);
    const words = new Uint16Array(8);
    let largest = 0;
    for (let block = 0; block < 8; block += 1) {
      const start = at + 32 * block;
      takeWeights(x, start, 32, importance, sigma2);
      scales[block] = 0;
      shifts[block] = 1;
      if (largestOf(x, start, 32) < f(1e-12)) continue;
      let { scale, shift } = splitOf32(x, start);
      if (scale === 0) continue;
      if (scale < 0) {
        for (let j = 0; j < 32; j += 1) codes[j] = 2 - codes[j]!;
        scale = -scale;
        shift = -shift;
      }
      const levels = shift === 1 ? UP : DOWN;
      scale = projectAll(x, start, 32, scale, () => levels);
      for (let k = 0; k < 4; k += 1) {
        out[to + 2 + 4 * block + k] = entries[k]! & 0xff;
        words[block]! |= (entries[k]! >> 8) << (3 * k);
      }
      scales[block] = scale;
      shifts[block] = shift;
      largest = Math.max(largest, scale);
    }
    if (largest === 0) continue;
    const d = f(largest / 15);
    // A factor found by ggml's authors.
    putHalf(out, to, f(d * 1.125));
    for (let block = 0; block < 8; block += 1) {
      const code = Math.max(0, Math.min(7, nearest(f(0.5 * f(f(f(1 / d) * scales[block]!) - 1)))));
      const word = words[block]! | ((code | (shifts[block] === -1 ? 8 : 0)) << 12);
      out[to + 34 + 2 * block] = word & 0xff;
      out[to + 35 + 2 * block] = word >> 8;
    }
  }
};

const sumsQX = new Float32Array(4);
const sumsQ2 = new Float32Array(4);

/** Adds a value with code `level` to the sums of the four ways to shift the halves of a block: up up, up down, down up, down down. */
function addTo(qx: Float32Array, q2: Float32Array, i: number, level: number, value: number): void {
  const [up, down] = [UP[level]!, DOWN[level]!];
  const [wu, wd] = [f(weights[i]! * up), f(weights[i]! * down)];
  const [xu, xd, qu, qd] = [f(wu * value), f(wd * value), f(wu * up), f(wd * down)];
  for (let k = 0; k < 4; k += 1) {
    const isUp = i < 8 ? k < 2 : k % 2 === 0;
    qx[k] = qx[k]! + (isUp ? xu : xd);
    q2[k] = q2[k]! + (isUp ? qu : qd);
  }
}

/** Best split of 16 values. @returns scale, or 0; codes in {@link codes}, and which of the four ways to shift */
function splitOf16(x: Float32Array, at: number): { scale: number; way: number } {
  const order = sorted(x, at, 16);
  const [headQX, headQ2, midQX, midQ2] = [new Float32Array(4), new Float32Array(4), new Float32Array(4), new Float32Array(4)];
  let best = -3.4028234663852886e38;
  let scale = 0;
  let [first, second, way] = [-1, -1, -1];
  for (let i1 = 0; i1 <= 16; i1 += 1) {
    midQX.set(headQX);
    midQ2.set(headQ2);
    for (let i2 = i1; i2 <= 16; i2 += 1) {
      sumsQX.set(midQX);
      sumsQ2.set(midQ2);
      for (let j = i2; j < 16; j += 1) addTo(sumsQX, sumsQ2, order[j]!, 2, x[at + order[j]!]!);
      for (let k = 0; k < 4; k += 1) {
        if (sumsQ2[k]! > 0 && f(sumsQX[k]! * sumsQX[k]!) > f(best * sumsQ2[k]!)) {
          scale = f(sumsQX[k]! / sumsQ2[k]!);
          best = f(scale * sumsQX[k]!);
          [first, second, way] = [i1, i2, k];
        }
      }
      if (i2 < 16) addTo(midQX, midQ2, order[i2]!, 1, x[at + order[i2]!]!);
    }
    if (i1 < 16) addTo(headQX, headQ2, order[i1]!, 0, x[at + order[i1]!]!);
  }
  if (way < 0) return { scale: 0, way: 0 };
  split(order, first, second);
  return { scale, way };
}

/** The levels of a half of a block for a way to shift. */
const levelsOf = (way: number) => (half: number): readonly number[] => ((half === 0 ? way < 2 : way % 2 === 0) ? UP : DOWN);

export const encodeIq1M: RowEncoder = (x, importance, out) => {
  const grid = gridSearch('IQ1_S', 3);
  const half = new Uint8Array(2);
  for (let at = 0, to = 0; at < x.length; at += 256, to += 56) {
    out.fill(0, to, to + 56);
    const sigma2 = f(f(2 * sumOfSquares(256, x, at)) / 256);
    let largest = 0;
    for (let block = 0; block < 16; block += 1) {
      const start = at + 16 * block;
      takeWeights(x, start, 16, importance, sigma2);
      scales[block] = 0;
      shifts[block] = 0;
      if (largestOf(x, start, 16) < f(1e-7)) continue;
      let { scale, way } = splitOf16(x, start);
      if (scale === 0) continue;
      if (scale < 0) {
        for (let j = 0; j < 16; j += 1) codes[j] = 2 - codes[j]!;
        scale = -scale;
        way = 3 - way;
      }
      scale = projectAll(x, start, 16, scale, levelsOf(way));
      out[to + 2 * block] = entries[0]! & 0xff;
      out[to + 2 * block + 1] = entries[1]! & 0xff;
      out[to + 32 + block] = (entries[0]! >> 8) | ((entries[1]! >> 8) << 4);
      scales[block] = scale;
      shifts[block] = way;
      largest = Math.max(largest, scale);
    }
    if (largest === 0) continue;
    let d = f(largest / 15);
    const inverse = f(1 / d);
    const words = new Uint16Array(4);
    let sumQX = 0;
    let sumQ2 = 0;
    for (let block = 0; block < 16; block += 1) {
      const start = at + 16 * block;
      const code = Math.max(0, Math.min(7, nearest(f(0.5 * f(f(inverse * scales[block]!) - 1)))));
      words[block >> 2]! |= code << (3 * (block & 3));
      const high = out[to + 32 + block]!;
      out[to + 32 + block] = high | (shifts[block]! & 1 ? 0x80 : 0) | (shifts[block]! & 2 ? 0x08 : 0);
      takeWeights(x, start, 16, importance, sigma2);
      for (let i = 0; i < 16; i += 1) {
        const k = i >> 3;
        const entry = out[to + 2 * block + k]! | (((high >> (4 * k)) & 7) << 8);
        const q = f(levelsOf(shifts[block]!)(k)[grid.levels[entry * 8 + (i & 7)]!]! * (2 * code + 1));
        const wq = f(weights[i]! * q);
        sumQX = f(sumQX + f(wq * x[start + i]!));
        sumQ2 = f(sumQ2 + f(wq * q));
      }
    }
    if (sumQ2 > 0) d = f(sumQX / sumQ2);
    // A factor found by ggml's authors. The half float's four nibbles lie in the top of the four words of scales.
    putHalf(half, 0, f(d * f(1.1125)));
    const bits = half[0]! | (half[1]! << 8);
    for (let i = 0; i < 4; i += 1) {
      const word = words[i]! | (((bits >> (4 * i)) & 15) << 12);
      out[to + 48 + 2 * i] = word & 0xff;
      out[to + 49 + 2 * i] = word >> 8;
    }
  }
};
