/**
 * Format: how values become codes and back, block and scale layout, exact storage cost.
 * One family per file; every family is in the registry (registry.ts) under parametric ids.
 *
 * Two kinds share the interface. Block-scaled formats (block-scaled.ts) are value = element x scale: a family says which element,
 * which blocks and how scales are stored, and the fused kernels measure it at memory speed. All other formats (held-format.ts)
 * say what they must hold at once and are streamed through their own encode and decode.
 */
import type { MinifloatSpec } from '../numerics/minifloat';
import type { StoredField } from './fields';
import type { ScaleStorage } from './scale';

export type { ScaleStorage } from './scale';
export type { StoredField } from './fields';

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

/** Exact storage in bits, by part. It depends on the view alone, never on the values, and equals what `pack` writes. */
export interface StorageCost {
  readonly codeBits: number;
  /** Scales of blocks and of what lies above them. */
  readonly scaleBits: number;
  readonly zeroPointBits: number;
  /** Everything else: codebooks, types of groups, outliers with their places. */
  readonly otherBits: number;
  readonly totalBits: number;
  /** totalBits / (rows x cols). */
  readonly bitsPerWeight: number;
}

/** How scales are found. `absmax`: no value clips. `mse`: the clip with the least squared error of a fixed list of candidates. */
export type ScaleRule = 'absmax' | 'mse';

export type NumericArray = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array;

/** A quantized weight: what is stored. */
export interface Quantized {
  readonly format: string;
  readonly view: WeightView;
  /** One code per weight, row-major. Signed families store signed codes. */
  readonly codes: Int8Array | Uint8Array | Int16Array | Uint16Array | Uint32Array;
  /**
   * The number that each block's elements are multiplied by (tensor, channel or group in row-major order), rounded as it is
   * stored; empty for formats that are not block-scaled.
   */
  readonly scales: Float32Array;
  /** One zero point per block for asymmetric formats, else null. */
  readonly zeroPoints: Int32Array | null;
  /** Whatever else is stored: the scale above the block scales, codebooks, types of groups. Empty for most formats. */
  readonly parts: readonly NumericArray[];
}

/** What a format promises; test/unit/formats/properties.test.ts holds every registered format to it. */
export interface FormatTraits {
  /** Larger weights of one block never decode to smaller values. */
  readonly monotone: boolean;
  /** With absmax scales, -x decodes to minus what x decodes to. */
  readonly signSymmetric: boolean;
  /** decode(encode(x)) encodes to itself with the scales and codebooks it has; else the reason why not. */
  readonly idempotent: true | string;
}

/**
 * What must be in memory at once to encode: a block (its range is enough, so blocks of any length stream), `rowsAtOnce` whole
 * rows, or the whole weight. A format that holds rows treats each run of `rowsAtOnce` rows, counted from row 0, by itself.
 */
export type Holds = 'block' | 'row' | 'weight';

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
  readonly holds: Holds;
  /** Rows that are encoded together where `holds` is `row`; 1 elsewhere. */
  readonly rowsAtOnce: number;
  /** Bytes of working memory per weight held, the float32 input not counted. */
  readonly workingBytes: number;
  /** Rules that `encode` tells apart; any other rule is taken as `absmax`. */
  readonly scaleRules: readonly ScaleRule[];
  readonly traits: FormatTraits;
  storage(view: WeightView): StorageCost;
  /**
   * Plain reference encoder. NaN encodes as zero and is reported by the statistics, never by the error.
   * @param poll called now and then by encoders that take long; throws when the work is cancelled.
   */
  encode(weights: Float32Array, view: WeightView, rule: ScaleRule, poll?: () => void): Quantized;
  decode(quantized: Quantized): Float32Array;
  /** Encodes other weights of the same view with the scales, codebooks and types of `like`. */
  encodeLike(weights: Float32Array, like: Quantized): Quantized;
  /**
   * All values that weight `index` could decode to with the scales and codebooks of `quantized`, when encode promises to choose
   * the nearest of them; null when it does not.
   */
  candidates(quantized: Quantized, index: number): ArrayLike<number> | null;
  /** What is stored, field after field. */
  fields(view: WeightView): readonly StoredField[];
  /** The bytes that a packed writer stores: ceil(storage(view).totalBits / 8) of them. */
  pack(quantized: Quantized): Uint8Array;
  unpack(bytes: Uint8Array, view: WeightView): Quantized;
}

/** Scales, and zero points for asymmetric formats, of the blocks of a weight in row-major block order. */
export interface BlockScales {
  readonly scales: Float32Array;
  readonly zeroPoints: Int32Array | null;
  /** The scales above them, where the storage has any: one for the tensor or one for each row. */
  readonly outer?: Float32Array;
}

/** What one element of a block-scaled format is, for the fused passes of kernels/wasm. */
export type Element =
  /** Integer code `low`..`high`; scale = range / `divisor` (null: a cast with a fixed scale). Asymmetric codes have a zero point. */
  | { readonly kind: 'int'; readonly low: number; readonly high: number; readonly divisor: number | null; readonly symmetric: boolean }
  /** Small float, saturating; `divisor` is its largest value, or null for a plain cast without scale. */
  | { readonly kind: 'float'; readonly spec: MinifloatSpec; readonly divisor: number | null }
  | CodebookElement;

/** A list of values (see codebook.ts). The code of t = x / scale is the number of thresholds that t is not below. */
export interface CodebookElement {
  readonly kind: 'codebook';
  /** Ascending; the first is at most 0, the last at least 0. */
  readonly values: Float32Array;
  /** Ascending, one fewer than values. */
  readonly thresholds: Float32Array;
  /** scale = absmax / divisor; null for a plain cast without scale. */
  readonly divisor: number | null;
  /** Stored code of each value. */
  readonly codes: Uint16Array;
}

/**
 * A format whose blocks are independent once their range is known: value = element x scale. The streaming passes measure
 * such formats without holding the weight.
 */
export interface BlockScaledFormat extends NumberFormat {
  readonly element: Element;
  /** How a scale is rounded and stored. */
  readonly scaleStorage: ScaleStorage;
  /** The scale of plain casts, which store none. */
  readonly castScale: number;
  /**
   * Scale and zero point of a block whose values span [minimum, maximum], with the range shrunk by `clip` (1: no value clips).
   * @param outer the scale above (see `outerScales`); 1 where there is none.
   */
  scaleOf(minimum: number, maximum: number, clip: number, outer?: number): { readonly scale: number; readonly zeroPoint: number };
  findScales(weights: Float32Array, view: WeightView, rule: ScaleRule): BlockScales;
  /** Encodes with scales already found: exactly what `encode` does after finding them. */
  encodeWith(weights: Float32Array, view: WeightView, blocks: BlockScales): Quantized;
}

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
  /** How bits lie, as a picture in text of a few lines, for the docs page. */
  readonly layout: string;
  /** What the family was checked against. */
  readonly oracle: string;
  /** Papers and specifications. */
  readonly source: string;
  /** Lists of ids in which each has more bits than the one before: on smooth data its error is never larger. */
  readonly ladders?: readonly (readonly string[])[];
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
