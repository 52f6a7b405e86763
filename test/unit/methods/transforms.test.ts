/** Transforms on small models whose answer is known: nothing changes before quantization, and less is lost after it. */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { parseFormat } from '../../../kernels/formats/registry';
import { fakeQuantize } from '../../../kernels/graph/fake-quantize';
import { isBlockScaled } from '../../../kernels/formats/format';
import { Insertion } from '../../../kernels/graph/insert';
import type { ModelWork, Transform } from '../../../kernels/methods/method';
import { methodOfKind } from '../../../kernels/methods/registry';
import { BlockRotation } from '../../../kernels/methods/transforms/hadamard';
import { Random } from '../../../kernels/numerics/random';
import type { PreparedModel } from '../../../kernels/run/prepared-model';
import { toMatrix, toStored } from '../../../kernels/run/weight-matrix';
import { relativeError } from '../../support/run-graph';
import { datasetOf, gaussian, graphOf, outputOf, uniform, workOn, type Planted } from '../../support/planted-model';

const transform = (id: string): Transform => methodOfKind('transform', id);

/** Norm, then two layers on the same input whose sum comes out: five channels of the norm are forty times the others. */
function outliers(channels = 512, rows = 64): Planted {
  const scale = new Float32Array(channels).fill(1);
  for (let i = 0; i < 5; i += 1) scale[i * 97] = 40;
  const weights = {
    'norm.weight': { shape: [channels], values: scale }, 'norm.bias': { shape: [channels], values: uniform(channels, 5, 0.1) },
    'a.weight': { shape: [rows, channels], values: gaussian(rows * channels, 1, 0.05) }, 'b.weight': { shape: [rows, channels], values: gaussian(rows * channels, 2, 0.05) },
  };
  const row = ['batch', rows];
  return {
    weights,
    graph: graphOf([{ name: 'x', type: 'F32', shape: ['batch', channels] }], { name: 'y', type: 'F32', shape: row }, [
      { op: 'LayerNormalization', inputs: ['x', 'norm.weight', 'norm.bias'], outputs: ['n'], attributes: { axis: { int: -1 } }, shape: ['batch', channels] },
      { op: 'Gemm', inputs: ['n', 'a.weight'], outputs: ['p'], attributes: { transB: { int: 1 } }, shape: row },
      { op: 'Gemm', inputs: ['n', 'b.weight'], outputs: ['q'], attributes: { transB: { int: 1 } }, shape: row },
      { op: 'Add', inputs: ['p', 'q'], outputs: ['y'], shape: row },
    ], weights),
  };
}
const outlierData = (channels = 512) => datasetOf(gaussian(64 * channels, 3), [channels]);

/** The model with its weights rounded to nearest. */
function rounded({ layers }: ModelWork, model: PreparedModel): PreparedModel {
  return model.with({ changed: new Map(layers.map(({ tensor, layout, format }) => [tensor, toStored(format.decode(format.encode(toMatrix(model.values(tensor), layout), layout, 'absmax')), layout)])) });
}
async function lost(work: ModelWork, model: PreparedModel): Promise<number> {
  const [before, after] = [await outputOf(work.model, work), await outputOf(model, work)];
  return before.reduce((sum, value, i) => sum + (value - after[i]!) ** 2, 0) / before.length;
}
async function applied(work: ModelWork, id: string, options = {}): Promise<{ model: PreparedModel; places: number; of: number; notes: readonly string[] }> {
  const made = await transform(id).run({ ...work, options });
  const model = work.model.with({ ...(made.graph ? { graph: made.graph } : {}), changed: made.changed });
  const difference = relativeError(await outputOf(model, work), await outputOf(work.model, work));
  assert.ok(difference <= 1e-5, `${id} changes the output by ${difference}`);
  return { model, ...made };
}

test('planted outlier channels: smoothing has a best strength inside, and the search finds one near it', async (t) => {
  const work = await workOn(t, outliers(), outlierData(), { 'a.weight': 'int4-sym-g128', 'b.weight': 'int4-sym-g128' });
  const plain = await lost(work, rounded(work, work.model));
  const at = async (strength: number): Promise<number> => { const { model, places } = await applied(work, 'smoothquant', { strength }); assert.equal(places, 1); return lost(work, rounded(work, model)) ; };
  const ratios = new Map<number, number>();
  for (const strength of [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]) ratios.set(strength, (await at(strength)) / plain);
  const best = [...ratios].sort(([, a], [, b]) => a - b)[0]!;
  assert.ok(best[0] > 0 && best[0] < 0.7, `the best strength is ${best[0]}`);
  assert.ok(best[1] < 0.7 && ratios.get(1)! > best[1] * 1.3, `U-shaped: ${[...ratios].map(([s, r]) => `${s}: ${r.toFixed(2)}`).join(', ')}`);
  const searched = await applied(work, 'smoothquant-plus');
  assert.ok((await lost(work, rounded(work, searched.model))) / plain <= best[1] * 1.02, 'the search is as good as the best of its grid');
  assert.match(searched.notes.join(), /strength 0\.\d0 of 11/);
});

