/**
 * Projection onto the code books of the IQ types: which entry stands for a group of codes, and where none is exactly that group,
 * which of its neighbours fits the values best. Method: ggml (github.com/ggml-org/ggml, src/ggml-quants.c).
 */
import { gridOf } from './grids';

const f = Math.fround;

export class GridSearch {
  readonly width: number;
  /** Entries x width, as indices of levels (0, 1, 2...). */
  readonly levels: Uint8Array;
  readonly entries: number;
  private readonly bits: number;
  /** Entry of each point, or -1. */
  private readonly map: Int16Array;
  private readonly scaled = new Float32Array(8);
  /** Neighbours of the points met so far. */
  private readonly known: (Uint16Array | undefined)[];

  /** @param distances how many different distances the neighbours of a point may have */
  constructor(name: Parameters<typeof gridOf>[0], private readonly distances: number) {
    const { width, indices } = gridOf(name);
    this.width = width;
    this.bits = width === 8 ? 2 : 3;
    this.levels = indices;
    this.entries = indices.length / width;
    this.map = new Int16Array(2 ** (this.bits * width)).fill(-1);
    this.known = new Array<Uint16Array | undefined>(this.map.length).fill(undefined);
    for (let entry = 0; entry < this.entries; entry += 1) this.map[this.point(indices, entry * width)] = entry;
  }

  /** Entry that is exactly the group of codes at `at`, or -1. */
  find(codes: Int32Array, at: number): number {
    return this.map[this.point(codes, at)]!;
  }

  /** Entries at the smallest distances from a group that is none, nearest first. */
  neighbours(codes: Int32Array, at: number): Uint16Array {
    const point = this.point(codes, at);
    let found = this.known[point];
    if (!found) {
      const { width, levels } = this;
      const distance = new Int32Array(this.entries);
      for (let entry = 0; entry < this.entries; entry += 1) {
        let sum = 0;
        for (let i = 0; i < width; i += 1) sum += (levels[entry * width + i]! - codes[at + i]!) ** 2;
        distance[entry] = sum;
      }
      const farthest = [...new Set(distance)].sort((a, b) => a - b).slice(0, this.distances).at(-1)!;
      const near = [...distance.keys()].filter((entry) => distance[entry]! <= farthest);
      found = Uint16Array.from(near.sort((a, b) => distance[a]! - distance[b]! || a - b));
      this.known[point] = found;
    }
    return found;
  }

  /**
   * The neighbour with the least weighted squared difference from the values when code l stands for scale x value[l].
   * @returns the entry; its codes go to `codes`
   */
  project(codes: Int32Array, at: number, x: Float32Array, xAt: number, w: Float32Array, wAt: number, scale: number, value: ArrayLike<number>): number {
    const { width, levels } = this;
    for (let l = 0; l < value.length; l += 1) this.scaled[l] = scale * value[l]!;
    const { scaled } = this;
    let best = Infinity;
    let chosen = -1;
    const near = this.neighbours(codes, at);
    for (let n = 0; n < near.length; n += 1) {
      const first = near[n]! * width;
      let sum = 0;
      // The sum never falls: what is no better already is left.
      for (let i = 0; i < width && sum < best; i += 1) {
        const difference = f(scaled[levels[first + i]!]! - x[xAt + i]!);
        sum = f(sum + f(f(w[wAt + i]! * difference) * difference));
      }
      if (sum < best) {
        best = sum;
        chosen = near[n]!;
      }
    }
    if (chosen < 0) chosen = near[0]!;
    for (let i = 0; i < width; i += 1) codes[at + i] = levels[chosen * width + i]!;
    return chosen;
  }

  private point(codes: Int32Array | Uint8Array, at: number): number {
    let point = 0;
    for (let i = 0; i < this.width; i += 1) point |= codes[at + i]! << (this.bits * i);
    return point;
  }
}

const made = new Map<string, GridSearch>();

/** The search of a code book; made once, because neighbours are found as they are needed and kept. */
export function gridSearch(name: Parameters<typeof gridOf>[0], distances: number): GridSearch {
  let search = made.get(name);
  if (!search) made.set(name, search = new GridSearch(name, distances));
  return search;
}
