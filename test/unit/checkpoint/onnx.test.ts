import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { CheckpointError, elementCount, modelTensors, openCheckpoint, shownDtype, TensorReader, type Checkpoint, type TensorInfo } from '../../../kernels/checkpoint';
import { storedValues } from '../../../kernels/stored/registry';
import { dataPath, needsData } from '../../support/data';
import { block, fixed32, graph, initializer, int, intAttribute, model, node, pair, tensor, varint } from './onnx-files';
import { floats } from './pickles';
import { MemorySource, openBytes, opened, randomFrom, refused, scratch, valuesOf, writeScratch } from './support';

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Values of any tensor as float32, read in pieces of `step`. */
function decoded(checkpoint: Checkpoint, info: TensorInfo, step = Infinity): Float32Array {
  const reader = TensorReader.open(checkpoint);
  try {
    const values = storedValues(info, reader);
    const total = elementCount(info.shape);
    const all = new Float32Array(total);
    for (let at = 0; at < total; at += step) {
      const part = new Float32Array(Math.min(step, total - at));
      values.read(at, part.length, part);
      all.set(part, at);
    }
    return all;
  } finally {
    reader.close();
  }
}
const named = (checkpoint: Checkpoint, name: string): TensorInfo => modelTensors(checkpoint).find((info) => info.name === name) ?? assert.fail(`${name} is not among ${modelTensors(checkpoint).map((each) => each.name).join(', ')}`);

test('the verdicts of the external-data oracle hold, and what is accepted has its values', async (t) => {
  if (!needsData(t, 'oracles/onnx-external')) return;
  const folder = dataPath('oracles/onnx-external');
  const { models, tensors } = JSON.parse(readFileSync(path.join(folder, 'expected.json'), 'utf8')) as { models: Record<string, string>; tensors: Record<string, { dtype: string; shape: number[]; sha256: string }> };
  const dtypes: Record<string, string> = { float32: 'F32', float16: 'F16', int64: 'I64' };
  const counts = { accepted: 0, refused: 0 };
  for (const [name, verdict] of Object.entries(models)) {
    const file = path.join(folder, name);
    if (verdict.startsWith('accept')) {
      const checkpoint = await openCheckpoint(file);
      assert.equal(checkpoint.format, 'onnx');
      for (const info of checkpoint.tensors) {
        const want = tensors[info.name]!;
        assert.deepEqual([info.dtype, info.shape, sha(valuesOf(checkpoint, info))], [dtypes[want.dtype], want.shape, want.sha256], `${name} ${info.name}`);
      }
      assert.equal(checkpoint.tensors.length, name.startsWith('x_') ? checkpoint.tensors.length : 3);
      if (name === 'x_proto_key.onnx') assert.ok(checkpoint.problems.some(({ message }) => /unknown entry/.test(message)));
      counts.accepted++;
    } else {
      await assert.rejects(openCheckpoint(file), (error) => {
        assert.ok(error instanceof CheckpointError && error.problem.fix.length > 5, String(error));
        return true;
      }, `${name} is opened although: ${verdict}`);
      counts.refused++;
    }
  }
  assert.deepEqual(counts, { accepted: 4, refused: 18 });
  assert.equal(readdirSync(folder).filter((name) => name.endsWith('.onnx')).length, 22);
  t.diagnostic(JSON.stringify(counts));
});

