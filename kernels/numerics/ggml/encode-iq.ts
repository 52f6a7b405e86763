/**
 * Encoders of the IQ types of two and three bits, following ggml in float32: for each block of 16 or 32 values a scale is
 * searched so that the magnitudes, projected onto the code book, fit best; signs lie apart.
 */
import type { RowEncoder } from './block-codec';
import { importanceWeights, nearest, positiveSearch, sumOfSquares } from './encode-search';
import { gridSearch, type GridSearch } from './grid-search';
import { putHalf } from './half';

const f = Math.fround;
const ODD: readonly number[] = [1, 3, 5, 7, 9, 11, 13, 15];

const weights = new Float32Array(32);
const roots = new Float32Array(32);
const values = new Float32Array(32);
const codes = new Int32Array(32);
const tried = new Int32Array(32);
const signs = new Uint8Array(4);
const onGrid = new Uint8Array(8);
const triedOnGrid = new Uint8Array(8);
const scales = new Float32Array(16);
const positive = new Int32Array(32);

/** Magnitudes of a block into {@link values}, signs into {@link signs}; with `even` the least important value of a group flips where the number of signs is odd. */
function takeSigns(x: Float32Array, at: number, size: number, even: boolean): void {
  for (let k = 0; k < size / 8; k += 1) {
    let bits = 0;
    let count = 0;
    for (let i = 8 * k; i < 8 * k + 8; i += 1) {
      const value = x[at + i]!;
      values[i] = value >= 0 ? value : -value;
      if (!(value >= 0)) {
        count += 1;
        bits |= 1 << (i & 7);
      }
    }
    if (even && count % 2 === 1) {
      let least = Infinity;
      let place = 0;
      for (let i = 0; i < 8; i += 1) {
        const value = x[at + 8 * k + i]!;
        const cost = f(f(weights[8 * k + i]! * value) * value);
        if (cost < least) {
          least = cost;
          place = i;
        }
      }
      values[8 * k + place] = -values[8 * k + place]!;
      bits ^= 1 << place;
    }
    signs[k] = even ? bits & 127 : bits;
  }
}

/** Sums of w x q and w q^2 over a block, q being 2 code + 1. */
let sumQX = 0;
let sumQ2 = 0;
function sums(size: number, of: Int32Array): void {
  sumQX = 0;
  sumQ2 = 0;
  for (let i = 0; i < size; i += 1) {
    const q = 2 * of[i]! + 1;
    sumQX = f(sumQX + f(f(weights[i]! * values[i]!) * q));
    sumQ2 = f(sumQ2 + f(f(weights[i]! * q) * q));
  }
}

/** Codes of one group for an inverse scale, projected onto the grid. @returns whether they were on it */
function group(grid: GridSearch, k: number, most: number, inverse: number, scale: number, into: Int32Array): boolean {
  const first = grid.width * k;
  for (let i = first; i < first + grid.width; i += 1) into[i] = Math.max(0, Math.min(most - 1, nearest(f(0.5 * f(f(inverse * values[i]!) - 1)))));
  if (grid.find(into, first) >= 0) return true;
  grid.project(into, first, values, first, roots, first, scale, ODD);
  return false;
}

interface BlockSearch {
  readonly grid: GridSearch;
  readonly size: number;
  /** Levels of a code. */
  readonly most: number;
  /** Inverse scales tried on each side, and how far apart. */
  readonly tries: number;
  readonly step: number;
  /** A block whose largest magnitude is below this is zero. */
  readonly nothing: number;
  /** Project all groups again with the scale found, not only those that were off the grid. */
  readonly all: boolean;
  /** Start from a search of scales instead of the largest magnitude. */
  readonly searched?: boolean;
}

