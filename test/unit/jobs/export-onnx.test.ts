/** Quantized ONNX models: what is written is recognised, decodes to exactly what was judged, and onnxruntime computes with it what it computes with those values. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { modelTensors, openCheckpoint, type TensorInfo } from '../../../kernels/checkpoint';
import { weightLayout } from '../../../kernels/formats/blocks';
import { parseFormat } from '../../../kernels/formats/registry';
import type { Graph } from '../../../kernels/graph/graph';
import { readOnnxGraph } from '../../../kernels/graph/onnx/read-graph';
import { raiseOpset } from '../../../kernels/graph/onnx/raise-opset';
import { writeOnnx, type OnnxInitializer, type OnnxModel } from '../../../kernels/graph/write-onnx';
import { convertJob } from '../../../kernels/jobs/convert';
import { JobError, type QuantizeParams, type QuantizeResult } from '../../../kernels/jobs/job';
import type { LayoutId } from '../../../kernels/jobs/layouts';
import { quantizeJob } from '../../../kernels/jobs/quantize';
import { encodeFloats } from '../../../kernels/numerics/codecs';
import { Random } from '../../../kernels/numerics/random';
import { startFile, startModel, type NamedArray } from '../../../kernels/run/run-model';
import { toMatrix, toStored } from '../../../kernels/run/weight-matrix';
import { inlineJobContext } from '../../support/inline-job-context';
import { temporaryFolder } from '../../support/temporary-safetensors';
import { relativeError } from '../../support/run-graph';
import { valuesOfModelTensor } from '../layouts/values';

/** Relative to the largest output: sums of 64 products, whose order is the operator's own. */
const TOLERANCE = 2e-6;

const normal = (count: number, seed: number): Float32Array => { const random = new Random(seed); return Float32Array.from({ length: count }, () => random.normal()); };
interface Weight { readonly name: string; readonly shape: readonly number[]; readonly axis: number; readonly seed: number }
/** Linear layers as Gemm has them both ways, as MatMul has them, and turned before it; a square one; a convolution each way; a table. */
const WEIGHTS: readonly Weight[] = [
  { name: 'fc.weight', shape: [48, 64], axis: 0, seed: 1 }, { name: 'head', shape: [48, 10], axis: 1, seed: 2 }, { name: 'up', shape: [64, 64], axis: 1, seed: 3 }, { name: 'down', shape: [32, 64], axis: 0, seed: 4 },
  { name: 'conv.weight', shape: [6, 4, 3, 3], axis: 0, seed: 5 }, { name: 'deconv.weight', shape: [6, 5, 2, 2], axis: 1, seed: 6 }, { name: 'table', shape: [20, 64], axis: 0, seed: 7 },
];
const LINEAR = ['fc.weight', 'head', 'up', 'down'];
const f32 = (name: string, shape: readonly number[], values: Float32Array): OnnxInitializer => ({ name, type: 'F32', shape, write: (sink) => sink(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)) });
const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

