/**
 * Quantized weights of a graph as the values they stand for: what dequantizes them becomes an initializer of real numbers, so that
 * the weight can be measured, calibrated and replaced like any other. What quantizes activations stays.
 */
import type { Checkpoint, DerivedTensor } from '../../checkpoint/checkpoint';
import type { Graph, GraphInitializer, GraphNode } from '../graph';

/** The same graph where nothing is quantized in a way that is known. */
export function withDecodedWeights(graph: Graph, checkpoint: Checkpoint): Graph {
  const weights = new Map((checkpoint.derived ?? []).map((weight) => [weight.replaces[0]!, weight]));
  if (weights.size === 0) return graph;
  const tensorOf = new Map(graph.initializers.flatMap(({ name, data }) => ('checkpoint' in data ? [[name, data.checkpoint] as const] : [])));
  const made = new Map<string, GraphInitializer>();
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
      return weight ? multiplied(node, weight, made) : [node];
    }
    return [node];
  });
  if (made.size === 0) return graph;
  const read = new Set([...nodes.flatMap(({ inputs, captures = [] }) => [...inputs, ...captures]), ...graph.outputs.map(({ name }) => name)]);
  return { ...graph, file: undefined, nodes, initializers: [...graph.initializers.filter(({ name }) => read.has(name)), ...made.values()] };
}

/** x @ W^T + bias, the weight being [out, in]. */
function multiplied(node: GraphNode, weight: DerivedTensor, made: Map<string, GraphInitializer>): GraphNode[] {
  const [input = '', codes = ''] = node.inputs;
  const bias = node.op === 'MatMulNBits' ? node.inputs[5] ?? '' : '';
  const [output = ''] = node.outputs;
  const decoded = `${codes}/decoded`;
  const product = bias === '' ? output : `${output}/product`;
  made.set(decoded, { name: decoded, type: 'F32', shape: weight.shape, data: { checkpoint: weight.name } });
  const { module } = node;
  return [
    { op: 'Transpose', inputs: [decoded], outputs: [`${decoded}/${output}`], attributes: { perm: { ints: [1, 0] } }, module },
    { op: 'MatMul', inputs: [input, `${decoded}/${output}`], outputs: [product], module },
    ...(bias === '' ? [] : [{ op: 'Add', inputs: [product, bias], outputs: [output], module }]),
  ];
}
