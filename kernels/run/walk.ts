/**
 * A walk through a model with all batches at once, from one place of the graph to the next: values that are needed further on are
 * kept, so that the model runs once however often one stops. Weights may change ahead of the walk. Batches whose values would take
 * more memory than there is are not kept: they are run from the beginning at every stop, with the weights as they are by then.
 */
import { movingSources, movingValues, readsOf, subgraph } from '../graph/cut';
import type { Graph } from '../graph/graph';
import type { Feed } from './feed';
import type { PreparedModel } from './prepared-model';
import type { NamedArray, RunningModel } from './run-model';

export class Walk {
  /** Values kept for each batch; null for those that are run anew. */
  private readonly state: (Map<string, NamedArray> | null)[];
  private bytes = 0;
  private readonly moving: ReadonlySet<string>;
  private readonly graph: Graph;
  private leg: Leg | null = null;
  /** The model up to here from its inputs. */
  private whole: Leg | null = null;
  private replaced: ReadonlyMap<string, Float32Array> = new Map();
  private live: readonly string[] = [];

  /** @param memory bytes that kept values may take */
  constructor(private readonly model: PreparedModel, private readonly feed: Feed, private readonly batches: readonly (readonly number[])[], private readonly memory = Infinity) {
    this.graph = model.graph;
    this.moving = movingValues(this.graph);
    this.state = batches.map((batch) => this.keep(new Map(feed.inputs(batch))));
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
    this.replaced = replaced;
    this.live = this.liveAt(at, wanted);
    const have = [...this.state.find((kept) => kept !== null)?.keys() ?? []];
    if (have.length === 0) return;
    const fresh = this.live.filter((name) => !have.includes(name));
    if (fresh.length === 0) return;
    this.leg = await this.begin(have, fresh);
  }
  async advance(batch: number): Promise<ReadonlyMap<string, NamedArray>> {
    const kept = this.state[batch];
    if (!kept) return this.anew(batch);
    this.bytes -= bytesOf(kept);
    if (this.leg) for (const [name, array] of await run(this.leg, kept)) kept.set(name, array);
    for (const name of [...kept.keys()]) if (!this.live.includes(name)) kept.delete(name);
    this.state[batch] = this.keep(kept);
    return kept;
  }
  async end(): Promise<void> {
    await this.leg?.running.close();
    await this.whole?.running.close();
    this.leg = this.whole = null;
  }

  private async begin(have: readonly string[], wanted: readonly string[]): Promise<Leg> {
    const part = subgraph(this.graph, have, wanted);
    return { part, running: await this.model.start(part, this.replaced) };
  }
  /** What is live here, from the inputs on. */
  private async anew(batch: number): Promise<ReadonlyMap<string, NamedArray>> {
    const inputs = this.feed.inputs(this.batches[batch]!);
    const made = this.live.filter((name) => !inputs.has(name));
    if (made.length === 0) return inputs;
    this.whole ??= await this.begin([...inputs.keys()], made);
    return new Map([...inputs, ...await run(this.whole, inputs)]);
  }
  /** Counts what is kept; null where it is too much. */
  private keep(arrays: Map<string, NamedArray>): Map<string, NamedArray> | null {
    const bytes = bytesOf(arrays);
    if (this.bytes + bytes > this.memory) return null;
    this.bytes += bytes;
    return arrays;
  }

  /** Values that are there before node `at` and needed from it on. Those that follow from weights and shapes are computed again. */
  private liveAt(at: number, wanted: readonly string[]): string[] {
    const { graph, moving } = this;
    const made = new Set([...graph.inputs.map(({ name }) => name), ...graph.nodes.slice(0, at).flatMap(({ outputs }) => outputs)]);
    const read = movingSources(graph, [...wanted, ...graph.nodes.slice(at).flatMap(readsOf), ...graph.outputs.map(({ name }) => name)], moving);
    return [...made].filter((name) => read.has(name));
  }
}

interface Leg { readonly part: Graph; readonly running: RunningModel }
const run = (leg: Leg, arrays: ReadonlyMap<string, NamedArray>): Promise<Map<string, NamedArray>> => leg.running.run(new Map(leg.part.inputs.map(({ name }) => [name, arrays.get(name)!] as const)));
const bytesOf = (arrays: ReadonlyMap<string, NamedArray>): number => [...arrays.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