function model(values: (weight: Weight) => Float32Array = ({ shape, seed }) => normal(count(shape), seed), opset = 17): OnnxModel {
  const module = '';
  return {
    name: 'all', opset,
    inputs: [{ name: 'x', type: 'F32', shape: ['n', 64] }, { name: 'ids', type: 'I64', shape: ['n', 'm'] }],
    outputs: [{ name: 'a', type: 'F32', shape: ['n', 10] }, { name: 'b', type: 'F32', shape: ['n', 'm', 32] }, { name: 'c', type: 'F32', shape: ['n', 5, 'h', 'w'] }],
    nodes: [
      { op: 'Gemm', inputs: ['x', 'fc.weight', 'fc.bias'], outputs: ['h'], attributes: { transB: { int: 1 } }, module: 'fc' },
      { op: 'Relu', inputs: ['h'], outputs: ['r'], module }, { op: 'Gemm', inputs: ['r', 'head', 'head.bias'], outputs: ['a'], module: 'head' },
      { op: 'Gather', inputs: ['table', 'ids'], outputs: ['e'], module }, { op: 'MatMul', inputs: ['e', 'up'], outputs: ['u'], module },
      { op: 'Transpose', inputs: ['down'], outputs: ['down/turned'], attributes: { perm: { ints: [1, 0] } }, module }, { op: 'MatMul', inputs: ['u', 'down/turned'], outputs: ['b'], module },
      { op: 'Reshape', inputs: ['x', 'picture'], outputs: ['p'], module }, { op: 'Conv', inputs: ['p', 'conv.weight'], outputs: ['k'], module }, { op: 'ConvTranspose', inputs: ['k', 'deconv.weight'], outputs: ['c'], module },
    ],
    initializers: [
      ...WEIGHTS.map((weight) => f32(weight.name, weight.shape, values(weight))), f32('fc.bias', [48], normal(48, 8)), f32('head.bias', [1, 10], normal(10, 9)),
      { name: 'picture', type: 'I64', shape: [4], write: (sink) => sink(new Uint8Array(BigInt64Array.of(-1n, 4n, 4n, 4n).buffer)) },
    ],
  };
}

const INPUTS: ReadonlyMap<string, NamedArray> = new Map<string, NamedArray>([
  ['x', { type: 'F32', shape: [3, 64], data: normal(192, 20) }], ['ids', { type: 'I64', shape: [3, 5], data: BigInt64Array.from({ length: 15 }, (_, i) => BigInt((i * 7) % 20)) }],
]);

/** What quantizing to nearest makes of a weight, in its own order. */
function quantized({ shape, axis, seed }: Weight, id: string): Float32Array {
  const format = parseFormat(id);
  const layout = weightLayout(shape, axis);
  return toStored(format.decode(format.encode(toMatrix(normal(count(shape), seed), layout), layout, 'absmax')), layout);
}

async function source(t: TestContext, opset?: number): Promise<string> {
  const file = path.join(temporaryFolder(t), 'm.onnx');
  await writeOnnx(file, model(undefined, opset));
  return file;
}
type Formats = Readonly<Record<string, string>>;
const every = (names: readonly string[], format: string): Formats => Object.fromEntries(names.map((name) => [name, format]));
function exported(file: string, formats: Formats, layout: LayoutId | undefined, out = path.join(path.dirname(file), 'out.onnx')): Promise<QuantizeResult> {
  const tasks: QuantizeParams['tasks'] = Object.entries(formats).map(([name, format]) => ({ key: name, tensor: name, outputAxis: WEIGHTS.find((weight) => weight.name === name)!.axis, format, method: 'rtn' }));
  return quantizeJob.run({ checkpoint: file, tasks, seed: 0, export: { path: out, ...(layout ? { layout } : {}) } }, inlineJobContext());
}

/** Every weight stands for what quantizing made of it, and the outputs are those of a model with these values. */
async function agrees(out: string, formats: Formats, title: string, tolerance = TOLERANCE): Promise<Map<string, TensorInfo>> {
  const checkpoint = await openCheckpoint(out);
  const byName = new Map(modelTensors(checkpoint).map((tensor) => [tensor.name, tensor]));
  const expected = (weight: Weight): Float32Array => (formats[weight.name] ? quantized(weight, formats[weight.name]!) : normal(count(weight.shape), weight.seed));
  for (const weight of WEIGHTS) {
    const tensor = byName.get(weight.name);
    assert.ok(tensor, `${title}: ${weight.name} is there`);
    const layout = weightLayout(weight.shape, weight.axis);
    const own = expected(weight);
    // Blocks lie as [outputs, inputs].
    const values = tensor.encoding && weight.axis === 1 && weight.shape.length === 2 && /g\d/.test(tensor.encoding.name) ? toMatrix(own, layout) : own;
    assert.ok(valuesOfModelTensor(checkpoint, tensor).every((value, i) => value === values[i]), `${title}: values of ${weight.name}`);
  }
  const running = await startFile(await readOnnxGraph(checkpoint), out, 1);
  const plain = await startModel(model(expected), 1);
  const [found, meant] = [await running.run(INPUTS), await plain.run(INPUTS)];
  for (const [name, { data }] of meant) assert.ok(relativeError(found.get(name)!.data, data) <= tolerance, `${title}: output ${name} differs by ${relativeError(found.get(name)!.data, data)}`);
  await running.close();
  await plain.close();
  return byName;
}

