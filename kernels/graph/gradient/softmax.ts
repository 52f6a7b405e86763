/** Softmax and its logarithm along one axis. */
import type { GraphEmitter } from '../emitter';
import type { GraphNode } from '../graph';
import { define, intOf } from './rule';

const axisOf = (g: GraphEmitter, node: GraphNode): number => {
  const axis = intOf(node, 'axis', -1);
  return axis < 0 ? axis + g.rank(node.inputs[0]!) : axis;
};
/** y (d - sum(y d)). */
define('Softmax', (g, { node, gradient: d }) => {
  const y = node.outputs[0]!;
  return [g.mul(y, g.sub(d, g.reduceSum(g.mul(d, y), [axisOf(g, node)], true)))];
});
/** d - e^y sum(d). */
define('LogSoftmax', (g, { node, gradient: d }) => [g.sub(d, g.mul(g.same('Exp', [node.outputs[0]!]), g.reduceSum(d, [axisOf(g, node)], true)))]);
