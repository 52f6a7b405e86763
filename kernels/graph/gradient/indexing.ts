/** Lookups and scatters: the gradient of reading from a place is adding to it, and the other way round. */
import type { GraphEmitter } from '../emitter';
import { define, intOf, NoGradient, textOf } from './rule';

const positive = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** The gradient of `Gather(x, index, axis)`: rows of d are added up where they were read. @param zeros of the shape of x */
export function gatherBack(g: GraphEmitter, d: string, index: string, zeros: string, axis: number): string {
  const [n, of] = [g.rank(zeros), g.rank(index)];
  // The axis that was looked up goes first: ScatterND adds whole slices.
  const front = [axis, ...Array.from({ length: n }, (_, i) => i).filter((i) => i !== axis)];
  const moved = [...Array.from({ length: of }, (_, i) => axis + i), ...Array.from({ length: g.rank(d) }, (_, i) => i).filter((i) => i < axis || i >= axis + of)];
  const places = g.unsqueeze(g.cast(index, 'I64'), [of]);
  const [base, updates] = [g.transpose(zeros, front), g.transpose(d, moved)];
  const added = g.emit('ScatterND', [base, places, updates], { reduction: { text: 'add' } }, { type: g.type(zeros), shape: g.shape(base) });
  return g.transpose(added, front.map((_, i) => front.indexOf(i)));
}
define('Gather', (g, { node, gradient }) => {
  const [x, index] = node.inputs as [string, string];
  return [gatherBack(g, gradient, index, g.zerosLike(x), positive(intOf(node, 'axis', 0), g.rank(x)))];
});
const added = (g: GraphEmitter, x: string, index: string, d: string, axis: number): string =>
  g.emit('ScatterElements', [g.zerosLike(x), index, d], { axis: { int: axis }, reduction: { text: 'add' } }, { type: g.type(x), shape: g.shape(x) });
define('GatherElements', (g, { node, gradient }) => {
  const [x, index] = node.inputs as [string, string];
  return [added(g, x, index, gradient, positive(intOf(node, 'axis', 0), g.rank(x)))];
});
define('GatherND', (g, { node, gradient }) => {
  if (intOf(node, 'batch_dims', 0) !== 0) throw new NoGradient('with batch dimensions');
  const [x, index] = node.inputs as [string, string];
  return [g.emit('ScatterND', [g.zerosLike(x), index, gradient], { reduction: { text: 'add' } }, { type: g.type(x), shape: g.shape(x) })];
});
/** What was written over gets nothing. Which of two values written to one place stayed is not defined, and both get its gradient. */
define('ScatterND', (g, { node, gradient: d, needs }) => {
  const [, index, updates] = node.inputs as [string, string, string];
  const mode = textOf(node, 'reduction', 'none');
  if (mode !== 'none' && mode !== 'add') throw new NoGradient(`with reduction ${mode}`);
  return [
    needs(0) ? (mode === 'add' ? d : g.same('ScatterND', [d, index, g.zerosLike(updates)])) : null, null,
    needs(2) ? g.emit('GatherND', [d, index], {}, { type: g.type(d), shape: g.shape(updates) }) : null,
  ];
});
define('ScatterElements', (g, { node, gradient: d, needs }) => {
  const [, index, updates] = node.inputs as [string, string, string];
  const mode = textOf(node, 'reduction', 'none');
  if (mode !== 'none' && mode !== 'add') throw new NoGradient(`with reduction ${mode}`);
  const axis = { axis: { int: intOf(node, 'axis', 0) } };
  return [
    needs(0) ? (mode === 'add' ? d : g.same('ScatterElements', [d, index, g.zerosLike(updates)], axis)) : null, null,
    needs(2) ? g.emit('GatherElements', [d, index], axis, { type: g.type(d), shape: g.shape(updates) }) : null,
  ];
});
/** Of the values; places have no gradient. */
define('TopK', (g, { node, gradients }) => {
  const x = node.inputs[0]!;
  return [gradients[0] ? added(g, x, node.outputs[1]!, gradients[0], positive(intOf(node, 'axis', -1), g.rank(x))) : null];
});
