/** Arithmetic of several tensors, which may be broadcast: gradients are summed back to the shape of the operand. */
import type { GraphEmitter } from '../emitter';
import { define, NoGradient, intOf } from './rule';

define('Add', (g, { node, gradient: d, needs }) => node.inputs.map((x, i) => (needs(i) ? g.reduceTo(d, x) : null)));
define('Sum', (g, { node, gradient: d, needs }) => node.inputs.map((x, i) => (needs(i) ? g.reduceTo(d, x) : null)));
define('Mean', (g, { node, gradient: d, needs }) => node.inputs.map((x, i) => (needs(i) ? g.reduceTo(g.times(d, 1 / node.inputs.length), x) : null)));
define('Sub', (g, { node: { inputs: [a, b] }, gradient: d, needs }) => [needs(0) ? g.reduceTo(d, a!) : null, needs(1) ? g.neg(g.reduceTo(d, b!)) : null]);
define('Mul', (g, { node: { inputs: [a, b] }, gradient: d, needs }) => [needs(0) ? g.reduceTo(g.mul(d, b!), a!) : null, needs(1) ? g.reduceTo(g.mul(d, a!), b!) : null]);
define('Div', (g, { node: { inputs: [a, b], outputs: [y] }, gradient: d, needs }) => {
  const share = g.div(d, b!);
  return [needs(0) ? g.reduceTo(share, a!) : null, needs(1) ? g.neg(g.reduceTo(g.mul(share, y!), b!)) : null];
});
define('Mod', (g, { node, gradient: d, needs }) => {
  if (intOf(node, 'fmod', 0) === 0) throw new NoGradient('of whole numbers');
  const [a, b] = node.inputs as [string, string];
  const ratio = g.div(a, b);
  const times = g.mul(g.same('Sign', [ratio]), g.same('Floor', [g.same('Abs', [ratio])]));
  return [needs(0) ? g.reduceTo(d, a) : null, needs(1) ? g.neg(g.reduceTo(g.mul(d, times), b)) : null];
});
define('Pow', (g, { node: { inputs: [x, p], outputs: [y] }, gradient: d, needs }) => {
  const power = g.cast(p!, g.type(x!));
  return [
    needs(0) ? g.reduceTo(g.mul(d, g.mul(power, g.elementwise('Pow', x!, g.plus(power, -1)))), x!) : null,
    // 0^p has no logarithm, and does not change with p either.
    needs(1) ? g.reduceTo(g.where(g.compare('Greater', x!, g.scalar(0, x!)), g.mul(d, g.mul(y!, g.same('Log', [x!]))), g.scalar(0, d)), p!) : null,
  ];
});
/** The gradient goes to the operand that was taken; operands that are equal share it. */
define('Max Min', (g, { node, gradient: d, needs }) => {
  const [y] = node.outputs;
  const taken = node.inputs.map((x) => g.cast(g.compare('Equal', x, y!), g.type(d)));
  const share = g.div(d, taken.length === 1 ? taken[0]! : taken.reduce((a, b) => g.add(a, b)));
  return node.inputs.map((x, i) => (needs(i) ? g.reduceTo(g.mul(share, taken[i]!), x) : null));
});
const zero = (g: GraphEmitter, like: string): string => g.scalar(0, like);
/** The ends belong to the inside. Moving ends get what was cut. */
define('Clip', (g, { node, gradient: d, needs }) => {
  const [x, low, high] = node.inputs;
  const below = low ? g.compare('Less', x!, low) : null;
  const above = high ? g.compare('Greater', x!, high) : null;
  const outside = below && above ? g.logical('Or', below, above) : below ?? above;
  return [
    needs(0) ? (outside ? g.where(outside, zero(g, d), d) : d) : null,
    needs(1) && below ? g.reduceTo(g.where(below, d, zero(g, d)), low!) : null,
    needs(2) && above ? g.reduceTo(g.where(above, d, zero(g, d)), high!) : null,
  ];
});
define('Where', (g, { node: { inputs: [condition, a, b] }, gradient: d, needs }) => [
  null,
  needs(1) ? g.reduceTo(g.where(condition!, d, zero(g, d)), a!) : null,
  needs(2) ? g.reduceTo(g.where(condition!, zero(g, d), d), b!) : null,
]);
