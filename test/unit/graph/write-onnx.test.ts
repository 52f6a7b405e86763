/** ONNX files: what is written is what onnxruntime reads, inline and with a data file, and nothing is left half-written. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import type { Graph } from '../../../kernels/graph/graph';
import { varint } from '../../../kernels/graph/protobuf';
import { smallTensorBytes } from '../../../kernels/graph/small-tensor';
import { encodeOnnx, writeOnnx, type OnnxInitializer, type OnnxModel } from '../../../kernels/graph/write-onnx';
import { loadRuntime } from '../../../kernels/run/onnx-runtime';
import { startModel } from '../../../kernels/run/run-model';

const f32 = (name: string, shape: number[], values: readonly number[]): OnnxInitializer => ({ name, type: 'F32', shape, write: (sink) => sink(new Uint8Array(Float32Array.from(values).buffer)) });
const LINEAR: Omit<Graph, 'initializers'> = {
  name: 'linear', opset: 20,
  inputs: [{ name: 'x', type: 'F32', shape: ['batch', 3] }], outputs: [{ name: 'y', type: 'F32', shape: ['batch', 2] }],
  nodes: [
    { op: 'Gemm', inputs: ['x', 'w', 'b'], outputs: ['h'], attributes: { transB: { int: 1 }, alpha: { float: 0.5 } }, module: 'fc', span: { file: '/m.py', startLine: 4, startColumn: 2, endLine: 4, endColumn: 9 } },
    { op: 'Transpose', inputs: ['h'], outputs: ['t'], attributes: { perm: { ints: [0, 1] } }, module: '' },
    { op: 'Relu', inputs: ['t'], outputs: ['y'], module: '' },
  ],
};
const model = (): OnnxModel => ({ ...LINEAR, initializers: [f32('w', [2, 3], [1, 2, 3, -1, 0, 1]), f32('b', [2], [0.5, 0])], metadata: [['from', 'test']] });

function temporary(t: test.TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-onnx-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('a model runs in onnxruntime with a free batch', async () => {
  const running = await startModel(model());
  const y = (await running.run(new Map([['x', { type: 'F32', shape: [2, 3], data: Float32Array.from([1, 1, 1, 2, 0, -2]) }]]))).get('y')!;
  assert.deepEqual([...y.data], [3.5, 0, 0, 0]);
  assert.deepEqual(y.shape, [2, 2]);
  await running.close();
});

test('a data file beside the model holds the large tensors at page borders, and onnxruntime reads it', async (t) => {
  const folder = temporary(t);
  const count = 700;
  const file = path.join(folder, 'm.onnx');
  const add = (name: string, value: number): OnnxInitializer => f32(name, [count], Array<number>(count).fill(value));
  const sums: OnnxModel = {
    name: 'sums', opset: 17, inputs: [{ name: 'x', type: 'F32', shape: [count] }], outputs: [{ name: 'y', type: 'F32', shape: [count] }],
    nodes: [{ op: 'Add', inputs: ['x', 'a'], outputs: ['h'], module: '' }, { op: 'Add', inputs: ['h', 'b'], outputs: ['i'], module: '' }, { op: 'Mul', inputs: ['i', 's'], outputs: ['y'], module: '' }],
    initializers: [add('a', 1), add('b', 10), f32('s', [1], [2])],
  };
  const written = await writeOnnx(file, sums, { external: true });
  assert.equal(written.data!.bytes, 4096 + count * 4);
  const session = await loadRuntime().InferenceSession.create(file);
  const { y } = await session.run({ x: new (loadRuntime().Tensor)('float32', new Float32Array(count), [count]) });
  assert.ok([...(y!.data as Float32Array)].every((value) => value === 22));
  await session.release();
});

test('whole numbers of protobuf: borders and negatives', () => {
  assert.deepEqual([...varint(0)], [0]);
  assert.deepEqual([...varint(127)], [127]);
  assert.deepEqual([...varint(128)], [0x80, 1]);
  assert.deepEqual([...varint(2 ** 40)], [0x80, 0x80, 0x80, 0x80, 0x80, 0x20]);
  assert.deepEqual([...varint(-1)], [...Array<number>(9).fill(0xff), 1]);
  assert.throws(() => varint(0.5), RangeError);
});

test('values written out: whole numbers, halves, infinities', () => {
  assert.deepEqual([...smallTensorBytes('I64', [-2])], [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
  assert.deepEqual([...smallTensorBytes('BOOL', [0, 5])], [0, 1]);
  assert.deepEqual([...smallTensorBytes('F32', ['-Infinity'])], [0, 0, 0x80, 0xff]);
  assert.deepEqual([...smallTensorBytes('F16', [1.5])], [0, 0x3e]);
});

test('an initializer that writes too little or too much is an error, and nothing is left behind', async (t) => {
  const folder = temporary(t);
  const file = path.join(folder, 'm.onnx');
  for (const bytes of [8, 16]) {
    const wrong: OnnxModel = { ...model(), initializers: [f32('w', [2, 3], [1, 2, 3, 4, 5, 6]), { name: 'b', type: 'F32', shape: [3], write: (sink) => sink(new Uint8Array(bytes)) }] };
    await assert.rejects(writeOnnx(file, wrong), /"b" wrote/);
    await assert.rejects(encodeOnnx(wrong), /"b" wrote/);
  }
  assert.deepEqual(readdirSync(folder), []);
  await assert.rejects(writeOnnx(file, { ...model(), initializers: [f32('w', [2], [1, 2]), f32('w', [2], [1, 2])] }), /given twice/);
  await assert.rejects(writeOnnx(file, { ...model(), initializers: [{ name: 'q', type: 'QU4X2', shape: [2], write: () => undefined }] }), /no element type for QU4X2/);
  assert.equal(existsSync(file), false);
});

test('4-bit integers are packed, an odd count fills up its last byte', async () => {
  const packed: OnnxModel = {
    name: 'packed', opset: 21, inputs: [{ name: 'x', type: 'F32', shape: [3] }], outputs: [{ name: 'y', type: 'F32', shape: [3] }],
    nodes: [{ op: 'DequantizeLinear', inputs: ['q', 's'], outputs: ['d'], module: '' }, { op: 'Add', inputs: ['x', 'd'], outputs: ['y'], module: '' }],
    initializers: [{ name: 'q', type: 'I4', shape: [3], write: (sink) => sink(Uint8Array.of(0x8f, 0x07)) }, f32('s', [], [0.5])],
  };
  const running = await startModel(packed);
  const y = (await running.run(new Map([['x', { type: 'F32', shape: [3], data: new Float32Array(3) }]]))).get('y')!;
  assert.deepEqual([...y.data], [-0.5, -4, 3.5]);
  await running.close();
});

test('the same model is the same bytes', async (t) => {
  const folder = temporary(t);
  const [a, b] = [path.join(folder, 'a.onnx'), path.join(folder, 'b.onnx')];
  await writeOnnx(a, model());
  const written = await writeOnnx(b, model());
  assert.deepEqual(readFileSync(a), readFileSync(b));
  assert.equal(written.bytes, readFileSync(b).length);
});

test('a model that is not proven leaves nothing behind, its data file neither; a proven one has its name', async (t) => {
  const folder = temporary(t);
  const file = path.join(folder, 'm.onnx');
  const large: OnnxModel = { ...model(), initializers: [f32('w', [2, 3], [1, 2, 3, 4, 5, 6]), f32('b', [2], [0, 0]), f32('unused', [600], new Array<number>(600).fill(1))] };
  for (const external of [false, true]) {
    let seen: string[] = [];
    await assert.rejects(writeOnnx(file, large, { external, prove: (temporary_) => { seen = readdirSync(folder); assert.ok(seen.includes(path.basename(temporary_))); throw new Error('not proven'); } }), /not proven/);
    assert.equal(seen.includes('m.onnx.data'), external);
    assert.deepEqual(readdirSync(folder), []);
  }
  await writeOnnx(file, large, { external: true, prove: async (temporary_) => { const session = await loadRuntime().InferenceSession.create(temporary_); await session.release(); } });
  assert.deepEqual(readdirSync(folder).sort(), ['m.onnx', 'm.onnx.data']);
});
