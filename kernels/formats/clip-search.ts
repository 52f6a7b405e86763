/**
 * The `mse` scale rule: of a fixed list of clip fractions, the one whose scale gives a block the least sum of squared errors.
 * The list is 1.00, 0.99, ... 0.20; a tie goes to the larger fraction, so absmax is kept unless clipping is strictly better.
 */
import type { BlockScales, Element, ScaleRule, ScaleStorage, WeightView, Granularity } from './format';
import { blockLayout, isLongBlock, tileLength, tilesOf, type Tile } from './blocks';
import { hasZeroPoint, scaleOfRange } from './element';
import { outerScale, SCALE_STORAGES } from './scale';
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
  const zeroPoints = hasZeroPoint(element) ? new Int32Array(count) : null;
  const outer = granularity === null ? null : outerScales(element, storage, view, (start, length) => finiteRange(weights, start, length));
  const long = isLongBlock(view, granularity) ? tilesOf(view, tileLength(view, granularity)) : null;
  for (let block = 0; block < count; block += 1) {
    const start = block * size;
    const { minimum, maximum } = finiteRange(weights, start, size);
    const above = outer?.[outer.length === 1 ? 0 : Math.floor(start / view.cols)] ?? 1;
    let clip = 0;
    const pieces: readonly Tile[] = long ? long.filter((tile) => tile.start >= start && tile.start < start + size) : [{ start, length: size }];
    if (rule === 'mse') {
      const squared = new Float64Array(CLIP_FRACTIONS.length);
      for (let i = 0; i < squared.length; i += 1) {
        const { scale, zeroPoint } = scaleOfRange(element, storage, minimum, maximum, CLIP_FRACTIONS[i]!, above);
        for (const piece of pieces) squared[i]! += blockErrorSums(element, weights, piece.start, piece.length, scale, zeroPoint).squared;
      }
      clip = bestClip(squared);
    }
    const { scale, zeroPoint } = scaleOfRange(element, storage, minimum, maximum, CLIP_FRACTIONS[clip]!, above);
    scales[block] = scale;
    if (zeroPoints) zeroPoints[block] = zeroPoint;
  }
  return { scales, zeroPoints, ...(outer ? { outer } : {}) };
}

/**
 * The scales above the block scales (one for the tensor or one for each row), given the finite range of any run of weights;
 * null where the storage has none.
 */
export function outerScales(
  element: Element, storage: ScaleStorage, view: WeightView, rangeOf: (start: number, length: number) => { readonly minimum: number; readonly maximum: number },
): Float32Array | null {
  const { outer } = SCALE_STORAGES[storage];
  if (outer === null || element.divisor === null) return null;
  const runs = outer === 'tensor' ? 1 : view.rows;
  const size = outer === 'tensor' ? view.rows * view.cols : view.cols;
  return Float32Array.from({ length: runs }, (_, run) => {
    const { minimum, maximum } = rangeOf(run * size, size);
    return outerScale(Math.max(-minimum, maximum, 0), element.divisor!, storage);
  });
}
