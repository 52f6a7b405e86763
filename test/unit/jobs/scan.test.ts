import test from 'node:test';
import assert from 'node:assert/strict';
import { openCheckpoint } from '../../../kernels/checkpoint';
import { TILE_WEIGHTS } from '../../../kernels/formats/blocks';
import { CLIP_FRACTIONS } from '../../../kernels/formats/clip-search';
import { parseFormat } from '../../../kernels/formats/registry';
import type { BlockScaledFormat, ScaleRule } from '../../../kernels/formats/format';
import { JobCancelled, JobError, type ScanParams, type WeightSpec } from '../../../kernels/jobs/job';
import { detailJob } from '../../../kernels/jobs/detail';
import { scanJob } from '../../../kernels/jobs/scan';
import { Random } from '../../../kernels/numerics/random';
import { wasmOps } from '../../../kernels/wasm/wasm-ops';
import { dataPath, needsData } from '../../support/data';
import { inlineJobContext } from '../../support/inline-job-context';
import { temporarySafetensors } from '../../support/temporary-safetensors';

const normal = (seed: number, length: number, scale = 1): Float32Array => {
  const random = new Random(seed);
  return Float32Array.from({ length }, () => random.normal() * scale);
};
const spec = (tensor: string, outputAxis = 0, groups?: number): WeightSpec => ({ key: `layer.${tensor}`, tensor, outputAxis, ...(groups ? { groups } : {}) });
const scan = (checkpoint: string, weights: readonly WeightSpec[], formats: readonly string[], scaleRule: ScaleRule = 'absmax', context = inlineJobContext()) =>
  scanJob.run({ checkpoint, weights, formats, scaleRule } satisfies ScanParams, context);

/** Error through encode and decode of the whole weight. */
function wholeError(id: string, weights: Float32Array, view: { rows: number; cols: number }, rule: ScaleRule): number {
  const format = parseFormat(id);
  const values = format.decode(format.encode(weights, view, rule));
  return values.reduce((sum, y, i) => sum + Math.fround(weights[i]! - y) ** 2, 0) / weights.length;
}
const close = (actual: number, expected: number, tolerance: number, what: string): void => {
  assert.ok(Math.abs(actual - expected) <= tolerance * Math.abs(expected), `${what}: ${actual}, expected ${expected}`);
};

test('ZD of normal weights is 15.87 %, whatever their offset and scale, and falls with outliers', async (t) => {
  const weights = normal(1, 200_000);
  const shifted = weights.map((x) => 3 * x + 7);
  const outliers = weights.map((x, i) => (i % 1000 === 0 ? x * 30 : x));
  const file = await temporarySafetensors(t, [['plain', weights], ['shifted', shifted], ['outliers', outliers]].map(([name, values]) => ({ name: name as string, shape: [200, 1000], values: values as Float32Array })));
  const { weights: [plain, other, heavy] } = await scan(file, ['plain', 'shifted', 'outliers'].map((name) => spec(name)), []);
  close(plain!.statistics.zd, 0.1587, 0.01, 'zd');
  close(other!.statistics.zd, plain!.statistics.zd, 1e-3, 'zd after scaling');
  assert.ok(heavy!.statistics.zd < plain!.statistics.zd - 0.02);
  close(plain!.statistics.kurtosis!, 3, 0.05, 'kurtosis');
  assert.ok(heavy!.statistics.kurtosis! > 100 && heavy!.statistics.outlierShare > 0);
  assert.equal(plain!.statistics.outlierShare, 0);
});