test('a search that finds nothing better leaves the model alone and says so', async (t) => {
  const work = await workOn(t, outliers(64, 16), outlierData(64), { 'a.weight': 'int16-sym-channel', 'b.weight': 'int16-sym-channel' });
  const plain = await lost(work, rounded(work, work.model));
  const searched = await applied(work, 'smoothquant-plus');
  assert.ok((await lost(work, rounded(work, searched.model))) <= plain * 1.0001);
  if (searched.places === 0) assert.match(searched.notes.join(), /no strength made the rounded model better/);
});

test('AWQ loses less than rounding to nearest where channels are unequal, and never more by its own measure', async (t) => {
  const work = await workOn(t, outliers(), outlierData(), { 'a.weight': 'int3-sym-g128', 'b.weight': 'int3-sym-g128' });
  const { model, places } = await applied(work, 'awq');
  assert.equal(places, 1);
  const [plain, now] = [await lost(work, rounded(work, work.model)), await lost(work, rounded(work, model))];
  assert.ok(now < plain * 0.7, `${now} against ${plain}`);
});

test('smoothing helps activations in 8 bits with one scale', async (t) => {
  const work = await workOn(t, outliers(), outlierData(), { 'a.weight': 'int8-sym-channel', 'b.weight': 'int8-sym-channel' });
  const format = parseFormat('int8-sym-tensor');
  assert.ok(isBlockScaled(format));
  const quantized = (model: PreparedModel): PreparedModel => {
    const insertion = new Insertion(model.graph, 'r');
    for (const node of model.graph.nodes.filter(({ op }) => op === 'Gemm')) insertion.replaceInput(node, 0, (value) => fakeQuantize(insertion.emitter, value, format, 'last', null));
    return rounded(work, model).with({ graph: insertion.finish() });
  };
  const { model } = await applied(work, 'smoothquant');
  const [plain, now] = [await lost(work, quantized(work.model)), await lost(work, quantized(model))];
  assert.ok(now < plain * 0.3, `${now} against ${plain}`);
});

test('Outlier Suppression+: shifting helps where channels have offsets, scaling helps more, both help most', async (t) => {
  const [channels, rows] = [128, 32];
  const offsets = new Float32Array(channels);
  for (let i = 0; i < 8; i += 1) offsets[i * 16] = i % 2 === 0 ? 30 : -25;
  const weights = {
    'norm.weight': { shape: [channels], values: new Float32Array(channels).fill(1).map((one, i) => (i % 40 === 3 ? 12 : one)) }, 'norm.bias': { shape: [channels], values: offsets },
    'a.weight': { shape: [rows, channels], values: gaussian(rows * channels, 1, 0.05) }, 'a.bias': { shape: [rows], values: uniform(rows, 4) },
  };
  const planted: Planted = {
    weights,
    graph: graphOf([{ name: 'x', type: 'F32', shape: ['batch', channels] }], { name: 'y', type: 'F32', shape: ['batch', rows] }, [
      { op: 'LayerNormalization', inputs: ['x', 'norm.weight', 'norm.bias'], outputs: ['n'], attributes: { axis: { int: -1 } }, shape: ['batch', channels] },
      { op: 'Gemm', inputs: ['n', 'a.weight', 'a.bias'], outputs: ['y'], attributes: { transB: { int: 1 } }, shape: ['batch', rows] },
    ], weights),
  };
  const format = parseFormat('int6-sym-tensor');
  assert.ok(isBlockScaled(format));
  const base = await workOn(t, planted, outlierData(channels), { 'a.weight': 'int8-sym-channel' });
  const work: ModelWork = { ...base, layers: base.layers.map((layer) => ({ ...layer, activations: format })) };
  const rounds = (model: PreparedModel): PreparedModel => {
    const insertion = new Insertion(model.graph, 'r');
    insertion.replaceInput(model.graph.nodes[1]!, 0, (value) => fakeQuantize(insertion.emitter, value, format, 'last', null));
    return rounded(work, model).with({ graph: insertion.finish() });
  };
  const plain = await lost(work, rounds(work.model));
  const scaled = await lost(work, rounds((await applied(work, 'outlier-suppression-plus', { shift: false })).model));
  const both = await applied(work, 'outlier-suppression-plus');
  assert.deepEqual([both.places, both.notes], [1, []]);
  const now = await lost(work, rounds(both.model));
  assert.ok(scaled < plain * 0.7 && now < scaled * 0.7, `${plain}, scaled ${scaled}, shifted and scaled ${now}`);
});

