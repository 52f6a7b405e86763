/**
 * Format: how values become codes and back, block and scale layout, exact storage cost.
 * One family per file; every family is in the registry (registry.ts) under parametric ids.
 */
import type { MinifloatSpec } from '../numerics/minifloat';

/** A weight seen as a matrix of output channels, row-major. A convolution's kernel is flattened into `cols`. */
export interface WeightView {
  /** Output channels. */
  readonly rows: number;
  /** Weights per output channel. */
  readonly cols: number;
}

export type Granularity =
  | { readonly kind: 'tensor' }
  | { readonly kind: 'channel' }
  /** A group runs along the input dimension; a row that `size` does not divide is one group. */
  | { readonly kind: 'group'; readonly size: number };

/** Exact storage in bits, by part. */
export interface StorageCost {
  readonly codeBits: number;
  readonly scaleBits: number;
  readonly zeroPointBits: number;
  readonly totalBits: number;
  /** totalBits / (rows x cols). */
  readonly bitsPerWeight: number;
}

/** How scales are found. `absmax`: no value clips. `mse`: the clip with the least squared error of a fixed list of candidates. */
export type ScaleRule = 'absmax' | 'mse';

/** A quantized weight: what is stored. */
export interface Quantized {
  readonly format: string;
  readonly view: WeightView;
  /** One code per weight, row-major. Signed families store signed codes. */
  readonly codes: Int8Array | Uint8Array | Int16Array | Uint16Array;
  /** One scale per block (tensor, channel or group in row-major order); empty for formats without scales. */
  readonly scales: Float32Array;
  /** One zero point per block for asymmetric formats, else null. */
  readonly zeroPoints: Int32Array | null;
}

export interface NumberFormat {
  /** Canonical id, e.g. `int4-sym-g128`. */
  readonly id: string;
  /** Family name, e.g. `int`. */
  readonly family: string;
  readonly title: string;
  /** Catalogue rows this entry realises. */
  readonly catalogue: readonly string[];
  /** Bits of one code. */
  readonly codeBits: number;
  /** Null for formats that have no scales (bf16, fp16). */
  readonly granularity: Granularity | null;
  /** Nominal bits per weight for documentation: codes plus scales at a row of 4096 weights. */
  readonly nominalBitsPerWeight: number;
  storage(view: WeightView): StorageCost;
  /** Plain reference encoder. NaN encodes as zero and is reported by the statistics, never by the error. */
  encode(weights: Float32Array, view: WeightView, rule: ScaleRule): Quantized;
  decode(quantized: Quantized): Float32Array;
}

/** Scales, and zero points for asymmetric formats, of the blocks of a weight in row-major block order. */
export interface BlockScales {
  readonly scales: Float32Array;
  readonly zeroPoints: Int32Array | null;
}

/** What one element of a block-scaled format is, for the fused passes of kernels/wasm. */
export type Element =
  /** Integer code `low`..`high`; scale = range / `divisor`. Asymmetric codes have a zero point. */
  | { readonly kind: 'int'; readonly low: number; readonly high: number; readonly divisor: number; readonly symmetric: boolean }
  /** Small float, saturating; `divisor` is its largest value, or null for a plain cast without scale. */
  | { readonly kind: 'float'; readonly spec: MinifloatSpec; readonly divisor: number | null };

/**
 * A format whose blocks are independent once their range is known: value = element x scale. The streaming passes measure
 * such formats without holding the weight. Other formats (two-level scales, codebook searches) implement NumberFormat alone.
 */
export interface BlockScaledFormat extends NumberFormat {
  readonly element: Element;
  /** Rounds a scale to the width it is stored in. */
  readonly scaleStorage: ScaleStorage;
  /** Scale and zero point of a block whose values span [minimum, maximum], with the range shrunk by `clip` (1: no value clips). */
  scaleOf(minimum: number, maximum: number, clip: number): { readonly scale: number; readonly zeroPoint: number };
  findScales(weights: Float32Array, view: WeightView, rule: ScaleRule): BlockScales;
  /** Encodes with scales already found: exactly what `encode` does after finding them. */
  encodeWith(weights: Float32Array, view: WeightView, blocks: BlockScales): Quantized;
}

/** Storage type of scales. `f32` unless the id says `-sf16` or `-sbf16`. */
export type ScaleStorage = 'f32' | 'f16' | 'bf16';

export function isBlockScaled(format: NumberFormat): format is BlockScaledFormat {
  return 'element' in format && 'encodeWith' in format;
}

/** A family parses ids such as `int4-sym-g128` (or a shorthand) into formats. */
export interface FormatFamily {
  readonly name: string;
  readonly title: string;
  /** Grammar shown in help, e.g. `int<b>-<sym|symr|asym>-<tensor|channel|g<n>>`. */
  readonly grammar: string;
  /** Ids listed by `bitlens formats` and in pickers. */
  readonly listed: readonly string[];
  /** Null when the id is not of this family; throws FormatIdError when it is but its parameters are wrong. */
  parse(id: string): NumberFormat | null;
}

/** An id that names a family but has wrong parameters, or no family at all. The message lists what is allowed. */
export class FormatIdError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FormatIdError';
  }
}