test('DequantizeLinear: integers and small floats, per tensor and channel, of every operator', async (t) => {
  const file = await source(t);
  const out = path.join(path.dirname(file), 'out.onnx');
  const types: Readonly<Record<string, string>> = {
    'int8-sym-channel': 'int8 channel (QDQ)', 'int8-asym-tensor': 'uint8 tensor (QDQ)', 'int4-symr-channel': 'int4 channel (QDQ)', 'int4-asym-channel-sf16': 'uint4 channel (QDQ)', 'int3-sym-tensor': 'int4 tensor (QDQ)', 'int6-asym-channel': 'uint8 channel (QDQ)',
    'int2-asym-channel': 'uint2 channel (QDQ)', 'int1-sym-channel': 'int2 channel (QDQ)', 'int16-sym-channel': 'int16 channel (QDQ)', 'int16-asym-tensor': 'uint16 tensor (QDQ)',
    'fp8-e4m3-channel': 'fp8-e4m3 channel (QDQ)', 'fp8-e5m2-tensor': 'fp8-e5m2 tensor (QDQ)', 'fp8-e4m3-fnuz-channel': 'fp8-e4m3fnuz channel (QDQ)', 'fp8-e5m2-fnuz-tensor': 'fp8-e5m2fnuz tensor (QDQ)',
  };
  for (const [id, shown] of Object.entries(types)) {
    const formats = every(WEIGHTS.map(({ name }) => name), id);
    const { export: written } = await exported(file, formats, 'qdq');
    assert.ok(written!.verifiedTensors >= 3 * WEIGHTS.length - WEIGHTS.length, id);
    const tensors = await agrees(out, formats, id);
    for (const { name } of WEIGHTS) assert.equal(tensors.get(name)!.encoding?.name, id === 'int2-asym-channel' && name === 'down' ? 'uint4 channel (QDQ)' : shown, `${id} ${name}`);
    assert.equal(written!.notes!.some((note) => /codes take a wider type/.test(note)), ['int3-sym-tensor', 'int6-asym-channel', 'int1-sym-channel', 'int2-asym-channel'].includes(id), id);
  }
});

test('DequantizeLinear in groups: integers and small floats of matrices, whichever way they lie', async (t) => {
  const file = await source(t);
  const out = path.join(path.dirname(file), 'out.onnx');
  for (const id of ['int4-sym-g16', 'int4-asym-g32', 'int8-sym-g8', 'int2-asym-g16', 'int16-sym-g32', 'fp8-e4m3-g32', 'mxint8', 'mxfp8-e5m2', 'int4-sym-g16-sdy16']) {
    const formats = every([...LINEAR, 'table'], id);
    await exported(file, formats, 'qdq');
    const tensors = await agrees(out, formats, id);
    for (const name of [...LINEAR, 'table']) assert.match(tensors.get(name)!.encoding!.name, /g(?:8|16|32) \(QDQ\)|channel \(QDQ\)/, `${id} ${name}`);
  }
  await assert.rejects(exported(file, { 'conv.weight': 'int4-sym-g18' }, 'qdq'), (error) => error instanceof JobError && /qdq layout cannot hold conv\.weight: groups of 18 inputs run over several dimensions of a kernel; use one scale for each output channel \(int4-sym-channel\)/.test(error.message));
});