test('links are followed inside the model\'s folder and into its cache, and nowhere else', async (t) => {
  const folder = scratch(t);
  const external = (location: string): Buffer => model(graph(initializer('w', 1, [2], null, pair(13, 'location', location), int(14, 1))));
  const inside = path.join(folder, 'model');
  mkdirSync(path.join(inside, 'sub'), { recursive: true });
  writeFileSync(path.join(folder, 'secret'), floats(1, 2));
  writeFileSync(path.join(inside, 'plain'), floats(3, 4));
  writeFileSync(path.join(inside, 'sub', 'deep'), floats(5, 6));
  symlinkSync(path.join(folder, 'secret'), path.join(inside, 'out'));
  symlinkSync('plain', path.join(inside, 'in'));
  symlinkSync(folder, path.join(inside, 'parent'));
  symlinkSync('loop', path.join(inside, 'loop'));
  linkSync(path.join(folder, 'secret'), path.join(inside, 'hard'));
  const open = (location: string): Promise<Checkpoint> => {
    writeFileSync(path.join(inside, 'm.onnx'), external(location));
    return openCheckpoint(path.join(inside, 'm.onnx'));
  };
  for (const [location, values] of [['plain', [3, 4]], ['./plain', [3, 4]], ['in', [3, 4]], ['sub/deep', [5, 6]]] as const) {
    const checkpoint = await open(location);
    assert.deepEqual(valuesOf(checkpoint, checkpoint.tensors[0]), floats(...values));
    assert.equal(checkpoint.files.length, 2);
    assert.deepEqual(checkpoint.problems, []);
  }
  for (const location of ['out', 'parent/secret', 'loop', 'sub', 'missing', 'plain/x', 'sub/../../secret', 'sub//deep']) {
    await assert.rejects(open(location), CheckpointError, location);
  }
  assert.ok((await open('hard')).problems.some(({ message }) => /2 names on this disk/.test(message)));
  // The layout of a hub cache: links into the blobs of the same model.
  const cache = path.join(folder, 'models--a--b');
  mkdirSync(path.join(cache, 'blobs'), { recursive: true });
  mkdirSync(path.join(cache, 'snapshots', 'r', 'onnx'), { recursive: true });
  writeFileSync(path.join(cache, 'blobs', '1'), external('m.onnx_data'));
  writeFileSync(path.join(cache, 'blobs', '2'), floats(7, 8));
  symlinkSync('../../../blobs/1', path.join(cache, 'snapshots', 'r', 'onnx', 'm.onnx'));
  symlinkSync('../../../blobs/2', path.join(cache, 'snapshots', 'r', 'onnx', 'm.onnx_data'));
  const cached = await openCheckpoint(path.join(cache, 'snapshots', 'r', 'onnx', 'm.onnx'));
  assert.deepEqual(valuesOf(cached, cached.tensors[0]), floats(7, 8));
});

/** TensorProto types with a value of each width, in raw data and in their typed field. */
const TYPES: readonly [type: number, dtype: string, field: number, values: number[], raw: number[]][] = [
  [2, 'U8', 5, [1, 255], [1, 255]], [3, 'I8', 5, [-1, 5], [255, 5]], [4, 'U16', 5, [513, 65535], [1, 2, 255, 255]], [5, 'I16', 5, [-2, 3], [254, 255, 3, 0]],
  [6, 'I32', 5, [-1, 70000], [255, 255, 255, 255, 112, 17, 1, 0]], [7, 'I64', 7, [-2, 2 ** 40], [254, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 1, 0, 0]],
  [9, 'BOOL', 5, [1, 0], [1, 0]], [10, 'F16', 5, [0x3c00, 0xc000], [0, 0x3c, 0, 0xc0]], [12, 'U32', 11, [1, 2 ** 32 - 1], [1, 0, 0, 0, 255, 255, 255, 255]],
  [13, 'U64', 11, [1, 2 ** 50], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0]], [16, 'BF16', 5, [0x3f80, 0xbf80], [0x80, 0x3f, 0x80, 0xbf]],
  [17, 'F8_E4M3', 5, [0x38, 0xb8], [0x38, 0xb8]], [18, 'F8_E4M3FNUZ', 5, [0x40, 0xc0], [0x40, 0xc0]], [19, 'F8_E5M2', 5, [0x3c, 0xbc], [0x3c, 0xbc]], [20, 'F8_E5M2FNUZ', 5, [0x40, 0xc0], [0x40, 0xc0]],
  [24, 'F8_E8M0', 5, [127, 0], [127, 0]],
];