/** Convolution, batch norm, ReLU, depthwise convolution, ReLU, convolution; output channels of the first of very unequal size. */
function unequal(): Planted {
  const [c, d] = [8, 16];
  const random = new Random(9);
  const sizes = Array.from({ length: d }, () => 2 ** (random.uniform() * 12 - 6));
  const first = gaussian(d * c * 9, 1, 0.2).map((value, i) => value * sizes[Math.floor(i / (c * 9))]!);
  const weights = {
    'one.weight': { shape: [d, c, 3, 3], values: first },
    'bn.weight': { shape: [d], values: uniform(d, 2).map((x) => x + 1.5) }, 'bn.bias': { shape: [d], values: uniform(d, 3) },
    'bn.mean': { shape: [d], values: uniform(d, 4) }, 'bn.var': { shape: [d], values: Float32Array.from(sizes, (size) => size * size * 3) },
    'deep.weight': { shape: [d, 1, 3, 3], values: gaussian(d * 9, 5, 0.3) }, 'deep.bias': { shape: [d], values: uniform(d, 6) },
    'two.weight': { shape: [6, d, 1, 1], values: gaussian(6 * d, 7, 0.3) },
  };
  const shape = (channels: number): (number | string)[] => ['batch', channels, 6, 6];
  const same = { ints: [1, 1, 1, 1] };
  return {
    weights,
    graph: graphOf([{ name: 'x', type: 'F32', shape: shape(c) }], { name: 'y', type: 'F32', shape: shape(6) }, [
      { op: 'Conv', inputs: ['x', 'one.weight'], outputs: ['h'], attributes: { pads: same }, shape: shape(d) },
      { op: 'BatchNormalization', inputs: ['h', 'bn.weight', 'bn.bias', 'bn.mean', 'bn.var'], outputs: ['n'], attributes: { epsilon: { float: 1e-5 } }, shape: shape(d) },
      { op: 'Relu', inputs: ['n'], outputs: ['r'], shape: shape(d) },
      { op: 'Conv', inputs: ['r', 'deep.weight', 'deep.bias'], outputs: ['e'], attributes: { pads: same, group: { int: d } }, shape: shape(d) },
      { op: 'Relu', inputs: ['e'], outputs: ['s'], shape: shape(d) },
      { op: 'Conv', inputs: ['s', 'two.weight'], outputs: ['y'], shape: shape(6) },
    ], weights),
  };
}

test('equalization gives neighbouring layers channels of one range, through batch norms and depthwise convolutions', async (t: TestContext) => {
  const names = ['one.weight', 'deep.weight', 'two.weight'];
  const work = await workOn(t, unequal(), datasetOf(gaussian(16 * 8 * 36, 8), [8, 6, 6]), Object.fromEntries(names.map((name) => [name, 'int8-sym-tensor'])));
  const { model, places, of } = await applied(work, 'cross-layer-equalization');
  assert.deepEqual([places, of], [2, 3], "what comes from outside cannot be scaled");
  const [one, deep, two] = names.map((name) => model.values(name)) as [Float32Array, Float32Array, Float32Array];
  const absmax = (values: Iterable<number>): number => Math.max(...Array.from(values, Math.abs));
  for (let channel = 0; channel < 16; channel += 1) {
    const makes = absmax(one.subarray(channel * 72, channel * 72 + 72));
    const [deepRange, takes] = [absmax(deep.subarray(channel * 9, channel * 9 + 9)), absmax(two.filter((_, i) => i % 16 === channel))];
    assert.ok(Math.abs(makes / deepRange - 1) < 0.01 && Math.abs(deepRange / takes - 1) < 0.01, `channel ${channel}: ${makes}, ${deepRange}, ${takes}`);
  }
  const [plain, now] = [await lost(work, rounded(work, work.model)), await lost(work, rounded(work, model))];
  assert.ok(now < plain * 0.2, `${now} against ${plain}`);
});

test('rotations are orthogonal, agree with their operators, and flatten a channel that stands out', async (t) => {
  for (const cols of [2, 12, 64, 96, 172, 2048]) {
    const rotation = new BlockRotation(cols);
    const matrix = gaussian(3 * cols, 4);
    const turned = rotation.turn(matrix, false);
    assert.ok(relativeError(rotation.turn(turned, true), matrix) < 1e-6, `${cols}: back again`);
    const norm = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0);
    assert.ok(Math.abs(norm(turned) / norm(matrix) - 1) < 1e-5, `${cols}: lengths stay`);
  }
  const work = await workOn(t, outliers(), outlierData(), { 'a.weight': 'int4-sym-channel', 'b.weight': 'int4-sym-channel' });
  const { model, places } = await applied(work, 'hadamard');
  assert.equal(places, 2);
  assert.equal(model.graph.nodes.filter(({ op }) => op === 'Reshape').length, 2, 'one rotation serves both layers');
});
