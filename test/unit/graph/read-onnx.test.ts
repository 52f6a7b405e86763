/** Graphs of ONNX files: what is written is read again, what other programs write is understood, and what cannot run is refused. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { CheckpointError, openCheckpoint, TensorReader } from '../../../kernels/checkpoint';
import { borderOf, subgraph } from '../../../kernels/graph/cut';
import type { Graph } from '../../../kernels/graph/graph';
import { withDecodedWeights } from '../../../kernels/graph/onnx/decoded-weights';
import { hasHalf, inFloat32 } from '../../../kernels/graph/onnx/float32';
import { modulePath } from '../../../kernels/graph/onnx/module-path';
import { readOnnxGraph } from '../../../kernels/graph/onnx/read-graph';
import { resolveGraph } from '../../../kernels/graph/resolve';
import { encodeOnnx } from '../../../kernels/graph/write-onnx';
import { Random } from '../../../kernels/numerics/random';
import { lacksTypes, withTypes } from '../../../kernels/run/infer-types';
import { startFile, startModel, type NamedArray } from '../../../kernels/run/run-model';
import { block, fixed32, graph as graphOf, initializer, int, intAttribute, model, node, pair, tensor } from '../checkpoint/onnx-files';

const [FLOAT, UINT8, INT8, INT64, HALF] = [1, 2, 3, 7, 10];
const floats = (...values: number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);
/** ValueInfoProto as field 11 (input) or 12 (output). */
const value = (field: number, name: string, type: number | null, dims: readonly (number | string | null)[]): Buffer => block(field, block(1, name), ...(type === null ? [] : [block(2, block(1, int(1, type), block(2, ...dims.map((dim) => block(1, ...(dim === null ? [] : [typeof dim === 'number' ? int(1, dim) : block(2, dim)]))))))]));
const input = (name: string, dims: readonly (number | string | null)[], type = FLOAT): Buffer => value(11, name, type, dims);
const output = (name: string): Buffer => value(12, name, null, []);
const seeded = (count: number, seed: number): number[] => { const random = new Random(seed); return Array.from({ length: count }, () => random.normal()); };

function written(t: TestContext, bytes: Uint8Array): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bitlens-graph-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'm.onnx');
  writeFileSync(file, bytes);
  return file;
}
const read = async (file: string): Promise<Graph> => readOnnxGraph(await openCheckpoint(file));

async function run(file: string, graph: Graph, x: NamedArray): Promise<number[]> {
  const checkpoint = await openCheckpoint(file);
  const reader = TensorReader.open(checkpoint);
  const running = await startModel(resolveGraph(graph, checkpoint, reader));
  try {
    return [...(await running.run(new Map([[graph.inputs[0]!.name, x]]))).get(graph.outputs[0]!.name)!.data as Float32Array];
  } finally { await running.close(); reader.close(); }
}
const rows = (count: number, width: number, seed = 5): NamedArray => ({ type: 'F32', shape: [count, width], data: Float32Array.from(seeded(count * width, seed)) });

test('a graph that Bitlens wrote is read as it was: operators, attributes, modules, free dimensions', async (t) => {
  const made: Graph = {
    name: 'net', opset: 20, domains: { 'com.microsoft': 1 }, inputs: [{ name: 'x', type: 'F32', shape: ['batch', 3] }], outputs: [{ name: 'y', type: 'F32', shape: ['batch', 2] }], values: [],
    nodes: [
      { op: 'Gemm', inputs: ['x', 'w', 'b'], outputs: ['h'], attributes: { transB: { int: 1 }, alpha: { float: 0.5 } }, module: 'body.fc' },
      { op: 'Transpose', inputs: ['h'], outputs: ['t'], attributes: { perm: { ints: [0, 1] } }, module: '' },
      { op: 'Gelu', domain: 'com.microsoft', inputs: ['t'], outputs: ['y'], module: 'act' },
    ],
    initializers: [{ name: 'w', type: 'F32', shape: [2, 3], data: { checkpoint: 'w' } }, { name: 'b', type: 'F32', shape: [2], data: { checkpoint: 'b' } }],
  };
  const bytes = await encodeOnnx({ ...made, initializers: made.initializers.map((each) => ({ ...each, write: (sink) => sink(new Uint8Array(each.shape.reduce((a, b) => a * b, 4))) })) });
  const file = written(t, bytes);
  assert.deepEqual(await read(file), { ...made, file });
});

