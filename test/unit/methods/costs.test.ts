/** Costs of layers: operations counted by hand, operators that run, and what is called an estimate. Nothing here asserts on time. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseFormat } from '../../../kernels/formats/registry';
import type { Attribute, Graph, GraphNode } from '../../../kernels/graph/graph';
import { methodOfKind } from '../../../kernels/methods/registry';
import type { CostRun } from '../../../kernels/methods/method';
import { appliedShapes, type AppliedShape } from '../../../kernels/run/applied-shapes';
import { hasRuntime } from '../../../kernels/run/onnx-runtime';
import { codeOperator, copiesModel, floatOperator } from '../../../kernels/run/operators';
import { startModel } from '../../../kernels/run/run-model';
import { timingOf } from '../../../kernels/run/stopwatch';

const ints = (...values: number[]): Attribute => ({ ints: values });
function graphOf(op: string, input: readonly (number | string)[], weight: readonly number[], output: readonly number[], attributes: GraphNode['attributes'] = {}): Graph {
  return {
    name: 'g', opset: 20, inputs: [{ name: 'x', type: op === 'Gather' ? 'I64' : 'F32', shape: input }], outputs: [{ name: 'y', type: 'F32', shape: output }],
    nodes: op === 'MatMul' ? [{ op: 'Transpose', inputs: ['w'], outputs: ['t'], module: 'm' }, { op, inputs: ['x', 't'], outputs: ['y'], module: 'm' }]
      : [{ op, inputs: op === 'Gather' ? ['w', 'x'] : ['x', 'w'], outputs: ['y'], module: 'm', attributes }],
    initializers: [{ name: 'w', type: 'F32', shape: weight, data: { checkpoint: 'w' } }],
  };
}
const shapeOf = (...given: Parameters<typeof graphOf>): AppliedShape => appliedShapes(graphOf(...given), 'w')[0]!;
const LINEAR = shapeOf('MatMul', [1, 7, 40], [24, 40], [1, 7, 24]);
const CONV = shapeOf('Conv', [1, 8, 10, 10], [6, 4, 3, 3], [1, 6, 5, 5], { kernel_shape: ints(3, 3), strides: ints(2, 2), pads: ints(1, 1, 1, 1), group: { int: 2 } });
const TRANSPOSED = shapeOf('ConvTranspose', [1, 8, 5, 5], [8, 3, 2, 2], [1, 3, 10, 10], { kernel_shape: ints(2, 2), strides: ints(2, 2) });
const LOOKUP = shapeOf('Gather', [1, 7], [100, 16], [1, 7, 16]);
const RUN: CostRun = { threads: 1, throwIfCancelled: () => undefined, progress: () => undefined };

test('multiply-accumulate operations, by hand', () => {
  assert.equal(LINEAR.macs, 7 * 40 * 24);
  assert.equal(CONV.macs, 6 * 5 * 5 * (4 * 3 * 3));
  assert.equal(TRANSPOSED.macs, 8 * 5 * 5 * (3 * 2 * 2));
  assert.equal(LOOKUP.macs, 0);
  assert.throws(() => appliedShapes(graphOf('MatMul', ['batch', 40], [24, 40], [1, 24]), 'w'), /size batch .* is not a number/);
  assert.deepEqual(appliedShapes(graphOf('MatMul', [1, 40], [24, 40], [1, 24]), 'other'), []);
});

test('a projection that is used in parts, and weights of a recurrent operator, are counted by their uses', () => {
  const initializer = (name: string, shape: number[]): Graph['initializers'][number] => ({ name, type: 'F32', shape, data: { checkpoint: name } });
  const value = (name: string, ...shape: number[]): NonNullable<Graph['values']>[number] => ({ name, type: 'F32', shape });
  const graph: Graph = {
    name: 'g', opset: 20, inputs: [value('x', 5, 1, 16)], outputs: [value('h', 5, 1, 1, 8)],
    nodes: [
      { op: 'Split', inputs: ['qkv'], outputs: ['wq', 'wk', 'wv'], module: 'a' },
      ...['q', 'k', 'v'].flatMap((part) => [{ op: 'Transpose', inputs: [`w${part}`], outputs: [`t${part}`], module: 'a' }, { op: 'MatMul', inputs: ['x', `t${part}`], outputs: [part], module: 'a' }]),
      { op: 'Unsqueeze', inputs: ['ih'], outputs: ['W'], module: 'r' }, { op: 'Unsqueeze', inputs: ['hh'], outputs: ['R'], module: 'r' },
      { op: 'GRU', inputs: ['x', 'W', 'R'], outputs: ['h', ''], module: 'r' },
    ],
    initializers: [initializer('qkv', [48, 16]), initializer('ih', [24, 16]), initializer('hh', [24, 8])],
    values: ['q', 'k', 'v'].map((name) => value(name, 5, 1, 16)),
  };
  assert.deepEqual(appliedShapes(graph, 'qkv').map(({ kind, macs }) => [kind, macs]), Array.from({ length: 3 }, () => ['linear', 5 * 16 * 16]));
  assert.deepEqual(appliedShapes(graph, 'ih').map(({ kind, macs }) => [kind, macs]), [['recurrent', 5 * 24 * 16]]);
  assert.deepEqual(appliedShapes(graph, 'hh').map(({ kind, macs }) => [kind, macs]), [['recurrent', 5 * 24 * 8]]);
});

test('bit operations are operations x weight bits x activation bits, over every application', async () => {
  const formats = ['int3-sym-channel', 'int4-sym-g32', 'nf4', 'bf16'].map(parseFormat);
  const bops = methodOfKind('cost', 'bops');
  const [layer] = await bops.run([{ view: { rows: 24, cols: 40 }, shapes: [LINEAR, LINEAR] }], formats, { activationBits: 8 }, RUN);
  assert.deepEqual(layer!.map(({ value, basis }) => [value, basis]), [3, 4, 4, 16].map((bits) => [2 * LINEAR.macs * bits * 8, 'counted']));
  const [plain] = await bops.run([{ view: { rows: 24, cols: 40 }, shapes: [LINEAR] }], formats, {}, RUN);
  assert.equal(plain![0]!.value, LINEAR.macs * 3 * 32);
});

test('which operator computes with which codes', () => {
  const name = (id: string, shape: AppliedShape): string | undefined => codeOperator(parseFormat(id), shape)?.name.replace(/,.*/, '');
  assert.equal(name('int8-sym-channel', LINEAR), 'DynamicQuantizeMatMul');
  assert.equal(name('int8-sym-channel', CONV), 'QLinearConv');
  for (const id of ['int4-sym-g32', 'int4-sym-channel', 'int4-asym-g128', 'int8-sym-g32']) assert.equal(name(id, LINEAR), 'MatMulNBits', id);
  for (const id of ['int3-sym-g32', 'int2-sym-channel', 'bf16', 'nf4', 'fp8-e4m3']) assert.equal(name(id, LINEAR), undefined, id);
  assert.equal(name('int4-sym-channel', CONV), undefined);
  assert.equal(name('int8-sym-channel', LOOKUP), undefined);
  assert.equal(floatOperator(LOOKUP), null);
});

