/**
 * Codebooks learned from the weights themselves.
 *
 * - kmeans: 2^b float16 values per channel (or tensor), by Lloyd's iterations from quantiles; no scales.
 * - af (AbnormalFloat style): groups are divided by their absmax, and one codebook of 2^b values for the tensor is learned on all of
 *   them by least absolute error (medians), with -1, 0 and 1 kept.
 * - anyprec (Any-Precision): k-means at 3 bits, then every cluster split in two for each further bit: the code of fewer bits is the
 *   top of the code. Codebooks of all widths are stored.
 *
 * Each weight gets the nearest value (in anyprec: of its cluster's two); ties go down.
 */
import { blockLayout } from './blocks';
import { boundaries, cluster, runMeans } from './clusters';
import { codebookIndex, nearestThresholds } from './codebook';
import { bitsToFloat16, bitsToFloats, float16Bits, floatBits, toFloat16 } from './fields';
import { FormatIdError, type FormatFamily, type NumberFormat, type WeightView } from './format';
import { granularityTitle, parseIdTail, tailText } from './grammar';
import { heldFormat, type FieldValues } from './held-format';


/** Ascending, `count` long: the last value is repeated where fewer were found. */
function filled(values: readonly number[], count: number): Float32Array {
  const ascending = [...values].sort((a, b) => a - b);
  return Float32Array.from({ length: count }, (_, i) => ascending[Math.min(i, ascending.length - 1)] ?? 0);
}

/** Index of the nearest of ascending values, which may repeat. */
function nearestIndex(values: Float32Array): (x: number) => number {
  const thresholds = nearestThresholds(values, 'down', values.map((_, i) => i));
  // Between equal values no threshold may be passed: the first of them is taken.
  for (let i = thresholds.length - 1; i >= 0; i -= 1) if (values[i] === values[i + 1]) thresholds[i] = Infinity;
  return (x) => codebookIndex(thresholds, x);
}

function kmeans(id: string, bits: number, parts: readonly string[]): NumberFormat {
  const { granularity, scaleStorage } = parseIdTail(id, parts);
  if (granularity.kind === 'group' || scaleStorage !== 'f32') throw new FormatIdError(`"${id}": k-means codebooks are per channel or tensor and have no scales`);
  const size = 2 ** bits;
  const encode = (weights: Float32Array, view: WeightView, books: Float32Array): FieldValues => {
    const { count, size: block } = blockLayout(view, granularity);
    const codes = new Uint8Array(weights.length);
    for (let b = 0; b < count; b += 1) {
      const index = nearestIndex(books.subarray(b * size, (b + 1) * size));
      for (let i = b * block; i < (b + 1) * block; i += 1) codes[i] = index(weights[i]!);
    }
    return [codes, float16Bits(books, 'f16')];
  };
  return heldFormat({
    id: `kmeans${bits}-${tailText(granularity, 'f32')}`, family: 'learned', title: `${bits}-bit k-means codebook, ${granularityTitle({ granularity, scaleStorage })}`, catalogue: [],
    codeBits: bits, granularity, holds: granularity.kind === 'tensor' ? 'weight' : 'row', workingBytes: 40,
    traits: { monotone: true, signSymmetric: false, idempotent: true },
    fields: (view) => [
      { name: 'codes', part: 'code', bits, count: view.rows * view.cols },
      { name: 'codebooks', part: 'other', bits: 16, count: blockLayout(view, granularity).count * size },
    ],
    encode: (weights, view, _rule, poll) => {
      const { count, size: block } = blockLayout(view, granularity);
      const books = new Float32Array(count * size);
      for (let b = 0; b < count; b += 1) {
        const sorted = Float64Array.from(weights.subarray(b * block, (b + 1) * block)).sort();
        books.set(filled(cluster(sorted, size, runMeans(sorted), poll).map(toFloat16), size), b * size);
      }
      return encode(weights, view, books);
    },
    encodeLike: (weights, view, like) => encode(weights, view, bitsToFloat16(like[1]!, 'f16')),
    decode: (values, view) => {
      const { size: block } = blockLayout(view, granularity);
      const books = bitsToFloat16(values[1]!, 'f16');
      return Float32Array.from(values[0]!, (code, i) => books[Math.floor(i / block) * size + code]!);
    },
    candidates: (values, view, index) => bitsToFloat16(values[1]!, 'f16').subarray(Math.floor(index / blockLayout(view, granularity).size) * size, (Math.floor(index / blockLayout(view, granularity).size) + 1) * size),
  });
}