/** Scale and codes of the block in {@link values}; the signs flip with a negative scale. */
function searchBlock({ grid, size, most, tries, step, nothing, all, searched }: BlockSearch, signMask: number): number {
  codes.fill(0, 0, size);
  let largest = values[0]!;
  for (let i = 1; i < size; i += 1) largest = Math.max(largest, values[i]!);
  if (!(largest > 0) || largest < nothing) return 0;
  const top = 2 * most - 1;
  let scale = f(largest / top);
  if (searched) {
    scale = positiveSearch(size, most + 1, values, positive, weights);
    for (let i = 0; i < size; i += 1) codes[i] = positive[i]!;
    largest = f(scale * most);
    if (largest <= 0) {
      codes.fill(0, 0, size);
      return 0;
    }
  }
  const groups = size / grid.width;
  onGrid.fill(all ? 0 : 1);
  let best = 0;
  for (let index = -tries; index <= tries; index += 1) {
    const inverse = f(f(top + f(index * f(step))) / largest);
    const tryScale = f(1 / inverse);
    for (let k = 0; k < groups; k += 1) triedOnGrid[k] = group(grid, k, most, inverse, tryScale, tried) ? 1 : 0;
    sums(size, tried);
    if (sumQ2 > 0 && f(sumQX * sumQX) > f(best * sumQ2)) {
      scale = f(sumQX / sumQ2);
      best = f(scale * sumQX);
      codes.set(tried.subarray(0, size));
      onGrid.set(triedOnGrid);
    }
  }
  let off = searched === true;
  for (let k = 0; k < groups; k += 1) if (!onGrid[k]) off = true;
  if (off && scale > 0) {
    const inverse = f(1 / scale);
    for (let k = 0; k < groups; k += 1) if (all || !onGrid[k]) group(grid, k, most, inverse, scale, codes);
    sums(size, codes);
    if (sumQ2 > 0) scale = f(sumQX / sumQ2);
  }
  if (scale < 0) {
    scale = -scale;
    for (let k = 0; k < size / 8; k += 1) signs[k] = ~signs[k]! & signMask;
  }
  return scale;
}

/** Weights of a block and their roots. @param plain weight of a value without importance */
function takeWeights(x: Float32Array, at: number, size: number, importance: Float32Array | null, sigma2: number, plain: (value: number) => number): void {
  if (importance) importanceWeights(size, x, at, importance, at, sigma2, weights);
  else for (let i = 0; i < size; i += 1) weights[i] = plain(x[at + i]!);
  for (let i = 0; i < size; i += 1) roots[i] = Math.sqrt(weights[i]!);
}

/** Code 0..most of a block's scale: scales count in odd multiples of d. */
const scaleCode = (inverse: number, scale: number, most: number): number => Math.max(0, Math.min(most, nearest(f(0.5 * f(f(inverse * scale) - 1)))));

const square = (value: number): number => f(value * value);
const putWord = (out: Uint8Array, at: number, word: number): void => { for (let i = 0; i < 4; i += 1) out[at + i] = (word >>> (8 * i)) & 0xff; };

export const encodeIq2Xxs: RowEncoder = (x, importance, out) => {
  const search: BlockSearch = { grid: gridSearch('IQ2_XXS', 2), size: 32, most: 3, tries: 6, step: 0.1, nothing: f(1e-15), all: true, searched: true };
  for (let at = 0, to = 0; at < x.length; at += 256, to += 66) {
    out.fill(0, to, to + 66);
    const sigma2 = f(sumOfSquares(256, x, at) / 256);
    let largest = 0;
    const words = new Uint32Array(8);
    for (let block = 0; block < 8; block += 1) {
      takeWeights(x, at + 32 * block, 32, importance, sigma2, square);
      takeSigns(x, at + 32 * block, 32, true);
      const scale = scales[block] = searchBlock(search, 127);
      if (scale === 0) continue;
      for (let k = 0; k < 4; k += 1) {
        out[to + 2 + 8 * block + k] = Math.max(0, search.grid.find(codes, 8 * k));
        words[block]! |= signs[k]! << (7 * k);
      }
      largest = Math.max(largest, scale);
    }
    if (largest === 0) {
      out.fill(0, to, to + 66);
      continue;
    }
    const d = f(largest / 31);
    putHalf(out, to, d);
    for (let block = 0; block < 8; block += 1) putWord(out, to + 6 + 8 * block, words[block]! | (scaleCode(f(1 / d), scales[block]!, 15) << 28));
  }
};

