/** Small models in memory on weights in a file, with data: what methods that change whole models are tried on. */
import type { TestContext } from 'node:test';
import type { Dataset } from '../../kernels/data/data';
import { weightLayout } from '../../kernels/formats/blocks';
import { parseFormat } from '../../kernels/formats/registry';
import type { Graph, GraphNode, GraphValue } from '../../kernels/graph/graph';
import type { ModelWork, TransformLayer } from '../../kernels/methods/method';
import { Random } from '../../kernels/numerics/random';
import { Feed } from '../../kernels/run/feed';
import { PreparedModel } from '../../kernels/run/prepared-model';
import { temporarySafetensors } from './temporary-safetensors';

export interface Planted { readonly graph: Graph; readonly weights: Readonly<Record<string, { shape: number[]; values: Float32Array }>> }

export const uniform = (count: number, seed: number, most = 1): Float32Array => { const random = new Random(seed); return Float32Array.from({ length: count }, () => (random.uniform() * 2 - 1) * most); };
export const gaussian = (count: number, seed: number, std = 1): Float32Array => {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, () => std * Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform()));
};

export function graphOf(inputs: GraphValue[], output: GraphValue, nodes: (Omit<GraphNode, 'module'> & { shape: GraphValue['shape'] })[], weights: Planted['weights']): Graph {
  return {
    name: 'planted', opset: 17, inputs, outputs: [output], nodes: nodes.map(({ shape: _, ...node }) => ({ ...node, module: '' })),
    initializers: Object.entries(weights).map(([name, { shape }]) => ({ name, type: 'F32' as const, shape, data: { checkpoint: name } })),
    values: nodes.filter(({ outputs }) => outputs[0] !== output.name).map(({ outputs, shape }) => ({ name: outputs[0]!, type: 'F32' as const, shape })),
  };
}

/** Samples of one array. */
export function datasetOf(data: Float32Array, shape: readonly number[]): Dataset {
  const per = shape.reduce((a, b) => a * b, 1);
  return {
    title: 'made-up data', count: data.length / per, sample: { shape, whole: false }, hasLabels: false,
    inputs: (indices: readonly number[]) => ({ type: 'F32', shape: [indices.length, ...shape], data: Float32Array.from(indices.flatMap((i) => Array.from(data.subarray(i * per, (i + 1) * per)))) }),
    labels: () => { throw new Error('there are none'); },
    close: () => undefined,
  } as unknown as Dataset;
}

/** The work of a method on a planted model; it is closed after the test. @param layers tensor to format */
export async function workOn(t: TestContext, { graph, weights }: Planted, dataset: Dataset, layers: Readonly<Record<string, string>>, options: Readonly<Record<string, unknown>> = {}): Promise<ModelWork> {
  const file = await temporarySafetensors(t, Object.entries(weights).map(([name, tensor]) => ({ name, ...tensor })));
  const model = await PreparedModel.open(graph, file, 1);
  t.after(() => model.close());
  return {
    model, feed: new Feed(graph, dataset), indices: Array.from({ length: dataset.count }, (_, i) => i), task: 'features', output: graph.outputs[0]!.name, options, memory: 2 ** 28, step: () => undefined,
    layers: Object.entries(layers).map(([tensor, format]): TransformLayer => ({ tensor, shape: weights[tensor]!.shape, layout: weightLayout(weights[tensor]!.shape, 0), format: parseFormat(format) })),
  };
}

/** What a model gives for all samples. */
export async function outputOf(model: PreparedModel, { feed, indices, output }: ModelWork): Promise<Float32Array> {
  const running = await model.start();
  try { return (await running.run(feed!.inputs(indices))).get(output)!.data.slice() as Float32Array; } finally { await running.close(); }
}
