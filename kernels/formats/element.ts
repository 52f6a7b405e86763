/**
 * One element of a block-scaled format, in float32 arithmetic as numpy and PyTorch do it: x / scale is a float32 division,
 * rounding is to nearest with ties to even (codebooks: by their thresholds), the dequantized value is float32(code x scale).
 */
import { codebookIndex, indexOfCode } from './codebook';
import type { Element, ScaleStorage } from './format';
import { storedScale } from './scale';
import { decodeMinifloat, encodeMinifloat, exponentOf, roundHalfEven, roundToMinifloat } from '../numerics/minifloat';

const fround = Math.fround;

/** Asymmetric ranges end here, so that neither their span nor a dequantized value overflows float32. */
const LARGEST_END = 2 ** 126;

/**
 * Scale and zero point of a block with values in [minimum, maximum] (either may be +-Infinity for a block without finite values).
 * Symmetric: absmax / divisor. Asymmetric: the range is widened to include zero, scale = (max - min) / divisor,
 * zero point = round(-min / scale) clamped to the codes; the range is cut at +-2^126.
 */
export function scaleOfRange(element: Element, storage: ScaleStorage, minimum: number, maximum: number, clip: number, outer = 1): { scale: number; zeroPoint: number } {
  const shrink = fround(clip);
  const low = fround((minimum < 0 ? minimum : 0) * shrink);
  const high = fround((maximum > 0 ? maximum : 0) * shrink);
  if (element.divisor === null) return { scale: 1, zeroPoint: 0 };
  if (!hasZeroPoint(element)) return { scale: storedScale(-low > high ? -low : high, element.divisor, storage, outer, leastScaleExponent(element)), zeroPoint: 0 };
  const [start, end] = [Math.max(low, -LARGEST_END), Math.min(high, LARGEST_END)];
  const scale = storedScale(fround(end - start), element.divisor, storage, outer, leastScaleExponent(element));
  const zeroPoint = Math.min(Math.max(roundHalfEven(fround(-start / scale)), element.low), element.high);
  return { scale, zeroPoint };
}

/**
 * Exponent of the least power-of-two scale, stored as 0. The shared exponent of integers is that of their largest power of two
 * (MXINT8: int8 / 64), so that their scales reach further down.
 */
export function leastScaleExponent(element: Element): number {
  return element.kind === 'int' && element.divisor !== null ? -127 - exponentOf(element.divisor) : -127;
}

/** Whether blocks of this element have a zero point. */
export function hasZeroPoint(element: Element): element is Element & { readonly kind: 'int' } {
  return element.kind === 'int' && !element.symmetric;
}

/** The code of one finite value, as a number. For floats and codebooks it is the value before scaling; {@link storedCode} gives its bits. */
export function quantizeElement(element: Element, x: number, scale: number, zeroPoint: number): number {
  const t = fround(x / scale);
  if (element.kind === 'float') return roundToMinifloat(element.spec, t);
  if (element.kind === 'codebook') return element.values[codebookIndex(element.thresholds, t)]!;
  const code = roundHalfEven(t) + zeroPoint;
  return code < element.low ? element.low : code > element.high ? element.high : code;
}

/** The float32 value that a code stands for. */
export function dequantizeElement(element: Element, code: number, scale: number, zeroPoint: number): number {
  return fround((element.kind === 'int' ? code - zeroPoint : code) * scale);
}

/** What is stored for a code: the integer itself, or the bits of the small float or of the codebook's entry. */
export function storedCode(element: Element, code: number): number {
  if (element.kind === 'float') return encodeMinifloat(element.spec, code, true);
  return element.kind === 'codebook' ? element.codes[element.values.indexOf(code)]! : code;
}

/** The stored code of one finite value. */
export function encodeElement(element: Element, x: number, scale: number, zeroPoint: number): number {
  if (element.kind === 'codebook') return element.codes[codebookIndex(element.thresholds, fround(x / scale))]!;
  // A small float keeps the sign of a value that rounds to zero.
  if (element.kind === 'float') return encodeMinifloat(element.spec, fround(x / scale), true);
  return quantizeElement(element, x, scale, zeroPoint);
}

/** Inverse of {@link storedCode}. @returns NaN for bits that no value has */
export function loadedCode(element: Element, stored: number): number {
  if (element.kind === 'float') return decodeMinifloat(element.spec, stored);
  return element.kind === 'codebook' ? element.values[indexOfCode(element)[stored] ?? -1] ?? NaN : stored;
}

/** All values an element can have before scaling (integers: codes), in no particular order. */
export function elementCodes(element: Element, codeBits: number): number[] {
  if (element.kind === 'codebook') return Array.from(element.values);
  if (element.kind === 'int') return Array.from({ length: element.high - element.low + 1 }, (_, i) => i + element.low);
  return Array.from({ length: 2 ** codeBits }, (_, code) => decodeMinifloat(element.spec, code)).filter(Number.isFinite);
}