test('module paths: what exporters write into the names and metadata of nodes', () => {
  assert.equal(modulePath('/layer1/layer1.0/conv1/Conv', []), 'layer1.0.conv1');
  assert.equal(modulePath('/features/features.0/features.0.0/Conv', []), 'features.0.0');
  assert.equal(modulePath('/blocks.3/mlp/mlp.0/MatMul_1', []), 'blocks.3.mlp.0');
  assert.equal(modulePath('MatMul_12', []), '');
  assert.equal(modulePath('node_linear_3', [['namespace', 'x'], ['pkg.torch.onnx.name_scopes', "['', 'enc', 'enc.layers.0', 'linear_3']"]]), 'enc.layers.0');
  assert.equal(modulePath('/a/b/Conv', [['module', 'own.path']]), 'own.path');
});

test('constants are initializers, weights listed as inputs are none, and nodes are put in an order that runs', async (t) => {
  const file = written(t, model(graphOf(
    node('Add', ['m', 'c'], ['y']),
    node('MatMul', ['x', 'w'], ['m']),
    node('Constant', [], ['c'], block(5, block(1, 'value_float'), fixed32(2, 2.5), int(20, 1))),
    node('Constant', [], ['unused'], block(5, block(1, 'value'), block(5, tensor('', INT64, [1], Buffer.from(BigInt64Array.of(2n ** 62n).buffer))), int(20, 4))),
    initializer('w', FLOAT, [2, 2], floats(1, 2, 3, 4)),
    input('x', [null, 2]), input('w', [2, 2]), output('y'),
  )));
  const graph = await read(file);
  assert.deepEqual(graph.nodes.map(({ op }) => op), ['MatMul', 'Add']);
  assert.deepEqual(graph.inputs, [{ name: 'x', type: 'F32', shape: ['x.0', 2] }]);
  assert.deepEqual(graph.initializers.map(({ name, data }) => [name, data]), [['w', { checkpoint: 'w' }], ['c', { values: [2.5] }], ['unused', { checkpoint: 'unused' }]]);
  const x: NamedArray = { type: 'F32', shape: [1, 2], data: Float32Array.of(1, 1) };
  assert.deepEqual(await run(file, graph, x), [6.5, 8.5]);
  // Read by onnxruntime itself, as large models are.
  const running = await startFile(graph, graph.file!);
  assert.deepEqual([...(await running.run(new Map([['x', x]]))).get('y')!.data as Float32Array], [6.5, 8.5]);
  await running.close();
});

test('types that the file does not give are those of onnxruntime, for every value', async (t) => {
  const file = written(t, model(graphOf(
    node('MatMul', ['x', 'w'], ['m']), node('Shape', ['m'], ['s']), node('ConstantOfShape', ['s'], ['z'], block(5, block(1, 'value'), block(5, tensor('', FLOAT, [1], floats(3)))), block(7, '')), node('Add', ['m', 'z'], ['y']),
    initializer('w', FLOAT, [20, 20], floats(...seeded(400, 1))), input('x', ['n', 20]), output('y'),
  )));
  const graph = await read(file);
  assert.ok(lacksTypes(graph));
  const typed = await withTypes(graph, file);
  assert.ok(!lacksTypes(typed));
  const of = (name: string): unknown => [...typed.values!, ...typed.outputs].find((each) => each.name === name);
  assert.deepEqual(of('m'), { name: 'm', type: 'F32', shape: ['n', 20] });
  assert.deepEqual(of('s'), { name: 's', type: 'I64', shape: [2] });
  assert.equal((of('y') as { ranked?: boolean }).ranked, undefined);
  assert.deepEqual(subgraph(typed, ['m'], ['y']).inputs, [of('m')]);
  const x = rows(3, 20);
  assert.deepEqual(await run(file, typed, x), await run(file, graph, x));
});

