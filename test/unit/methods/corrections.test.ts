import assert from 'node:assert/strict';
import test from 'node:test';
import type { Correction, ModelWork } from '../../../kernels/methods/method';
import { methodOfKind } from '../../../kernels/methods/registry';
import type { PreparedModel } from '../../../kernels/run/prepared-model';
import { toMatrix, toStored } from '../../../kernels/run/weight-matrix';
import { datasetOf, gaussian, graphOf, outputOf, uniform, workOn, type Planted } from '../../support/planted-model';

const correction = (id: string): Correction => methodOfKind('correction', id);

/** Convolution, batch norm, ReLU, pooling, dense layer with a bias behind it, dense layer without any. */
function mixed(): Planted {
  const weights = {
    'conv.weight': { shape: [8, 3, 3, 3], values: gaussian(8 * 27, 1, 0.3) },
    'bn.weight': { shape: [8], values: uniform(8, 2).map((x) => x + 1.5) }, 'bn.bias': { shape: [8], values: uniform(8, 3) },
    'bn.mean': { shape: [8], values: uniform(8, 4, 0.2) }, 'bn.var': { shape: [8], values: uniform(8, 5).map((x) => x * 0.3 + 2) },
    'fc.weight': { shape: [10, 8], values: gaussian(80, 6, 0.4) }, 'fc.bias': { shape: [10], values: uniform(10, 7) },
    'out.weight': { shape: [4, 10], values: gaussian(40, 8, 0.4) },
  };
  const [map, row] = [['batch', 8, 6, 6], ['batch', 10]];
  return {
    weights,
    graph: graphOf([{ name: 'x', type: 'F32', shape: ['batch', 3, 6, 6] }], { name: 'y', type: 'F32', shape: ['batch', 4] }, [
      { op: 'Conv', inputs: ['x', 'conv.weight'], outputs: ['c'], attributes: { pads: { ints: [1, 1, 1, 1] } }, shape: map },
      { op: 'BatchNormalization', inputs: ['c', 'bn.weight', 'bn.bias', 'bn.mean', 'bn.var'], outputs: ['n'], shape: map },
      { op: 'Relu', inputs: ['n'], outputs: ['r'], shape: map },
      { op: 'GlobalAveragePool', inputs: ['r'], outputs: ['g'], shape: ['batch', 8, 1, 1] },
      { op: 'Flatten', inputs: ['g'], outputs: ['f'], shape: ['batch', 8] },
      { op: 'Gemm', inputs: ['f', 'fc.weight'], outputs: ['m'], attributes: { transB: { int: 1 } }, shape: row },
      { op: 'Add', inputs: ['m', 'fc.bias'], outputs: ['h'], shape: row },
      { op: 'Gemm', inputs: ['h', 'out.weight'], outputs: ['y'], attributes: { transB: { int: 1 } }, shape: ['batch', 4] },
    ], weights),
  };
}
const pictures = () => datasetOf(gaussian(96 * 108, 9), [3, 6, 6]);
const layers = { 'conv.weight': 'int2-symr-tensor', 'fc.weight': 'int3-symr-tensor', 'out.weight': 'int8-sym-channel' };

function quantized({ layers: all, model }: ModelWork): PreparedModel {
  return model.with({ changed: new Map(all.map(({ tensor, layout, format }) => [tensor, toStored(format.decode(format.encode(toMatrix(model.values(tensor), layout), layout, 'absmax')), layout)])) });
}
/** Mean of each channel of the model's output, over all samples. */
const means = (values: Float32Array, channels: number): Float64Array => Float64Array.from({ length: channels }, (_, c) => values.filter((_, i) => i % channels === c).reduce((a, b) => a + b, 0) / (values.length / channels));
const within = (model: PreparedModel, graph: Planted['graph'], output: string, shape: (number | string)[]): PreparedModel => model.with({ graph: { ...graph, outputs: [{ name: output, type: 'F32', shape }], nodes: graph.nodes.slice(0, graph.nodes.findIndex(({ outputs }) => outputs[0] === output) + 1) } });

test('bias correction: every corrected layer gives the mean it gave, through a batch norm where it has no bias', async (t) => {
  const planted = mixed();
  const work = await workOn(t, planted, pictures(), layers);
  const own = { ...work, model: quantized(work) };
  const { changed, places, of, notes } = await correction('bias-correction').run(own, work.model);
  assert.deepEqual([[...changed.keys()], places, of], [['bn.mean', 'fc.bias'], 2, 3]);
  assert.match(notes.join(), /2 of 3 layers/);
  const corrected = own.model.with({ changed });
  for (const [output, channels] of [['n', 8], ['h', 10]] as const) {
    const shape = output === 'n' ? ['batch', 8, 6, 6] : ['batch', 10];
    const [before, raw, after] = await Promise.all([work.model, own.model, corrected].map(async (model) => {
      const values = await outputOf(within(model, planted.graph, output, shape), { ...work, output });
      if (output === 'h') return means(values, channels);
      return Float64Array.from({ length: 8 }, (_, c) => values.filter((_, i) => Math.floor(i / 36) % 8 === c).reduce((a, b) => a + b, 0) / (values.length / 8));
    })) as [Float64Array, Float64Array, Float64Array];
    const off = (values: Float64Array): number => Math.max(...values.map((value, c) => Math.abs(value - before[c]!)));
    assert.ok(off(after) < 1e-4 && off(raw) > 0.01, `${output}: off by ${off(after)}, before by ${off(raw)}`);
  }
});

test('re-estimated batch norms have the statistics of what they see', async (t) => {
  const planted = mixed();
  const work = await workOn(t, planted, pictures(), layers);
  const own = { ...work, model: quantized(work) };
  const { changed, places } = await correction('batch-norm-re-estimation').run(own, work.model);
  assert.deepEqual([[...changed.keys()], places], [['bn.mean', 'bn.var'], 1]);
  const values = await outputOf(within(own.model.with({ changed }), planted.graph, 'n', ['batch', 8, 6, 6]), { ...work, output: 'n' });
  for (let c = 0; c < 8; c += 1) {
    const own = values.filter((_, i) => Math.floor(i / 36) % 8 === c);
    const mean = own.reduce((a, b) => a + b, 0) / own.length;
    const variance = own.reduce((a, b) => a + (b - mean) ** 2, 0) / (own.length - 1);
    const [scale, bias] = [planted.weights['bn.weight']!.values[c]!, planted.weights['bn.bias']!.values[c]!];
    assert.ok(Math.abs(mean - bias) < 1e-4 && Math.abs(variance / scale ** 2 - 1) < 1e-3, `channel ${c}: mean ${mean} for ${bias}, variance ${variance} for ${scale ** 2}`);
  }
});

test('a model without batch norms has none to measure again, and says so', async (t) => {
  const weights = { 'w': { shape: [4, 4], values: gaussian(16, 1) } };
  const graph = graphOf([{ name: 'x', type: 'F32', shape: ['batch', 4] }], { name: 'y', type: 'F32', shape: ['batch', 4] }, [{ op: 'Gemm', inputs: ['x', 'w'], outputs: ['y'], attributes: { transB: { int: 1 } }, shape: ['batch', 4] }], weights);
  const work = await workOn(t, { graph, weights }, datasetOf(gaussian(16, 2), [4]), { w: 'int4-sym-channel' });
  const { places, notes } = await correction('batch-norm-re-estimation').run(work, work.model);
  assert.equal(places, 0);
  assert.match(notes.join(), /no batch norm/);
  const bias = await correction('bias-correction').run(work, work.model);
  assert.deepEqual([bias.places, bias.of], [0, 1]);
});