test('MatMulNBits: 2, 4 and 8 bits, symmetric and not, in blocks of 16 to 256, with a bias added after', async (t) => {
  const file = await source(t);
  const out = path.join(path.dirname(file), 'out.onnx');
  const shown: Readonly<Record<string, string>> = {
    'int4-sym-g16': 'int4 g16', 'int4-asym-g16': 'int4 g16', 'int8-sym-g16': 'int8 g16', 'int8-asym-g32': 'int8 g32', 'int2-sym-g16': 'int2 g16', 'int2-asym-g32': 'int2 g32', 'int3-asym-g16': 'int4 g16', 'int4-sym-channel': 'int4 g64', 'int5-asym-tensor': 'int8 g64',
    // Rows of 64 are no blocks of 128: one scale for each.
    'int4-asym-g128-sf16': 'int4 g64',
  };
  for (const [id, name] of Object.entries(shown)) {
    const formats = every(['fc.weight', 'up', 'down'], id);
    const { export: written } = await exported(file, formats, 'matmulnbits');
    assert.ok(written!.notes!.includes('3 weights with MatMulNBits'), written!.notes!.join('; '));
    const tensors = await agrees(out, formats, id, /^int[58]/.test(id) ? 2e-5 : 1e-5);
    for (const weight of Object.keys(formats)) assert.equal(tensors.get(weight)!.encoding?.name, `${name} (MatMulNBits)`, `${id} ${weight}`);
    const { nodes } = await readOnnxGraph(await openCheckpoint(out));
    assert.deepEqual(nodes.map(({ op }) => op), ['MatMulNBits', 'Add', 'Relu', 'Gemm', 'Gather', 'MatMulNBits', 'MatMulNBits', 'Reshape', 'Conv', 'ConvTranspose']);
  }
  for (const [formats, message] of [
    [{ 'conv.weight': 'int4-sym-channel' }, /cannot hold conv\.weight: it is no matrix of linear layers alone \(it has 4 dimensions\); the qdq layout holds/], [{ table: 'int4-sym-g16' }, /table: .*\(Gather reads it\)/],
    [{ 'fc.weight': 'fp8-e4m3-g32' }, /no integer format of up to 8 bits/], [{ 'fc.weight': 'int16-sym-g32' }, /no integer format of up to 8 bits/], [{ 'fc.weight': 'int4-sym-g8' }, /groups of 8 inputs are no blocks .*\(int4-sym-g32\)/],
  ] as const) {
    const nothing = path.join(path.dirname(file), 'nothing.onnx');
    await assert.rejects(exported(file, formats as Formats, 'matmulnbits', nothing), (error) => error instanceof JobError && message.test(error.message) && /choose the layout auto/.test(error.message));
    assert.equal(existsSync(nothing), false);
  }
});

test('a mixed recipe: each weight in what fits it, those without a format as they were', async (t) => {
  const file = await source(t);
  const out = path.join(path.dirname(file), 'out.onnx');
  const formats: Formats = { 'fc.weight': 'int4-sym-g32', head: 'nf4-g64', up: 'int8-sym-channel', table: 'int4-asym-g16', 'conv.weight': 'int4-sym-g18' };
  // Without a layout, an ONNX model is written in those that fit.
  const { export: written } = await exported(file, formats, undefined);
  const tensors = await agrees(out, formats, 'mixed', 1e-5);
  assert.deepEqual(WEIGHTS.map(({ name }) => tensors.get(name)!.encoding?.name ?? 'values'), ['int4 g32 (MatMulNBits)', 'values', 'int8 channel (QDQ)', 'values', 'values', 'values', 'uint4 g16 (QDQ)']);
  assert.match(written!.notes!.join('\n'), /ordinary values, because nf4-g64 .*: head\n.*ordinary values, because groups of 18.*: conv\.weight\n1 weight with MatMulNBits, 2 weights with DequantizeLinear\n.*\noperator set 21 instead of 17/s);
});

