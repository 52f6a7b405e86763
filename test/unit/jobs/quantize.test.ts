import test from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { elementCount, openCheckpoint, TensorReader, type Checkpoint } from '../../../kernels/checkpoint';
import { blockLayout, weightLayout } from '../../../kernels/formats/blocks';
import type { BlockScaledFormat } from '../../../kernels/formats/format';
import { unpackRows } from '../../../kernels/formats/pack';
import { parseFormat } from '../../../kernels/formats/registry';
import { JobCancelled, JobError, type QuantizeParams, type QuantizeTask } from '../../../kernels/jobs/job';
import { exportCheckpoint } from '../../../kernels/jobs/export';
import { quantizeJob } from '../../../kernels/jobs/quantize';
import { decodeFloats } from '../../../kernels/numerics/codecs';
import { Random } from '../../../kernels/numerics/random';
import { dataPath, needsData } from '../../support/data';
import { inlineJobContext } from '../../support/inline-job-context';
import { temporaryFolder, temporarySafetensors } from '../../support/temporary-safetensors';

const normal = (seed: number, length: number): Float32Array => {
  const random = new Random(seed);
  return Float32Array.from({ length }, () => random.normal() * 0.05);
};
const task = (tensor: string, format: string, method = 'rtn', over: Partial<QuantizeTask> = {}): QuantizeTask => ({ key: tensor, tensor, outputAxis: 0, format, method, ...over });
const quantize = (params: Omit<QuantizeParams, 'seed'>, context = inlineJobContext()) => quantizeJob.run({ ...params, seed: 0 }, context);
const refused = (work: Promise<unknown>, message: RegExp): Promise<void> => assert.rejects(work, (error) => error instanceof JobError && message.test(error.message));

function bytesOf(checkpoint: Checkpoint, name: string): Uint8Array {
  const tensor = checkpoint.tensors.find((each) => each.name === name)!;
  assert.ok(tensor, `${name} is in ${checkpoint.path}`);
  const reader = TensorReader.open(checkpoint);
  const bytes = new Uint8Array(tensor.bytes);
  reader.readInto(tensor, 0, elementCount(tensor.shape), bytes);
  reader.close();
  return bytes;
}
function floatsOf(checkpoint: Checkpoint, name: string): Float32Array {
  const tensor = checkpoint.tensors.find((each) => each.name === name)!;
  const out = new Float32Array(elementCount(tensor.shape));
  decodeFloats(tensor.dtype, bytesOf(checkpoint, name), out.length, out);
  return out;
}
const expectedValues = (id: string, weights: Float32Array, shape: readonly number[], rule: 'absmax' | 'mse'): Float32Array => {
  const format = parseFormat(id);
  const { rows, cols } = weightLayout(shape, 0);
  return format.decode(format.encode(weights, { rows, cols }, rule));
};

test('ResNet-20 dequantized: every chosen weight holds the values of the plain encoder, every other tensor is untouched', async (t) => {
  if (!needsData(t, 'resnet20')) return;
  const source = dataPath('resnet20/resnet20-12fca82f.th');
  const before = await openCheckpoint(source);
  const kinds = ['int4-asym-g32', 'int3', 'fp8-e4m3', 'int8-sym-tensor', 'bf16'];
  const tasks = before.tensors.filter((tensor) => tensor.shape.length > 1).slice(0, 10).map((tensor, i) => task(tensor.name, kinds[i % 5]!, i % 2 ? 'mse-clip' : 'rtn'));
  const out = path.join(temporaryFolder(t), 'out.safetensors');
  const result = await quantize({ checkpoint: source, tasks, export: { path: out, layout: 'dequantized', metadata: [['bitlens', 'trial']] } });
  const after = await openCheckpoint(out);
  // The file has the names of the dict that held the weights, as torch.load(...)['state_dict'] has them.
  const key = (name: string): string => name.replace(/^state_dict\./, '');
  assert.equal(after.tensors[0]!.name, 'module.conv1.weight');
  assert.deepEqual(after.tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })), before.tensors.map(({ name, dtype, shape }) => ({ name: key(name), dtype, shape })));
  for (const { name, shape } of before.tensors) {
    const chosen = tasks.find((each) => each.tensor === name);
    if (!chosen) assert.deepEqual(bytesOf(after, key(name)), bytesOf(before, name), name);
    else assert.deepEqual(floatsOf(after, key(name)), expectedValues(chosen.format, floatsOf(before, name), shape, chosen.method === 'rtn' ? 'absmax' : 'mse'), `${name} ${chosen.format}`);
  }
  assert.equal(result.export!.verifiedTensors, before.tensors.length);
  assert.equal(result.export!.sha256, createHash('sha256').update(readFileSync(out)).digest('hex'));
  assert.equal(result.export!.bytes, readFileSync(out).length);
  assert.deepEqual(after.metadata, [['format', 'pt'], ['bitlens', 'trial']]);
  // What the file holds is what was measured.
  for (const [i, layer] of result.layers.entries()) {
    const [x, y] = [floatsOf(before, layer.tensor), floatsOf(after, key(layer.tensor))];
    const mse = x.reduce((sum, value, k) => sum + Math.fround(value - y[k]!) ** 2, 0) / x.length;
    assert.ok(Math.abs(mse - layer.after.mse) <= 1e-12 * mse, layer.key);
    assert.ok(layer.after.mse <= layer.before.mse);
    if (tasks[i]!.method === 'rtn') assert.deepEqual(layer.after, layer.before);
  }
  const bits = tasks.reduce((sum, each) => sum + parseFormat(each.format).storage(weightLayout(before.tensors.find(({ name }) => name === each.tensor)!.shape, 0)).totalBits, 0);
  assert.ok(Math.abs(result.averageBits - bits / result.weights) < 1e-12);
});

