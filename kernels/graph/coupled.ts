/**
 * Weights that runtimes and fused kernels want in one format, found in the graph: projections of one input that attention
 * multiplies with each other (stored as one matrix when fused), gate and up of a gated feed-forward, and all layers that
 * write to one residual stream, whose sum is taken in one format.
 */
import { movingValues, producers, valueTypes } from './cut';
import type { Graph, GraphNode } from './graph';

export const COUPLINGS = ['qkv', 'gate-up', 'residual'] as const;
export type Coupling = (typeof COUPLINGS)[number];

/** One application of a weight: the value it is applied to, and the one that comes out. */
export interface Application { readonly tensor: string; readonly node: GraphNode; readonly input: string; readonly output: string }

/** Operators that leave the values as they are: what they are given is the same input still. */
const SAME = new Set(['Identity', 'Cast', 'Dropout', 'Reshape', 'Squeeze', 'Unsqueeze', 'Transpose', 'Flatten']);
/** Operators of two activations that mix positions or channels: behind them stands a value of another kind. */
const PRODUCTS = new Set(['MatMul', 'Gemm', 'Einsum', 'Attention', 'MultiHeadAttention', 'GroupQueryAttention']);
const MIXING = new Set([...PRODUCTS, 'Conv', 'ConvTranspose', 'ConvInteger', 'LSTM', 'GRU', 'RNN', 'Concat', 'Softmax', 'Gather', 'GatherElements', 'GatherND', 'ScatterND', 'ScatterElements', 'TopK']);

/**
 * Sets of tensors, each with two or more, in the order in which the first of each is applied.
 * @param applications of every weight that may be coupled; lookups left out, whose output nothing computes
 */
export function coupledTensors(graph: Graph, applications: readonly Application[], kind: Coupling): string[][] {
  const paths = new Paths(graph, applications);
  const sets = new Sets();
  const bySource = new Map<string, Application[]>();
  for (const each of applications) listed(bySource, paths.sourceOf(each.input)).push(each);
  const siblings = [...bySource.values()].filter((list) => list.length > 1);
  if (kind === 'qkv') for (const list of siblings) joinAttention(paths, list, sets);
  else if (kind === 'gate-up') for (const list of siblings) joinGated(paths, list, sets);
  else joinStreams(graph, paths, sets);
  const members = new Map<string, string[]>();
  for (const tensor of new Set(applications.map((each) => each.tensor))) {
    listed(members, sets.root(tensor)).push(tensor);
  }
  return [...members.values()].filter((list) => list.length > 1);
}

/** Layers of one input whose outputs reach the products of one attention, with no other layer between. */
function joinAttention(paths: Paths, list: readonly Application[], sets: Sets): void {
  const byAttention = new Map<GraphNode, Application[]>();
  for (const each of list) {
    for (const product of new Set(paths.productsAfter(each.output).map((node) => paths.attentionOf(node)))) listed(byAttention, product).push(each);
  }
  for (const [first, ...others] of byAttention.values()) for (const other of others) sets.join(first!.tensor, other.tensor);
}

/** Layers of one input, one of which is multiplied with the other. */
function joinGated(paths: Paths, list: readonly Application[], sets: Sets): void {
  const reached = list.map(({ output }) => paths.after(output).values);
  const products = new Set(reached.flatMap((values) => [...values].flatMap((value) => paths.usersOf(value).filter(({ op }) => op === 'Mul'))));
  for (const { inputs } of products) {
    const [left, right] = [0, 1].map((side) => reached.flatMap((values, i) => (values.has(inputs[side] ?? '') ? [i] : [])));
    for (const a of left!) for (const b of right!) if (!right!.includes(a) && !left!.includes(b)) sets.join(list[a]!.tensor, list[b]!.tensor);
  }
}

/** Layers that meet in a sum, directly or through sums before it: all that write to one stream. Sums come in the order in which they run. */
function joinStreams(graph: Graph, paths: Paths, sets: Sets): void {
  const sums = new Map<GraphNode, readonly string[]>();
  for (const node of graph.nodes) {
    if (!paths.isSum(node)) continue;
    const sides = node.inputs.map((input) => paths.writersOf(input, sums));
    const writers = [...new Set(sides.flat())];
    // A sum with what no layer made joins nothing: of a layer's output with itself, turned (rotary positions), or with an input.
    const joins = sides.every((side) => side.length > 0);
    if (joins) for (const other of writers.slice(1)) sets.join(writers[0]!, other);
    // What was joined is known by its first.
    sums.set(node, joins ? writers.slice(0, 1) : writers);
  }
}

