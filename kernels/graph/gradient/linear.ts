/** Matrix products. */
import type { GraphEmitter } from '../emitter';
import { define, floatOf, intOf } from './rule';

/** A vector on the left is a row, on the right a column. */
const asMatrix = (g: GraphEmitter, name: string, side: 'left' | 'right'): string => (g.rank(name) === 1 ? g.unsqueeze(name, [side === 'left' ? 0 : 1]) : name);

define('MatMul', (g, { node, gradient, needs }) => {
  const [a, b] = node.inputs as [string, string];
  const [x, y] = [asMatrix(g, a, 'left'), asMatrix(g, b, 'right')];
  let d = gradient;
  if (g.rank(b) === 1) d = g.unsqueeze(d, [g.rank(d)]);
  if (g.rank(a) === 1) d = g.unsqueeze(d, [g.rank(d) - 1]);
  const back = (made: string, matrix: string, given: string): string => g.reshapeLike(g.reduceTo(made, matrix), given);
  return [needs(0) ? back(g.matmul(d, g.swapped(y)), x, a) : null, needs(1) ? back(rightGradient(g, x, d, y), y, b) : null];
});

/** x^T d. Where one matrix is applied to many, all of them are one product, and no sum over products is needed. */
function rightGradient(g: GraphEmitter, x: string, d: string, y: string): string {
  const [inner, outer] = [g.shape(x).at(-1)!, g.shape(d).at(-1)!];
  if (g.rank(y) !== 2 || g.rank(x) === 2 || typeof inner !== 'number' || typeof outer !== 'number') return g.matmul(g.swapped(x), d);
  const type = g.type(x);
  return g.emit('Gemm', [g.reshape(x, [-1, inner]), g.reshape(d, [-1, outer])], { transA: { int: 1 } }, { type, shape: [inner, outer] });
}

/** Y = alpha A' B' + beta C. */
define('Gemm', (g, { node, gradient: d, needs }) => {
  const [a, b, c] = node.inputs as [string, string, string?];
  const [transA, transB] = [intOf(node, 'transA', 0) !== 0, intOf(node, 'transB', 0) !== 0];
  const alpha = { alpha: { float: floatOf(node, 'alpha', 1) } };
  const product = (left: string, right: string, turnLeft: boolean, turnRight: boolean, like: string): string =>
    g.emit('Gemm', [left, right], { ...alpha, transA: { int: turnLeft ? 1 : 0 }, transB: { int: turnRight ? 1 : 0 } }, { type: g.type(d), shape: g.shape(like) });
  return [
    needs(0) ? (transA ? product(b, d, transB, true, a) : product(d, b, false, !transB, a)) : null,
    needs(1) ? (transB ? product(d, a, true, transA, b) : product(a, d, !transA, false, b)) : null,
    c && needs(2) ? g.reduceTo(g.times(d, floatOf(node, 'beta', 1)), c) : null,
  ];
});
