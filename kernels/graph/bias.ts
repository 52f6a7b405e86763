/** The parameter that a constant per output channel of a layer can be added to. */
import type { Graph, GraphInitializer, GraphNode } from './graph';
import { valueTypes } from './cut';

/** Adding `c` to each channel of the layer's output is adding `sign` x `c` to the tensor. */
export interface BiasPlace { readonly tensor: string; readonly initializer: GraphInitializer; readonly sign: 1 | -1 }

/**
 * The layer's own bias, one that is added right behind it, or the mean of a batch norm there; null where there is none of the
 * layer's alone.
 * @param node that applies the weight @param channels of its output, in the dimension `axis`
 */
export function biasPlace(graph: Graph, node: GraphNode, axis: number, channels: number): BiasPlace | null {
  const place = (name: string | undefined, sign: 1 | -1): BiasPlace | null => {
    const initializer = graph.initializers.find((each) => each.name === name);
    if (!initializer || !('checkpoint' in initializer.data) || initializer.type !== 'F32') return null;
    const { checkpoint } = initializer.data;
    const alone = graph.initializers.filter(({ data }) => 'checkpoint' in data && data.checkpoint === checkpoint).length === 1 && readers(graph, initializer.name).length === 1 && !graph.outputs.some((output) => output.name === name);
    return alone && initializer.shape.reduce((a, b) => a * b, 1) === channels ? { tensor: checkpoint, initializer, sign } : null;
  };
  if (node.inputs[2]) {
    const beta = node.attributes?.beta;
    return beta && 'float' in beta && beta.float !== 1 ? null : place(node.inputs[2], 1);
  }
  const output = node.outputs[0]!;
  const [next, ...more] = readers(graph, output);
  if (!next || more.length > 0 || graph.outputs.some(({ name }) => name === output)) return null;
  if (next.op === 'BatchNormalization' && next.inputs[0] === output && axis === 1) return place(next.inputs[3], -1);
  if (next.op !== 'Add') return null;
  const other = next.inputs.find((input) => input !== output);
  const found = place(other, 1);
  if (!found) return null;
  // The bias must lie along the channels: [channels], or [channels, 1, 1] behind a convolution.
  const rank = valueTypes(graph)(output).shape.length;
  const { shape } = found.initializer;
  return shape[axis - rank + shape.length] === channels ? found : null;
}

const readers = (graph: Graph, value: string): GraphNode[] => graph.nodes.filter(({ inputs, captures }) => inputs.includes(value) || captures?.includes(value));
