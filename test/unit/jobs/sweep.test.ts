import test from 'node:test';
import assert from 'node:assert/strict';
import { parseFormat } from '../../../kernels/formats/registry';
import { detailJob } from '../../../kernels/jobs/detail';
import { JobError } from '../../../kernels/jobs/job';
import { exponentEntropy } from '../../../kernels/jobs/sweep';
import { Random } from '../../../kernels/numerics/random';
import { inlineJobContext } from '../../support/inline-job-context';
import { temporarySafetensors } from '../../support/temporary-safetensors';

test('the exponents of normal weights carry about 2.55 bits, those of one binade none, those of evenly spread exponents all', () => {
  const random = new Random(1);
  const normal = Float32Array.from({ length: 1 << 17 }, () => random.normal());
  assert.ok(Math.abs(exponentEntropy(normal) - 2.55) < 0.03);
  assert.equal(exponentEntropy(Float32Array.from({ length: 64 }, (_, i) => 1 + i / 64)), 0);
  assert.ok(Math.abs(exponentEntropy(Float32Array.from({ length: 64 }, (_, i) => 2 ** (i % 16))) - 4) < 1e-12);
  // Scaling by a power of two moves the exponents and changes nothing.
  assert.ok(Math.abs(exponentEntropy(normal.map((x) => x * 2 ** -20)) - exponentEntropy(normal)) < 1e-9);
});

const IDS = ['int4-sym-g128', 'nf4', 'ternary', 'bf16'];

test('a weight that fits the sample is swept whole: the errors are those of encode and decode, and the best at each cost are marked', async (t) => {
  const random = new Random(2);
  const weights = Float32Array.from({ length: 64 * 256 }, () => random.normal());
  const file = await temporarySafetensors(t, [{ name: 'w', shape: [64, 256], values: weights }]);
  const { sweep } = await detailJob.run({ checkpoint: file, weight: { key: 'w', tensor: 'w', outputAxis: 0 }, bins: 8, sweep: IDS }, inlineJobContext());
  assert.deepEqual([sweep!.rows, sweep!.ofRows, sweep!.cols, sweep!.ofCols], [64, 64, 256, 256]);
  const view = { rows: 64, cols: 256 };
  for (const [i, id] of IDS.entries()) {
    const format = parseFormat(id);
    const decoded = format.decode(format.encode(weights, view, 'absmax'));
    const mse = weights.reduce((sum, x, k) => sum + (x - decoded[k]!) ** 2, 0) / weights.length;
    assert.equal(sweep!.formats[i]!.id, format.id);
    assert.ok(Math.abs(sweep!.formats[i]!.mse / mse - 1) < 1e-9);
    assert.equal(sweep!.formats[i]!.bitsPerWeight, format.storage(view).bitsPerWeight);
  }
  assert.ok(sweep!.formats.every(({ best }) => best), 'each costs more and errs less than the one before');
  assert.equal(sweep!.lossless!.storedBits, 32);
  assert.ok(Math.abs(sweep!.lossless!.compressedBits - (24 + 2.55)) < 0.1);
});

test('a large weight is swept on whole rows, evenly spaced, and says so; the cost is that of the whole', async (t) => {
  const random = new Random(3);
  // Later rows are wider: a sample of the first rows alone would show too small an error.
  const weights = Float32Array.from({ length: 512 * 1024 }, (_, i) => random.normal() * (1 + Math.floor(i / 1024) / 64));
  const file = await temporarySafetensors(t, [{ name: 'w', shape: [512, 1024], values: weights }]);
  const { sweep } = await detailJob.run({ checkpoint: file, weight: { key: 'w', tensor: 'w', outputAxis: 0 }, bins: 8, sweep: ['int4-sym-tensor', 'int4-sym-channel'] }, inlineJobContext());
  assert.deepEqual([sweep!.rows, sweep!.ofRows, sweep!.cols], [32, 512, 1024]);
  const view = { rows: 512, cols: 1024 };
  const format = parseFormat('int4-sym-channel');
  const decoded = format.decode(format.encode(weights, view, 'absmax'));
  const whole = weights.reduce((sum, x, k) => sum + (x - decoded[k]!) ** 2, 0) / weights.length;
  assert.ok(Math.abs(sweep!.formats[1]!.mse / whole - 1) < 0.05);
  assert.equal(sweep!.formats[0]!.bitsPerWeight, parseFormat('int4-sym-tensor').storage(view).bitsPerWeight);
});

test('nothing is swept unless asked for, and a wrong format is named', async (t) => {
  const file = await temporarySafetensors(t, [{ name: 'w', shape: [2, 2], values: Float32Array.of(1, 2, 3, 4) }]);
  const params = { checkpoint: file, weight: { key: 'w', tensor: 'w', outputAxis: 0 }, bins: 8 };
  assert.equal((await detailJob.run(params, inlineJobContext())).sweep, undefined);
  await assert.rejects(detailJob.run({ ...params, sweep: ['int99'] }, inlineJobContext()), JobError);
});
