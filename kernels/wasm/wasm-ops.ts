/**
 * The hot loops in WebAssembly SIMD (assembly/), behind the same interface as the reference. Each instance has its own
 * memory: one per worker, laid out once, nothing is ever freed.
 */
import { readFile } from 'node:fs/promises';
import { assetPath } from '../assets';
import type { DType } from '../checkpoint/checkpoint';
import { CLIP_FRACTIONS } from '../formats/clip-search';
import { TILE_WEIGHTS } from '../formats/blocks';
import { MAX_CODEBOOK, thresholdCells } from '../formats/codebook';
import type { CodebookElement, Element, ScaleStorage } from '../formats/format';
import { MINIFLOAT_DTYPES } from '../numerics/codecs';
import { hasExactPower } from './errors.ref';
import { decodeTable } from '../numerics/minifloat';
import type { KernelOps } from './ops';

/** What assembly/index.ts exports. Addresses are byte offsets. */
interface Exports {
  heapBase(): number;
  decodeBf16(from: number, count: number, to: number): void;
  decodeF64(from: number, count: number, to: number): void;
  decodeTable8(from: number, count: number, to: number, table: number): void;
  decodeTable16(from: number, count: number, to: number, table: number): void;
  clearNonFinite(at: number, count: number): void;
  statistics(at: number, length: number, out: number): void;
  moments(at: number, length: number, mean: number, out: number): void;
  exceedances(at: number, length: number, mean: number, std: number, out: number): void;
  ranges(at: number, runs: number, size: number, minima: number, maxima: number): void;
  sum(at: number, length: number): number;
  histogram(at: number, length: number, low: number, high: number, counts: number, bins: number): void;
  configure(kind: number, low: number, high: number, divisor: number, mantissaBits: number, minExponent: number, storage: number, outer: number, exactPower: boolean): void;
  codebook(thresholds: number, values: number, cells: number, count: number): void;
  pieceErrors(at: number, length: number, scale: number, zeroPoint: number, out: number): void;
  blockErrors(at: number, blocks: number, size: number, clips: number, clipCount: number, out: number, scales: number, zeroPoints: number, room: number): void;
}

/** Element kinds of assembly/errors.ts. */
const KIND = { symmetric: 0, asymmetric: 1, float: 2, wide: 3, shortBook: 4, longBook: 5 } as const;
const STORAGE: Readonly<Record<ScaleStorage, number>> = { f32: 0, f16: 1, bf16: 2, p2floor: 3, p2up: 4, p2near: 5, p2even: 6, dy16: 7, e4m3: 8, p2row: 9 };
const MOST_BINS = 4096;
/** Upper halves of a float32. */
const CELLS = 65536;
const SHORT_BOOK = 16;
const PAGE = 65536;

/** Hands out addresses, aligned to 16, one after the other. */
class Layout {
  constructor(private next: number) {}

  take(bytes: number): number {
    const at = this.next;
    this.next += Math.ceil(bytes / 16) * 16;
    return at;
  }

  get pages(): number {
    return Math.ceil(this.next / PAGE);
  }
}

let compiled: Promise<WebAssembly.Module> | undefined;

export interface WasmOps extends KernelOps {
  readonly memory: WebAssembly.Memory;
  /** Address and size of each buffer, by name. */
  readonly regions: ReadonlyMap<string, readonly [number, number]>;
  /** Plain sum of the first `length` (rounded down to 16) values: the cost of reading them, for benchmarks. */
  sum(length: number): number;
}