test('every element type, in raw data, in a packed field, in single fields and scattered, gives the same bytes', async (t) => {
  let checked = 0;
  for (const [type, dtype, field, values, raw] of TYPES) {
    const packed = block(field, ...values.map((value) => varint(BigInt(value))));
    const single = Buffer.concat(values.map((value) => int(field, BigInt(value))));
    const mixed = Buffer.concat([int(field, BigInt(values[0])), block(8, 'x'), block(field, varint(BigInt(values[1])))]);
    for (const data of [block(9, Buffer.from(raw)), packed, single, mixed]) {
      const checkpoint = await openCheckpoint(writeScratch(t, 'm.onnx', model(graph(initializer('x', type, [2], null, data)))));
      assert.deepEqual(checkpoint.problems, []);
      assert.equal(checkpoint.tensors[0].dtype, dtype);
      assert.deepEqual([...valuesOf(checkpoint, checkpoint.tensors[0], 1)], raw, `${dtype} ${data.toString('hex')}`);
      checked++;
    }
  }
  const f64 = Buffer.alloc(16);
  f64.writeDoubleLE(1.5, 0);
  f64.writeDoubleLE(-2, 8);
  const singles = Buffer.concat([fixed32(4, 1), fixed32(4, 2), fixed32(4, 3), fixed32(4, 4)]);
  for (const [type, dims, data, want] of [
    [1, [4], block(4, floats(1, 2, 3, 4)), floats(1, 2, 3, 4)], [1, [4], singles, floats(1, 2, 3, 4)], [1, [4], Buffer.concat([block(4, floats(1)), block(4, floats(2, 3, 4))]), floats(1, 2, 3, 4)],
    [14, [2], block(4, floats(1, 2, 3, 4)), floats(1, 2, 3, 4)], [11, [2], block(10, f64), f64], [15, [1], block(10, f64), f64],
  ] as const) {
    const checkpoint = await openCheckpoint(writeScratch(t, 'm.onnx', model(graph(initializer('x', type, dims, null, data)))));
    assert.deepEqual(valuesOf(checkpoint, checkpoint.tensors[0]), want);
    checked++;
  }
  // Below a byte: the first value in the low bits, in raw data and as bytes in int32_data.
  for (const [type, name, raw, want] of [
    [21, 'UINT4', [0x21, 0x0f], [1, 2, 15]], [22, 'INT4', [0x2f, 0x08], [-1, 2, -8]], [23, 'FLOAT4E2M1', [0xf1, 0x05], [0.5, -6, 3]], [25, 'UINT2', [0b111001], [1, 2, 3]], [26, 'INT2', [0b111001], [1, -2, -1]],
  ] as const) {
    for (const data of [block(9, Buffer.from(raw)), block(5, ...raw.map(varint))]) {
      const checkpoint = await openCheckpoint(writeScratch(t, 'm.onnx', model(graph(initializer('x', type, [3], null, data)))));
      const [info] = checkpoint.tensors;
      assert.equal(shownDtype(info), name);
      assert.equal(info.bytes, raw.length);
      assert.deepEqual([...decoded(checkpoint, info, 1)], [...want]);
      checked++;
    }
  }
  const texts = await opened(model(graph(initializer('x', 8, [1], null, block(6, 'text')))));
  assert.ok(texts.tensors[0].data === null && /holds texts/.test(texts.problems[0].message));
  const future = await opened(model(graph(initializer('x', 77, [1], Buffer.alloc(1)), initializer('y', 1, [1], floats(1)))));
  assert.deepEqual(future.tensors.map(({ name }) => name), ['y']);
  assert.match(future.problems[0].message, /left out: its element type 77/);
  assert.equal(TYPES.length + 4 + 5 + 1, 26, 'every element type is among these');
  t.diagnostic(`${checked} forms of 25 types with numbers`);
});

