/**
 * A walk through a model with all batches at once, from one place of the graph to the next: values that are needed further on are
 * kept, so that the model runs once however often one stops. Weights may change ahead of the walk.
 */
import { movingSources, movingValues, readsOf, subgraph } from '../graph/cut';
import type { Graph } from '../graph/graph';
import type { Feed } from './feed';
import type { PreparedModel } from './prepared-model';
import type { NamedArray, RunningModel } from './run-model';

export class Walk {
  private readonly state: Map<string, NamedArray>[];
  private readonly moving: ReadonlySet<string>;
  private readonly graph: Graph;
  private leg: { readonly part: Graph; readonly running: RunningModel } | null = null;
  private live: readonly string[] = [];

  constructor(private readonly model: PreparedModel, feed: Feed, batches: readonly (readonly number[])[]) {
    this.graph = model.graph;
    this.moving = movingValues(this.graph);
    this.state = batches.map((batch) => feed.inputs(batch));
  }

  /** Position of the node that makes a value. @throws Error when none does */
  at(value: string): number {
    const found = this.graph.nodes.findIndex(({ outputs }) => outputs.includes(value));
    if (found < 0) throw new Error(`nothing makes the value ${JSON.stringify(value)}`);
    return found;
  }

  /**
   * Walks to just before node `at`, where `wanted` is looked at. Never back.
   * @param replaced values, in storage order, of weights that differ
   * @param visit called once for each batch, with the values that are there
   */
  async to(at: number, wanted: readonly string[], replaced: ReadonlyMap<string, Float32Array>, visit: (arrays: ReadonlyMap<string, NamedArray>, batch: number) => Promise<void>): Promise<void> {
    await this.start(at, wanted, replaced);
    try {
      for (let batch = 0; batch < this.state.length; batch += 1) await visit(await this.advance(batch), batch);
    } finally { await this.end(); }
  }

  /** The same in steps, for walks side by side: `start`, `advance` for each batch, `end`. */
  async start(at: number, wanted: readonly string[], replaced: ReadonlyMap<string, Float32Array>): Promise<void> {
    const have = [...this.state[0]?.keys() ?? []];
    this.live = this.liveAt(at, wanted);
    const fresh = this.live.filter((name) => !have.includes(name));
    if (fresh.length === 0) return;
    const part = subgraph(this.graph, have, fresh);
    this.leg = { part, running: await this.model.start(part, replaced) };
  }
  async advance(batch: number): Promise<ReadonlyMap<string, NamedArray>> {
    const arrays = this.state[batch]!;
    if (this.leg) for (const [name, array] of await this.leg.running.run(new Map(this.leg.part.inputs.map(({ name }) => [name, arrays.get(name)!] as const)))) arrays.set(name, array);
    for (const name of [...arrays.keys()]) if (!this.live.includes(name)) arrays.delete(name);
    return arrays;
  }
  async end(): Promise<void> {
    await this.leg?.running.close();
    this.leg = null;
  }

  /** Values that are there before node `at` and needed from it on. Those that follow from weights and shapes are computed again. */
  private liveAt(at: number, wanted: readonly string[]): string[] {
    const { graph, moving } = this;
    const made = new Set([...graph.inputs.map(({ name }) => name), ...graph.nodes.slice(0, at).flatMap(({ outputs }) => outputs)]);
    const read = movingSources(graph, [...wanted, ...graph.nodes.slice(at).flatMap(readsOf), ...graph.outputs.map(({ name }) => name)], moving);
    return [...made].filter((name) => read.has(name));
  }
}
