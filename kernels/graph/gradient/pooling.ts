/** Pooling. */
import type { GraphEmitter } from '../emitter';
import type { GraphDim } from '../graph';
import { define, intOf, intsOf, NoGradient, textOf } from './rule';
import { padAxis } from './shape';
import { toExtremes } from './reduction';

const space = (g: GraphEmitter, x: string): number[] => Array.from({ length: g.rank(x) - 2 }, (_, i) => 2 + i);
define('GlobalAveragePool', (g, { node: { inputs: [x] }, gradient }) => [g.expandLike(g.div(gradient, g.count(x!, space(g, x!))), x!)]);
define('GlobalMaxPool', (g, { node: { inputs: [x], outputs: [y] }, gradient }) => [toExtremes(g, gradient, x!, y!, space(g, x!))]);

/** The places of the largest values come from a second pooling that also gives them; windows may overlap, so that gradients are added. */
define('MaxPool', (g, { node, gradient }) => {
  const [x, y] = [node.inputs[0]!, node.outputs[0]!];
  const { shape } = g.value(y);
  if (intOf(node, 'storage_order', 0) !== 0) throw new NoGradient('in column order');
  const places = node.outputs[1] ?? g.emitAll('MaxPool', [x], node.attributes ?? {}, [{ type: g.type(x), shape }, { type: 'I64', shape }])[1]!;
  const flat = g.reshape(g.zerosLike(x), [-1]);
  const added = g.same('ScatterElements', [flat, g.reshape(places, [-1]), g.reshape(gradient, [-1])], { axis: { int: 0 }, reduction: { text: 'add' } });
  return [g.reshapeLike(added, x)];
});

/** Each window hands its gradient, divided by what it counted, to all its places: a transposed convolution with ones. */
define('AveragePool', (g, { node, gradient: d }) => {
  const x = node.inputs[0]!;
  const kernel = intsOf(node, 'kernel_shape')!;
  const n = kernel.length;
  const ones = Array<number>(n).fill(1);
  if (!['NOTSET', 'VALID'].includes(textOf(node, 'auto_pad', 'NOTSET'))) throw new NoGradient('with auto_pad; write its pads out');
  const [strides, dilations, pads] = [intsOf(node, 'strides') ?? ones, intsOf(node, 'dilations') ?? ones, intsOf(node, 'pads') ?? Array<number>(2 * n).fill(0)];
  const [begins, ends] = [pads.slice(0, n), pads.slice(n)];
  if (intOf(node, 'ceil_mode', 0) !== 0) throw new NoGradient('with ceil_mode');
  const total = kernel.reduce((a, b) => a * b, 1);
  const window = g.constant(g.type(x), [1, 1, ...kernel], Array<number>(total).fill(1));
  const attributes = { kernel_shape: { ints: kernel }, strides: { ints: strides }, dilations: { ints: dilations } };
  let share = g.times(d, 1 / total);
  if (intOf(node, 'count_include_pad', 0) === 0 && pads.some((pad) => pad !== 0)) {
    // How many places of each window lie inside: the window moved over ones.
    const dims = g.shape(x).slice(2);
    const inside = g.filled(1, g.type(x), g.joined([g.ints([1, 1]), ...dims.map((_, i) => g.size(x, 2 + i))]), [1, 1, ...dims]);
    share = g.div(d, g.emit('Conv', [inside, window], { ...attributes, pads: { ints: pads } }, { type: g.type(x), shape: [1, 1, ...g.shape(d).slice(2)] }));
  }
  // Channels are taken as further samples, so that one kernel does for all.
  const single = g.reshapeBy(share, g.joined([g.ints([-1, 1]), ...kernel.map((_, i) => g.size(share, 2 + i))]), [g.unknownDim(), 1, ...g.shape(share).slice(2)]);
  let made = g.emit('ConvTranspose', [single, window], attributes, { type: g.type(x), shape: [g.shape(single)[0]!, 1, ...kernel.map(() => g.unknownDim())] });
  kernel.forEach((_, i) => {
    const [axis, begin] = [2 + i, g.ints([-begins[i]!])];
    if (begins[i] === 0 && ends[i] === 0 && strides[i] === kernel[i] && dilations[i] === 1 && g.shape(x)[axis] === times(g.shape(d)[axis]!, strides[i]!)) return;
    made = padAxis(g, made, axis, begin, g.whole('Sub', g.whole('Sub', g.size(x, axis), g.size(made, axis)), begin), g.shape(made).map((dim, k) => (k === axis ? g.shape(x)[axis]! : dim)));
  });
  return [g.reshapeBy(made, g.shapeOf(x), g.shape(x))];
});
const times = (dim: GraphDim, factor: number): GraphDim => (typeof dim === 'number' ? dim * factor : dim);
