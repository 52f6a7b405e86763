/** Where a weight is applied in a graph: which operator, to which values. */
import type { Graph, GraphNode } from '../graph/graph';
import { initializersOf } from '../graph/cut';

export type SiteKind = 'linear' | 'conv' | 'conv-transpose' | 'lookup';
/** One application of a weight. */
export interface LayerSite {
  readonly tensor: string;
  readonly kind: SiteKind;
  readonly node: GraphNode;
  /** Position of the node in the graph. */
  readonly at: number;
  /** Value that the weight is applied to, and what comes out (before a bias that is added by a node of its own). */
  readonly input: string;
  readonly output: string;
}

/** Operators that hand a weight on as it is, or with its last two dimensions swapped. */
const PASSING = new Set(['Transpose', 'Identity', 'Cast', 'Squeeze', 'Unsqueeze']);

/** Every place where a tensor of the checkpoint is applied as a weight, in the order in which they run; empty where there is none we know. */
export function sitesOf(graph: Graph, tensor: string): LayerSite[] {
  const weights = new Set(initializersOf(graph, tensor).map(({ name }) => name));
  const found: LayerSite[] = [];
  graph.nodes.forEach((node, at) => {
    const [first, second] = node.inputs;
    if (PASSING.has(node.op) && weights.has(first!)) node.outputs.forEach((output) => weights.add(output));
    const kind = kindOf(node, weights);
    if (kind) found.push({ tensor, kind, node, at, input: kind === 'lookup' ? second! : first!, output: node.outputs[0]! });
  });
  return found;
}

function kindOf(node: GraphNode, weights: ReadonlySet<string>): SiteKind | null {
  const [first, second] = node.inputs;
  if (node.domain) return null;
  if (node.op === 'Gather' && weights.has(first!)) return 'lookup';
  if (!weights.has(second ?? '')) return null;
  if (node.op === 'MatMul') return 'linear';
  if (node.op === 'Gemm') { const flag = node.attributes?.transA; return flag && 'int' in flag && flag.int !== 0 ? null : 'linear'; }
  if (node.op === 'Conv') return 'conv';
  return node.op === 'ConvTranspose' ? 'conv-transpose' : null;
}
