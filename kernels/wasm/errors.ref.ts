/**
 * Quantization error of a run of weights, plain reference of assembly/errors.ts.
 *
 * Order of operations, the same in both: element i of a block adds to lane i mod 4, lanes are float64, the block's sum is
 * (lane0 + lane2) + (lane1 + lane3), and blocks are added in order. The element itself is float32 arithmetic.
 */
import type { Element } from '../formats/format';
import { dequantizeElement, quantizeElement } from '../formats/element';

/** `squared`: sum e^2; `cross`: sum x e, where e = x - dequantized(x). */
export interface ErrorSums {
  squared: number;
  cross: number;
}

/** Error of `length` finite weights from `start`, one scale. */
export function blockErrorSums(element: Element, weights: Float32Array, start: number, length: number, scale: number, zeroPoint: number): ErrorSums {
  const squared = [0, 0, 0, 0];
  const cross = [0, 0, 0, 0];
  for (let i = 0; i < length; i += 1) {
    const x = weights[start + i]!;
    if (!Number.isFinite(x)) continue;
    const y = dequantizeElement(element, quantizeElement(element, x, scale, zeroPoint), scale, zeroPoint);
    const e = Math.fround(x - y);
    squared[i & 3]! += e * e;
    cross[i & 3]! += x * e;
  }
  return { squared: laneTotal(squared), cross: laneTotal(cross) };
}

export function laneTotal(lanes: ArrayLike<number>): number {
  return lanes[0]! + lanes[2]! + (lanes[1]! + lanes[3]!);
}

/** Error between values and what they decode to, lane by lane as above. */
export function valueErrorSums(values: Float32Array, decoded: Float32Array): ErrorSums {
  const squared = [0, 0, 0, 0];
  const cross = [0, 0, 0, 0];
  for (let i = 0; i < values.length; i += 1) {
    const x = values[i]!;
    if (!Number.isFinite(x)) continue;
    const e = Math.fround(x - decoded[i]!);
    squared[i & 3]! += e * e;
    cross[i & 3]! += x * e;
  }
  return { squared: laneTotal(squared), cross: laneTotal(cross) };
}