test('constants, branches, loop bodies, functions, training graphs and sparse tensors are found under names of their own', async (t) => {
  const constant = (name: string, value: number): Buffer => node('Constant', [], [name], block(5, block(1, 'value'), block(5, tensor('', 1, [1], floats(value))), int(20, 4)));
  const branch = (name: string, ...parts: Buffer[]): Buffer => block(5, block(1, name), block(6, graph(...parts)), int(20, 5));
  const indices = Buffer.alloc(32);
  [0n, 2n, 1n, 0n].forEach((value, i) => indices.writeBigInt64LE(value, 8 * i));
  const sparse = block(15, block(1, tensor('s', 1, [2], floats(5, 6))), block(2, tensor('', 7, [2, 2], indices)), int(3, 2), int(3, 3));
  const bytes = model(graph(
    initializer('w', 1, [2], floats(1, 2)),
    constant('c', 3), node('If', ['w'], ['y'], block(3, 'if'), branch('then_branch', constant('inner', 4), initializer('w', 1, [1], floats(9))), branch('else_branch', constant('inner', 5))),
    node('Loop', [], ['z'], branch('body', node('If', [], ['q'], branch('then_branch', initializer('deep', 1, [1], floats(7)))))),
    sparse,
  ), block(25, block(1, 'f'), block(10, 'my.domain'), block(7, block(2, 'k'), block(4, 'Constant'), block(5, block(1, 'value'), block(5, tensor('', 1, [1], floats(8)))))),
  block(20, block(1, graph(initializer('t', 1, [1], floats(10))))));
  const checkpoint = await openCheckpoint(writeScratch(t, 'm.onnx', bytes));
  assert.deepEqual(checkpoint.tensors.map(({ name }) => name).sort(), ['c', 'deep', 'if.else_branch/inner', 'if.then_branch/w', 'inner', 'k', 's', 't', 'w'].sort());
  assert.deepEqual([...valuesOf(checkpoint, named(checkpoint, 'if.else_branch/inner'))], [...floats(5)]);
  assert.deepEqual([...decoded(checkpoint, named(checkpoint, 's'), 2)], [0, 0, 5, 6, 0, 0]);
  assert.equal(shownDtype(named(checkpoint, 's')), 'F32 sparse');
  const twice = await opened(model(graph(initializer('w', 1, [1], floats(1)), initializer('w', 1, [1], floats(2)))));
  assert.deepEqual(twice.tensors.map(({ name }) => name), ['w', 'w (2)']);
  assert.match(twice.problems[0].message, /two tensors named w/);
});

test('damaged and hostile models are refused at the byte where it shows', async () => {
  const deep = (levels: number): Buffer => {
    let inner: Buffer = initializer('x', 1, [1], floats(1));
    for (let i = 0; i < levels; i++) inner = node('If', [], [], block(5, block(1, 'b'), block(6, inner)));
    return model(inner);
  };
  const groups = (count: number): Buffer => Buffer.concat([int(1, 9), block(2, 'x'), Buffer.alloc(count, 0x1b)]);
  const cases: [Buffer, RegExp][] = [
    [model(graph(initializer('w', 1, [3], floats(1, 2)))), /8 bytes of raw data, but its shape needs 12/],
    [model(graph(initializer('w', 1, [-1], floats(1)))), /shape \[-1\] of w is impossible/],
    [model(graph(initializer('w', 1, [2n ** 62n, 4], floats(1)))), /impossible|too large/],
    [model(graph(initializer('w', 1, [2 ** 31, 2 ** 31], floats(1)))), /too large/],
    [model(graph(initializer('w', 1, [1], floats(1), block(4, floats(1))))), /values in 2 places/],
    [model(graph(initializer('w', 6, [1], null, block(4, floats(1))))), /INT32 belongs into field 5/],
    [model(graph(initializer('w', 7, [2 ** 40], null, block(7, varint(1))))), /more than there is room for/],
    [model(graph(initializer('w', 1, [1], null, int(14, 1)))), /does not say in which/],
    [Buffer.concat([model(graph()), block(7, graph())]), /two graphs/],
    [Buffer.concat([int(1, 9), block(2, 'x'), block(3, 'y')]), /no graph/],
    [deep(40), /nested more than 100 deep/],
    [groups(1_000_000), /nested more than 100 deep/],
    [Buffer.concat([int(1, 9), block(2, 'x'), Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1])]), /longer than ten bytes/],
  ];
  for (const [bytes, message] of cases) assert.match((await refused(bytes)).message, message);
  await opened(deep(20));
  // Every cut is refused, with a byte.
  const whole = model(graph(initializer('w', 1, [3], floats(1, 2, 3)), node('Gemm', ['x', 'w'], ['y'])));
  for (let length = 1; length < whole.length; length++) {
    const result = await openBytes(whole.subarray(0, length));
    // What ends where a field of the model ends is a model with less in it.
    if ('checkpoint' in result) assert.ok(length >= whole.length - 4, `cut at ${length}`);
  }
  const empty = await opened(model(graph(initializer('w', 1, [2], null))));
  assert.match(empty.problems[0].message, /holds no values for w/);
  const many = await opened(model(graph(initializer('w', 1, Array<number>(65).fill(1), floats(1)))));
  assert.equal(many.tensors[0].data, null);
});

