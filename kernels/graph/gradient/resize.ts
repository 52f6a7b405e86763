/**
 * Resampling. Along each axis it is a matrix: how much of which input is in which output. The matrix is what the same resampling
 * makes of the identity, so that every mode and corner convention is met.
 */
import type { GraphEmitter } from '../emitter';
import type { GraphNode } from '../graph';
import { define, NoGradient, intsOf } from './rule';

define('Resize', (g, { node, gradient }) => {
  const x = node.inputs[0]!;
  if (intsOf(node, 'axes') || node.inputs[1]) throw new NoGradient('with axes or a region');
  const n = g.rank(x);
  let made = gradient;
  for (let axis = 0; axis < n; axis += 1) {
    const scale = node.inputs[2] ? g.numbers(node.inputs[2])?.[axis] : undefined;
    if (g.shape(x)[axis] === g.shape(gradient)[axis] && (scale === undefined || scale === 1)) continue;
    const matrix = matrixOf(g, node, x, gradient, axis);
    // sum over outputs o of matrix[i, o] d[..., o, ...]
    const last = Array.from({ length: n }, (_, i) => i).filter((i) => i !== axis).concat(axis);
    const product = g.matmul(g.transpose(made, last), g.swapped(matrix));
    made = g.transpose(product, last.map((_, i) => last.indexOf(i)));
  }
  return [made];
});

/** [inputs, outputs] of one axis. */
function matrixOf(g: GraphEmitter, node: GraphNode, x: string, d: string, axis: number): string {
  const [size, target] = [g.size(x, axis), g.size(d, axis)];
  const type = g.type(x);
  const [from, to] = [g.shape(x)[axis]!, g.shape(d)[axis]!];
  const square = g.filled(0, type, g.joined([size, size]), [from, from]);
  const identity = g.unsqueeze(g.same('EyeLike', [square]), [0, 1]);
  const scales = node.inputs[2] ? pick(g, node.inputs[2], axis) : '';
  const inputs = scales !== '' ? [identity, '', scales] : [identity, '', '', g.joined([g.ints([1, 1]), size, target])];
  return g.reshapeBy(g.emit('Resize', inputs, node.attributes ?? {}, { type, shape: [1, 1, from, to] }), g.joined([size, target]), [from, to]);
}
/** Scales that leave all but the last axis as it is. */
function pick(g: GraphEmitter, scales: string, axis: number): string {
  const known = g.numbers(scales);
  if (!known) throw new NoGradient('by factors that are known only when it runs');
  return g.constant('F32', [4], [1, 1, 1, known[axis]!]);
}