test('compressed-tensors: packed codes, scales, zero points and shape decode to the measured values', async (t) => {
  const shapes: Record<string, number[]> = { 'a.weight': [6, 96], 'b.weight': [5, 3, 3, 3], 'c.weight': [4, 100], 'd.weight': [8, 64], 'e.weight': [33, 64], 'f.weight': [2, 40], 'g.weight': [3, 40], 'h.in_proj': [6, 4], bias: [6] };
  const values = new Map(Object.entries(shapes).map(([name, shape], i) => [name, normal(i, shape.reduce((a, b) => a * b, 1))]));
  const file = await temporarySafetensors(t, Object.entries(shapes).map(([name, shape]) => ({ name, shape, values: values.get(name)! })), [['format', 'pt'], ['made', 'by hand']]);
  const formats: Record<string, string> = { 'a.weight': 'int4-sym-g32', 'b.weight': 'int3-sym-channel', 'c.weight': 'int5-asym-g32', 'd.weight': 'int8-sym-tensor', 'e.weight': 'int4-asym-g32-sf16', 'f.weight': 'fp8-e4m3', 'g.weight': 'int8-asym-tensor', 'h.in_proj': 'int4' };
  const out = path.join(temporaryFolder(t), 'packed.safetensors');
  const result = await quantize({ checkpoint: file, tasks: Object.entries(formats).map(([name, format]) => task(name, format, 'mse-clip')), export: { path: out, layout: 'compressed-tensors' } });
  const written = await openCheckpoint(out);
  const ints = (name: string): Int32Array => new Int32Array(bytesOf(written, name).buffer);
  for (const [name, id] of Object.entries(formats)) {
    const shape = shapes[name]!;
    const format = parseFormat(id) as BlockScaledFormat;
    const expected = expectedValues(id, values.get(name)!, shape, 'mse');
    // Readers unpack matrices called weight only: other formats, kernels of convolutions and parameters of other names stay.
    if (format.element.kind !== 'int' || shape.length > 2 || !name.endsWith('.weight')) {
      assert.deepEqual(floatsOf(written, name), expected, 'stays as dequantized values');
      continue;
    }
    const { rows, cols } = weightLayout(shape, 0);
    const { symmetric } = format.element;
    const half = 2 ** (format.codeBits - 1);
    assert.deepEqual(Array.from(new BigInt64Array(bytesOf(written, `${name}_shape`).buffer), Number), shape);
    const codes = unpackRows(ints(`${name}_packed`), rows, cols, format.codeBits, half);
    const scales = floatsOf(written, `${name}_scale`);
    const { size, count } = blockLayout({ rows, cols }, format.granularity);
    const groups = count / rows;
    const zero = (row: number, group: number): number => {
      if (symmetric) return 0;
      if (format.granularity?.kind === 'tensor') return new Int8Array(bytesOf(written, `${name}_zero_point`).buffer)[0]!;
      const words = Math.ceil((rows * format.codeBits) / 32);
      const column = Int32Array.from({ length: words }, (_, word) => ints(`${name}_zero_point`)[word * groups + group]!);
      return unpackRows(column, 1, rows, format.codeBits, half)[row]!;
    };
    const decoded = Float32Array.from(codes, (code, i) => {
      const block = Math.floor(i / size);
      return Math.fround(Math.fround(code - zero(Math.floor(i / cols), count === 1 ? 0 : block % groups)) * scales[block]!);
    });
    assert.deepEqual(decoded.map((x) => x + 0), expected.map((x) => x + 0), `${name} ${id}`);
    assert.equal(written.tensors.some((tensor) => tensor.name === name), false);
  }
  assert.deepEqual(bytesOf(written, 'bias'), new Uint8Array(values.get('bias')!.buffer));
  const metadata = new Map(written.metadata);
  assert.equal(metadata.get('made'), 'by hand');
  const beside = out.replace('.safetensors', '.quantization_config.json');
  const config = JSON.parse(readFileSync(beside, 'utf8')) as { format: string; config_groups: Record<string, { targets: string[]; weights: { num_bits: number; strategy: string; group_size: number | null; symmetric: boolean } }> };
  assert.deepEqual(config, JSON.parse(metadata.get('quantization_config')!));
  assert.equal(config.format, 'pack-quantized');
  const groups = Object.values(config.config_groups).map(({ targets, weights: w }) => [targets.join(), w.num_bits, w.strategy, w.group_size, w.symmetric]);
  assert.deepEqual(groups, [['a', 4, 'group', 32, true], ['c', 5, 'channel', null, false], ['d', 8, 'tensor', null, true], ['e', 4, 'group', 32, false], ['g', 8, 'tensor', null, false]]);
  assert.ok(result.export!.notes!.some((note) => /first: b\.weight, f\.weight, h\.in_proj$/.test(note)) && result.export!.notes!.some((note) => note.includes('quantization_config')));
});