/** @param guard extra bytes after each buffer that tests fill with sentinels. @throws Error when dist/kernels.wasm is missing */
export async function wasmOps(guard = 0): Promise<WasmOps> {
  compiled ??= readFile(assetPath('kernels.wasm')).then((bytes) => WebAssembly.compile(bytes));
  const memory = new WebAssembly.Memory({ initial: 1 });
  const instance = await WebAssembly.instantiate(await compiled, { env: { memory, abort: () => { throw new Error('a kernel aborted'); } } });
  const wasm = instance.exports as unknown as Exports;

  const layout = new Layout(wasm.heapBase());
  const regions = new Map<string, readonly [number, number]>();
  const take = (name: string, bytes: number): number => {
    const at = layout.take(bytes + guard);
    regions.set(name, [at, bytes]);
    return at;
  };
  const rawAt = take('raw', TILE_WEIGHTS * 8);
  const valuesAt = take('values', TILE_WEIGHTS * 4);
  const firstAt = take('first', TILE_WEIGHTS * 4);
  const secondAt = take('second', TILE_WEIGHTS * 4);
  const tableAt = take('table', PAGE * 4);
  const clipsAt = take('clips', CLIP_FRACTIONS.byteLength);
  const countsAt = take('counts', MOST_BINS * 8);
  const outAt = take('out', 128);
  const thresholdsAt = take('thresholds', MAX_CODEBOOK * 4);
  const bookAt = take('book', MAX_CODEBOOK * 4);
  const cellsAt = take('cells', (CELLS + 1) * 2);
  memory.grow(layout.pages - 1);
  const { buffer } = memory;
  const values = new Float32Array(buffer, valuesAt, TILE_WEIGHTS);
  const out = new Float64Array(buffer, outAt, 16);
  // Two result arrays of the size of a tile: minima and maxima of rows, or scales and zero points of blocks.
  const firstFloats = new Float32Array(buffer, firstAt, TILE_WEIGHTS);
  const secondFloats = new Float32Array(buffer, secondAt, TILE_WEIGHTS);
  const secondInts = new Int32Array(buffer, secondAt, TILE_WEIGHTS);
  new Float32Array(buffer, clipsAt, CLIP_FRACTIONS.length).set(CLIP_FRACTIONS);
  let tableOf = '';

  const decode = (dtype: DType, count: number, at: number): void => {
    const to = valuesAt + 4 * at;
    if (dtype === 'F32') {
      new Uint8Array(buffer, to, 4 * count).set(new Uint8Array(buffer, rawAt, 4 * count));
      return;
    }
    if (dtype === 'F64') return wasm.decodeF64(rawAt, count, to);
    if (dtype === 'BF16') return wasm.decodeBf16(rawAt, count, to);
    const spec = MINIFLOAT_DTYPES[dtype];
    if (!spec) throw new RangeError(`${dtype} is not a floating-point type`);
    if (tableOf !== dtype) {
      new Float32Array(buffer, tableAt, PAGE).set(decodeTable(spec));
      tableOf = dtype;
    }
    if (dtype === 'F16') wasm.decodeTable16(rawAt, count, to, tableAt);
    else wasm.decodeTable8(rawAt, count, to, tableAt);
  };

  let book: CodebookElement | null = null;

  const loadBook = (element: CodebookElement): void => {
    if (book === element) return;
    book = element;
    const { values: entries, thresholds } = element;
    if (entries.length <= SHORT_BOOK) {
      const steps = new Float32Array(buffer, thresholdsAt, 4 * thresholds.length);
      const changes = new Uint32Array(buffer, bookAt, 4 * entries.length);
      const bits = new Uint32Array(entries.slice().buffer);
      changes.fill(bits[0]!, 0, 4);
      thresholds.forEach((threshold, i) => {
        steps.fill(threshold, 4 * i, 4 * i + 4);
        changes.fill(bits[i]! ^ bits[i + 1]!, 4 * i + 4, 4 * i + 8);
      });
    } else {
      new Float32Array(buffer, thresholdsAt, thresholds.length).set(thresholds);
      new Float32Array(buffer, bookAt, entries.length).set(entries);
      new Uint16Array(buffer, cellsAt, CELLS + 1).set(thresholdCells(thresholds));
    }
    wasm.codebook(thresholdsAt, bookAt, cellsAt, thresholds.length);
  };

  const configure = (element: Element, storage: ScaleStorage, outer: number): void => {
    const set = (kind: number, low: number, high: number, mantissaBits: number, minExponent: number): void => {
      // A plain cast has no scale: dividing by infinity gives zero, which is stored as 1.
      wasm.configure(kind, low, high, element.divisor ?? Infinity, mantissaBits, minExponent, STORAGE[storage], outer, hasExactPower(element));
    };
    if (element.kind === 'int') {
      set(element.symmetric ? KIND.symmetric : KIND.asymmetric, element.low, element.high, 0, 0);
    } else if (element.kind === 'codebook') {
      loadBook(element);
      set(element.values.length <= SHORT_BOOK ? KIND.shortBook : KIND.longBook, element.values[0]!, element.values.at(-1)!, 0, 0);
    } else {
      const { spec } = element;
      // Adding and subtracting a power of two rounds to the mantissa, but for 8 exponent bits that power would overflow.
      set(spec.exponentBits === 8 ? KIND.wide : KIND.float, -spec.maxFinite, spec.maxFinite, spec.mantissaBits, 1 - spec.bias);
    }
  };

  return {
    memory,
    regions,
    sum: (length) => wasm.sum(valuesAt, length),
    raw: new Uint8Array(buffer, rawAt, TILE_WEIGHTS * 8),
    values,
    decode,
    clearNonFinite: (length) => { wasm.clearNonFinite(valuesAt, length); },
    statistics(length) {
      wasm.statistics(valuesAt, length, outAt);
      const [nan, inf, zeros, fp16Overflow, fp16Underflow, min, max, sum, signal] = out as unknown as number[];
      const count = length - nan! - inf!;
      const mean = count === 0 ? 0 : sum! / count;
      wasm.moments(valuesAt, length, mean, outAt);
      return {
        count, nan: nan!, inf: inf!, zeros: zeros!, min: min!, max: max!, mean, signal: signal!, m2: out[0]!, m3: out[1]!, m4: out[2]!,
        fp16Overflow: fp16Overflow!, fp16Underflow: fp16Underflow!,
      };
    },
    exceedances(length, mean, std) {
      wasm.exceedances(valuesAt, length, mean, std, outAt);
      return { one: out[0]!, six: out[1]! };
    },
    ranges(runs, size, minima, maxima) {
      wasm.ranges(valuesAt, runs, size, firstAt, secondAt);
      minima.set(firstFloats.subarray(0, runs));
      maxima.set(secondFloats.subarray(0, runs));
    },
    blockErrors({ element, storage, rule, outer }, start, blocks, size, sums, sink) {
      configure(element, storage, outer);
      out[0] = sums.squared;
      out[1] = sums.power;
      const clips = rule === 'mse' && element.divisor !== null ? CLIP_FRACTIONS.length : 1;
      wasm.blockErrors(valuesAt + 4 * start, blocks, size, clipsAt, clips, outAt, sink ? firstAt : 0, sink?.zeroPoints ? secondAt : 0, outAt + 64);
      sums.squared = out[0]!;
      sums.power = out[1]!;
      if (!sink) return;
      sink.scales.set(firstFloats.subarray(0, blocks), sink.at);
      sink.zeroPoints?.set(secondInts.subarray(0, blocks), sink.at);
      sink.at += blocks;
    },
    pieceErrors(element, start, length, scale, zeroPoint) {
      configure(element, 'f32', 1);
      wasm.pieceErrors(valuesAt + 4 * start, length, scale, zeroPoint, outAt);
      return { squared: out[0]!, power: out[1]! };
    },
    histogram(length, low, high, counts) {
      if (counts.length > MOST_BINS) throw new RangeError(`at most ${MOST_BINS} bins`);
      const shared = new Float64Array(buffer, countsAt, counts.length);
      shared.set(counts);
      wasm.histogram(valuesAt, length, low, high, countsAt, counts.length);
      counts.set(shared);
    },
  };
}
