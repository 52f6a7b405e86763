/** Parts of a graph: what some values need, and what depends on them. */
import type { Graph, GraphInitializer, GraphNode, GraphValue } from './graph';

/** Every value that a node looks at: its inputs, and what graphs within it read. */
export const readsOf = ({ inputs, captures }: Pick<GraphNode, 'inputs' | 'captures'>): readonly string[] => (captures ? [...inputs, ...captures] : inputs);

/**
 * The part of a graph that gives `outputs` when the values in `inputs` are handed to it; the graph's own inputs stay inputs where
 * they are still needed.
 *
 * @throws Error for a value that nothing makes, or whose type is not known.
 */
export function subgraph(graph: Graph, inputs: Iterable<string>, outputs: readonly string[]): Graph {
  const given = new Set(inputs);
  const typeOf = valueTypes(graph);
  const needed = new Set(outputs.filter((name) => !given.has(name)));
  const nodes = [...graph.nodes].reverse().filter((node) => {
    if (!node.outputs.some((output) => needed.has(output))) return false;
    for (const input of readsOf(node)) if (input !== '' && !given.has(input)) needed.add(input);
    return true;
  }).reverse();
  const read = new Set([...nodes.flatMap(readsOf), ...outputs]);
  const made = new Set(nodes.flatMap((node) => node.outputs));
  return {
    ...graph,
    inputs: [...graph.inputs.filter(({ name }) => read.has(name) && !made.has(name)), ...[...given].filter((name) => read.has(name) && !made.has(name) && !graph.inputs.some((input) => input.name === name)).map(typeOf)],
    outputs: outputs.map(typeOf),
    nodes,
    initializers: graph.initializers.filter(({ name }) => read.has(name) && !given.has(name)),
    values: (graph.values ?? []).filter(({ name }) => made.has(name) && !outputs.includes(name)),
  };
}

/** Names of all values that depend on one of these. */
export function downstream(graph: Graph, sources: Iterable<string>): Set<string> {
  const found = new Set(sources);
  for (const node of graph.nodes) if (readsOf(node).some((input) => found.has(input))) node.outputs.forEach((output) => found.add(output));
  return found;
}

/** Operators that look at the shape of their input only. */
const SHAPES_ONLY = new Set(['Shape', 'Size']);

/**
 * Names of all values that the data in the graph's inputs reaches. The others follow from weights and shapes: they are cheaper
 * computed again than handed over, and a runtime that knows the shapes computes them once and for all.
 */
export function movingValues({ nodes, inputs }: Pick<Graph, 'nodes' | 'inputs'>): Set<string> {
  const found = new Set(inputs.map(({ name }) => name));
  for (const node of nodes) if (!SHAPES_ONLY.has(node.op) && readsOf(node).some((input) => found.has(input))) node.outputs.forEach((output) => found.add(output));
  return found;
}

/** What must be handed over so that `outputs` can be computed anew after `sources` changed: values that do not depend on them. */
export function borderOf(graph: Graph, sources: Iterable<string>, outputs: readonly string[]): string[] {
  const changed = new Set(sources);
  const after = downstream(graph, changed);
  const moving = movingValues(graph);
  const needed = new Set(outputs.filter((name) => after.has(name)));
  const weights = new Set(graph.initializers.map(({ name }) => name));
  const border = new Set<string>(outputs.filter((name) => !after.has(name)));
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    for (const input of readsOf(node)) {
      if (input === '') continue;
      if (after.has(input) || !(moving.has(input) || weights.has(input))) needed.add(input);
      else if (!weights.has(input)) border.add(input);
    }
  }
  return [...border];
}

/** Moving values among these, and those whose shapes the others follow from. */
export function movingSources(graph: Graph, names: Iterable<string>, moving: ReadonlySet<string>): Set<string> {
  const needed = new Set(names);
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((output) => needed.has(output) && !moving.has(output))) continue;
    for (const input of readsOf(node)) needed.add(input);
  }
  return new Set([...needed].filter((name) => moving.has(name)));
}

/** Initializers that hold a tensor of the checkpoint. */
export function initializersOf(graph: Graph, tensor: string): GraphInitializer[] {
  return graph.initializers.filter(({ data }) => 'checkpoint' in data && data.checkpoint === tensor);
}

/** The node that makes each value. */
export function producers(graph: Graph): Map<string, GraphNode> {
  return new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
}

/** Looks up type and shape of any value. */
export function valueTypes(graph: Graph): (name: string) => GraphValue {
  const known = new Map<string, GraphValue>([...(graph.values ?? []), ...graph.initializers.map(({ name, type, shape }) => ({ name, type, shape })), ...graph.inputs, ...graph.outputs].map((value) => [value.name, value]));
  return (name) => {
    const found = known.get(name);
    if (!found) throw new Error(`the type of the value ${JSON.stringify(name)} is not known`);
    return found;
  };
}
