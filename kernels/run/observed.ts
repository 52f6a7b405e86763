/** Which values of a graph are worth looking at: what goes into and out of layers, and where low precision is known to fail. */
import type { Graph, GraphNode, GraphSpan } from '../graph/graph';
import { movingValues, producers, valueTypes } from '../graph/cut';
import { sitesOf } from './sites';

/**
 * `layer-input`, `layer-output`: of a weight. `activation`: after GELU, SiLU and their like. `softmax`: its probabilities, `logits` what
 * goes into it. `norm-input`: what a layer norm or RMS norm squares. `term`: one side of a sum of two streams, or one part of a
 * concatenation; `sum`: what comes out.
 */
export type ObservedRole = 'layer-input' | 'layer-output' | 'activation' | 'softmax' | 'logits' | 'norm-input' | 'term' | 'sum';

export interface Observed {
  readonly value: string;
  readonly role: ObservedRole;
  /** Operator that it is about, and the module whose forward runs it. */
  readonly op: string;
  readonly module: string;
  readonly span?: GraphSpan;
  /** Key of the weight, for the roles of layers. */
  readonly layer?: string;
  /** Values of the same operator, in its order: of a `sum`, its terms. */
  readonly terms?: readonly string[];
  /** Dimension of the channels; null where there is one number only. */
  readonly channelAxis: number | null;
}

const SMOOTH_GATES = new Set(['Gelu', 'HardSwish', 'Mish', 'Elu', 'Softplus']);

/** @param weights by key, with the tensor of each */
export function observedValues(graph: Graph, weights: readonly { readonly key: string; readonly tensor: string }[]): Observed[] {
  const moving = movingValues(graph);
  const typeOf = valueTypes(graph);
  const made = producers(graph);
  const found: Observed[] = [];
  const floating = (name: string): boolean => moving.has(name) && typeOf(name).type === 'F32';
  const see = (value: string, role: ObservedRole, node: GraphNode, channelAxis: number | null, more: Partial<Observed> = {}): void => {
    if (floating(value)) found.push({ value, role, op: node.op, module: node.module, ...(node.span ? { span: node.span } : {}), channelAxis, ...more });
  };
  const rankOf = (name: string): number => typeOf(name).shape.length;
  /** Images have their channels second, sequences and rows last. */
  const axisOf = (name: string): number | null => (rankOf(name) === 0 ? null : rankOf(name) === 4 ? 1 : rankOf(name) - 1);
  for (const { key, tensor } of weights) {
    for (const { kind, node, input, output } of sitesOf(graph, tensor)) {
      if (kind === 'lookup') continue;
      const axis = (name: string): number | null => (kind === 'linear' ? Math.max(0, rankOf(name) - 1) : 1);
      see(input, 'layer-input', node, axis(input), { layer: key });
      see(output, 'layer-output', node, axis(output), { layer: key });
    }
  }
  for (const node of graph.nodes) {
    const [first = '', second = ''] = node.inputs;
    const [output = ''] = node.outputs;
    if (node.domain) continue;
    if (SMOOTH_GATES.has(node.op) || (node.op === 'Mul' && isGateOf(made, first, second))) see(output, 'activation', node, axisOf(output));
    else if (node.op === 'Softmax') { see(output, 'softmax', node, null); see(first, 'logits', node, null); }
    else if (node.op === 'LayerNormalization' || node.op === 'RMSNormalization') see(first, 'norm-input', node, axisOf(first));
    else if (node.op === 'ReduceMean') { const squared = squareOf(graph, made.get(first)); if (squared) see(squared, 'norm-input', node, axisOf(squared)); }
    else if ((node.op === 'Add' && rankOf(first) > 1 && floating(first) && floating(second) && String(typeOf(first).shape) === String(typeOf(second).shape)) || (node.op === 'Concat' && node.inputs.filter(floating).length > 1)) {
      const terms = node.inputs.filter(floating);
      for (const term of terms) see(term, 'term', node, axisOf(term));
      see(output, 'sum', node, axisOf(output), { terms });
    }
  }
  return found;
}

/** x * sigmoid(x), or x * sigmoid(1.702 x): SiLU and the quick GELU as they are written out. */
function isGateOf(made: ReadonlyMap<string, GraphNode>, a: string, b: string): boolean {
  const scaled = (name: string, of: string): boolean => { const node = made.get(name); return name === of || (node?.op === 'Mul' && node.inputs.includes(of)); };
  const gate = (name: string, of: string): boolean => { const node = made.get(name); return (node?.op === 'Sigmoid' || node?.op === 'HardSigmoid') && scaled(node.inputs[0]!, of); };
  return gate(a, b) || gate(b, a);
}

/** The x of x * x or x ^ 2; null for any other node. */
function squareOf(graph: Graph, node: GraphNode | undefined): string | null {
  if (!node) return null;
  if (node.op === 'Mul' && node.inputs[0] === node.inputs[1]) return node.inputs[0]!;
  const exponent = graph.initializers.find(({ name }) => name === node.inputs[1])?.data;
  return node.op === 'Pow' && exponent && 'values' in exponent && exponent.values[0] === 2 ? node.inputs[0]! : null;
}