test('output dimensions follow from how weights are used, through transposes and casts', async () => {
  const weight = (name: string, dims: number[]): Buffer => initializer(name, 1, dims, Buffer.alloc(4 * dims.reduce((a, b) => a * b, 1)));
  const checkpoint = await opened(model(graph(
    weight('mm', [3, 4]), node('MatMul', ['x', 'mm'], ['a']),
    weight('gemm', [4, 3]), node('Gemm', ['x', 'gemm'], ['b'], intAttribute('transB', 1)),
    weight('gemm0', [3, 4]), node('Gemm', ['x', 'gemm0'], ['c']),
    weight('conv', [4, 3, 1, 1]), node('Conv', ['x', 'conv'], ['d']),
    weight('up', [3, 4, 2, 2]), node('ConvTranspose', ['x', 'up'], ['e']),
    weight('turned', [4, 3]), node('Transpose', ['turned'], ['turned_t'], block(5, block(1, 'perm'), int(8, 1), int(8, 0))), node('Cast', ['turned_t'], ['turned_c']), node('MatMul', ['x', 'turned_c'], ['f']),
    weight('left', [4, 3]), node('MatMul', ['left', 'x'], ['g']),
    weight('rnn', [2, 8, 3]), node('LSTM', ['x', 'rnn'], ['h']),
    weight('emb', [10, 3]), node('Gather', ['emb', 'x'], ['i']),
  )));
  assert.deepEqual(Object.fromEntries(checkpoint.tensors.map(({ name, outputAxis }) => [name, outputAxis ?? 0])), { mm: 1, gemm: 0, gemm0: 1, conv: 0, up: 1, turned: 0, left: 0, rnn: 1, emb: 0 });
});

test('every model of onnxruntime\'s oracle gives the weights that onnxruntime computed', async (t) => {
  if (!needsData(t, 'oracles/onnxruntime')) return;
  const folder = dataPath('oracles/onnxruntime');
  const { cases } = JSON.parse(readFileSync(path.join(folder, 'manifest.json'), 'utf8')) as { cases: { name: string; kind: string; N?: number; K?: number }[] };
  let checked = 0;
  for (const { name, kind } of cases) {
    const checkpoint = await openCheckpoint(path.join(folder, `${name}.onnx`));
    assert.deepEqual(checkpoint.problems, [], name);
    if (kind !== 'MatMulNBits' && kind !== 'MatMulBnb4') continue;
    const [weight] = checkpoint.derived!;
    const [rows, cols] = weight.shape;
    const want = readFileSync(path.join(folder, `${name}.Y.f32`));
    for (const step of [Infinity, 7]) {
      const values = decoded(checkpoint, weight, step);
      for (let n = 0; n < rows; n++) for (let k = 0; k < cols; k++) assert.ok(values[n * cols + k] === want.readFloatLE(4 * (k * rows + n)), `${name} [${n}, ${k}]`);
    }
    checked++;
  }
  assert.equal(checked, 12);
  t.diagnostic(`${cases.length} models opened, ${checked} weights equal in every value`);
});

/** Fields of a message, by number. */
function fieldsOf(bytes: Buffer): [number, Buffer | bigint][] {
  const fields: [number, Buffer | bigint][] = [];
  let at = 0;
  const read = (): bigint => { let value = 0n, shift = 0n; for (;;) { const byte = bytes[at++]; value |= BigInt(byte & 0x7f) << shift; shift += 7n; if (byte < 0x80) return value; } };
  while (at < bytes.length) {
    const tag = Number(read());
    if ((tag & 7) === 0) fields.push([tag >> 3, read()]);
    else if ((tag & 7) === 2) { const length = Number(read()); fields.push([tag >> 3, bytes.subarray(at, at + length)]); at += length; }
    else { const width = (tag & 7) === 5 ? 4 : 8; fields.push([tag >> 3, bytes.subarray(at, at + width)]); at += width; }
  }
  return fields;
}

