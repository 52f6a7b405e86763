/**
 * Quantization error of a run of weights, plain reference of assembly/errors.ts.
 *
 * Order of operations, the same in both: element i of a block adds to lane i mod 4, lanes are float64, the block's sum is
 * (lane0 + lane2) + (lane1 + lane3), and blocks are added in order. The element itself is float32 arithmetic.
 * The power of the dequantized values is that of their codes times scale^2; squares of codes are added in float32 lanes over 128
 * elements at a time, then in float64. (Plain casts, and codes whose squares leave float32, add squares of values in float64.)
 */
import type { Element } from '../formats/format';
import { dequantizeElement, quantizeElement } from '../formats/element';

/** `squared`: sum e^2, where e = x - dequantized(x); `power`: sum of squares of the dequantized values. */
export interface ErrorSums {
  squared: number;
  power: number;
}

/** Elements whose codes are summed in float32. */
const CHUNK = 128;
/** Codes up to here have squares that float32 can add. */
const LARGEST_CODE = 2 ** 56;

/** Whether squares of the dequantized values are added in float64. */
export function hasExactPower(element: Element): boolean {
  if (element.divisor === null) return true;
  const largest = element.kind === 'float' ? element.spec.maxFinite : element.kind === 'int' ? element.high : Math.max(-element.values[0]!, element.values.at(-1)!);
  return largest > LARGEST_CODE;
}

/** Error of `length` finite weights from `start`, one scale. */
export function blockErrorSums(element: Element, weights: Float32Array, start: number, length: number, scale: number, zeroPoint: number): ErrorSums {
  const squared = [0, 0, 0, 0];
  const power = [0, 0, 0, 0];
  const exact = hasExactPower(element);
  const chunk = new Float32Array(4);
  for (let i = 0; i < length; i += 1) {
    const x = weights[start + i]!;
    if (Number.isFinite(x)) {
      const code = quantizeElement(element, x, scale, zeroPoint);
      const y = dequantizeElement(element, code, scale, zeroPoint);
      const e = Math.fround(x - y);
      squared[i & 3]! += e * e;
      const unscaled = element.kind === 'int' ? code - zeroPoint : code;
      if (exact) power[i & 3]! += y * y;
      else chunk[i & 3]! += Math.fround(unscaled * unscaled);
    }
    if (!exact && (i % CHUNK === CHUNK - 1 || i === length - 1)) {
      chunk.forEach((sum, lane) => { power[lane]! += sum; });
      chunk.fill(0);
    }
  }
  return { squared: laneTotal(squared), power: exact ? laneTotal(power) : laneTotal(power) * scale * scale };
}

export function laneTotal(lanes: ArrayLike<number>): number {
  return lanes[0]! + lanes[2]! + (lanes[1]! + lanes[3]!);
}

/** Error between values and what they decode to, lane by lane as above, all in float64. */
export function valueErrorSums(values: Float32Array, decoded: Float32Array): ErrorSums {
  const squared = [0, 0, 0, 0];
  const power = [0, 0, 0, 0];
  for (let i = 0; i < values.length; i += 1) {
    const x = values[i]!;
    if (!Number.isFinite(x)) continue;
    const y = decoded[i]!;
    const e = Math.fround(x - y);
    squared[i & 3]! += e * e;
    power[i & 3]! += y * y;
  }
  return { squared: laneTotal(squared), power: laneTotal(power) };
}
