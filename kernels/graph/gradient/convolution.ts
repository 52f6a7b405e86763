/**
 * Convolutions. The gradient of the input is the transposed convolution; that of the weight is one matrix product of the output's
 * gradient with the input's patches, which are cut out as slices (a convolution with swapped axes gives the same and takes four
 * times as long in onnxruntime).
 */
import type { GraphEmitter } from '../emitter';
import type { GraphDim, GraphNode } from '../graph';
import { define, intOf, intsOf, NoGradient, textOf } from './rule';
import { padAxis } from './shape';

interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly begins: readonly number[];
  readonly ends: readonly number[];
  readonly groups: number;
}
function windowOf(g: GraphEmitter, node: GraphNode, weight: string): Window {
  const kernel = g.shape(weight).slice(2);
  if (!kernel.every((size) => typeof size === 'number')) throw new NoGradient('with a kernel whose size is not known');
  const n = kernel.length;
  if (!['NOTSET', 'VALID'].includes(textOf(node, 'auto_pad', 'NOTSET'))) throw new NoGradient('with auto_pad; write its pads out');
  const pads = intsOf(node, 'pads') ?? Array<number>(2 * n).fill(0);
  const ones = Array<number>(n).fill(1);
  return { kernel: kernel as number[], strides: intsOf(node, 'strides') ?? ones, dilations: intsOf(node, 'dilations') ?? ones, begins: pads.slice(0, n), ends: pads.slice(n), groups: intOf(node, 'group', 1) };
}
const windowAttributes = (w: Window): Record<string, { ints: readonly number[] } | { int: number }> =>
  ({ kernel_shape: { ints: w.kernel }, strides: { ints: w.strides }, dilations: { ints: w.dilations }, group: { int: w.groups } });

define('Conv', (g, { node, gradient: d, needs }) => {
  const [x, weight, bias] = node.inputs as [string, string, string?];
  const w = windowOf(g, node, weight);
  return [needs(0) ? inputGradient(g, d, weight, x, w) : null, needs(1) ? weightGradient(g, x, d, weight, w) : null, bias && needs(2) ? biasGradient(g, d) : null];
});
define('ConvTranspose', (g, { node, gradient: d, needs }) => {
  const [x, weight, bias] = node.inputs as [string, string, string?];
  if (intsOf(node, 'output_shape')) throw new NoGradient('with output_shape');
  const w = windowOf(g, node, weight);
  return [
    needs(0) ? g.emit('Conv', [d, weight], { ...windowAttributes(w), pads: { ints: [...w.begins, ...w.ends] } }, { type: g.type(x), shape: g.shape(x) }) : null,
    // The roles are swapped: x is what a convolution of d would give.
    needs(1) ? weightGradient(g, d, x, weight, w) : null,
    bias && needs(2) ? biasGradient(g, d) : null,
  ];
});
const biasGradient = (g: GraphEmitter, d: string): string => g.reduceSum(d, Array.from({ length: g.rank(d) }, (_, i) => i).filter((axis) => axis !== 1), false);

/** Sizes that no window reached at the end are given as output padding; where they are not known, the result is padded or cut. */
function inputGradient(g: GraphEmitter, d: string, weight: string, x: string, w: Window): string {
  const space = g.shape(x).slice(2);
  const reach = w.kernel.map((size, i) => w.dilations[i]! * (size - 1) + 1);
  const rest = space.map((size, i) => (w.strides[i] === 1 ? 0 : typeof size === 'number' ? (size + w.begins[i]! + w.ends[i]! - reach[i]!) % w.strides[i]! : null));
  if (rest.every((each) => each !== null)) {
    return g.emit('ConvTranspose', [d, weight], { ...windowAttributes(w), pads: { ints: [...w.begins, ...w.ends] }, output_padding: { ints: rest as number[] } }, { type: g.type(x), shape: g.shape(x) });
  }
  const full: GraphDim[] = [...g.shape(x).slice(0, 2), ...space.map(() => g.unknownDim())];
  let made = g.emit('ConvTranspose', [d, weight], windowAttributes(w), { type: g.type(x), shape: full });
  space.forEach((size, i) => {
    const axis = 2 + i;
    const begin = g.ints([-w.begins[i]!]);
    const end = g.whole('Sub', g.whole('Sub', g.size(x, axis), g.size(made, axis)), begin);
    made = padAxis(g, made, axis, begin, end, g.shape(made).map((dim, k) => (k === axis ? size : dim)));
  });
  return made;
}

