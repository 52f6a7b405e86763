/** Activations. x is the input, y the output, d the gradient of the output; at a kink the gradient is PyTorch's. */
import type { GraphEmitter } from '../emitter';
import { define, floatOf, textOf } from './rule';
import type { GraphNode } from '../graph';

function activation(name: string, derivative: (g: GraphEmitter, d: string, x: string, y: string, node: GraphNode) => string): void {
  define(name, (g, { node, gradient }) => [derivative(g, gradient, node.inputs[0]!, node.outputs[0]!, node)]);
}
const zero = (g: GraphEmitter, x: string): string => g.scalar(0, x);
const positive = (g: GraphEmitter, x: string): string => g.compare('Greater', x, zero(g, x));

activation('Relu', (g, d, x) => g.where(positive(g, x), d, zero(g, d)));
activation('LeakyRelu', (g, d, x, _, node) => g.where(positive(g, x), d, g.times(d, floatOf(node, 'alpha', 0.01))));
activation('ThresholdedRelu', (g, d, x, _, node) => g.where(g.compare('Greater', x, g.scalar(floatOf(node, 'alpha', 1), x)), d, zero(g, d)));
/** alpha e^x is y + alpha below zero. */
activation('Elu', (g, d, x, y, node) => g.where(positive(g, x), d, g.mul(d, g.plus(y, floatOf(node, 'alpha', 1)))));
activation('Celu', (g, d, x, _, node) => g.where(positive(g, x), d, g.mul(d, g.same('Exp', [g.times(x, 1 / floatOf(node, 'alpha', 1))]))));
activation('Selu', (g, d, x, y, node) => {
  const [alpha, gamma] = [floatOf(node, 'alpha', 1.67326319217681884765625), floatOf(node, 'gamma', 1.05070102214813232421875)];
  return g.where(positive(g, x), g.times(d, gamma), g.mul(d, g.plus(y, alpha * gamma)));
});
activation('HardSigmoid', (g, d, _, y, node) => {
  const inside = g.logical('And', positive(g, y), g.compare('Less', y, g.scalar(1, y)));
  return g.where(inside, g.times(d, floatOf(node, 'alpha', 0.2)), zero(g, d));
});
/** x clip(x / 6 + 1/2, 0, 1). */
activation('HardSwish', (g, d, x) => {
  const middle = g.mul(d, g.plus(g.times(x, 1 / 3), 0.5));
  return g.where(g.compare('LessOrEqual', x, g.scalar(-3, x)), zero(g, d), g.where(g.compare('GreaterOrEqual', x, g.scalar(3, x)), d, middle));
});
activation('Softplus', (g, d, x) => g.mul(d, g.same('Sigmoid', [x])));
activation('Softsign', (g, d, x) => { const reach = g.plus(g.same('Abs', [x]), 1); return g.div(d, g.mul(reach, reach)); });
activation('Shrink', (g, d, x, _, node) => g.where(g.compare('Greater', g.same('Abs', [x]), g.scalar(floatOf(node, 'lambd', 0.5), x)), d, zero(g, d)));
/** x tanh(softplus(x)). */
activation('Mish', (g, d, x) => {
  const t = g.same('Tanh', [g.same('Softplus', [x])]);
  const slope = g.mul(g.mul(x, g.same('Sigmoid', [x])), g.plus(g.neg(g.mul(t, t)), 1));
  return g.mul(d, g.add(t, slope));
});
activation('Gelu', (g, d, x, _, node) => (textOf(node, 'approximate', 'none') === 'tanh' ? tanhGelu(g, d, x) : exactGelu(g, d, x)));
/** Phi(x) + x phi(x). */
function exactGelu(g: GraphEmitter, d: string, x: string): string {
  const cumulative = g.plus(g.times(g.same('Erf', [g.times(x, Math.SQRT1_2)]), 0.5), 0.5);
  const density = g.times(g.same('Exp', [g.times(g.mul(x, x), -0.5)]), 1 / Math.sqrt(2 * Math.PI));
  return g.mul(d, g.add(cumulative, g.mul(x, density)));
}
/** Of 0.5 x (1 + tanh(c (x + 0.044715 x^3))), c = sqrt(2 / pi). */
function tanhGelu(g: GraphEmitter, d: string, x: string): string {
  const c = Math.sqrt(2 / Math.PI);
  const squared = g.mul(x, x);
  const t = g.same('Tanh', [g.times(g.mul(x, g.plus(g.times(squared, 0.044715), 1)), c)]);
  const inner = g.times(g.plus(g.times(squared, 3 * 0.044715), 1), c);
  const slope = g.mul(g.mul(x, inner), g.plus(g.neg(g.mul(t, t)), 1));
  return g.mul(d, g.times(g.add(g.plus(t, 1), slope), 0.5));
}
define('PRelu', (g, { node, gradient: d, needs }) => {
  const [x, slope] = node.inputs as [string, string];
  const above = positive(g, x);
  return [
    needs(0) ? g.where(above, d, g.mul(d, slope)) : null,
    needs(1) ? g.reduceTo(g.where(above, zero(g, d), g.mul(d, x)), slope) : null,
  ];
});