test('stored dtypes are kept: values are rounded to them once', async (t) => {
  const values = normal(1, 640);
  const file = await temporarySafetensors(t, (['F64', 'F16', 'BF16'] as const).map((dtype) => ({ name: dtype, shape: [10, 64], values, dtype })));
  const out = path.join(temporaryFolder(t), 'out.safetensors');
  await quantize({ checkpoint: file, tasks: ['F64', 'F16', 'BF16'].map((name) => task(name, 'int4-g32')), export: { path: out, layout: 'dequantized' } });
  const [before, after] = [await openCheckpoint(file), await openCheckpoint(out)];
  for (const { name, dtype } of after.tensors) {
    assert.equal(dtype, name);
    const ideal = expectedValues('int4-g32', floatsOf(before, name), [10, 64], 'absmax');
    const step = dtype === 'BF16' ? 2 ** -8 : dtype === 'F16' ? 2 ** -11 : 0;
    floatsOf(after, name).forEach((value, i) => assert.ok(Math.abs(value - ideal[i]!) <= Math.abs(ideal[i]!) * step, `${name} ${i}`));
  }
});

test('a transposed weight and a weight of many tiles are written where they belong', async (t) => {
  const [deconv, tall] = [normal(2, 6 * 4 * 9), normal(3, 3000 * 700)];
  const file = await temporarySafetensors(t, [{ name: 'deconv', shape: [6, 4, 3, 3], values: deconv }, { name: 'tall', shape: [3000, 700], values: tall }]);
  const out = path.join(temporaryFolder(t), 'out.safetensors');
  await quantize({ checkpoint: file, tasks: [task('deconv', 'int8', 'rtn', { outputAxis: 1, groups: 2 }), task('tall', 'int8')], export: { path: out, layout: 'dequantized' } });
  const after = await openCheckpoint(out);
  // Each output channel of the transposed weight has its own scale: group g of the inputs, channel c.
  const written = floatsOf(after, 'deconv');
  for (let group = 0; group < 2; group += 1) for (let c = 0; c < 4; c += 1) {
    const at: number[] = [];
    for (let i = 0; i < 3; i += 1) for (let k = 0; k < 9; k += 1) at.push(((group * 3 + i) * 4 + c) * 9 + k);
    assert.deepEqual(Float32Array.from(at, (i) => written[i]!), expectedValues('int8', Float32Array.from(at, (i) => deconv[i]!), [1, 27], 'absmax'));
  }
  const result = floatsOf(after, 'tall');
  const rows = [0, 1497, 1498, 2999];
  for (const row of rows) assert.deepEqual(result.slice(row * 700, row * 700 + 700), expectedValues('int8', tall.slice(row * 700, row * 700 + 700), [1, 700], 'absmax'));
});