test('all 103 node models open, and DequantizeLinear of their inputs gives their outputs', async (t) => {
  if (!needsData(t, 'oracles/onnx-node-lowprec')) return;
  const root = dataPath('oracles/onnx-node-lowprec');
  const names = readdirSync(root).filter((name) => name.startsWith('test_'));
  let [tensors, dequantized] = [0, 0];
  for (const name of names) {
    const file = path.join(root, name, 'model.onnx');
    const checkpoint = await openCheckpoint(file);
    assert.deepEqual(checkpoint.problems, [], name);
    const set = path.join(root, name, 'test_data_set_0');
    const parts = readdirSync(set).filter((each) => each.endsWith('.pb')).sort();
    // Inputs and outputs are tensors as a model holds them: each opens as the only initializer of one.
    for (const part of parts) {
      const made = await openCheckpoint(writeScratch(t, 'm.onnx', model(block(5, readFileSync(path.join(set, part))))));
      assert.equal(made.tensors.length, 1, `${name}/${part}`);
      assert.deepEqual(made.problems, [], `${name}/${part}`);
      tensors++;
    }
    if (!name.startsWith('test_dequantizelinear')) continue;
    const main = fieldsOf(readFileSync(file)).find(([field]) => field === 7)![1] as Buffer;
    const inputs = fieldsOf(main).filter(([field]) => field === 11).map(([, value]) => fieldsOf(value as Buffer).find(([field]) => field === 1)![1].toString());
    const nodes = fieldsOf(main).filter(([field]) => field === 1).map(([, value]) => block(1, value as Buffer));
    // The same model with its inputs as initializers: the name in the file of an input may differ from the graph's.
    const initializers = inputs.map((input, i) => block(5, Buffer.concat([readFileSync(path.join(set, `input_${i}.pb`)), block(8, input)])));
    const folded = await openCheckpoint(writeScratch(t, 'm.onnx', model(graph(...nodes, ...initializers))));
    assert.equal(folded.derived?.length, 1, `${name}: ${folded.problems.map(({ message }) => message).join()}`);
    const output = await openCheckpoint(writeScratch(t, 'o.onnx', model(block(5, readFileSync(path.join(set, 'output_0.pb'))))));
    const [weight] = folded.derived;
    assert.equal(weight.dtype, output.tensors[0].dtype, name);
    const want = valuesOf(output, output.tensors[0]);
    const values = decoded(folded, weight, 5);
    if (weight.dtype === 'F32') assert.deepEqual([...values], [...new Float32Array(want.buffer.slice(want.byteOffset, want.byteOffset + want.length))], name);
    else {
      const { encodeFloats } = await import('../../../kernels/numerics/codecs');
      const bytes = new Uint8Array(want.length);
      encodeFloats(weight.dtype, values, values.length, bytes);
      assert.deepEqual([...bytes], [...want], name);
    }
    dequantized++;
  }
  assert.equal(names.length, 103);
  assert.ok(dequantized >= 14, String(dequantized));
  t.diagnostic(`${names.length} models, ${tensors} tensors, ${dequantized} dequantized bit for bit`);
});

test('a model of gigabytes is listed for less than a hundredth of its bytes', async () => {
  const gigabyte = 2 ** 30;
  const raw = 64 * 2 ** 20;
  const start = (i: number, length: number): Buffer => Buffer.concat([varint(5 * 8 + 2), varint(length), int(1, raw / 4), int(2, 1), block(8, `w${i}`), varint(9 * 8 + 2), varint(raw)]);
  const inner = (i: number): number => start(i, 0).length - varint(5 * 8 + 2).length - 1 + raw;
  const headers = Array.from({ length: 16 }, (_, i) => start(i, inner(i)));
  const graphLength = headers.reduce((sum, header) => sum + header.length + raw, 0);
  const head = Buffer.concat([int(1, 9), block(2, 'x'), varint(7 * 8 + 2), varint(graphLength)]);
  // A file with holes: zeros everywhere but at the headers.
  const places: [number, Buffer][] = [[0, head]];
  let at = head.length;
  for (const header of headers) { places.push([at, header]); at += header.length + raw; }
  class Sparse extends MemorySource {
    override get size(): number { return at; }
    override read(offset: number, length: number): Buffer {
      this.bytesRead += length;
      const bytes = Buffer.alloc(length);
      for (const [place, part] of places) if (place < offset + length && place + part.length > offset) part.copy(bytes, Math.max(0, place - offset), Math.max(0, offset - place));
      return bytes;
    }
  }
  const source = new Sparse(Buffer.alloc(0));
  const result = await openBytes(source);
  assert.ok('checkpoint' in result, 'error' in result ? result.error.message : '');
  assert.equal(result.checkpoint.tensors.length, 16);
  assert.ok(at >= gigabyte && source.bytesRead < at / 1000, `${source.bytesRead} of ${at}`);
});