/** Branches that read values of the graph around them. */
function branching(): Buffer {
  const branch = (name: string, op: string): Buffer => block(5, block(1, name), block(6, node(op, ['h', 'w'], [`${name}_y`]), block(2, name), output(`${name}_y`)), int(20, 5));
  return model(graphOf(
    node('Relu', ['x'], ['h']), node('ReduceSum', ['h'], ['sum'], intAttribute('keepdims', 0)), node('Greater', ['sum', 'limit'], ['large']),
    node('If', ['large'], ['y'], branch('then_branch', 'MatMul'), branch('else_branch', 'Add')),
    initializer('w', FLOAT, [2, 2], floats(1, 2, 3, 4)), initializer('limit', FLOAT, [], floats(5)), input('x', [2, 2]), output('y'),
  ));
}

test('branches stay within their node, which depends on what they read', async (t) => {
  const file = written(t, branching());
  const graph = await withTypes(await read(file), file);
  assert.deepEqual(graph.nodes.at(-1)!.captures, ['h', 'w']);
  assert.deepEqual(borderOf(graph, ['w'], ['y']).sort(), ['h', 'large']);
  assert.deepEqual(await run(file, graph, { type: 'F32', shape: [2, 2], data: Float32Array.of(1, 1, 1, 1) }), [2, 3, 4, 5]);
  assert.deepEqual(await run(file, graph, { type: 'F32', shape: [2, 2], data: Float32Array.of(3, 3, 3, 3) }), [12, 18, 12, 18]);
  assert.deepEqual(subgraph(graph, ['h', 'large'], ['y']).inputs.map(({ name }) => name).sort(), ['h', 'large']);
});

test('quantized weights can be put in as the values they stand for: DequantizeLinear and MatMulNBits', async (t) => {
  const codes = Buffer.from(Int8Array.from({ length: 8 }, (_, i) => i * 7 - 30).buffer);
  const qdq = written(t, model(graphOf(
    node('DequantizeLinear', ['fc.weight_quantized', 's', 'z'], ['w'], intAttribute('axis', 1)), node('MatMul', ['x', 'w'], ['y']),
    initializer('fc.weight_quantized', INT8, [4, 2], codes), initializer('s', FLOAT, [2], floats(0.5, 0.25)), initializer('z', INT8, [2], Buffer.from([0, 1])), input('x', ['n', 4]), output('y'),
  )));
  const packed = Buffer.from(Uint8Array.from({ length: 32 }, (_, i) => (i * 37) & 255));
  const nBits = written(t, model(graphOf(
    node('MatMulNBits', ['x', 'lin', 'lin_s', '', '', 'bias'], ['y'], block(7, 'com.microsoft'), intAttribute('K', 32), intAttribute('N', 2), intAttribute('bits', 4), intAttribute('block_size', 32)),
    initializer('lin', UINT8, [2, 1, 16], packed), initializer('lin_s', FLOAT, [2], floats(0.5, -0.25)), initializer('bias', FLOAT, [2], floats(1, 2)), input('x', ['n', 32]), output('y'),
  ), block(8, block(1, 'com.microsoft'), int(2, 1))));
  const product = (x: NamedArray, out: number, weight: (n: number, k: number) => number, bias: (n: number) => number): number[] => Array.from({ length: 3 * out }, (_, i) => {
    const [row, n, width] = [Math.floor(i / out), i % out, x.shape[1]!];
    return Array.from({ length: width }, (__, k) => (x.data as Float32Array)[width * row + k]! * weight(n, k)).reduce((a, b) => a + b, bias(n));
  });
  const [small, large] = [rows(3, 4), rows(3, 32)];
  const exact = [
    [qdq, small, product(small, 2, (n, k) => (codes.readInt8(2 * k + n) - n) * (n === 0 ? 0.5 : 0.25), () => 0)],
    [nBits, large, product(large, 2, (n, k) => (((packed[16 * n + (k >> 1)]! >> (4 * (k & 1))) & 15) - 8) * (n === 0 ? 0.5 : -0.25), (n) => n + 1)],
  ] as const;
  for (const [file, x, expected] of exact) {
    const graph = await read(file);
    const decoded = withDecodedWeights(graph, await openCheckpoint(file));
    assert.ok(!decoded.nodes.some(({ op }) => op === 'DequantizeLinear' || op === 'MatMulNBits'));
    (await run(file, decoded, x)).forEach((each, i) => assert.ok(Math.abs(each - expected[i]!) < 1e-4, `${each}, not ${expected[i]}`));
    // As it is, the runtime may multiply with inputs rounded to 8 bits.
    (await run(file, graph, x)).forEach((each, i) => assert.ok(Math.abs(each - expected[i]!) < 0.2, `${each}, not ${expected[i]}`));
  }
});

