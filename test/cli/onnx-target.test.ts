/** ONNX models as TARGET: every verb that runs a model takes them, and says of the same network what it says of its source. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { writeOnnx, type OnnxModel } from '../../kernels/graph/write-onnx';
import { Random } from '../../kernels/numerics/random';
import { dataPath, needsData, repositoryRoot } from '../support/data';
import { bitlens, folder, json, type Outcome } from './run';

const run = async <T>(...words: string[]): Promise<T> => {
  const outcome = await bitlens([...words, '--json']);
  assert.equal(outcome.code, 0, outcome.stderr + outcome.stdout);
  return json<T>(outcome);
};
interface Judged { loss: number; accuracy: number }
interface Tried { before: Judged; after: Judged & { kl: number }; averageBits: number; layers: { path: string; format: string; after: { mse: number } }[]; export?: { path: string; verifiedTensors: number } }
interface Measured { layers: { path: string; formats: Record<string, { value: number }> }[] }
interface Evaluated { value: number; loss: number; metric: string }
const near = (actual: number, expected: number, within: number, what: string): void => assert.ok(Math.abs(actual - expected) <= within, `${what}: ${actual}, not ${expected}`);

const random = (count: number, seed: number): Float32Array => { const source = new Random(seed); return Float32Array.from({ length: count }, () => source.normal()); };
/** An .npy of version 1: magic, header, values. */
function npy(file: string, type: '<f4' | '<i8', shape: readonly number[], values: Float32Array | BigInt64Array): string {
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`;
  const header = `${text}${' '.repeat(63 - ((10 + text.length) % 64))}\n`;
  const size = Buffer.alloc(2);
  size.writeUInt16LE(header.length);
  writeFileSync(file, Buffer.concat([Buffer.from([0x93]), Buffer.from('NUMPY'), Buffer.from([1, 0]), size, Buffer.from(header, 'latin1'), Buffer.from(values.buffer)]));
  return file;
}
function digits(where: string): string[] {
  const inputs = npy(path.join(where, 'x.npy'), '<f4', [40, 12], random(480, 7));
  return ['--data', inputs, '--labels', npy(path.join(where, 'y.npy'), '<i8', [40], BigInt64Array.from({ length: 40 }, (_, i) => BigInt((i * 7) % 5))), '--task', 'classification'];
}

/** Two linear layers, the first of which is stored as MatMul has it ([in, out]) or as Gemm does ([out, in]). */
async function mlp(file: string, layout: 'matmul' | 'gemm', opset = 17): Promise<string> {
  const [first, second, bias] = [random(192, 1), random(80, 2), new Float32Array(16)];
  const turned = Float32Array.from({ length: 192 }, (_, i) => first[(i % 12) * 16 + Math.floor(i / 12)]!);
  const f32 = (name: string, shape: number[], values: Float32Array): OnnxModel['initializers'][number] => ({ name, type: 'F32', shape, write: (sink) => sink(new Uint8Array(values.buffer)) });
  await writeOnnx(file, {
    name: 'mlp', opset, inputs: [{ name: 'x', type: 'F32', shape: ['n', 12] }], outputs: [{ name: 'logits', type: 'F32', shape: ['n', 5] }],
    nodes: [
      layout === 'matmul' ? { op: 'MatMul', inputs: ['x', 'onnx::MatMul_7'], outputs: ['a'], module: 'body.fc1' } : { op: 'Gemm', inputs: ['x', 'body.fc1.weight', 'b'], outputs: ['a'], attributes: { transB: { int: 1 } }, module: 'body.fc1' },
      { op: 'Relu', inputs: ['a'], outputs: ['h'], module: 'body' }, { op: 'Gemm', inputs: ['h', 'head.weight', 'c'], outputs: ['logits'], attributes: { transB: { int: 1 } }, module: 'head' },
    ],
    initializers: [layout === 'matmul' ? f32('onnx::MatMul_7', [12, 16], first) : f32('body.fc1.weight', [16, 12], turned), f32('head.weight', [5, 16], second), f32('c', [5], new Float32Array(5)), ...(layout === 'gemm' ? [f32('b', [16], bias)] : [])],
  });
  return file;
}

test('a weight that lies as [in, out] gives the figures of one that lies as [out, in], under the name of its module', async (t) => {
  const where = folder(t);
  const data = digits(where);
  const [a, b] = [await mlp(path.join(where, 'a.onnx'), 'matmul'), await mlp(path.join(where, 'b.onnx'), 'gemm')];
  const sensitivity = (file: string): Promise<Measured> => run('sensitivity', file, ...data, '--formats', 'int3-sym-channel,int4-sym-g4');
  const [left, right] = [await sensitivity(a), await sensitivity(b)];
  assert.deepEqual(left.layers.map((layer) => layer.path), ['body.fc1', 'head']);
  left.layers.forEach((layer, i) => Object.entries(layer.formats).forEach(([id, { value }]) => near(value, right.layers[i]!.formats[id]!.value, 1e-5, `${layer.path} ${id}`)));
  assert.ok(left.layers[0]!.formats['int3-sym-channel']!.value > 0.001);
  for (const method of ['gptq', 'adaround']) {
    const trial = (file: string): Promise<Tried> => run('trial', 'ptq', file, ...data, '--calibration', data[1]!, '--format', 'int3-sym-channel', '--method', method);
    const [one, other] = [await trial(a), await trial(b)];
    near(one.after.kl, other.after.kl, 1e-3, method);
    assert.equal(one.averageBits, other.averageBits);
  }
});

test('an export is the same model with other weights: as ONNX, or as safetensors that the graph takes', async (t) => {
  const where = folder(t);
  const data = digits(where);
  const model = await mlp(path.join(where, 'm.onnx'), 'matmul');
  for (const [out, ...layout] of [['q.onnx'], ['d.onnx', '--export-layout', 'dequantized'], ['n.onnx', '--export-layout', 'matmulnbits'], ['q.safetensors']] as const) {
    const tried = await run<Tried>('trial', 'ptq', model, ...data, '--format', 'int3-sym-channel', '--method', 'rtn', '--export', path.join(where, out), ...layout);
    assert.ok(Math.abs(tried.after.loss - tried.before.loss) > 1e-3);
    const again = await run<Evaluated>('evaluate', ...(out.endsWith('.onnx') ? [path.join(where, out)] : [model, '--checkpoint', path.join(where, out)]), ...data);
    near(again.loss, tried.after.loss, 1e-6, out);
  }
  assert.match((await bitlens(['trial', 'ptq', model, ...data, '--format', 'int4-sym-g4', '--export', model])).stderr, /is the checkpoint that is being read/);
  assert.match((await bitlens(['trial', 'ptq', model, ...data, '--format', 'int4-sym-g4', '--export', path.join(where, 'p.onnx'), '--export-layout', 'gptq'])).stderr, /an ONNX model has no layout "gptq"; it has dequantized, auto, qdq, matmulnbits/);
});

test('operator sets old and new run', async (t) => {
  const where = folder(t);
  const data = digits(where);
  const losses = await Promise.all([7, 9, 13, 21].map(async (opset) => (await run<Evaluated>('evaluate', await mlp(path.join(where, `${opset}.onnx`), 'matmul', opset), ...data)).loss));
  assert.equal(new Set(losses).size, 1);
});

test('a decoder with a cache starts with an empty one, and positions count from 0', async (t) => {
  const where = folder(t);
  const file = path.join(where, 'decoder.onnx');
  const f32 = (name: string, shape: number[], seed: number): OnnxModel['initializers'][number] => ({ name, type: 'F32', shape, write: (sink) => sink(new Uint8Array(random(shape.reduce((a, b) => a * b, 1), seed).buffer)) });
  await writeOnnx(file, {
    name: 'decoder', opset: 17,
    inputs: [
      // Not the first one is the data.
      { name: 'segment_ids', type: 'I64', shape: ['batch', 'sequence'] }, { name: 'input_ids', type: 'I64', shape: ['batch', 'sequence'] }, { name: 'attention_mask', type: 'I64', shape: ['batch', 'past_sequence + sequence'] },
      { name: 'position_ids', type: 'I64', shape: ['batch', 'sequence'] }, { name: 'past_key_values.0.key', type: 'F32', shape: ['batch', 'past_sequence', 8] },
    ],
    outputs: [{ name: 'logits', type: 'F32', shape: ['batch', 'sequence', 30] }, { name: 'present.0.key', type: 'F32', shape: ['batch', 'total', 8] }],
    nodes: [
      { op: 'Gather', inputs: ['wte.weight', 'input_ids'], outputs: ['e'], module: '' }, { op: 'Add', inputs: ['position_ids', 'segment_ids'], outputs: ['place'], module: '' }, { op: 'Gather', inputs: ['wpe.weight', 'place'], outputs: ['p'], module: '' }, { op: 'Add', inputs: ['e', 'p'], outputs: ['h'], module: '' },
      { op: 'Concat', inputs: ['past_key_values.0.key', 'h'], outputs: ['present.0.key'], attributes: { axis: { int: 1 } }, module: '' },
      { op: 'Cast', inputs: ['attention_mask'], outputs: ['mask'], attributes: { to: { int: 1 } }, module: '' }, { op: 'Unsqueeze', inputs: ['mask', 'two'], outputs: ['mask3'], module: '' },
      // The mask must be as long as cache and tokens together.
      { op: 'Mul', inputs: ['present.0.key', 'mask3'], outputs: ['seen'], module: '' }, { op: 'MatMul', inputs: ['seen', 'head.weight'], outputs: ['logits'], module: 'head' },
    ],
    initializers: [f32('wte.weight', [30, 8], 1), f32('wpe.weight', [16, 8], 2), f32('head.weight', [8, 30], 3), { name: 'two', type: 'I64', shape: [1], write: (sink) => sink(new Uint8Array(BigInt64Array.of(2n).buffer)) }],
  });
  const tokens = npy(path.join(where, 'ids.npy'), '<i8', [6, 9], BigInt64Array.from({ length: 54 }, (_, i) => BigInt((i * 13) % 30)));
  const data = ['--data', tokens, '--task', 'language-model'];
  assert.equal((await run<Evaluated>('evaluate', file, ...data)).metric, 'perplexity');
  const tried = await run<Tried>('trial', 'ptq', file, ...data, '--calibration', tokens, '--format', 'int4-sym-channel', '--method', 'gptq');
  assert.deepEqual(tried.layers.map((layer) => layer.path), ['wte', 'wpe', 'head']);
  assert.ok(tried.after.kl > 0);
});

test('what is wrong with an ONNX target is said', async (t) => {
  const where = folder(t);
  const model = await mlp(path.join(where, 'm.onnx'), 'gemm');
  const data = digits(where);
  const says = async (message: RegExp, ...words: string[]): Promise<void> => { const { code, stderr } = await bitlens(words); assert.equal(code, 2); assert.match(stderr, message); };
  await says(/is an ONNX model, which has no classes to choose from/, 'evaluate', `${model}:Net`, ...data);
  writeFileSync(path.join(where, 'cut.onnx'), readFileSync(model).subarray(0, 700));
  await says(/cut\.onnx: the ONNX model is damaged/, 'evaluate', path.join(where, 'cut.onnx'), ...data);
  writeFileSync(path.join(where, 'pickle.onnx'), 'not a model');
  await says(/pickle\.onnx/, 'layers', path.join(where, 'pickle.onnx'));
  await says(/says itself which inputs it takes/, 'trace', model, '--input', 'x=n,12');
  await says(/samples of shape \[12\].*samples of shape \[9\]/, 'evaluate', model, '--data', npy(path.join(where, 'nine.npy'), '<f4', [40, 9], random(360, 1)), '--labels', data[3]!, '--task', 'classification');
});

test('check, scan, layers, report, activations and allocate take one', async (t) => {
  const where = folder(t);
  const model = await mlp(path.join(where, 'm.onnx'), 'matmul');
  const data = digits(where);
  const { layers } = await run<{ layers: { path: string; tensors: { name: string; shape: number[] }[] }[] }>('layers', model);
  assert.deepEqual(layers.map((layer) => [layer.path, layer.tensors.map(({ name }) => name)]), [['body.fc1', ['onnx::MatMul_7']], ['head', ['head.weight', 'c']]]);
  const checked = await bitlens(['check', model, '--activations', ...data, '--json']);
  assert.ok(checked.code === 0 || checked.code === 1, checked.stderr);
  assert.equal((await run<{ tensors: unknown[] }>('scan', model)).tensors.length, 2);
  assert.equal((await bitlens(['report', model, '--out', path.join(where, 'r.html')])).code, 0);
  const { values } = await run<{ values: { layer?: string; role: string }[] }>('activations', model, ...data);
  assert.deepEqual(values.filter(({ role }) => role === 'layer-input').map(({ layer }) => layer), ['body.fc1', 'head']);
  const allocated = await run<{ layers: { path: string }[]; judgement: { recipes: unknown[] } | null }>('allocate', model, ...data, '--calibration', data[1]!, '--metric', 'kl', '--bits', '6.5', '--formats', 'int2-sym-channel,int4-sym-channel,int8-sym-channel', '--out', path.join(where, 'r.recipe.json'));
  assert.equal(allocated.layers.length, 2);
  const tried = await run<Tried>('trial', 'ptq', model, ...data, '--recipe', path.join(where, 'r.recipe.json'));
  assert.equal(tried.layers.length, 2);
});

test('ResNet-20, written as ONNX, is what its source is', async (t) => {
  if (!needsData(t, 'resnet20') || !needsData(t, 'cifar10')) return;
  const where = folder(t);
  const [file, source] = [path.join(where, 'resnet20.onnx'), path.join(repositoryRoot, 'examples/resnet20/model.py')];
  const checkpoint = ['--checkpoint', dataPath('resnet20/resnet20-12fca82f.th')];
  await run('trace', `${source}:ResNet20`, ...checkpoint, '--onnx', file);
  const data = ['--data', dataPath('cifar10/test_images.npy'), '--labels', dataPath('cifar10/test_labels.npy'), '--task', 'classification', '--layout', 'NHWC', '--scale', String(1 / 255), '--mean', '0.485,0.456,0.406', '--std', '0.229,0.224,0.225'];
  const { value, loss } = await run<Evaluated>('evaluate', file, ...data);
  near(value, 0.8135, 0.0005, 'accuracy');
  near(loss, 0.8328, 0.0002, 'cross-entropy');
  const trial = (target: string, ...more: string[]): Promise<Tried> => run('trial', 'ptq', target, ...more, ...data, '--calibration', dataPath('cifar10/train_images.npy'), '--calibration-samples', '32', '--samples', '200', '--format', 'int3-symr-channel', '--method', 'gptq', '--layer', 'layer2.0', '--layer', 'linear');
  const [one, other] = [await trial(file), await trial(`${source}:ResNet20`, ...checkpoint)];
  assert.deepEqual(one.layers.map((layer) => layer.path).sort(), other.layers.map((layer) => layer.path).sort());
  near(one.after.loss, other.after.loss, 1e-3, 'loss after GPTQ');
  assert.equal(one.averageBits, other.averageBits);
});

test('values beside the model go along with an export, into another folder', async (t) => {
  const where = folder(t);
  const file = path.join(where, 'm.onnx');
  await writeOnnx(file, {
    name: 'm', opset: 17, inputs: [{ name: 'x', type: 'F32', shape: ['n', 12] }], outputs: [{ name: 'y', type: 'F32', shape: ['n', 40] }], nodes: [{ op: 'MatMul', inputs: ['x', 'fc.weight'], outputs: ['y'], module: '' }],
    initializers: [{ name: 'fc.weight', type: 'F32', shape: [12, 40], write: (sink) => sink(new Uint8Array(random(480, 3).buffer)) }],
  }, { external: true });
  const data = digits(where);
  const trial = (out: string): Promise<Outcome> => bitlens(['trial', 'ptq', file, ...data, '--format', 'int3-sym-channel', '--method', 'rtn', '--export', out, '--export-layout', 'dequantized', '--json']);
  assert.match((await trial(path.join(where, 'q.onnx'))).stderr, /keeps its values in m\.onnx\.data beside it.*export into another folder/);
  mkdirSync(path.join(where, 'out'));
  const tried = json<Tried>(await trial(path.join(where, 'out/q.onnx')));
  near((await run<Evaluated>('evaluate', path.join(where, 'out/q.onnx'), ...data)).loss, tried.after.loss, 1e-6, 'loss');
  assert.match((await trial(path.join(where, 'out/p.onnx'))).stderr, /m\.onnx\.data is there already/);
  assert.deepEqual(readdirSync(path.join(where, 'out')).sort(), ['m.onnx.data', 'q.onnx']);
});

test('a model with quantized weights is evaluated as it is; its layers are measured as the values they stand for', async (t) => {
  const where = folder(t);
  const file = path.join(where, 'qdq.onnx');
  const bytes = (name: string, type: 'I8' | 'F32' | 'U8', shape: number[], values: Int8Array | Uint8Array | Float32Array): OnnxModel['initializers'][number] => ({ name, type, shape, write: (sink) => sink(new Uint8Array(values.buffer)) });
  const weight = random(60, 9);
  await writeOnnx(file, {
    name: 'qdq', opset: 13, inputs: [{ name: 'x', type: 'F32', shape: ['n', 12] }], outputs: [{ name: 'logits', type: 'F32', shape: ['n', 5] }],
    nodes: [
      { op: 'QuantizeLinear', inputs: ['x', 'xs', 'xz'], outputs: ['q'], module: '' }, { op: 'DequantizeLinear', inputs: ['q', 'xs', 'xz'], outputs: ['d'], module: '' },
      { op: 'DequantizeLinear', inputs: ['fc', 'ws', 'wz'], outputs: ['w'], attributes: { axis: { int: 1 } }, module: '' }, { op: 'MatMul', inputs: ['d', 'w'], outputs: ['logits'], module: 'fc' },
    ],
    initializers: [
      bytes('xs', 'F32', [], Float32Array.of(0.03)), bytes('xz', 'U8', [], Uint8Array.of(128)), bytes('fc', 'I8', [12, 5], Int8Array.from(weight, (each) => Math.max(-127, Math.min(127, Math.round(each * 40))))),
      bytes('ws', 'F32', [5], new Float32Array(5).fill(1 / 40)), bytes('wz', 'I8', [5], new Int8Array(5)),
    ],
  });
  const data = digits(where);
  assert.equal((await run<Evaluated>('evaluate', file, ...data)).metric, 'accuracy');
  const { layers } = await run<Measured>('sensitivity', file, ...data, '--formats', 'int2-sym-channel,int8-sym-channel');
  assert.deepEqual(layers.map((layer) => layer.path), ['fc']);
  assert.ok(layers[0]!.formats['int2-sym-channel']!.value > 10 * Math.abs(layers[0]!.formats['int8-sym-channel']!.value));
  const trial = (out: string, layout: string): Promise<Outcome> => bitlens(['trial', 'ptq', file, ...data, '--calibration', data[1]!, '--format', 'int3-sym-channel', '--method', 'gptq', '--export', path.join(where, out), '--export-layout', layout, '--json']);
  assert.match((await trial('d.onnx', 'dequantized')).stderr, /fc is not stored as plain values in qdq\.onnx/);
  const again = json<Tried>(await trial('q.onnx', 'auto'));
  near((await run<Evaluated>('evaluate', path.join(where, 'q.onnx'), ...data)).loss, again.after.loss, 1e-6, 'loss of the model with other codes');
  const tried = json<Tried>(await trial('q.safetensors', 'dequantized'));
  near((await run<Evaluated>('evaluate', file, '--checkpoint', path.join(where, 'q.safetensors'), ...data)).loss, tried.after.loss, 1e-6, 'loss');
});
