/** Functions of one number. x is the input, y the output, d the gradient of the output. */
import type { GraphEmitter } from '../emitter';
import { define } from './rule';

/** @param derivative times the gradient `d` */
function unary(names: string, derivative: (g: GraphEmitter, d: string, x: string, y: string) => string): void {
  define(names, (g, { node, gradient }) => [derivative(g, gradient, node.inputs[0]!, node.outputs[0]!)]);
}
const square = (g: GraphEmitter, x: string): string => g.mul(x, x);
/** 1 - x^2 and its like: a + b x^2. */
const quadratic = (g: GraphEmitter, x: string, a: number, b: number): string => g.plus(g.times(square(g, x), b), a);

unary('Identity', (_, d) => d);
define('Dropout', (_, { gradient }) => [gradient]);
unary('Neg', (g, d) => g.neg(d));
unary('Abs', (g, d, x) => g.mul(d, g.same('Sign', [x])));
unary('Sqrt', (g, d, _, y) => g.div(g.times(d, 0.5), y));
unary('Reciprocal', (g, d, _, y) => g.neg(g.mul(d, square(g, y))));
unary('Exp', (g, d, _, y) => g.mul(d, y));
unary('Log', (g, d, x) => g.div(d, x));
unary('Sin', (g, d, x) => g.mul(d, g.same('Cos', [x])));
unary('Cos', (g, d, x) => g.neg(g.mul(d, g.same('Sin', [x]))));
unary('Tan', (g, d, _, y) => g.mul(d, quadratic(g, y, 1, 1)));
unary('Asin', (g, d, x) => g.div(d, g.same('Sqrt', [quadratic(g, x, 1, -1)])));
unary('Acos', (g, d, x) => g.neg(g.div(d, g.same('Sqrt', [quadratic(g, x, 1, -1)]))));
unary('Atan', (g, d, x) => g.div(d, quadratic(g, x, 1, 1)));
unary('Sinh', (g, d, x) => g.mul(d, g.same('Cosh', [x])));
unary('Cosh', (g, d, x) => g.mul(d, g.same('Sinh', [x])));
unary('Asinh', (g, d, x) => g.div(d, g.same('Sqrt', [quadratic(g, x, 1, 1)])));
unary('Acosh', (g, d, x) => g.div(d, g.same('Sqrt', [quadratic(g, x, -1, 1)])));
unary('Atanh', (g, d, x) => g.div(d, quadratic(g, x, 1, -1)));
unary('Tanh', (g, d, _, y) => g.mul(d, quadratic(g, y, 1, -1)));
unary('Sigmoid', (g, d, _, y) => g.mul(d, g.sub(y, square(g, y))));
/** 2 / sqrt(pi) exp(-x^2). */
unary('Erf', (g, d, x) => g.times(g.mul(d, g.same('Exp', [g.neg(square(g, x))])), 2 / Math.sqrt(Math.PI)));
/** Between floating-point types; from others there is nothing to hand on. */
define('Cast CastLike', (g, { node, gradient }) => [g.isFloat(node.inputs[0]!) ? g.cast(gradient, g.type(node.inputs[0]!)) : null]);