/** FunctionProto as field 25 of the model. */
const functionOf = (name: string, inputs: readonly string[], outputs: readonly string[], ...nodes: Buffer[]): Buffer =>
  block(25, block(1, name), ...inputs.map((each) => block(4, each)), ...outputs.map((each) => block(5, each)), block(6, 'turned'), ...nodes.map((each) => Buffer.concat([Buffer.from([58]), each.subarray(1)])), block(9, int(2, 21)), block(10, 'my'));
const mine = block(8, block(1, 'my'), int(2, 1));
const reference = (name: string, of: string, type: number): Buffer => block(5, block(1, name), int(20, type), block(21, of));

test('functions of the model are put in place of their calls, with the attributes of the call', async (t) => {
  const linear = functionOf('Linear', ['a', 'w'], ['y'], node('Gemm', ['a', 'w'], ['p'], reference('transB', 'turned', 2)), node('Constant', [], ['one'], block(5, block(1, 'value'), block(5, tensor('', FLOAT, [2], floats(1, 2))), int(20, 4))), node('Add', ['p', 'one'], ['y']));
  const twice = functionOf('Twice', ['a', 'w'], ['y', 'a'], node('Linear', ['a', 'w'], ['q'], block(7, 'my'), intAttribute('turned', 1)), node('Linear', ['q', 'w'], ['y'], block(7, 'my'), intAttribute('turned', 0)));
  const file = written(t, model(graphOf(node('Twice', ['x', 'w'], ['h', 'again'], block(7, 'my')), node('Add', ['h', 'again'], ['y']), initializer('w', FLOAT, [2, 2], floats(1, 2, 3, 4)), input('x', ['n', 2]), output('y')), mine, linear, twice));
  const graph = await read(file);
  assert.equal(graph.functions, undefined);
  assert.deepEqual(graph.nodes.map(({ op }) => op).sort(), ['Add', 'Add', 'Add', 'Constant', 'Constant', 'Gemm', 'Gemm', 'Identity']);
  // x = [1, 1]: x W^T + [1, 2] = [4, 9]; [4, 9] W + [1, 2] = [32, 46]; and x again.
  assert.deepEqual(await run(file, graph, { type: 'F32', shape: [1, 2], data: Float32Array.of(1, 1) }), [33, 47]);
  const endless = functionOf('Endless', ['a'], ['y'], node('Endless', ['a'], ['y'], block(7, 'my')));
  await assert.rejects(read(written(t, model(graphOf(node('Endless', ['x'], ['y'], block(7, 'my')), input('x', [1]), output('y')), mine, endless))), /call themselves/);
  const doubled = functionOf('D', ['a'], ['y'], node('D', ['a'], ['b'], block(7, 'my')), node('D', ['b'], ['y'], block(7, 'my')));
  await assert.rejects(read(written(t, model(graphOf(node('D', ['x'], ['y'], block(7, 'my')), input('x', [1]), output('y')), mine, doubled))), /more than 200000 nodes/);
});