function abnormal(id: string, bits: number, parts: readonly string[]): NumberFormat {
  const { granularity, scaleStorage } = parseIdTail(id, parts, { kind: 'group', size: 64 });
  if (granularity.kind === 'tensor' || scaleStorage !== 'f32') throw new FormatIdError(`"${id}": af codebooks belong to the tensor, and scales are float32 per group or channel`);
  const size = 2 ** bits;
  const ratio = (x: number, scale: number): number => Math.fround(x / scale);
  const encode = (weights: Float32Array, view: WeightView, scales: Float32Array, book: Float32Array): FieldValues => {
    const { size: block } = blockLayout(view, granularity);
    const index = nearestIndex(book);
    return [Uint8Array.from(weights, (x, i) => index(ratio(x, scales[Math.floor(i / block)]!))), floatBits(scales), floatBits(book)];
  };
  return heldFormat({
    id: `af${bits}-${tailText(granularity, 'f32')}`, family: 'learned', title: `${bits}-bit learned codebook of the tensor (AbnormalFloat style), ${granularityTitle({ granularity, scaleStorage })}`, catalogue: [],
    codeBits: bits, granularity, holds: 'weight', workingBytes: 40,
    traits: { monotone: true, signSymmetric: false, idempotent: true },
    fields: (view) => [
      { name: 'codes', part: 'code', bits, count: view.rows * view.cols },
      { name: 'scales', part: 'scale', bits: 32, count: blockLayout(view, granularity).count },
      { name: 'codebook', part: 'other', bits: 32, count: size },
    ],
    encode: (weights, view, _rule, poll) => {
      const { count, size: block } = blockLayout(view, granularity);
      const scales = Float32Array.from({ length: count }, (_, b) => {
        let range = 0;
        for (let i = b * block; i < (b + 1) * block; i += 1) range = Math.max(range, Math.abs(weights[i]!));
        return range > 0 ? range : 1;
      });
      const sorted = Float64Array.from(weights, (x, i) => ratio(x, scales[Math.floor(i / block)]!)).sort();
      const kept = [-1, 0, 1];
      const free = cluster(sorted.filter((t) => Math.abs(t) < 1 && t !== 0), size - kept.length, () => 0, poll, 0);
      const book = filled([...free, ...kept], size);
      // Medians of the cells, the three kept values fixed.
      for (let iteration = 0; iteration < 20; iteration += 1) {
        poll();
        const ends = boundaries(sorted, Array.from(book));
        const next = book.map((old, k) => (kept.includes(old) || ends[k]! >= ends[k + 1]! ? old : sorted[(ends[k]! + ends[k + 1]!) >> 1]!)).sort();
        if (next.every((value, k) => value === book[k])) break;
        book.set(next);
      }
      return encode(weights, view, scales, book);
    },
    encodeLike: (weights, view, like) => encode(weights, view, bitsToFloats(like[1]!), bitsToFloats(like[2]!)),
    decode: (values, view) => {
      const { size: block } = blockLayout(view, granularity);
      const [scales, book] = [bitsToFloats(values[1]!), bitsToFloats(values[2]!)];
      return Float32Array.from(values[0]!, (code, i) => Math.fround(book[code]! * scales[Math.floor(i / block)]!));
    },
    candidates: (values, view, index) => {
      const scale = bitsToFloats(values[1]!)[Math.floor(index / blockLayout(view, granularity).size)]!;
      return bitsToFloats(values[2]!).map((value) => Math.fround(value * scale));
    },
  });
}

const SEED_BITS = 3;

/** Where the codebook of `bits` bits begins among those of a row, which lie from 3 bits up. */
const bookAt = (bits: number): number => 2 ** bits - 2 ** SEED_BITS;

