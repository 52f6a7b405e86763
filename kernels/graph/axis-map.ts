/** How dimensions of a value lie in the value that a reshape or a transpose makes of it. */
import type { GraphDim, GraphNode } from './graph';

/** Dimensions of a value that together count channels, the slowest first. */
export type Axes = readonly number[];

const product = (dims: readonly GraphDim[]): number | null => (dims.every((dim) => typeof dim === 'number') ? (dims as number[]).reduce((a, b) => a * b, 1) : null);

/** The same channels after a reshape; null where they are split from their like or joined with others. */
export function reshapedAxes(from: readonly GraphDim[], to: readonly GraphDim[], axes: Axes): Axes | null {
  for (const { source, target } of runs(from, to)) {
    const own = source.filter((axis) => from[axis] !== 1);
    if (!axes.some((axis) => source.includes(axis))) continue;
    // A run of dimensions must be the channels, the whole of them and nothing else.
    if (own.length !== axes.length || own.some((axis, i) => axes[i] !== axis)) return null;
    const made = target.filter((axis) => to[axis] !== 1);
    return made.length > 0 ? made : null;
  }
  return null;
}

/** Runs of dimensions with equally many elements on both sides: equal sizes from the left, then equal products from the right. */
function runs(from: readonly GraphDim[], to: readonly GraphDim[]): { source: number[]; target: number[] }[] {
  const found: { source: number[]; target: number[] }[] = [];
  let lead = 0;
  while (lead < from.length && lead < to.length && from[lead] === to[lead]) { found.push({ source: [lead], target: [lead] }); lead += 1; }
  let [a, b] = [from.length, to.length];
  while (a > lead && b > lead) {
    const [endA, endB] = [a, b];
    a -= 1;
    b -= 1;
    for (;;) {
      const [left, right] = [from.slice(a, endA), to.slice(b, endB)];
      if (left.length === 1 && right.length === 1 && left[0] === right[0]) break;
      const [x, y] = [product(left), product(right)];
      if (x === null || y === null) return found;
      if (x === y) break;
      if (x < y) { if (a === lead) return found; a -= 1; } else { if (b === lead) return found; b -= 1; }
    }
    found.push({ source: range(a, endA), target: range(b, endB) });
  }
  return found;
}
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** Where the dimensions of a transpose's input lie in its output. */
export function transposedAxes({ attributes }: GraphNode, rank: number, axes: Axes): Axes {
  const perm = permutation(attributes, rank);
  return axes.map((axis) => perm.indexOf(axis));
}
/** Where the dimensions of a transpose's output lie in its input. */
export function untransposedAxes({ attributes }: GraphNode, rank: number, axes: Axes): Axes {
  const perm = permutation(attributes, rank);
  return axes.map((axis) => perm[axis]!);
}
function permutation(attributes: GraphNode['attributes'], rank: number): readonly number[] {
  const perm = attributes?.perm;
  return perm && 'ints' in perm ? perm.ints : Array.from({ length: rank }, (_, i) => rank - 1 - i);
}