/**
 * dW of y = conv(x, W). Patches of all places of the kernel lie behind one another as [places x channels, positions], and one
 * product with d as [outputs, positions] gives everything. With one channel in a group it is a sum of products for each place.
 */
function weightGradient(g: GraphEmitter, x: string, d: string, weight: string, w: Window): string {
  const [outputs, each] = g.shape(weight) as [GraphDim, GraphDim];
  const { groups } = w;
  if (typeof outputs !== 'number' || typeof each !== 'number') throw new NoGradient('of a weight whose shape is not known');
  const n = w.kernel.length;
  const swap = (value: string): string => g.transpose(value, [1, 0, ...Array.from({ length: n }, (_, i) => 2 + i)]);
  const places = placesOf(w.kernel);
  const [rows, padded] = [swap(d), padded_(g, swap(x), w)];
  const slices = places.map((place) => sliceAt(g, padded, d, place, w));
  const perGroup = outputs / groups;
  const flat = g.reshape(rows, [groups, perGroup, -1]);
  if (each === 1 && perGroup === 1) {
    const sums = slices.map((slice) => g.reduceSum(g.mul(g.reshape(slice, [groups, -1]), g.reshape(rows, [groups, -1])), [1], true));
    return g.reshape(g.concat(sums, 1), [outputs, each, ...w.kernel]);
  }
  const patches = groups === 1
    ? g.reshape(g.concat(slices, 0), [places.length * each, -1])
    : g.reshape(g.concat(slices.map((slice) => g.reshape(slice, [groups, each, -1])), 1), [groups, places.length * each, -1]);
  const shape: GraphDim[] = [...(groups === 1 ? [] : [groups]), perGroup, places.length * each];
  const product = groups === 1
    ? g.emit('Gemm', [g.reshape(rows, [outputs, -1]), patches], { transB: { int: 1 } }, { type: g.type(d), shape })
    : g.matmul(flat, g.transpose(patches, [0, 2, 1]));
  // [outputs, places, channels] to [outputs, channels, places].
  return g.reshape(g.transpose(g.reshape(product, [outputs, places.length, each]), [0, 2, 1]), [outputs, each, ...w.kernel]);
}

/** All places of a kernel, the last dimension fastest. */
function placesOf(kernel: readonly number[]): number[][] {
  return kernel.reduce<number[][]>((places, size) => places.flatMap((place) => Array.from({ length: size }, (_, i) => [...place, i])), [[]]);
}
function padded_(g: GraphEmitter, x: string, { begins, ends }: Window): string {
  if ([...begins, ...ends].every((pad) => pad === 0)) return x;
  const shape = g.shape(x).map((dim, i) => (i < 2 ? dim : typeof dim === 'number' ? dim + begins[i - 2]! + ends[i - 2]! : g.unknownDim()));
  return g.emit('Pad', [x, g.ints([0, 0, ...begins, 0, 0, ...ends])], {}, { type: g.type(x), shape });
}
/** What one place of the kernel sees: [channels, batch, positions...]. */
function sliceAt(g: GraphEmitter, padded: string, d: string, place: readonly number[], w: Window): string {
  const n = place.length;
  const starts = place.map((at, i) => at * w.dilations[i]!);
  const steps = g.ints(w.strides);
  const axes = g.ints(place.map((_, i) => 2 + i));
  const ends = place.map((_, i) => {
    const size = g.shape(d)[2 + i]!;
    if (typeof size === 'number') return g.ints([starts[i]! + (size - 1) * w.strides[i]! + 1]);
    const last = g.whole('Mul', g.whole('Sub', g.size(d, 2 + i), g.ints([1])), g.ints([w.strides[i]!]));
    return g.whole('Add', last, g.ints([starts[i]! + 1]));
  });
  const shape = [...g.shape(padded).slice(0, 2), ...g.shape(d).slice(2, 2 + n)];
  if (starts.every((start) => start === 0) && w.strides.every((step) => step === 1) && w.kernel.every((size) => size === 1)) return padded;
  return g.emit('Slice', [padded, g.ints(starts), g.joined(ends), axes, steps], {}, { type: g.type(padded), shape });
}
