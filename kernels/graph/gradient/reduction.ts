/** Sums, means, extremes and norms over axes. Axes are an input or, in older operator sets, an attribute. */
import type { GraphEmitter } from '../emitter';
import type { GraphNode } from '../graph';
import { define, intOf, intsOf, NoGradient } from './rule';

function axesOf(g: GraphEmitter, node: GraphNode): number[] {
  const rank = g.rank(node.inputs[0]!);
  const given = node.inputs[1] ? g.numbers(node.inputs[1]) : intsOf(node, 'axes');
  if (node.inputs[1] && !given) throw new NoGradient('its axes are known only when it runs');
  if (!given || given.length === 0) return intOf(node, 'noop_with_empty_axes', 0) !== 0 ? [] : Array.from({ length: rank }, (_, i) => i);
  return given.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
}
/** A value of the result's shape with the reduced axes as ones, so that it broadcasts against the input. */
function kept(g: GraphEmitter, value: string, node: GraphNode, axes: readonly number[]): string {
  return intOf(node, 'keepdims', 1) !== 0 || axes.length === 0 ? value : g.unsqueeze(value, axes);
}
function reduction(name: string, derivative: (g: GraphEmitter, d: string, x: string, y: string, axes: readonly number[]) => string): void {
  define(name, (g, { node, gradient }) => {
    const axes = axesOf(g, node);
    return [derivative(g, kept(g, gradient, node, axes), node.inputs[0]!, kept(g, node.outputs[0]!, node, axes), axes)];
  });
}
/** The gradient goes to the extreme; where several are equal, they share it. */
export function toExtremes(g: GraphEmitter, d: string, x: string, y: string, axes: readonly number[]): string {
  const taken = g.cast(g.compare('Equal', x, y), g.type(d));
  return g.mul(taken, g.div(d, g.reduceSum(taken, axes, true)));
}
reduction('ReduceSum', (g, d, x) => g.expandLike(d, x));
reduction('ReduceMean', (g, d, x, _, axes) => g.expandLike(g.div(d, g.count(x, axes)), x));
reduction('ReduceMax', toExtremes);
reduction('ReduceMin', toExtremes);
reduction('ReduceSumSquare', (g, d, x) => g.mul(d, g.times(x, 2)));
/** x / |x|, and nothing at zero. */
reduction('ReduceL2', (g, d, x, y) => g.mul(x, g.where(g.compare('Greater', y, g.scalar(0, y)), g.div(d, y), g.scalar(0, d))));
reduction('ReduceL1', (g, d, x) => g.mul(d, g.same('Sign', [x])));
reduction('ReduceLogSum', (g, d, x, y) => g.expandLike(g.div(d, g.same('Exp', [y])), x));
reduction('ReduceLogSumExp', (g, d, x, y) => g.mul(d, g.same('Exp', [g.sub(x, y)])));
/** The product of the others is the whole over the one; a factor of zero makes it not a number. */
reduction('ReduceProd', (g, d, x, y) => g.div(g.mul(d, y), x));