test('statistics of a small weight, by hand', async (t) => {
  const values = Float32Array.of(0, 0, 0, 0, 2, 2, 2, 2, 1, -3, 70000, 1e-8, NaN, Infinity, 4, -0);
  const file = await temporarySafetensors(t, [{ name: 'w', shape: [4, 4], values }]);
  const { weights: [result] } = await scan(file, [spec('w')], ['int8', 'fp16']);
  const { statistics } = result!;
  const finite = Array.from(values).filter(Number.isFinite);
  const mean = finite.reduce((sum, x) => sum + x, 0) / finite.length;
  const power = (p: number): number => finite.reduce((sum, x) => sum + (x - mean) ** p, 0) / finite.length;
  assert.deepEqual([statistics.count, statistics.nan, statistics.inf, statistics.zeros], [14, 1, 1, 5]);
  assert.deepEqual([statistics.min, statistics.max, statistics.absmax], [-3, 70000, 70000]);
  assert.deepEqual([statistics.deadChannels, statistics.deadChannelCount, statistics.constantChannelCount], [[0], 1, 1]);
  assert.deepEqual([statistics.fp16Overflow, statistics.fp16Underflow], [1, 1]);
  close(statistics.mean, mean, 1e-12, 'mean');
  close(statistics.std, Math.sqrt(power(2)), 1e-12, 'std');
  close(statistics.kurtosis!, power(4) / power(2) ** 2, 1e-12, 'kurtosis');
  close(statistics.rms, Math.sqrt(finite.reduce((sum, x) => sum + x * x, 0) / finite.length), 1e-12, 'rms');
  // Channel absmax: 2, 70000, 4 (the dead one left out); the median is 4.
  assert.equal(statistics.channelRangeSpread, 70000 / 4);
  // fp16 saturates: 70000 is measured as 65504. NaN and infinity are left out.
  close(result!.formats.fp16!.mse, ((70000 - 65504) ** 2 + (Math.fround(1e-8)) ** 2) / 14, 1e-6, 'fp16');
});

test('a weight of many tiles gives the same numbers in any task order, and those of encode and decode', async (t) => {
  const cases = { tall: [3000, 2100], wide: [3, 2 * TILE_WEIGHTS + 3 * 128], long: [5 * TILE_WEIGHTS + 7] };
  const formats = ['int4-sym-tensor', 'int4-asym-tensor', 'int3-sym-channel', 'int4-asym-g128', 'int4-sym-g96', 'fp8-e4m3-tensor', 'bf16'];
  for (const [name, shape] of Object.entries(cases)) {
    const count = shape.reduce((product, dim) => product * dim, 1);
    const values = normal(2, count, 0.02);
    values[17] = 0.5;
    const file = await temporarySafetensors(t, [{ name: 'w', shape, values }]);
    const forward = await scan(file, [spec('w')], formats);
    const shuffled = await scan(file, [spec('w')], formats, 'absmax', inlineJobContext({ order: (n) => Array.from({ length: n }, (_, i) => i).sort((a, b) => (a * 7919) % 13 - (b * 7919) % 13) }));
    assert.deepEqual(shuffled.weights, forward.weights, `${name}: order of tasks`);
    const { view, formats: errors } = forward.weights[0]!;
    // The plain encoder is slow on millions of weights: one long and one short block for each shape.
    for (const id of name === 'tall' ? ['int4-asym-tensor', 'int4-asym-g128'] : ['int3-sym-channel']) close(errors[id]!.mse, wholeError(id, values, view, 'absmax'), 1e-9, `${name} ${id}`);
  }
});

test('the mse rule over blocks longer than a tile takes the best of all clip fractions', async (t) => {
  const values = normal(3, 5 * TILE_WEIGHTS, 0.02).map((x, i) => (i % 99991 === 0 ? x * 20 : x));
  const file = await temporarySafetensors(t, [{ name: 'v', shape: [values.length], values }]);
  const { weights: [result] } = await scan(file, [spec('v')], ['int4-sym-tensor', 'int4-asym-channel'], 'mse');
  const ops = await wasmOps();
  for (const id of ['int4-sym-tensor', 'int4-asym-channel']) {
    const format = parseFormat(id) as BlockScaledFormat;
    const { min, max } = result!.statistics;
    const squared = new Float64Array(CLIP_FRACTIONS.length);
    for (let start = 0; start < values.length; start += TILE_WEIGHTS) {
      ops.values.set(values.subarray(start, start + TILE_WEIGHTS));
      CLIP_FRACTIONS.forEach((clip, i) => {
        const { scale, zeroPoint } = format.scaleOf(min, max, clip);
        squared[i]! += ops.pieceErrors(format.element, 0, TILE_WEIGHTS, scale, zeroPoint).squared;
      });
    }
    const best = Math.min(...squared);
    assert.ok(best < 0.7 * squared[0]!, 'clipping the outliers helps');
    assert.equal(result!.formats[id]!.mse, best / values.length, id);
  }
});