/** IQ2_XS and IQ2_S: sixteen blocks of 16 values. */
function twoBits(x: Float32Array, importance: Float32Array | null, out: Uint8Array, bytes: number, even: boolean): void {
  const search: BlockSearch = { grid: even ? gridSearch('IQ2_XS', 2) : gridSearch('IQ2_S', 1), size: 16, most: 3, tries: 9, step: 0.1, nothing: f(even ? 1e-15 : 1e-8), all: false };
  for (let at = 0, to = 0; at < x.length; at += 256, to += bytes) {
    out.fill(0, to, to + bytes);
    const sum = sumOfSquares(256, x, at);
    const sigma2 = f((even ? sum : f(2 * sum)) / 256);
    const base = f(0.25 * sigma2);
    let largest = 0;
    for (let block = 0; block < 16; block += 1) {
      takeWeights(x, at + 16 * block, 16, importance, sigma2, even ? square : (value) => f(base + f(value * value)));
      takeSigns(x, at + 16 * block, 16, even);
      const scale = scales[block] = searchBlock(search, even ? 127 : 255);
      if (scale === 0) continue;
      for (let k = 0; k < 2; k += 1) {
        const entry = Math.max(0, search.grid.find(codes, 8 * k));
        const place = 2 * block + k;
        if (even) {
          out[to + 2 + 2 * place] = entry & 0xff;
          out[to + 3 + 2 * place] = (entry >> 8) | (signs[k]! << 1);
        } else {
          out[to + 2 + place] = entry & 0xff;
          out[to + 34 + place] = signs[k]!;
          out[to + 66 + (place >> 2)]! |= (entry >> 8) << (2 * (place & 3));
        }
      }
      largest = Math.max(largest, scale);
    }
    if (largest === 0) {
      if (even) out.fill(0, to, to + bytes);
      continue;
    }
    const d = f(largest / 31);
    putHalf(out, to, even ? d : f(d * f(0.9875)));
    for (let block = 0; block < 16; block += 1) out[to + bytes - 8 + (block >> 1)]! |= scaleCode(f(1 / d), scales[block]!, 15) << (4 * (block & 1));
  }
}

export const encodeIq2Xs: RowEncoder = (x, importance, out) => { twoBits(x, importance, out, 74, true); };
export const encodeIq2S: RowEncoder = (x, importance, out) => { twoBits(x, importance, out, 82, false); };

/** IQ3_XXS and IQ3_S: eight blocks of 32 values in groups of four. */
function threeBits(x: Float32Array, importance: Float32Array | null, out: Uint8Array, bytes: number, even: boolean): void {
  const search: BlockSearch = even
    ? { grid: gridSearch('IQ3_XXS', 2), size: 32, most: 8, tries: 15, step: 0.2, nothing: f(1e-8), all: false }
    : { grid: gridSearch('IQ3_S', 3), size: 32, most: 8, tries: 9, step: 0.2, nothing: 0, all: true };
  for (let at = 0, to = 0; at < x.length; at += 256, to += bytes) {
    out.fill(0, to, to + bytes);
    const sigma2 = f(f(2 * sumOfSquares(256, x, at)) / 256);
    const words = new Uint32Array(8);
    let largest = 0;
    for (let block = 0; block < 8; block += 1) {
      takeWeights(x, at + 32 * block, 32, importance, sigma2, square);
      takeSigns(x, at + 32 * block, 32, even);
      const scale = scales[block] = searchBlock(search, even ? 127 : 255);
      if (scale === 0) continue;
      for (let k = 0; k < 8; k += 1) {
        const entry = Math.max(0, search.grid.find(codes, 4 * k));
        out[to + 2 + 8 * block + k] = entry & 0xff;
        if (!even) out[to + 66 + block]! |= (entry >> 8) << k;
      }
      for (let k = 0; k < 4; k += 1) {
        if (even) words[block]! |= signs[k]! << (7 * k);
        else out[to + 74 + 4 * block + k] = signs[k]!;
      }
      largest = Math.max(largest, scale);
    }
    if (largest === 0) {
      if (even) out.fill(0, to, to + bytes);
      continue;
    }
    const d = f(largest / 31);
    // Factors found by ggml's authors: the codes of the scales round down on average.
    putHalf(out, to, f(d * f(even ? 1.0125 : 1.033)));
    for (let block = 0; block < 8; block += 1) {
      const code = scaleCode(f(1 / d), scales[block]!, 15);
      if (even) putWord(out, to + 66 + 4 * block, words[block]! | (code << 28));
      else out[to + 106 + (block >> 1)]! |= code << (4 * (block & 1));
    }
  }
}

export const encodeIq3Xxs: RowEncoder = (x, importance, out) => { threeBits(x, importance, out, 98, true); };
export const encodeIq3S: RowEncoder = (x, importance, out) => { threeBits(x, importance, out, 110, false); };
