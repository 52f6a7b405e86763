/** Puts operators between values and the nodes that read them, leaving the order in which a graph can run. */
import { GraphEmitter } from './emitter';
import type { Graph, GraphNode } from './graph';

export class Insertion {
  readonly emitter: GraphEmitter;
  private readonly before = new Map<GraphNode, GraphNode[]>();
  private readonly after = new Map<GraphNode, GraphNode[]>();
  private readonly inputs = new Map<GraphNode, string[]>();

  /** @param prefix of the names of values that are added */
  constructor(private readonly graph: Graph, prefix: string) {
    this.emitter = new GraphEmitter(graph, prefix);
  }

  /** Hands a node another value in place of one of its inputs. Nodes must be given in the order in which they run: what was emitted for one serves those after it. */
  replaceInput(node: GraphNode, position: number, emit: (value: string) => string): void {
    const from = this.emitter.nodes.length;
    this.emitter.module = node.module;
    const inputs = this.inputs.get(node) ?? [...node.inputs];
    inputs[position] = emit(inputs[position]!);
    this.inputs.set(node, inputs);
    this.before.set(node, [...this.before.get(node) ?? [], ...this.emitter.nodes.slice(from)]);
  }

  /** Hands all who read an output of a node what is made of it. The graph's outputs keep their names. */
  replaceOutput(node: GraphNode, emit: (value: string) => string): void {
    const from = this.emitter.nodes.length;
    this.emitter.module = node.module;
    const output = node.outputs[0]!;
    const made = emit(output);
    this.after.set(node, [...this.after.get(node) ?? [], ...this.emitter.nodes.slice(from)]);
    for (const reader of this.graph.nodes) if (reader !== node && reader.inputs.includes(output)) this.inputs.set(reader, (this.inputs.get(reader) ?? [...reader.inputs]).map((input) => (input === output ? made : input)));
  }

  finish(): Graph {
    const known = new Set(this.graph.initializers.map(({ name }) => name));
    const made = [...this.before.values(), ...this.after.values()].flat();
    const { file: _, ...graph } = this.graph;
    return {
      ...graph,
      nodes: this.graph.nodes.flatMap((node) => {
        const inputs = this.inputs.get(node);
        return [...this.before.get(node) ?? [], inputs ? { ...node, inputs } : node, ...this.after.get(node) ?? []];
      }),
      initializers: [...this.graph.initializers, ...this.emitter.initializers.filter(({ name }) => !known.has(name))],
      values: [...this.graph.values ?? [], ...made.flatMap(({ outputs }) => outputs.map((name) => this.emitter.value(name)))],
    };
  }
}
