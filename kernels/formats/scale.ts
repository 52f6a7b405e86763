/**
 * How the scale of a block is rounded before it is used, and stored. What is used is what is stored: a scale that would be zero
 * (an empty or vanishing block) is replaced by one that is not, and every value of the block is zero.
 */
import { BFLOAT16, E4M3FN, FLOAT16, decodeTable, encodeMinifloat, exponentOf, roundToMinifloat, type MinifloatSpec } from '../numerics/minifloat';
import { bitsToFloat16, bitsToFloats, float16Bits, floatBits } from './fields';

/**
 * - `f32`, `f16`, `bf16`: nearest, ties to even.
 * - `p2floor`, `p2up`, `p2near`: a power of two, 2^-127 to 2^127 (for integers the largest code's), stored as its exponent (E8M0): the largest not above the free
 *   scale (values may clip: OCP MX), the least not below it (nothing clips: ZeroQuant-FP M1), the nearest in the exponent.
 * - `p2even`: as `p2floor`, after the free scale is rounded to one mantissa bit, half up (MX "even" mode for E2M1).
 * - `dy16`: dyadic, a 16-bit multiplier times a power of two (8 bits), nearest with ties to even.
 * - `e4m3`: an FP8 number times the scale of the tensor, which is absmax / (divisor x 448) in float32 (NVFP4).
 * - `p2row`: the scale of the row divided by the largest power of two (up to 2^15) that leaves it not below the free scale
 *   (ZeroQuant-FP M2); the scale of the row is free, in float32.
 */
export type ScaleStorage = 'f32' | 'f16' | 'bf16' | 'p2floor' | 'p2up' | 'p2near' | 'p2even' | 'dy16' | 'e4m3' | 'p2row';

interface ScaleStorageInfo {
  readonly bits: number;
  readonly title: string;
  /** Where the scale above the block scales lies, if there is one; it has 32 bits. */
  readonly outer: 'tensor' | 'row' | null;
}

export const SCALE_STORAGES: Readonly<Record<ScaleStorage, ScaleStorageInfo>> = {
  f32: { bits: 32, title: 'f32 scales', outer: null },
  f16: { bits: 16, title: 'f16 scales', outer: null },
  bf16: { bits: 16, title: 'bf16 scales', outer: null },
  p2floor: { bits: 8, title: 'power-of-two scales (down)', outer: null },
  p2up: { bits: 8, title: 'power-of-two scales (up)', outer: null },
  p2near: { bits: 8, title: 'power-of-two scales (nearest)', outer: null },
  p2even: { bits: 8, title: 'power-of-two scales (rounded to a mantissa bit, then down)', outer: null },
  dy16: { bits: 24, title: 'dyadic scales (16-bit multiplier, 8-bit shift)', outer: null },
  e4m3: { bits: 8, title: 'FP8 scales under a tensor scale', outer: 'tensor' },
  p2row: { bits: 4, title: 'scales of a power of two below the row scale', outer: 'row' },
};

const fround = Math.fround;
const LEAST_E4M3 = 2 ** -9;
const MOST_ROW_SHIFT = 15;
/** Largest float32. */
const LARGEST = (2 - 2 ** -23) * 2 ** 127;

/** Power of two at or below, at or above, or nearest to a positive range / divisor, within E8M0. */
function powerOfTwo(range: number, divisor: number, mode: 'p2floor' | 'p2up' | 'p2near' | 'p2even', least: number): number {
  const ratio = range / divisor;
  let exponent = exponentOf(ratio);
  const mantissa = ratio * 2 ** -exponent;
  if (mode === 'p2up' && mantissa > 1) exponent += 1;
  // In the exponent, half way is the square root of two.
  if (mode === 'p2near' && mantissa > Math.SQRT2) exponent += 1;
  if (mode === 'p2even' && mantissa >= 1.75) exponent += 1;
  // The largest code (of integers the most negative) times the scale stays finite.
  return 2 ** Math.min(Math.max(exponent, least), exponentOf(LARGEST / (divisor + 1)), 127);
}