test('half precision is run in float32; a graph that is not taken apart is refused', async (t) => {
  const half = (...bits: number[]): Buffer => Buffer.from(Uint16Array.from(bits).buffer);
  const file = written(t, model(graphOf(
    node('Cast', ['x'], ['c'], intAttribute('to', HALF)), node('MatMul', ['c', 'w'], ['y']),
    initializer('w', HALF, [2, 2], half(0x3c00, 0x4000, 0x4200, 0x4400)), input('x', ['n', 2], HALF), output('y'),
  )));
  const graph = await read(file);
  assert.ok(hasHalf(graph));
  assert.deepEqual(await run(file, inFloat32(graph), { type: 'F32', shape: [1, 2], data: Float32Array.of(1, 1) }), [4, 6]);
  const masked = written(t, model(graphOf(
    node('Shape', ['x'], ['s']), node('ConstantOfShape', ['s'], ['m'], block(5, block(1, 'value'), block(5, tensor('', HALF, [1], half(0xfc00))), int(20, 4))), node('Max', ['x', 'm'], ['y']), input('x', ['n', 2], HALF), output('y'),
  )));
  assert.deepEqual(await run(masked, inFloat32(await read(masked)), { type: 'F32', shape: [1, 2], data: Float32Array.of(1, -9e4) }), [1, Math.fround(-9e4)]);
  assert.throws(() => inFloat32({ ...graph, functions: ['AA=='] }), /half precision .* functions of its own/);
});

test('graphs that cannot run are refused in words', async (t) => {
  const x = input('x', ['n', 2]);
  const refused = async (main: Buffer, message: RegExp): Promise<void> => {
    await assert.rejects(read(written(t, model(main))), (error) => error instanceof CheckpointError && message.test(error.message), String(message));
  };
  await refused(graphOf(node('Add', ['x', 'b'], ['a']), node('Add', ['x', 'a'], ['b']), x, output('b')), /goes in a circle: the node Add that gives a/);
  await refused(graphOf(node('Add', ['x', 'lost'], ['y']), x, output('y')), /Add reads the value lost, which nothing in the graph gives/);
  await refused(graphOf(node('Relu', ['x'], ['y']), node('Tanh', ['x'], ['y']), x, output('y')), /gives the value y twice/);
  await refused(graphOf(node('Relu', ['x'], ['y']), x, output('z')), /nothing in the graph gives its output z/);
  await refused(graphOf(node('Relu', ['x'], ['y']), x), /gives no output/);
  await refused(graphOf(node('Relu', ['x'], ['y']), block(11, block(1, 'x')), output('y')), /input x is no tensor of numbers/);
  await refused(graphOf(node('Add', ['x', 't'], ['y']), initializer('t', 8, [1], null, block(6, 'text')), x, output('y')), /tensor t holds texts/);
  await refused(graphOf(node('Relu', ['x'], ['y']), x, output('y'), block(12, block(1, 'n'.repeat(70_000)))), /a name is longer than 65536 bytes/);
});

test('names are data: __proto__ as value, attribute and domain', async (t) => {
  const graph = await read(written(t, model(graphOf(node('Relu', ['x'], ['__proto__'], intAttribute('__proto__', 3), block(9, pair(9, '__proto__', 'm').subarray(2))), input('x', [1]), output('__proto__')), block(8, block(1, '__proto__'), int(2, 1)))));
  assert.deepEqual(Object.entries(graph.nodes[0]!.attributes!), [['__proto__', { int: 3 }]]);
  assert.deepEqual(Object.keys(graph.domains!), ['__proto__']);
});

test('a file that is cut anywhere, or has a wrong byte anywhere, is read or refused, and nothing else', async (t) => {
  const whole = branching();
  const file = written(t, whole);
  const attempt = async (bytes: Uint8Array): Promise<void> => {
    writeFileSync(file, bytes);
    try { await read(file); } catch (error) { assert.ok(error instanceof CheckpointError, String((error as Error).stack)); }
  };
  for (let length = 0; length < whole.length; length += 1) await attempt(whole.subarray(0, length));
  const random = new Random(11);
  for (let i = 0; i < 600; i += 1) {
    const bytes = Uint8Array.from(whole);
    for (let n = 0; n < 1 + i % 3; n += 1) bytes[Math.floor(random.uniform() * bytes.length)] = Math.floor(random.uniform() * 256);
    await attempt(bytes);
  }
});