function anyPrecision(id: string, bits: number, parts: readonly string[]): NumberFormat {
  if (parts.length > 0) throw new FormatIdError(`"${id}": any-precision codebooks are per channel; write anyprec${bits}`);
  const perRow = bookAt(bits + 1);
  const encodeRow = (weights: Float32Array, codes: Uint8Array, from: number, to: number, books: Float32Array): void => {
    const seed = nearestIndex(books.subarray(0, 2 ** SEED_BITS));
    for (let i = from; i < to; i += 1) {
      let code = seed(weights[i]!);
      for (let width = SEED_BITS + 1; width <= bits; width += 1) {
        const at = bookAt(width) + 2 * code;
        const middle = (books[at]! + books[at + 1]!) / 2;
        code = 2 * code + (weights[i]! > middle ? 1 : 0);
      }
      codes[i] = code;
    }
  };
  const encode = (weights: Float32Array, view: WeightView, books: Float32Array): FieldValues => {
    const codes = new Uint8Array(weights.length);
    for (let row = 0; row < view.rows; row += 1) encodeRow(weights, codes, row * view.cols, (row + 1) * view.cols, books.subarray(row * perRow, (row + 1) * perRow));
    return [codes, float16Bits(books, 'f16')];
  };
  /** Splits each run of the sorted values at its best two-means boundary. */
  const learnRow = (weights: Float32Array, poll: () => void): Float32Array => {
    const sorted = Float64Array.from(weights).sort();
    const mean = runMeans(sorted);
    const books = new Float32Array(perRow);
    let centres: readonly number[] = Array.from(filled(cluster(sorted, 2 ** SEED_BITS, mean, poll).map(toFloat16), 2 ** SEED_BITS));
    books.set(centres, 0);
    let runs = runsOf(sorted, centres);
    for (let width = SEED_BITS + 1; width <= bits; width += 1) {
      const next: number[] = [];
      const nextRuns: [number, number][] = [];
      runs.forEach(([from, to], k) => {
        const own = centres[k]!;
        const pair = to - from < 2 ? [own, own] : filled(cluster(sorted.subarray(from, to), 2, (a, b) => mean(from + a, from + b), poll, 8).map(toFloat16), 2);
        const [low, high] = [pair[0]!, pair[1]!];
        next.push(low, high);
        let cut = from;
        while (cut < to && sorted[cut]! <= (low + high) / 2) cut += 1;
        nextRuns.push([from, cut], [cut, to]);
      });
      centres = next;
      runs = nextRuns;
      books.set(centres, bookAt(width));
    }
    return books;
  };
  return heldFormat({
    id: `anyprec${bits}`, family: 'learned', title: `${bits}-bit nested codebooks (Any-Precision), per output channel`, catalogue: ['any-precision-llm'],
    codeBits: bits, granularity: { kind: 'channel' }, holds: 'row', workingBytes: 40,
    traits: { monotone: true, signSymmetric: false, idempotent: 'a value of a cluster may lie nearer to a neighbouring cluster of fewer bits' },
    fields: (view) => [
      { name: 'codes', part: 'code', bits, count: view.rows * view.cols },
      { name: 'codebooks', part: 'other', bits: 16, count: view.rows * perRow },
    ],
    encode: (weights, view, _rule, poll) => {
      const books = new Float32Array(view.rows * perRow);
      for (let row = 0; row < view.rows; row += 1) books.set(learnRow(weights.subarray(row * view.cols, (row + 1) * view.cols), poll), row * perRow);
      return encode(weights, view, books);
    },
    encodeLike: (weights, view, like) => encode(weights, view, bitsToFloat16(like[1]!, 'f16')),
    decode: (values, view) => sliceAnyPrecision(values, view, bits, bits),
  });
}

function runsOf(sorted: Float64Array, centres: readonly number[]): [number, number][] {
  const ends = boundaries(sorted, centres);
  return centres.map((_, k) => [ends[k]!, ends[k + 1]!]);
}

/** The values of any-precision codes when only their top `served` bits are read. @param stored bits of the codes */
export function sliceAnyPrecision(values: FieldValues, view: WeightView, stored: number, served: number): Float32Array {
  const books = bitsToFloat16(values[1]!, 'f16');
  const perRow = bookAt(stored + 1);
  return Float32Array.from(values[0]!, (code, i) => books[Math.floor(i / view.cols) * perRow + bookAt(served) + (code >> (stored - served))]!);
}

const KINDS = {
  kmeans: { low: 1, high: 8, make: kmeans },
  af: { low: 2, high: 8, make: abnormal },
  anyprec: { low: SEED_BITS, high: 8, make: anyPrecision },
} as const;

export const learnedFamily: FormatFamily = {
  name: 'learned',
  title: 'Learned codebooks',
  grammar: 'kmeans<1..8>[-<channel|tensor>]; af<2..8>[-<channel|g<n>>]; anyprec<3..8>',
  listed: ['kmeans2-channel', 'kmeans3-channel', 'kmeans4-channel', 'kmeans4-tensor', 'af4-g64', 'af3-g64', 'anyprec3', 'anyprec4', 'anyprec6'],
  layout: 'codes of b bits | kmeans: 2^b float16 values per channel or tensor; af: float32 absmax per group and 2^b float32 values for the tensor; anyprec: float16 codebooks of 3, 4, ... b bits per row',
  oracle: 'exhaustive clustering of small inputs; nearest values by brute force',
  source: 'Kim et al., SqueezeLLM, 2023; Yoshida, NF4 Isn\'t Information Theoretically Optimal (AF4), 2023; Park et al., Any-Precision LLM, 2024',
  ladders: [['kmeans2-channel', 'kmeans3-channel', 'kmeans4-channel'], ['anyprec3', 'anyprec4', 'anyprec6']],
  parse(id) {
    const match = /^(kmeans|af|anyprec)(\d*)(?:-(.*))?$/s.exec(id);
    if (!match) return null;
    const kind = KINDS[match[1] as keyof typeof KINDS];
    const bits = Number(match[2]);
    if (!/^\d$/.test(match[2]!) || bits < kind.low || bits > kind.high) throw new FormatIdError(`"${id}": ${match[1]} has ${kind.low} to ${kind.high} bits, for example ${match[1]}4`);
    return kind.make(id, bits, match[3] === undefined ? [] : match[3].split('-'));
  },
};
