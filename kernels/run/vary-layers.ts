/**
 * Runs a model again and again with one layer's weight changed. What comes before the layer is computed once and kept, so that a
 * change of layer k runs only what depends on it. As many samples are kept at a time as memory allows.
 */
import type { Graph } from '../graph/graph';
import { borderOf, initializersOf, subgraph } from '../graph/cut';
import type { Feed } from './feed';
import type { PreparedModel } from './prepared-model';
import type { NamedArray } from './run-model';

export interface VariedLayer {
  readonly tensor: string;
  /** Values to look at, such as the model's output or the layer's own. */
  readonly output: string;
  /** The weight in storage order, one after another. */
  readonly variants: readonly (() => Float32Array)[];
}
export interface VaryOptions {
  /** Tensors that differ from the checkpoint's in every run. */
  readonly replaced?: ReadonlyMap<string, Float32Array>;
  /** Bytes of kept values. */
  readonly memory: number;
  /** Called between runs; throws when cancelled. @param done runs so far, of `total` */
  readonly step: (done: number, total: number) => void;
  /** What the unchanged model gives for a batch. `outputs` has the output of the model and those the layers name. */
  readonly base: (batch: readonly number[], outputs: ReadonlyMap<string, NamedArray>) => void;
  /** What a variant gives for a batch, beside what the unchanged model gave. */
  readonly varied: (layer: number, variant: number, batch: readonly number[], output: NamedArray, base: NamedArray) => void;
}

/** @param output of the model */
export async function varyLayers(model: PreparedModel, feed: Feed, indices: readonly number[], output: string, layers: readonly VariedLayer[], options: VaryOptions): Promise<void> {
  const { graph } = model;
  const parts = layers.map(({ tensor, output: wanted }) => {
    const names = initializersOf(graph, tensor).map(({ name }) => name);
    return subgraph(graph, borderOf(graph, names, [wanted]), [wanted]);
  });
  const kept = [...new Set([output, ...layers.map((layer) => layer.output), ...parts.flatMap((part) => part.inputs.map(({ name }) => name))])];
  const own = new Set(graph.inputs.map(({ name }) => name));
  const before = subgraph(graph, [], kept.filter((name) => !own.has(name)));
  const batches = feed.batches(indices);
  const total = layers.reduce((sum, { variants }) => sum + variants.length, 0) * batches.length;
  let done = 0;
  for (let at = 0; at < batches.length;) {
    const values: { batch: readonly number[]; arrays: Map<string, NamedArray> }[] = [];
    const running = await model.start(before, options.replaced);
    try {
      for (let bytes = 0; at < batches.length && (values.length === 0 || bytes + bytes / values.length < options.memory); at += 1) {
        options.step(done, total);
        const batch = batches[at]!;
        const inputs = feed.inputs(batch);
        const arrays = new Map([...inputs, ...await running.run(inputs)]);
        options.base(batch, arrays);
        for (const array of arrays.values()) bytes += array.data.byteLength;
        values.push({ batch, arrays });
      }
    } finally { await running.close(); }
    for (const [index, layer] of layers.entries()) {
      for (const [variant, weight] of layer.variants.entries()) {
        const changed = await model.start(parts[index]!, new Map([...options.replaced ?? [], [layer.tensor, weight()]]));
        try {
          for (const { batch, arrays } of values) {
            options.step(done, total);
            const given = new Map(parts[index]!.inputs.map(({ name }) => [name, arrays.get(name)!] as const));
            options.varied(index, variant, batch, (await changed.run(given)).get(layer.output)!, arrays.get(layer.output)!);
            done += 1;
          }
        } finally { await changed.close(); }
      }
    }
  }
}

/** Does the model's output depend on the tensor at all? */
export function reaches(graph: Graph, tensor: string, output: string): boolean {
  const names = initializersOf(graph, tensor).map(({ name }) => name);
  return names.length > 0 && !borderOf(graph, names, [output]).includes(output);
}