test('what was written is a model to quantize again, by one weight or by all', async (t) => {
  const file = await source(t);
  const [first, second, third] = ['1', '2', '3'].map((name) => path.join(path.dirname(file), `${name}.onnx`)) as [string, string, string];
  await exported(file, every(LINEAR, 'int8-asym-g32'), 'auto', first);
  // The weight of MatMulNBits lies as [outputs, inputs].
  const tasks = [{ key: 'up', tensor: 'up', outputAxis: 0, format: 'int4-sym-channel', method: 'rtn' }];
  await quantizeJob.run({ checkpoint: first, tasks, seed: 0, export: { path: second, layout: 'qdq' } }, inlineJobContext());
  const names = async (of: string): Promise<(string | undefined)[]> => { const byName = new Map(modelTensors(await openCheckpoint(of)).map((tensor) => [tensor.name, tensor.encoding?.name])); return LINEAR.map((name) => byName.get(name)); };
  assert.deepEqual(await names(second), ['int8 g32 (MatMulNBits)', 'int8 g64 (MatMulNBits)', 'int4 channel (QDQ)', 'int8 g32 (MatMulNBits)']);
  const converted = await convertJob.run({ checkpoint: second, path: third, to: 'onnx', format: 'int4-asym-g16' }, inlineJobContext());
  assert.deepEqual(await names(third), LINEAR.map(() => 'int4 g16 (MatMulNBits)'));
  assert.deepEqual(converted.kept.map(({ key, reason }) => [key, reason]).sort(), [['head.bias', 'not applied by a product or a convolution'], ['table', 'an embedding']]);
  assert.deepEqual(converted.quantized.map(({ tensor, weights }) => [tensor, weights]).sort(), [['conv.weight', 216], ['deconv.weight', 120], ['down', 2048], ['fc.weight', 3072], ['head', 480], ['up', 4096]]);
});

test('a model in half precision keeps its types', async (t) => {
  const file = path.join(temporaryFolder(t), 'half.onnx');
  const bytes = new Uint8Array(2 * 48 * 64);
  encodeFloats('F16', normal(48 * 64, 1), 48 * 64, bytes);
  await writeOnnx(file, {
    name: 'half', opset: 17, inputs: [{ name: 'x', type: 'F16', shape: ['n', 64] }], outputs: [{ name: 'y', type: 'F16', shape: ['n', 48] }],
    nodes: [{ op: 'Gemm', inputs: ['x', 'fc.weight'], outputs: ['y'], attributes: { transB: { int: 1 } }, module: '' }], initializers: [{ name: 'fc.weight', type: 'F16', shape: [48, 64], write: (sink) => sink(bytes) }],
  });
  const operators = async (id: string, layout: LayoutId): Promise<string[]> => {
    const out = path.join(path.dirname(file), `${id}-${layout}.onnx`);
    await exported(file, { 'fc.weight': id }, layout, out);
    return (await readOnnxGraph(await openCheckpoint(out))).nodes.map(({ op }) => op);
  };
  assert.deepEqual(await operators('int8-sym-channel', 'qdq'), ['DequantizeLinear', 'Cast', 'Gemm']);
  assert.deepEqual(await operators('int8-sym-channel-sf16', 'qdq'), ['DequantizeLinear', 'Gemm']);
  assert.deepEqual(await operators('int4-asym-g32-sf16', 'matmulnbits'), ['MatMulNBits']);
  await assert.rejects(operators('int4-asym-g32', 'matmulnbits'), /it is F16 in the model.*int4-sym-g32-sf16/);
});

