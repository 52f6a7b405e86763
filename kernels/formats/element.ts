/**
 * One element of a block-scaled format, in float32 arithmetic as numpy and PyTorch do it: x / scale is a float32 division,
 * rounding is to nearest with ties to even, the dequantized value is float32(code x scale).
 */
import type { Element, ScaleStorage } from './format';
import { BFLOAT16, FLOAT16, encodeMinifloat, decodeTable, roundHalfEven, roundToMinifloat } from '../numerics/minifloat';

const fround = Math.fround;

/** The scale as it is stored; a scale that would be zero (an empty or vanishing block) is 1, and every value of the block is zero. */
export function storedScale(scale: number, storage: ScaleStorage): number {
  const stored = storage === 'f16' ? roundToMinifloat(FLOAT16, scale) : storage === 'bf16' ? roundToMinifloat(BFLOAT16, scale) : scale;
  return stored > 0 ? stored : 1;
}

/** Asymmetric ranges end here, so that neither their span nor a dequantized value overflows float32. */
const LARGEST_END = 2 ** 126;

/**
 * Scale and zero point of a block with values in [minimum, maximum] (either may be +-Infinity for a block without finite values).
 * Symmetric: absmax / divisor. Asymmetric: the range is widened to include zero, scale = (max - min) / divisor,
 * zero point = round(-min / scale) clamped to the codes; the range is cut at +-2^126.
 */
export function scaleOfRange(element: Element, storage: ScaleStorage, minimum: number, maximum: number, clip: number): { scale: number; zeroPoint: number } {
  const shrink = fround(clip);
  const low = fround((minimum < 0 ? minimum : 0) * shrink);
  const high = fround((maximum > 0 ? maximum : 0) * shrink);
  if (element.divisor === null) return { scale: 1, zeroPoint: 0 };
  if (element.kind === 'float' || element.symmetric) {
    return { scale: storedScale(fround((-low > high ? -low : high) / element.divisor), storage), zeroPoint: 0 };
  }
  const [start, end] = [Math.max(low, -LARGEST_END), Math.min(high, LARGEST_END)];
  const scale = storedScale(fround(fround(end - start) / element.divisor), storage);
  const zeroPoint = Math.min(Math.max(roundHalfEven(fround(-start / scale)), element.low), element.high);
  return { scale, zeroPoint };
}

/** The code of one finite value, as a number. For floats it is the value before scaling; {@link storedCode} gives its bits. */
export function quantizeElement(element: Element, x: number, scale: number, zeroPoint: number): number {
  const t = fround(x / scale);
  if (element.kind === 'float') return roundToMinifloat(element.spec, t);
  const code = roundHalfEven(t) + zeroPoint;
  return code < element.low ? element.low : code > element.high ? element.high : code;
}

/** The float32 value that a code stands for. */
export function dequantizeElement(element: Element, code: number, scale: number, zeroPoint: number): number {
  return fround((element.kind === 'float' ? code : code - zeroPoint) * scale);
}

/** What is stored for a code: the integer itself, or the bits of the small float. */
export function storedCode(element: Element, code: number): number {
  return element.kind === 'float' ? encodeMinifloat(element.spec, code, true) : code;
}

/** Inverse of {@link storedCode}. */
export function loadedCode(element: Element, stored: number): number {
  return element.kind === 'float' ? decodeTable(element.spec)[stored]! : stored;
}
