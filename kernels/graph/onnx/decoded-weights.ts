/**
 * Quantized weights of a graph as the values they stand for: what dequantizes them becomes an initializer of real numbers, so that
 * the weight can be measured, calibrated and replaced like any other. What quantizes activations stays.
 */
import type { Checkpoint, DerivedTensor } from '../../checkpoint/checkpoint';
import type { Graph, GraphInitializer, GraphNode } from '../graph';
import { freshNames } from '../names';

/**
 * The same graph where nothing is quantized in a way that is known.
 * @param only the weights to decode, by name; all when absent
 */
export function withDecodedWeights(graph: Graph, checkpoint: Checkpoint, only?: ReadonlySet<string>): Graph {
  const weights = new Map((checkpoint.derived ?? []).filter(({ name }) => !only || only.has(name)).map((weight) => [weight.replaces[0]!, weight]));
  if (weights.size === 0) return graph;
  const tensorOf = new Map(graph.initializers.flatMap(({ name, data }) => ('checkpoint' in data ? [[name, data.checkpoint] as const] : [])));
  const made = new Map<string, GraphInitializer>();
  const fresh = freshNames(graph);
  const nodes = graph.nodes.flatMap((node): GraphNode[] => {
    const weightAt = (input: number): DerivedTensor | undefined => weights.get(tensorOf.get(node.inputs[input] ?? '') ?? '');
    if (node.op === 'DequantizeLinear') {
      const weight = weightAt(0);
      // Codes that are read twice, with other scales, are another weight.
      if (!weight || weight.encoding.layout !== 'affine' || weight.encoding.parts?.scales?.name !== tensorOf.get(node.inputs[1] ?? '')) return [node];
      const [output] = node.outputs;
      made.set(output!, { name: output!, type: 'F32', shape: weight.shape, data: { checkpoint: weight.name } });
      return [];
    }
    if ((node.op === 'MatMulNBits' || node.op === 'MatMulBnb4') && node.domain === 'com.microsoft') {
      const weight = weightAt(1);
      return weight ? multiplied(node, weight, made, fresh) : [node];
    }
    return [node];
  });
  if (made.size === 0) return graph;
  const read = new Set([...nodes.flatMap(({ inputs, captures = [] }) => [...inputs, ...captures]), ...graph.outputs.map(({ name }) => name)]);
  return { ...graph, file: undefined, nodes, initializers: [...graph.initializers.filter(({ name }) => read.has(name)), ...made.values()] };
}

/** x @ W^T + bias, the weight being [out, in]. */
function multiplied(node: GraphNode, weight: DerivedTensor, made: Map<string, GraphInitializer>, fresh: (wanted: string) => string): GraphNode[] {
  const [input = ''] = node.inputs;
  const bias = node.op === 'MatMulNBits' ? node.inputs[5] ?? '' : '';
  const [output = ''] = node.outputs;
  // Two products may share one weight.
  const decoded = [...made.values()].find(({ data }) => 'checkpoint' in data && data.checkpoint === weight.name)?.name ?? fresh(weight.name);
  const turned = fresh(`${decoded}/turned`);
  const product = bias === '' ? output : fresh(`${output}/product`);
  made.set(decoded, { name: decoded, type: 'F32', shape: weight.shape, data: { checkpoint: weight.name } });
  const { module } = node;
  return [
    { op: 'Transpose', inputs: [decoded], outputs: [turned], attributes: { perm: { ints: [1, 0] } }, module },
    { op: 'MatMul', inputs: [input, turned], outputs: [product], module },
    ...(bias === '' ? [] : [{ op: 'Add', inputs: [product, bias], outputs: [output], module }]),
  ];
}