test('what would make a wrong file is refused, and nothing is left behind', async (t) => {
  const values = normal(4, 64);
  const broken = values.slice();
  broken[7] = NaN;
  const file = await temporarySafetensors(t, [{ name: 'w', shape: [4, 16], values }, { name: 'nan', shape: [4, 16], values: broken }, { name: 'n', shape: [4], values: new Uint8Array(16), dtype: 'I32' }]);
  const folder = temporaryFolder(t);
  const out = path.join(folder, 'out.safetensors');
  const to = { path: out, layout: 'dequantized' } as const;
  await refused(quantize({ checkpoint: file, tasks: [task('nan', 'int4')], export: to }), /1 NaN and 0 infinite/);
  assert.equal((await quantize({ checkpoint: file, tasks: [task('nan', 'int4')] })).layers[0]!.after.mse > 0, true, 'without an export it is measured');
  await refused(quantize({ checkpoint: file, tasks: [] }), /nothing to quantize/);
  await refused(quantize({ checkpoint: file, tasks: [task('w', 'int4', 'no-such')] }), /"no-such" is not a ptq method; known: rtn, mse-clip/);
  await refused(quantize({ checkpoint: file, tasks: [task('w', 'int4', 'gptq')] }), /gptq calibrates on data; name some in bitlens\.json/);
  await refused(quantize({ checkpoint: file, tasks: [task('w', 'int4', 'knapsack')] }), /not a ptq method/);
  await refused(quantize({ checkpoint: file, tasks: [task('w', 'int4', 'rtn', { options: { grid: 3 } })] }), /no option "grid"; it takes none/);
  await refused(quantize({ checkpoint: file, tasks: [task('w', 'int0')] }), /1 to 8 bits or 16/);
  await refused(quantize({ checkpoint: file, tasks: [task('n', 'int4')] }), /I32 values are not measured: only floating-point types of 8 to 64 bits are; leave this layer out/);
  await refused(quantize({ checkpoint: file, tasks: [task('gone', 'int4')] }), /no tensor "gone"/);
  await refused(quantize({ checkpoint: file, tasks: [task('w', 'int4'), task('w', 'int8', 'rtn', { key: 'other' })] }), /w and other share the tensor/);
  await refused(quantize({ checkpoint: file, tasks: [task('w', 'fp8-e4m3')], export: { path: out, layout: 'compressed-tensors' } }), /integer formats of linear and embedding weights only/);
  await refused(quantize({ checkpoint: file, tasks: [task('w', 'int4')], export: { path: file, layout: 'dequantized' } }), /is the checkpoint that is being read/);
  await refused(quantize({ checkpoint: file, tasks: [task('w', 'int4')], export: { path: path.join(folder, 'no/such/folder/x.safetensors'), layout: 'dequantized' } }), /could not be written: the folder .* does not exist/);
  await refused(quantize({ checkpoint: file, tasks: [task('w', 'int4')], export: { path: folder, layout: 'dequantized' } }), /could not be written: it is a folder/);
  const before = readFileSync(file);
  await assert.rejects(quantize({ checkpoint: file, tasks: [task('w', 'int4')], export: to }, inlineJobContext({ cancelAfterPolls: 6, error: () => new JobCancelled() })), JobCancelled);
  assert.deepEqual(readdirSync(folder), [], 'no temporary file stays');
  assert.deepEqual(readFileSync(file), before);
});

test('what nobody asked for by name keeps its stored bytes when it cannot be quantized; what holds no values is left out; both are told', async (t) => {
  const [values, broken] = [normal(5, 64), normal(6, 64)];
  broken[7] = Infinity;
  const file = await temporarySafetensors(t, [{ name: 'w', shape: [4, 16], values }, { name: 'inf', shape: [4, 16], values: broken }, { name: 'n', shape: [4, 4], values: new Uint8Array(64), dtype: 'I32' }]);
  const out = path.join(temporaryFolder(t), 'out.safetensors');
  const tasks = ['w', 'inf', 'n'].map((name) => task(name, 'int4', 'rtn', { orKeep: true }));
  const result = await quantize({ checkpoint: file, tasks, export: { path: out, layout: 'dequantized' } });
  assert.deepEqual(result.layers.map(({ key }) => key), ['w']);
  assert.deepEqual(result.kept!.map(({ key, reason }) => [key, reason.slice(0, 33)]), [['n', 'I32 values are not measured: only'], ['inf', 'it holds 0 NaN and 1 infinite val']]);
  assert.equal(result.weights, 64);
  const [before, after] = [await openCheckpoint(file), await openCheckpoint(out)];
  for (const name of ['inf', 'n']) assert.deepEqual(bytesOf(after, name), bytesOf(before, name));
  assert.deepEqual(floatsOf(after, 'w'), expectedValues('int4', values, [4, 16], 'absmax'));
  await refused(quantize({ checkpoint: file, tasks: tasks.slice(1), export: { path: out, layout: 'dequantized' } }), /^no weight can be quantized: n: I32 values .*, and 1 more$/);

  // As a pickle would have them: a tensor without values (sparse, meta), and one of a type that safetensors does not know.
  const bare = { ...before, tensors: [...before.tensors, { ...before.tensors[0]!, name: 'sparse', data: null }, { ...before.tensors[0]!, name: 'complex', shape: [2], dtype: 'C128' as const, bytes: 32 }] };
  const format = parseFormat('int4') as BlockScaledFormat;
  const layout = weightLayout([4, 16], 0);
  const weight = { task: tasks[0]!, weight: { spec: tasks[0]!, tensor: bare.tensors[0]!, layout, weights: 64 }, format, scales: format.findScales(values, layout, 'absmax'), rule: 'absmax' as const };
  const exported = await exportCheckpoint(bare, [weight], { path: out, layout: 'dequantized' }, inlineJobContext());
  assert.deepEqual(exported.notes, ['left out, because the checkpoint holds no readable values for them: sparse', 'left out, because safetensors has no element type for them: complex']);
  assert.deepEqual((await openCheckpoint(out)).tensors.map(({ name }) => name), ['w', 'inf', 'n']);
});

