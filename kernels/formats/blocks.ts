/**
 * Where blocks lie. A weight is read row-major (rows = output channels); a block is the whole tensor, one row, or a group
 * of consecutive weights of one row. Whatever the granularity, blocks are consecutive runs of equal length.
 */
import type { Granularity, WeightView } from './format';

/** Weights worked on at once by a streaming pass: 4 MiB of float32. */
export const TILE_WEIGHTS = 2 ** 20;

export interface BlockLayout {
  readonly count: number;
  /** Weights per block. */
  readonly size: number;
}

/** Blocks of a view. A row that the group size does not divide is one group. `null` (plain casts) counts no block. */
export function blockLayout(view: WeightView, granularity: Granularity | null): BlockLayout {
  const weights = view.rows * view.cols;
  if (granularity === null) return { count: 0, size: weights };
  if (granularity.kind === 'tensor') return { count: 1, size: weights };
  if (granularity.kind === 'group' && view.cols > 0 && view.cols % granularity.size === 0) {
    return { count: weights / granularity.size, size: granularity.size };
  }
  return { count: view.rows, size: view.cols };
}

/** A run of consecutive weights of the row-major view. */
export interface Tile {
  readonly start: number;
  readonly length: number;
}

/** Weights per tile of a streaming pass: whole rows where a row fits, else a piece of a row that holds whole groups. */
export function tileLength(view: WeightView, granularity: Granularity | null): number {
  if (view.cols <= TILE_WEIGHTS) return Math.max(1, Math.floor(TILE_WEIGHTS / Math.max(1, view.cols))) * view.cols;
  if (granularity?.kind === 'group' && view.cols % granularity.size === 0) return TILE_WEIGHTS - (TILE_WEIGHTS % granularity.size);
  return TILE_WEIGHTS;
}

/**
 * The tiles of a view whose length is `length` (see {@link tileLength}); a tile never holds a part of one row and a part of another.
 * Sums are added tile by tile in this order everywhere, so that no result depends on chunk sizes or on the number of threads.
 */
export function tilesOf(view: WeightView, length: number): Tile[] {
  const tiles: Tile[] = [];
  const weights = view.rows * view.cols;
  const unit = view.cols > length ? view.cols : weights;
  for (let base = 0; base < weights; base += unit) {
    for (let start = base; start < base + unit; start += length) tiles.push({ start, length: Math.min(length, base + unit - start) });
  }
  return tiles;
}

/** Whether a block of this format is spread over more than one tile, so that its scale must be known before the error pass. */
export function isLongBlock(view: WeightView, granularity: Granularity | null): boolean {
  return granularity !== null && blockLayout(view, granularity).size > tileLength(view, granularity);
}

/** How a stored tensor is seen as a matrix of output channels. */
export interface WeightLayout extends WeightView {
  /**
   * Storage of element (row, col), where row = (g, c) and col = (o, i): ((g * outer + o) * channels + c) * inner + i.
   * `contiguous` when that is row * cols + col.
   */
  readonly groups: number;
  readonly channels: number;
  readonly outer: number;
  readonly inner: number;
  readonly contiguous: boolean;
}

/**
 * The matrix view of a tensor. One dimension (biases, norm weights) is one row. Otherwise `outputAxis` gives the rows and
 * the rest is flattened in storage order. For transposed convolutions, [in, out/groups, ...] with outputAxis 1, output
 * channel number g * out/groups + c belongs to group g of dimension 0.
 *
 * @throws RangeError when the axis is not a dimension or the groups do not divide dimension 0.
 */
export function weightLayout(shape: readonly number[], outputAxis: number, groups = 1): WeightLayout {
  const product = (dims: readonly number[]): number => dims.reduce((total, dim) => total * dim, 1);
  if (shape.length <= 1) {
    const cols = product(shape);
    return { rows: 1, cols, groups: 1, channels: 1, outer: 1, inner: cols, contiguous: true };
  }
  if (!Number.isInteger(outputAxis) || outputAxis < 0 || outputAxis >= shape.length) {
    throw new RangeError(`output axis ${outputAxis} is not a dimension of a tensor of shape [${shape.join(', ')}]`);
  }
  const channels = shape[outputAxis]!;
  const inner = product(shape.slice(outputAxis + 1));
  const before = product(shape.slice(0, outputAxis));
  const split = outputAxis === 0 ? 1 : groups;
  if (!Number.isInteger(split) || split < 1 || shape[0]! % split !== 0) {
    throw new RangeError(`${groups} groups do not divide dimension 0 of a tensor of shape [${shape.join(', ')}]`);
  }
  const outer = before / split;
  return { rows: split * channels, cols: outer * inner, groups: split, channels, outer, inner, contiguous: outer === 1 || channels === 1 };
}