test('every operator runs, in copies with weights of their own', async (t) => {
  if (!hasRuntime()) return t.skip('needs onnxruntime-node');
  const cases = [LINEAR, CONV, TRANSPOSED].flatMap((shape) => [floatOperator(shape), ...['int8-sym-channel', 'int4-sym-channel', 'int8-sym-g32', 'int4-sym-g16'].map((id) => codeOperator(parseFormat(id), shape))].flatMap((operator) => (operator ? [{ shape, operator }] : [])));
  assert.ok(cases.length >= 8);
  for (const { shape, operator } of [...cases, { shape: LINEAR, operator: null }]) {
    const model = await startModel(copiesModel(shape.input, shape.output.length, 3, operator), 1);
    const data = Float32Array.from({ length: shape.input.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i) + 0.5);
    const [out] = [...(await model.run(new Map([['x', { type: 'F32', shape: shape.input, data }]]))).values()];
    await model.close();
    assert.deepEqual([...out!.shape], [3], operator?.name);
    assert.ok((out!.data as Float32Array).every(Number.isFinite), operator?.name);
  }
});

test('latency says of each format whether it was run or estimated', async (t) => {
  if (!hasRuntime()) return t.skip('needs onnxruntime-node');
  const formats = ['int8-sym-channel', 'int4-sym-g32', 'int3-sym-g32'].map(parseFormat);
  const [linear, conv, lookup] = await methodOfKind('cost', 'latency').run([
    { view: { rows: 24, cols: 40 }, shapes: [LINEAR] }, { view: { rows: 6, cols: 36 }, shapes: [CONV] }, { view: { rows: 100, cols: 16 }, shapes: [LOOKUP] },
  ], formats, {}, RUN);
  assert.deepEqual(linear!.map(({ basis }) => basis), ['measured', 'measured', 'estimated']);
  assert.deepEqual(conv!.map(({ basis }) => basis), ['measured', 'estimated', 'estimated']);
  assert.deepEqual(lookup!.map(({ basis }) => basis), ['estimated', 'estimated', 'estimated']);
  for (const { value, basis, operator } of [...linear!, ...conv!, ...lookup!]) {
    assert.ok(Number.isSafeInteger(value) && value >= 1);
    assert.equal(operator !== undefined, basis === 'measured');
  }
});

test('a timing is the lower quartile, whatever the order', () => {
  assert.deepEqual(timingOf([5, 1, 9, 3, 7]), { value: 3, spread: (5 - 1.8) / 2 });
  assert.equal(timingOf([4]).value, 4);
});