test('quantized weights that do not fit together stay what they are stored as, with a finding', async () => {
  const u8 = (name: string, ...dims: number[]): Buffer => initializer(name, 2, dims, Buffer.alloc(dims.reduce((a, b) => a * b, 1)));
  const f32 = (name: string, ...dims: number[]): Buffer => initializer(name, 1, dims, Buffer.alloc(4 * dims.reduce((a, b) => a * b, 1)));
  const cases: [Buffer[], RegExp | null][] = [
    [[u8('w_quantized', 4, 3), f32('w_scale', 3), node('DequantizeLinear', ['w_quantized', 'w_scale'], ['w'], intAttribute('axis', 0))], /3 scales for 4 indices/],
    [[u8('w_quantized', 4, 3), f32('w_scale', 1), node('DequantizeLinear', ['w_quantized', 'w_scale'], ['w'])], null],
    [[u8('w', 4, 2, 16), f32('s', 9), node('MatMulNBits', ['x', 'w', 's'], ['y'], intAttribute('N', 4), intAttribute('K', 64), intAttribute('bits', 4), intAttribute('block_size', 32))], /9 scales where 8/],
    [[u8('w', 4, 2, 16), f32('s', 8), node('MatMulNBits', ['x', 'w', 's'], ['y'], intAttribute('N', 4), intAttribute('K', 64), intAttribute('bits', 9), intAttribute('block_size', 32))], /sizes are impossible/],
    [[u8('w', 31), f32('s', 1), node('MatMulBnb4', ['x', 'w', 's'], ['y'], intAttribute('N', 4), intAttribute('K', 16), intAttribute('block_size', 64), intAttribute('quant_type', 1))], /31 bytes of codes where 32/],
  ];
  for (const [parts, message] of cases) {
    const checkpoint = await opened(model(graph(...parts)));
    if (message) {
      assert.equal(checkpoint.derived, undefined);
      assert.ok(checkpoint.problems.some((problem) => message.test(problem.message)), checkpoint.problems.map((problem) => problem.message).join());
    } else assert.deepEqual(checkpoint.derived?.map(({ name, encoding, replaces }) => [name, encoding.name, replaces]), [['w', 'uint8 tensor (QDQ)', ['w_quantized', 'w_scale']]]);
  }
});

test('sparse tensors with entries out of order or outside are told when they are read', async (t) => {
  const random = randomFrom(4);
  const entries = (indices: number[]): Buffer => { const bytes = Buffer.alloc(8 * indices.length); indices.forEach((value, i) => bytes.writeBigInt64LE(BigInt(value), 8 * i)); return bytes; };
  const sparse = (indices: number[], total: number): Buffer => model(graph(block(15, block(1, tensor('s', 1, [indices.length], floats(...indices.map((_, i) => i + 1)))), block(2, tensor('', 7, [indices.length], entries(indices))), int(3, total))));
  for (let run = 0; run < 30; run++) {
    const total = 1 + random(200);
    const indices = Array.from({ length: total }, (_, i) => i).filter(() => random(3) === 0);
    const checkpoint = await openCheckpoint(writeScratch(t, 'm.onnx', sparse(indices, total)));
    const want = new Float32Array(total);
    indices.forEach((at, i) => { want[at] = i + 1; });
    assert.deepEqual([...decoded(checkpoint, checkpoint.tensors[0], 1 + random(50))], [...want]);
  }
  for (const bad of [[3, 2], [1, 1], [0, 10], [-1, 2]]) {
    const checkpoint = await openCheckpoint(writeScratch(t, 'm.onnx', sparse(bad, 10)));
    assert.throws(() => decoded(checkpoint, checkpoint.tensors[0]), CheckpointError, String(bad));
  }
});
