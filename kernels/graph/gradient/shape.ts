/** Operators that move values without changing them: the gradient moves them back. */
import type { GraphEmitter } from '../emitter';
import type { GraphDim, GraphNode } from '../graph';
import { define, intOf, intsOf, NoGradient, textOf } from './rule';
import { gatherBack } from './indexing';

define('Reshape Squeeze Unsqueeze Flatten', (g, { node, gradient }) => [g.reshapeLike(gradient, node.inputs[0]!)]);
define('Expand', (g, { node, gradient }) => [g.reduceTo(gradient, node.inputs[0]!)]);
define('Transpose', (g, { node, gradient }) => {
  const n = g.rank(gradient);
  const perm = intsOf(node, 'perm') ?? Array.from({ length: n }, (_, i) => n - 1 - i);
  return [g.transpose(gradient, perm.map((_, i) => perm.indexOf(i)))];
});
const axisOf = (g: GraphEmitter, node: GraphNode, otherwise: number): number => {
  const axis = intOf(node, 'axis', otherwise);
  return axis < 0 ? axis + g.rank(node.inputs[0]!) : axis;
};
/** Each part is cut out again where it was put. */
define('Concat', (g, { node, gradient, needs }) => {
  const axis = axisOf(g, node, 0);
  const sizes = node.inputs.map((part) => g.size(part, axis));
  let start = g.ints([0]);
  return node.inputs.map((part, i) => {
    const end = g.whole('Add', start, sizes[i]!);
    const made = needs(i) ? g.emit('Slice', [gradient, start, end, g.ints([axis])], {}, { type: g.type(gradient), shape: g.shape(part) }) : null;
    start = end;
    return made;
  });
});
define('Split', (g, { node, gradients }) => [g.concat(node.outputs.map((part, i) => gradients[i] ?? g.zerosLike(part)), axisOf(g, node, 0))]);

/** Zeros are put around what was cut out. With steps, each place looks up what of the gradient is its own. */
define('Slice', (g, { node, gradient }) => {
  const [x, starts, ends, axesName, stepsName] = node.inputs as [string, string, string, string?, string?];
  const cut = g.rank(x);
  const length = g.shape(starts)[0];
  if (typeof length !== 'number') throw new NoGradient('along axes that are known only when it runs');
  const axes = axesName ? g.numbers(axesName) : Array.from({ length }, (_, i) => i);
  const steps = stepsName ? g.numbers(stepsName) : axes?.map(() => 1);
  if (!axes || !steps) throw new NoGradient('along axes or in steps that are known only when it runs');
  let made = gradient;
  axes.forEach((given, i) => {
    const axis = given < 0 ? given + cut : given;
    const [start, end] = [pick(g, starts, i), pick(g, ends, i)];
    if (g.shape(made)[axis] === g.shape(x)[axis] && steps[i] === 1) return;
    made = steps[i] === 1 ? aroundSlice(g, made, x, axis, start, end) : gatherBack(g, made, places(g, x, axis, start, end, steps[i]!), zerosAlong(g, made, x, axis), axis);
  });
  return [made];
});
/** Entry i of an int64 vector, as a vector of one. */
function pick(g: GraphEmitter, vector: string, i: number): string {
  const numbers = g.numbers(vector);
  if (numbers) return g.ints([numbers[i]!]);
  return g.shape(vector)[0] === 1 ? vector : g.emit('Gather', [vector, g.ints([i])], {}, { type: 'I64', shape: [1] });
}
/** Zeros of the shape of `d`, but along one axis of the size of `x`. */
function zerosAlong(g: GraphEmitter, d: string, x: string, axis: number): string {
  const sizes = g.shape(d).map((_, i) => g.size(i === axis ? x : d, i));
  return g.filled(0, g.type(d), g.joined(sizes), g.shape(d).map((dim, i) => (i === axis ? g.shape(x)[i]! : dim)));
}
/** The positions along `axis` that a slice takes. */
function places(g: GraphEmitter, x: string, axis: number, start: string, end: string, step: number): string {
  const all = g.emit('Range', [g.constant('I64', [], [0]), g.reshape(g.size(x, axis), []), g.constant('I64', [], [1])], {}, { type: 'I64', shape: [g.shape(x)[axis]!] });
  return g.emit('Slice', [all, start, end, g.ints([0]), g.ints([step])], {}, { type: 'I64', shape: [g.unknownDim()] });
}
function aroundSlice(g: GraphEmitter, d: string, x: string, axis: number, start: string, end: string): string {
  const [from, size, length] = [g.numbers(start)?.[0], g.shape(x)[axis]!, g.shape(d)[axis]!];
  let before: string;
  // A start at or after zero is a position unless it lies beyond the end, where nothing is cut out.
  if (from !== undefined && from >= 0) before = g.ints([from]);
  else if (from !== undefined && typeof size === 'number') before = g.ints([Math.max(0, from + size)]);
  else before = g.reshape(g.emit('ReduceMin', [g.joined([places(g, x, axis, start, end, 1), g.size(x, axis)])], { keepdims: { int: 1 } }, { type: 'I64', shape: [1] }), [1]);
  const after = typeof size === 'number' && typeof length === 'number' && g.numbers(before)
    ? g.ints([size - length - g.numbers(before)![0]!])
    : g.whole('Sub', g.whole('Sub', g.size(x, axis), g.size(d, axis)), before);
  const shape: GraphDim[] = g.shape(d).map((dim, i) => (i === axis ? size : dim));
  return padAxis(g, d, axis, before, after, shape);
}
/** Zeros before and after along one axis; negative counts cut. */
export function padAxis(g: GraphEmitter, d: string, axis: number, before: string, after: string, shape: readonly GraphDim[]): string {
  const n = g.rank(d);
  const none = (count: number): string => g.ints(Array<number>(count).fill(0));
  const pads = g.joined([none(axis), before, none(n - 1), after, none(n - 1 - axis)].filter((part) => g.shape(part)[0] !== 0));
  if (g.numbers(pads)?.every((pad) => pad === 0)) return d;
  return g.emit('Pad', [d, pads], {}, { type: g.type(d), shape });
}