test('ResNet-20: every weight scans, errors fall with bits, mse never loses to absmax, and the result is reproducible', async (t) => {
  if (!needsData(t, 'resnet20')) return;
  const file = dataPath('resnet20/resnet20-12fca82f.th');
  const checkpoint = await openCheckpoint(file);
  const weights = checkpoint.tensors.filter((tensor) => tensor.shape.length > 1).map((tensor) => spec(tensor.name));
  assert.equal(weights.length, 20);
  const formats = ['int2', 'int3', 'int4', 'int6', 'int8', 'int4-g32', 'fp8-e4m3', 'bf16'];
  const context = inlineJobContext();
  const plain = await scan(file, weights, formats, 'absmax', context);
  const clipped = await scan(file, weights, formats, 'mse');
  assert.equal(plain.elements, 268336);
  assert.deepEqual(plain.skipped, []);
  plain.weights.forEach((weight, i) => {
    const mse = (id: string): number => weight.formats[id]!.mse;
    assert.ok(mse('int2') > mse('int3') && mse('int3') > mse('int4') && mse('int4') > mse('int6') && mse('int6') > mse('int8'), weight.key);
    for (const id of formats) assert.ok(clipped.weights[i]!.formats[id]!.mse <= mse(id), `${weight.key} ${id}`);
    assert.deepEqual(Object.keys(weight.formats), formats);
    assert.ok(weight.statistics.nan === 0 && weight.statistics.count === weight.view.rows * weight.view.cols);
  });
  assert.deepEqual((await scan(file, weights, formats)).weights, plain.weights);
  const done = context.reports.map(([n]) => n);
  assert.ok(done.every((n, i) => i === 0 || n >= done[i - 1]!) && done.at(-1) === context.reports.at(-1)![1], 'progress rises to the total');
});

