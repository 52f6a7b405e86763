/**
 * How far the statistics of a batch are from those that batch norms stored in training, as a graph with its gradient.
 *
 * Of one batch norm with stored means m and deviations s of its channels, and the batch's means and deviations m', s':
 * sum((m' - m)^2 + (s' - s)^2) / sum(s^2), both sums over the channels. The distance is the mean over all batch norms: ZeroQ's loss
 * (Cai et al., 2020, eq. 3), each layer in units of its own variance, so that no layer counts more because its values are larger.
 */
import { downstream, subgraph } from '../graph/cut';
import { GraphEmitter } from '../graph/emitter';
import { emitGradients } from '../graph/gradient/gradient';
import { floatOf, intOf } from '../graph/gradient/rule';
import type { Graph, GraphNode } from '../graph/graph';

export interface DistanceGraph {
  readonly graph: Graph;
  /** Outputs: the distance of the batch, and its gradient with respect to the input. */
  readonly distance: string;
  readonly gradient: string;
}

/** Batch norms with stored statistics whose input follows from `input`. */
export function batchNormsOf(graph: Graph, input: string): GraphNode[] {
  const stored = new Set(graph.initializers.map(({ name }) => name));
  const moving = downstream(graph, [input]);
  return graph.nodes.filter(({ op, domain, inputs: [x, , , mean, variance], ...node }) => op === 'BatchNormalization' && !domain && moving.has(x!) && stored.has(mean!) && stored.has(variance!) && intOf({ op, inputs: [], ...node }, 'training_mode', 0) === 0);
}

/** @throws Error naming an operator between the input and a batch norm that has no gradient */
export function distanceGraph(graph: Graph, input: string): DistanceGraph {
  const norms = batchNormsOf(graph, input);
  const read = new Set(norms.flatMap(({ inputs: [x, , , mean, variance] }) => [x!, mean!, variance!]));
  const g = new GraphEmitter(subgraph(graph, [], [...read]));
  const each = norms.map((node) => {
    g.module = node.module;
    const [x, , , mean, variance] = node.inputs as [string, string, string, string, string];
    const axes = g.shape(x).map((_, axis) => axis).filter((axis) => axis !== 1);
    const square = (value: string): string => g.mul(value, value);
    const root = (value: string): string => g.same('Sqrt', [g.plus(value, floatOf(node, 'epsilon', 1e-5))]);
    const own = g.mean(x, axes, true);
    const deviation = root(g.mean(square(g.sub(x, own)), axes, false));
    const stored = root(variance);
    const error = g.add(square(g.sub(g.reshapeLike(own, mean), mean)), square(g.sub(deviation, stored)));
    return g.div(g.reduceSum(error, [0], false), g.reduceSum(square(stored), [0], false));
  });
  g.module = '';
  const distance = g.times(g.sum(each), 1 / each.length);
  const gradient = emitGradients(g, distance, [input]).get(input)!;
  return { graph: g.finish([distance, gradient]), distance, gradient };
}