/** The list of a key, made when there is none. */
function listed<Key, Item>(lists: Map<Key, Item[]>, key: Key): Item[] {
  const list = lists.get(key) ?? [];
  if (list.length === 0) lists.set(key, list);
  return list;
}

class Paths {
  private readonly made: Map<string, GraphNode>;
  private readonly moving: Set<string>;
  private readonly users = new Map<string, GraphNode[]>();
  private readonly applied: Map<GraphNode, string>;
  private readonly shapes = new Map<string, string | null>();
  private readonly typeOf: ReturnType<typeof valueTypes>;

  constructor(graph: Graph, applications: readonly Application[]) {
    this.made = producers(graph);
    this.moving = movingValues(graph);
    this.typeOf = valueTypes(graph);
    this.applied = new Map(applications.map(({ node, tensor }) => [node, tensor]));
    for (const node of graph.nodes) for (const input of new Set(node.inputs)) listed(this.users, input).push(node);
  }

  usersOf(value: string): readonly GraphNode[] {
    return this.users.get(value) ?? [];
  }

  /** The value before everything that leaves values as they are. */
  sourceOf(value: string): string {
    let at = value;
    for (;;) {
      const node = this.made.get(at);
      const input = node?.inputs[0];
      if (!node || !SAME.has(node.op) || input === undefined || !this.moving.has(input)) return at;
      at = input;
    }
  }

  /** Everything computed from a value up to the next layers and products: the values, and the products of two activations met. */
  after(value: string): { values: Set<string>; products: GraphNode[] } {
    const values = new Set([value]);
    const products = new Set<GraphNode>();
    for (const at of values) {
      for (const node of this.usersOf(at)) {
        if (this.applied.has(node)) continue;
        if (PRODUCTS.has(node.op) && node.inputs.filter((input) => this.moving.has(input)).length > 1) products.add(node);
        else node.outputs.forEach((output) => { if (this.moving.has(output)) values.add(output); });
      }
    }
    return { values, products: [...products] };
  }
  productsAfter(value: string): GraphNode[] {
    return this.after(value).products;
  }

  /** The last of the products that follow each other without a layer between: scores lead to the sum of values. */
  attentionOf(product: GraphNode): GraphNode {
    const seen = new Set<GraphNode>();
    for (let at = product; ; ) {
      seen.add(at);
      const next = this.productsAfter(at.outputs[0]!).find((node) => !seen.has(node));
      if (!next) return at;
      at = next;
    }
  }

  /** Sums of two activations of one shape: residual connections. A broadcast sum shifts one of them. */
  isSum({ op, inputs, outputs }: GraphNode): boolean {
    return op === 'Add' && inputs.every((input) => this.moving.has(input) && this.shapeOf(input) !== null && this.shapeOf(input) === this.shapeOf(outputs[0]!));
  }

  /**
   * Layers that a value comes from through activations, norms, pooling, views and sums; in no particular order.
   * @param sums those before, with the layers that stand for each
   */
  writersOf(value: string, sums: ReadonlyMap<GraphNode, readonly string[]>): readonly string[] {
    const found = new Set<string>();
    const seen = new Set([value]);
    for (const at of seen) {
      const node = this.made.get(at);
      if (!node) continue;
      const layer = this.applied.get(node);
      const known = layer === undefined ? sums.get(node) : [layer];
      if (known) known.forEach((each) => found.add(each));
      if (known || MIXING.has(node.op)) continue;
      const moving = node.inputs.filter((input) => this.moving.has(input));
      // Of several activations (masks, gates that scale channels) the one that keeps its shape is what goes through.
      for (const input of moving) if (moving.length === 1 || this.shapeOf(input) === this.shapeOf(node.outputs[0]!)) seen.add(input);
    }
    return [...found];
  }

  private shapeOf(value: string): string | null {
    const known = this.shapes.get(value);
    if (known !== undefined) return known;
    let shape: string | null;
    try { shape = JSON.stringify(this.typeOf(value).shape); } catch { shape = null; }
    this.shapes.set(value, shape);
    return shape;
  }
}

/** Disjoint sets of names. */
class Sets {
  private readonly parent = new Map<string, string>();
  root(name: string): string {
    let at = name;
    for (let up = this.parent.get(at); up !== undefined; up = this.parent.get(at)) at = up;
    return at;
  }
  join(a: string, b: string): void {
    const [left, right] = [this.root(a), this.root(b)];
    if (left !== right) this.parent.set(right, left);
  }
}