test('stored types: the error is measured on the values as stored', async (t) => {
  const values = normal(4, 2000, 0.1);
  const dtypes = ['F64', 'F32', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2'] as const;
  const file = await temporarySafetensors(t, dtypes.map((dtype) => ({ name: dtype, shape: [20, 100], values, dtype })));
  const { weights } = await scan(file, dtypes.map((dtype) => spec(dtype)), ['bf16', 'fp16', 'int4']);
  const of = (name: string, id: string): number => weights.find((each) => each.tensor === name)!.formats[id]!.mse;
  assert.equal(of('BF16', 'bf16'), 0);
  assert.equal(of('F16', 'fp16'), 0);
  assert.equal(of('F64', 'int4'), of('F32', 'int4'));
  assert.ok(of('F32', 'bf16') > 0 && of('F8_E4M3', 'fp16') === 0 && of('F8_E5M2', 'bf16') === 0);
});

test('transposed convolutions: output channels are gathered by group, also when a row is longer than a tile', async (t) => {
  const [input, output, kernel, groups] = [6, 4, 9, 2];
  const values = normal(5, input * output * kernel);
  const expected = new Float32Array(values.length);
  const perGroup = input / groups;
  for (let i = 0; i < input; i += 1) for (let c = 0; c < output; c += 1) for (let k = 0; k < kernel; k += 1) {
    const row = Math.floor(i / perGroup) * output + c;
    expected[row * perGroup * kernel + (i % perGroup) * kernel + k] = values[(i * output + c) * kernel + k]!;
  }
  const long = normal(6, 3 * 2 * 700_000);
  const longExpected = new Float32Array(long.length);
  for (let i = 0; i < 3; i += 1) for (let c = 0; c < 2; c += 1) longExpected.set(long.subarray((i * 2 + c) * 700_000, (i * 2 + c + 1) * 700_000), c * 2_100_000 + i * 700_000);
  const file = await temporarySafetensors(t, [{ name: 'deconv', shape: [input, output, 3, 3], values }, { name: 'long', shape: [3, 2, 700_000], values: long }]);
  const { weights } = await scan(file, [spec('deconv', 1, groups), spec('long', 1)], ['int4-sym-channel', 'int4-sym-tensor']);
  assert.deepEqual(weights.map(({ view }) => view), [{ rows: 8, cols: 27 }, { rows: 2, cols: 2_100_000 }]);
  weights.forEach(({ view, formats }, i) => {
    for (const id of ['int4-sym-channel', 'int4-sym-tensor']) close(formats[id]!.mse, wholeError(id, [expected, longExpected][i]!, view, 'absmax'), 1e-9, id);
  });
});

test('what cannot be measured is skipped with the reason; wrong requests are refused', async (t) => {
  const file = await temporarySafetensors(t, [
    { name: 'ints', shape: [2, 2], values: new Uint8Array(32), dtype: 'I64' }, { name: 'scalar', shape: [], values: Float32Array.of(1) },
    { name: 'empty', shape: [0, 4], values: new Float32Array(0) }, { name: 'ok', shape: [2, 2], values: Float32Array.of(1, 2, 3, 4) },
  ]);
  const result = await scan(file, [spec('ints'), spec('scalar'), spec('empty'), spec('ok'), spec('ok', 3), spec('ok', 1, 3)], ['int4']);
  assert.deepEqual(result.weights.map(({ key }) => key), ['layer.ok']);
  const reasons = result.skipped.map(({ reason }) => reason);
  assert.equal(reasons.length, 5);
  [/I64 values are not measured: only floating-point types/, /single number/, /empty/, /output axis 3/, /3 groups do not divide/].forEach((pattern, i) => assert.match(reasons[i]!, pattern));
  const refused = (work: Promise<unknown>, message: RegExp): Promise<void> => assert.rejects(work, (error) => error instanceof JobError && message.test(error.message));
  await refused(scan(file, [spec('missing')], ['int4']), /no tensor "missing"/);
  await refused(scan(file, [spec('ok')], ['int44']), /1 to 8 bits or 16/);
  await refused(scan(file, [spec('ok')], ['int4'], 'percentile' as ScaleRule), /not a scale rule/);
  await refused(scan(`${file}.gone`, [spec('ok')], ['int4']), /does not exist/);
  assert.deepEqual((await scan(file, [], [])).weights, []);
});

test('a weight without a finite value, constant and zero weights give figures, not NaN', async (t) => {
  const file = await temporarySafetensors(t, [
    { name: 'nan', shape: [2, 4], values: new Float32Array(8).fill(NaN) }, { name: 'zero', shape: [2, 4], values: new Float32Array(8) }, { name: 'one', shape: [8], values: new Float32Array(8).fill(1) },
  ]);
  const { weights } = await scan(file, ['nan', 'zero', 'one'].map((name) => spec(name)), ['int4', 'int4-asym-g4', 'fp8-e4m3', 'bf16'], 'mse');
  const text = JSON.stringify(weights);
  const walk = (value: unknown): void => {
    if (typeof value === 'number') assert.ok(Number.isFinite(value), text);
    else if (value && typeof value === 'object') Object.values(value).forEach(walk);
  };
  walk(weights);
  assert.equal(weights[0]!.statistics.nan, 8);
  assert.equal(weights[1]!.statistics.deadChannelCount, 2);
  assert.equal(weights[2]!.formats.int4!.mse, 0);
  assert.equal(weights[2]!.statistics.kurtosis, null);
});

test('cancelling stops a scan at the next poll', async (t) => {
  const file = await temporarySafetensors(t, [{ name: 'w', shape: [6000, 1000], values: new Float32Array(6e6) }]);
  const context = inlineJobContext({ cancelAfterPolls: 3, error: () => new JobCancelled() });
  await assert.rejects(scan(file, [spec('w')], ['int4'], 'absmax', context), JobCancelled);
  assert.equal(context.polls, 4);
});

test('detail: a histogram of all finite values between the extremes, and channel ranges', async (t) => {
  const values = normal(7, 5000 * 300);
  values[3] = NaN;
  const file = await temporarySafetensors(t, [{ name: 'w', shape: [5000, 300], values }]);
  const result = await detailJob.run({ checkpoint: file, weight: spec('w'), bins: 64 }, inlineJobContext());
  const { edges, counts } = result.histogram;
  assert.deepEqual([edges.length, counts.length], [65, 64]);
  assert.equal(counts.reduce((sum, n) => sum + n, 0), values.length - 1);
  assert.deepEqual([edges[0], edges[64]], [result.statistics.min, result.statistics.max]);
  const bin = 31;
  const inBin = values.reduce((n, x) => n + (x >= edges[bin]! && x < edges[bin + 1]! ? 1 : 0), 0);
  assert.ok(Math.abs(counts[bin]! - inBin) <= 2, 'a value on a border may fall on either side by rounding');
  assert.equal(result.channels.index.length, 4096);
  const at = 4000;
  const row = values.subarray(result.channels.index[at]! * 300, (result.channels.index[at]! + 1) * 300);
  assert.deepEqual([result.channels.min[at], result.channels.max[at]], [Math.min(...row), Math.max(...row)]);
  await assert.rejects(detailJob.run({ checkpoint: file, weight: spec('w'), bins: 0 }, inlineJobContext()), /1 to 4096 bins/);
});
