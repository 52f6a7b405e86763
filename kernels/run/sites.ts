/** Where a weight is applied in a graph: which operator, to which values. */
import type { Graph, GraphInitializer, GraphNode } from '../graph/graph';
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
  /** Which dimension of the stored weight counts output channels; absent where the graph does not tell. */
  readonly outputAxis?: number;
}

/** Operators that hand a weight on as it is, or with its last two dimensions swapped. */
const PASSING = new Set(['Transpose', 'Identity', 'Cast', 'Squeeze', 'Unsqueeze']);

/** Every place where a tensor of the checkpoint is applied as a weight, in the order in which they run; empty where there is none we know. */
export function sitesOf(graph: Graph, tensor: string): LayerSite[] {
  return found(graph, initializersOf(graph, tensor)).get(tensor) ?? [];
}

/** The same for all tensors at once. */
export function allSites(graph: Graph): Map<string, LayerSite[]> {
  return found(graph, graph.initializers);
}

/** A weight under one of the names it goes by. */
interface Handed {
  readonly tensor: string;
  /** Which dimension of the stored tensor each dimension is; null where that is not followed. */
  readonly order: readonly number[] | null;
}

function found(graph: Graph, initializers: readonly GraphInitializer[]): Map<string, LayerSite[]> {
  const weights = new Map(initializers.flatMap(({ name, shape, data }): [string, Handed][] => ('checkpoint' in data ? [[name, { tensor: data.checkpoint, order: shape.map((_, i) => i) }]] : [])));
  const sites = new Map<string, LayerSite[]>();
  graph.nodes.forEach((node, at) => {
    const [first = '', second = ''] = node.inputs;
    const handed = weights.get(first);
    if (handed && PASSING.has(node.op)) for (const output of node.outputs) weights.set(output, { ...handed, order: orderAfter(node, handed.order) });
    const kind = kindOf(node, weights);
    if (!kind) return;
    const { tensor, order } = weights.get(kind === 'lookup' ? first : second)!;
    const axis = order?.[outputDimension(node, kind, order.length)];
    const list = sites.get(tensor) ?? [];
    list.push({ tensor, kind, node, at, input: kind === 'lookup' ? second : first, output: node.outputs[0]!, ...(axis === undefined ? {} : { outputAxis: axis }) });
    sites.set(tensor, list);
  });
  return sites;
}

/** Operators that onnxruntime makes of several, which apply a weight as the plain one does. */
function fusedKind({ op, domain, inputs, attributes = {} }: GraphNode, weights: { has(name: string): boolean }): SiteKind | null {
  if (domain !== 'com.microsoft' || !weights.has(inputs[1] ?? '')) return null;
  const turned = ['transA', 'transBatchA', 'transBatchB'].some((name) => { const flag = attributes[name]; return flag && 'int' in flag && flag.int !== 0; });
  if (op === 'FusedConv') return 'conv';
  // Queries, keys and values of attention are one product with the input.
  return (op === 'FusedMatMul' || op === 'FusedGemm' || op === 'Attention') && !turned ? 'linear' : null;
}

function orderAfter({ op, attributes }: GraphNode, order: readonly number[] | null): readonly number[] | null {
  if (op === 'Identity' || op === 'Cast') return order;
  if (op !== 'Transpose' || !order) return null;
  const perm = attributes?.perm;
  return perm && 'ints' in perm ? perm.ints.map((from) => order[from] ?? 0) : order.toReversed();
}

/** Which dimension of the operand counts output channels; of a table, its rows. */
function outputDimension({ attributes }: GraphNode, kind: SiteKind, rank: number): number {
  if (kind === 'conv-transpose') return 1;
  if (kind !== 'linear') return 0;
  const turned = attributes?.transB;
  const across = turned && 'int' in turned && turned.int !== 0;
  return across ? rank - 2 : rank - 1;
}

function kindOf(node: GraphNode, weights: { has(name: string): boolean }): SiteKind | null {
  const [first, second] = node.inputs;
  if (node.domain) return fusedKind(node, weights);
  if (node.op === 'Gather' && weights.has(first!)) return 'lookup';
  if (!weights.has(second ?? '')) return null;
  if (node.op === 'MatMul') return 'linear';
  if (node.op === 'Gemm') { const flag = node.attributes?.transA; return flag && 'int' in flag && flag.int !== 0 ? null : 'linear'; }
  if (node.op === 'Conv') return 'conv';
  return node.op === 'ConvTranspose' ? 'conv-transpose' : null;
}