test('tied weights (two names for one place in the file) are written alike', async (t) => {
  const values = normal(9, 64);
  const file = await temporarySafetensors(t, [{ name: 'head.weight', shape: [4, 16], values }, { name: 'other', shape: [4, 16], values }]);
  const opened = await openCheckpoint(file);
  const head = { ...opened.tensors[0]!, data: { ...opened.tensors[0]!.data!, storage: '7' } };
  const checkpoint = { ...opened, format: 'pytorch-zip', tensors: [head, { ...head, name: 'embedding.weight' }, opened.tensors[1]!] };
  const layout = weightLayout([4, 16], 0);
  const format = parseFormat('int3') as BlockScaledFormat;
  const weight = { task: task('head.weight', 'int3'), weight: { spec: task('head.weight', 'int3'), tensor: head, layout, weights: 64 }, format, scales: format.findScales(values, layout, 'absmax'), rule: 'absmax' as const };
  const out = path.join(temporaryFolder(t), 'out.safetensors');
  const result = await exportCheckpoint(checkpoint, [weight], { path: out, layout: 'dequantized' }, inlineJobContext());
  const after = await openCheckpoint(out);
  const expected = expectedValues('int3', values, [4, 16], 'absmax');
  for (const name of ['head.weight', 'embedding.weight']) assert.deepEqual(floatsOf(after, name), expected);
  assert.deepEqual(floatsOf(after, 'other'), values, 'equal values elsewhere are not tied');
  assert.deepEqual(result.notes, ['embedding.weight is tied to head.weight and gets the same values']);
});

test('tensors that safetensors cannot hold are left out of an export and named', async (t) => {
  const folder = 'oracles/torch113';
  if (!needsData(t, folder)) return;
  const out = path.join(temporaryFolder(t), 'out.safetensors');
  const source = dataPath(`${folder}/state_zip.pt`);
  const result = await quantize({ checkpoint: source, tasks: [task('shared.a', 'int4')], export: { path: out, layout: 'dequantized' } });
  assert.match(result.export!.notes!.join('; '), /left out, because safetensors has no element type for them: [\w.]*complex128/);
  const [before, after] = [await openCheckpoint(source), await openCheckpoint(out)];
  assert.equal(after.tensors.length, before.tensors.filter(({ dtype }) => dtype !== 'C128').length);
});

test('a method that holds whole weights is measured and exported as it was made', async (t) => {
  const values = normal(5, 16 * 64);
  const file = await temporarySafetensors(t, [{ name: 'w', shape: [16, 64], values }, { name: 'v', shape: [16, 64], values: normal(6, 16 * 64) }]);
  const out = path.join(temporaryFolder(t), 'out.safetensors');
  const { layers, export: written } = await quantize({ checkpoint: file, tasks: [task('w', 'int3-sym-g32', 'hqq'), task('v', 'int4')], export: { path: out, layout: 'dequantized' } });
  assert.deepEqual(layers.map(({ method }) => method), ['hqq', 'rtn']);
  assert.notEqual(layers[0]!.after.mse, layers[0]!.before.mse);
  assert.equal(written!.verifiedTensors, 2);
  const after = floatsOf(await openCheckpoint(out), 'w');
  const mse = after.reduce((sum, value, i) => sum + (value - values[i]!) ** 2, 0) / values.length;
  assert.ok(Math.abs(mse - layers[0]!.after.mse) <= 1e-6 * mse);
});