test('a cancelled export, a wrong name and a wrong layout leave nothing behind', async (t) => {
  const file = await source(t);
  const folder = path.dirname(file);
  const tasks = [{ key: 'up', tensor: 'up', outputAxis: 1, format: 'int4-sym-g16', method: 'rtn' }];
  let polls;
  for (polls = 0; polls < 400; polls += 1) {
    try { await quantizeJob.run({ checkpoint: file, tasks, seed: 0, export: { path: path.join(folder, 'out.onnx') } }, inlineJobContext({ cancelAfterPolls: polls })); break; } catch (error) { assert.match(String(error), /cancelled/); }
    assert.deepEqual(readdirSync(folder), ['m.onnx'], `after ${polls} polls`);
  }
  assert.ok(polls > 20 && polls < 400);
  assert.deepEqual(readdirSync(folder).sort(), ['m.onnx', 'out.onnx']);
  for (const [out, layout, message] of [['a.onnx', 'gptq', /an ONNX model has no layout "gptq"; it has dequantized, auto, qdq, matmulnbits/], ['a.safetensors', 'qdq', /a safetensors file has no layout "qdq"; .*\.onnx/], ['m.onnx', 'qdq', /is the checkpoint that is being read/]] as const) {
    await assert.rejects(exported(file, { up: 'int4-sym-g16' }, layout, path.join(folder, out)), (error) => error instanceof JobError && message.test(error.message));
  }
  await assert.rejects(convertJob.run({ checkpoint: file, path: path.join(folder, 'out.bin'), to: 'onnx', format: 'int4' }, inlineJobContext()), /does not end in \.onnx/);
});

test('an older operator set is raised where it means the same, and refused by name where it does not', async () => {
  const graph = (op: string, opset: number, attributes: Graph['nodes'][number]['attributes'], inputs = ['x'], rank = 2): Graph => ({
    name: 'g', opset, inputs: [{ name: 'x', type: 'F32', shape: [4, 4, 4, 4].slice(0, rank) }], outputs: [{ name: 'y', type: 'F32', shape: [4, 4, 4, 4].slice(0, rank) }],
    nodes: [{ op, inputs, outputs: ['y'], ...(attributes ? { attributes } : {}), module: '' }], initializers: [],
  });
  const raised = (...given: Parameters<typeof graph>): Graph => { const made = raiseOpset(graph(...given), 21); assert.ok(typeof made !== 'string', String(made)); return made; };
  const mean = raised('ReduceMean', 13, { axes: { ints: [-1] }, keepdims: { int: 1 } });
  assert.deepEqual([mean.opset, mean.nodes[0]!.inputs, mean.nodes[0]!.attributes, mean.initializers], [21, ['x', 'y/axes'], { keepdims: { int: 1 } }, [{ name: 'y/axes', type: 'I64', shape: [1], data: { values: [-1] } }]]);
  assert.deepEqual(raised('Split', 17, { axis: { int: 1 } }).nodes[0]!.attributes, { axis: { int: 1 }, num_outputs: { int: 1 } });
  assert.deepEqual(raised('Clip', 9, { max: { float: 6 } }).nodes[0]!.inputs, ['x', '', 'y/max']);
  assert.deepEqual(raised('Softmax', 11, { axis: { int: 1 } }).nodes[0]!.attributes, { axis: { int: -1 } });
  assert.match(String(raiseOpset(graph('Softmax', 11, undefined, ['x'], 4), 21)), /Softmax changed its meaning/);
  assert.match(String(raiseOpset(graph('GroupNormalization', 20, undefined), 21)), /operator set 20, 21 is needed, and GroupNormalization changed its meaning in between; export it with operator set 21/);
  // Run: the reduction of an old model gives what it gave.
  const x: ReadonlyMap<string, NamedArray> = new Map([['x', { type: 'F32', shape: [4, 4], data: normal(16, 1) }]]);
  const results = await Promise.all([graph('ReduceMean', 13, { axes: { ints: [-1] }, keepdims: { int: 1 } }), mean].map(async (each) => {
    const initializers: OnnxInitializer[] = each.initializers.map(({ name, type, shape }) => ({ name, type, shape, write: (sink) => sink(new Uint8Array(BigInt64Array.of(-1n).buffer)) }));
    const running = await startModel({ ...each, initializers, outputs: [{ name: 'y' }] }, 1);
    const y = (await running.run(x)).get('y')!;
    await running.close();
    return [...y.data as Float32Array];
  }));
  assert.deepEqual(results[0], results[1]);
});
