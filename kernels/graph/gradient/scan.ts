/** Running sums and triangles. */
import { define, intOf } from './rule';

define('CumSum', (g, { node, gradient }) => [
  g.same('CumSum', [gradient, node.inputs[1]!], { exclusive: { int: intOf(node, 'exclusive', 0) }, reverse: { int: 1 - intOf(node, 'reverse', 0) } }),
]);
define('Trilu', (g, { node, gradient }) => [g.same('Trilu', [gradient, ...node.inputs.slice(1)], { upper: { int: intOf(node, 'upper', 1) } })]);