/** Constant padding is cut off; in other modes the padded values are copies, and their gradients go to what they copy. */
define('Pad', (g, { node, gradient }) => {
  const [x, pads, , axesName] = node.inputs as [string, string, string?, string?];
  const mode = textOf(node, 'mode', 'constant');
  if (axesName) throw new NoGradient('with axes');
  const n = g.rank(x);
  if (mode === 'constant') return [g.emit('Pad', [gradient, g.numbers(pads) ? g.ints(g.numbers(pads)!.map((pad) => -pad)) : g.neg(pads)], {}, { type: g.type(x), shape: g.shape(x) })];
  let made = gradient;
  for (let axis = 0; axis < n; axis += 1) {
    const [before, after] = [pick(g, pads, axis), pick(g, pads, n + axis)];
    if (g.numbers(before)?.[0] === 0 && g.numbers(after)?.[0] === 0) continue;
    const all = places(g, x, axis, g.ints([0]), g.ints([Number.MAX_SAFE_INTEGER]), 1);
    const copied = g.emit('Pad', [all, g.joined([before, after])], { mode: { text: mode } }, { type: 'I64', shape: [g.unknownDim()] });
    made = gatherBack(g, made, copied, zerosAlong(g, made, x, axis), axis);
  }
  return [made];
});
/** [r0 d0, r1 d1, ...] is [r0, d0, r1, d1, ...], summed over the r. */
define('Tile', (g, { node: { inputs: [x, repeats] }, gradient }) => {
  const n = g.rank(x!);
  const counts = g.numbers(repeats);
  const shape = g.shape(x!);
  const parts = shape.flatMap((dim, i): GraphDim[] => [counts?.[i] ?? g.unknownDim(), dim]);
  const pairs = shape.flatMap((_, i) => [pick(g, repeats!, i), g.size(x!, i)]);
  const apart = g.reshapeBy(gradient, g.joined(pairs), parts);
  return [g.reshapeLike(g.reduceSum(apart, Array.from({ length: n }, (_, i) => 2 * i), false), x!)];
});
define('DepthToSpace', (g, { node, gradient }) => {
  if (textOf(node, 'mode', 'DCR') !== 'DCR') throw new NoGradient('in mode CRD');
  return [g.emit('SpaceToDepth', [gradient], { blocksize: { int: intOf(node, 'blocksize', 1) } }, { type: g.type(gradient), shape: g.shape(node.inputs[0]!) })];
});
define('SpaceToDepth', (g, { node, gradient }) => [g.emit('DepthToSpace', [gradient], { blocksize: { int: intOf(node, 'blocksize', 1) } }, { type: g.type(gradient), shape: g.shape(node.inputs[0]!) })]);
