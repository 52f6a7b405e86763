/**
 * The `mse` scale rule: of a fixed list of clip fractions, the one whose scale gives a block the least sum of squared errors.
 * The list is 1.00, 0.99, ... 0.20; a tie goes to the larger fraction, so absmax is kept unless clipping is strictly better.
 */
import type { BlockScales, Element, ScaleRule, ScaleStorage, WeightView, Granularity } from './format';
import { blockLayout, isLongBlock, tileLength, tilesOf, type Tile } from './blocks';
import { scaleOfRange } from './element';
import { blockErrorSums } from '../wasm/errors.ref';
import { finiteRange } from '../wasm/statistics.ref';

export const CLIP_FRACTIONS: Float32Array = Float32Array.from({ length: 81 }, (_, i) => (100 - i) / 100);

/** Index of the best fraction given each one's squared error. */
export function bestClip(squared: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < squared.length; i += 1) if (squared[i]! < squared[best]!) best = i;
  return best;
}

/** Plain reference: scales of every block of a weight held in memory. */
export function findBlockScales(
  element: Element, storage: ScaleStorage, weights: Float32Array, view: WeightView, granularity: Granularity | null, rule: ScaleRule,
): BlockScales {
  const { count, size } = blockLayout(view, granularity);
  const scales = new Float32Array(count);
  const zeroPoints = element.kind === 'int' && !element.symmetric ? new Int32Array(count) : null;
  const long = isLongBlock(view, granularity) ? tilesOf(view, tileLength(view, granularity)) : null;
  for (let block = 0; block < count; block += 1) {
    const start = block * size;
    const { minimum, maximum } = finiteRange(weights, start, size);
    let clip = 0;
    const pieces: readonly Tile[] = long ? long.filter((tile) => tile.start >= start && tile.start < start + size) : [{ start, length: size }];
    if (rule === 'mse') {
      const squared = new Float64Array(CLIP_FRACTIONS.length);
      for (let i = 0; i < squared.length; i += 1) {
        const { scale, zeroPoint } = scaleOfRange(element, storage, minimum, maximum, CLIP_FRACTIONS[i]!);
        for (const piece of pieces) squared[i]! += blockErrorSums(element, weights, piece.start, piece.length, scale, zeroPoint).squared;
      }
      clip = bestClip(squared);
    }
    const { scale, zeroPoint } = scaleOfRange(element, storage, minimum, maximum, CLIP_FRACTIONS[clip]!);
    scales[block] = scale;
    if (zeroPoints) zeroPoints[block] = zeroPoint;
  }
  return { scales, zeroPoints };
}