/**
 * The scale that is used for a block of free scale `range / divisor`.
 * @param range absmax of the block (or its span, for asymmetric integers), clipped; float32
 * @param outer the scale above; 1 where the storage has none
 * @param least exponent of the least power of two
 */
export function storedScale(range: number, divisor: number, storage: ScaleStorage, outer = 1, least = -127): number {
  switch (storage) {
    case 'p2floor': case 'p2up': case 'p2near': case 'p2even': return range > 0 ? powerOfTwo(range, divisor, storage, least) : 1;
    case 'p2row': {
      const free = fround(range / divisor);
      const ratio = range === 0 ? 1 : free === 0 ? 2 ** MOST_ROW_SHIFT : outer / free;
      return fround(outer * 2 ** -Math.min(Math.max(exponentOf(ratio), 0), MOST_ROW_SHIFT));
    }
    case 'e4m3': {
      const rounded = roundToMinifloat(E4M3FN, fround(fround(range / divisor) / outer));
      return fround(Math.max(rounded, LEAST_E4M3) * outer);
    }
    default: {
      const free = fround(range / divisor);
      const stored = storage === 'f16' ? roundToMinifloat(FLOAT16, free) : storage === 'bf16' ? roundToMinifloat(BFLOAT16, free)
        : storage === 'dy16' ? roundToMinifloat(DYADIC, free) : free;
      return stored > 0 ? stored : 1;
    }
  }
}

/** 16 significant bits over the exponents of float32: the multiplier and shift of a dyadic scale. */
const DYADIC: MinifloatSpec = { name: 'dyadic16', exponentBits: 8, mantissaBits: 15, bias: 127, maxFinite: (2 - 2 ** -15) * 2 ** 127, specials: 'ieee' };

/** Scales above block scales end here, so that the products with block scales stay normal. */
const LEAST_OUTER = 2 ** -100;

/** The scale above the block scales of a tensor or row with this absmax; 1 where all is zero. */
export function outerScale(absmax: number, divisor: number, storage: ScaleStorage): number {
  if (absmax === 0) return 1;
  return Math.max(fround(absmax / (storage === 'e4m3' ? divisor * E4M3FN.maxFinite : divisor)), LEAST_OUTER);
}

/** Block scales as they are stored, unsigned. @param outerOf the scale above block i @param least exponent of the power of two stored as 0 */
export function scaleBitsOf(scales: Float32Array, storage: ScaleStorage, outerOf: (block: number) => number, least: number): Uint32Array {
  switch (storage) {
    case 'f32': return floatBits(scales);
    case 'f16': case 'bf16': return float16Bits(scales, storage);
    case 'dy16': return Uint32Array.from(floatBits(scales), (bits) => {
      const exponent = bits >>> 23;
      return Math.max(exponent, 1) * 2 ** 16 + ((exponent > 0 ? 2 ** 15 : 0) | ((bits >>> 8) & 0x7fff));
    });
    case 'e4m3': return Uint32Array.from(scales, (scale, i) => encodeMinifloat(E4M3FN, scale / outerOf(i), true));
    case 'p2row': return Uint32Array.from(scales, (scale, i) => Math.round(Math.log2(outerOf(i) / scale)));
    default: return Uint32Array.from(scales, (scale) => Math.round(Math.log2(scale)) - least);
  }
}

/** Inverse of {@link scaleBitsOf}. */
export function scalesFromBits(bits: ArrayLike<number>, storage: ScaleStorage, outerOf: (block: number) => number, least: number): Float32Array {
  switch (storage) {
    case 'f32': return bitsToFloats(bits);
    case 'f16': case 'bf16': return bitsToFloat16(bits, storage);
    case 'dy16': return Float32Array.from(bits, (code) => (code % 2 ** 16) * 2 ** (Math.floor(code / 2 ** 16) - 127 - 15));
    case 'e4m3': return Float32Array.from(bits, (code, i) => decodeTable(E4M3FN)[code]! * outerOf(i));
    case 'p2row': return Float32Array.from(bits, (shift, i) => outerOf(i) * 2 ** -shift);
    default: return Float32Array.from(bits, (code) => 2 ** (code + least));
  }
}
