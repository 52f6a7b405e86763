/**
 * The hot loops of the streaming passes over one tile of weights. Two implementations, equal bit for bit: plain TypeScript
 * (here) and WebAssembly SIMD (wasm-ops.ts). A worker owns one of them; it is not shared.
 */
import type { DType } from '../checkpoint/checkpoint';
import type { Element, ScaleRule, ScaleStorage } from '../formats/format';
import { TILE_WEIGHTS } from '../formats/blocks';
import { bestClip, CLIP_FRACTIONS } from '../formats/clip-search';
import { scaleOfRange } from '../formats/element';
import { decodeFloats } from '../numerics/codecs';
import { blockErrorSums, type ErrorSums } from './errors.ref';
import { addToHistogram, exceedances, finiteRange, tileStatistics, type TileStatistics } from './statistics.ref';

/** Where the scales of a block pass go; null when nobody asks. */
export interface ScaleSink {
  readonly scales: Float32Array;
  readonly zeroPoints: Int32Array | null;
  /** Index of the first block. */
  at: number;
}

/** What a block pass does with each block. */
export interface BlockScaling {
  readonly element: Element;
  readonly storage: ScaleStorage;
  readonly rule: ScaleRule;
  /** The scale above the block scales; 1 where there is none. */
  readonly outer: number;
}

export interface KernelOps {
  /** Bytes as read from disk: room for one tile of the widest type. */
  readonly raw: Uint8Array;
  /** The tile as float32. */
  readonly values: Float32Array;
  /** Decodes `count` elements from the start of `raw` into `values` at `at`. */
  decode(dtype: DType, count: number, at: number): void;
  /** Replaces NaN and infinities by zero, whose error is zero in every format: errors leave them out. */
  clearNonFinite(length: number): void;
  statistics(length: number): TileStatistics;
  exceedances(length: number, mean: number, std: number): { one: number; six: number };
  /** Finite minimum and maximum of consecutive runs of `size` values. */
  ranges(runs: number, size: number, minima: Float32Array, maxima: Float32Array): void;
  /** Finds the scale of each of `blocks` consecutive blocks and adds their errors to `sums`, in order. */
  blockErrors(scaling: BlockScaling, start: number, blocks: number, size: number, sums: ErrorSums, sink: ScaleSink | null): void;
  /** Error of a piece of a block whose scale is known. */
  pieceErrors(element: Element, start: number, length: number, scale: number, zeroPoint: number): ErrorSums;
  histogram(length: number, low: number, high: number, counts: Float64Array): void;
}

/** Plain TypeScript, kept as the reference and used where WebAssembly is not available. */
export function referenceOps(): KernelOps {
  const raw = new Uint8Array(TILE_WEIGHTS * 8);
  const values = new Float32Array(TILE_WEIGHTS);
  return {
    raw,
    values,
    decode: (dtype, count, at) => { decodeFloats(dtype, raw, count, values.subarray(at)); },
    clearNonFinite: (length) => {
      for (let i = 0; i < length; i += 1) if (!Number.isFinite(values[i]!)) values[i] = 0;
    },
    statistics: (length) => tileStatistics(values, 0, length),
    exceedances: (length, mean, std) => exceedances(values, 0, length, mean, std),
    ranges: (runs, size, minima, maxima) => {
      for (let run = 0; run < runs; run += 1) {
        const { minimum, maximum } = finiteRange(values, run * size, size);
        minima[run] = minimum;
        maxima[run] = maximum;
      }
    },
    blockErrors: ({ element, storage, rule, outer }, start, blocks, size, sums, sink) => {
      for (let block = 0; block < blocks; block += 1) {
        const from = start + block * size;
        const { minimum, maximum } = finiteRange(values, from, size);
        const clips = rule === 'mse' && element.divisor !== null ? CLIP_FRACTIONS : CLIP_FRACTIONS.subarray(0, 1);
        const tried = Array.from(clips, (clip) => {
          const { scale, zeroPoint } = scaleOfRange(element, storage, minimum, maximum, clip, outer);
          return { scale, zeroPoint, ...blockErrorSums(element, values, from, size, scale, zeroPoint) };
        });
        const best = tried[bestClip(tried.map((each) => each.squared))]!;
        sums.squared += best.squared;
        sums.power += best.power;
        if (sink) {
          sink.scales[sink.at] = best.scale;
          if (sink.zeroPoints) sink.zeroPoints[sink.at] = best.zeroPoint;
          sink.at += 1;
        }
      }
    },
    pieceErrors: (element, start, length, scale, zeroPoint) => blockErrorSums(element, values, start, length, scale, zeroPoint),
    histogram: (length, low, high, counts) => { addToHistogram(values, 0, length, low, high, counts); },
  };
}
