import test from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { openCheckpoint, TensorReader } from '../../../kernels/checkpoint';
import { TILE_WEIGHTS, weightLayout } from '../../../kernels/formats/blocks';
import { isBlockScaled } from '../../../kernels/formats/format';
import { heldFormat } from '../../../kernels/formats/held-format';
import { listedFormats, parseFormat } from '../../../kernels/formats/registry';
import { bandView, heldBands, refuseOversized } from '../../../kernels/jobs/held-pass';
import { JobError } from '../../../kernels/jobs/job';
import { quantizeJob } from '../../../kernels/jobs/quantize';
import { scanJob } from '../../../kernels/jobs/scan';
import { Random } from '../../../kernels/numerics/random';
import { inlineJobContext } from '../../support/inline-job-context';
import { temporaryFolder, temporarySafetensors } from '../../support/temporary-safetensors';

const normal = (seed: number, length: number): Float32Array => {
  const random = new Random(seed);
  return Float32Array.from({ length }, () => random.normal() * 0.05);
};
const task = (format: string, method = 'rtn') => ({ key: 'w', tensor: 'w', outputAxis: 0, format, method });

test('scan and quantize accept every registered format, and their errors are those of encode and decode', async (t) => {
  const values = normal(1, 24 * 96);
  const file = await temporarySafetensors(t, [{ name: 'w', shape: [24, 96], values }]);
  const ids = listedFormats().map(({ id }) => id);
  for (const rule of ['absmax', 'mse'] as const) {
    const { weights: [scan] } = await scanJob.run({ checkpoint: file, weights: [task('')], formats: ids, scaleRule: rule }, inlineJobContext());
    for (const id of ids) {
      const format = parseFormat(id);
      const view = { rows: 24, cols: 96 };
      const decoded = format.decode(format.encode(values, view, rule));
      const squared = decoded.reduce((sum, y, i) => sum + Math.fround(values[i]! - y) ** 2, 0);
      const found = scan!.formats[id]!;
      assert.ok(Math.abs(found.mse - squared / values.length) <= 1e-9 * found.mse, `${id} ${rule}: ${found.mse}, expected ${squared / values.length}`);
      assert.equal(found.bytes, Math.ceil(format.storage(view).totalBits / 8));
      assert.equal(found.scaleRule, format.scaleRules.includes(rule) ? rule : 'absmax');
    }
  }
  for (const id of ids) {
    const { layers: [layer] } = await quantizeJob.run({ checkpoint: file, tasks: [task(id, 'mse-clip')], seed: 0 }, inlineJobContext());
    assert.ok(layer!.after.mse <= layer!.before.mse * (1 + 1e-12), id);
  }
});

test('an export in a held format holds exactly what encode and decode give, and what was measured', async (t) => {
  const values = normal(2, 12 * 64);
  const file = await temporarySafetensors(t, [{ name: 'w', shape: [12, 64], values }, { name: 'bias', shape: [4], values: normal(3, 4) }]);
  const out = path.join(temporaryFolder(t), 'out.safetensors');
  const { layers: [layer], export: written } = await quantizeJob.run({ checkpoint: file, tasks: [task('afpq-fp4-g32', 'mse-clip')], seed: 0, export: { path: out, layout: 'dequantized' } }, inlineJobContext());
  assert.equal(written!.verifiedTensors, 2);
  const after = await openCheckpoint(out);
  const reader = TensorReader.open(after);
  const found = new Float32Array(values.length);
  reader.readInto(after.tensors.find(({ name }) => name === 'w')!, 0, found.length, new Uint8Array(found.buffer));
  reader.close();
  const format = parseFormat('afpq-fp4-g32');
  assert.deepEqual(found, format.decode(format.encode(values, { rows: 12, cols: 64 }, 'mse')));
  const mse = found.reduce((sum, y, i) => sum + Math.fround(values[i]! - y) ** 2, 0) / values.length;
  assert.ok(Math.abs(mse - layer!.after.mse) <= 1e-12 * mse);
});

test('a weight of many runs gives the same error in any task order', async (t) => {
  const rows = 3000;
  const file = await temporarySafetensors(t, [{ name: 'w', shape: [rows, 2100], values: normal(4, rows * 2100) }]);
  const scan = (order?: (n: number) => number[]) => scanJob.run({ checkpoint: file, weights: [task('')], formats: ['afpq-fp4-g128', 'int4'], scaleRule: 'absmax' }, inlineJobContext(order ? { order } : {}));
  const forward = await scan();
  const backward = await scan((n) => Array.from({ length: n }, (_, i) => n - 1 - i));
  assert.deepEqual(backward.weights, forward.weights);
});

const counting = (holds: 'row' | 'weight', rowsAtOnce = 1) => heldFormat({
  id: 'test', family: 'test', title: 'test', catalogue: [], codeBits: 8, granularity: null, holds, rowsAtOnce, workingBytes: 8,
  traits: { monotone: false, signSymmetric: false, idempotent: 'no' },
  fields: (view) => [{ name: 'codes', part: 'code', bits: 8, count: view.rows * view.cols }],
  encode: (weights) => [new Uint8Array(weights.length)],
  decode: (parts) => new Float32Array(parts[0]!.length),
});

test('runs cover a view in whole groups of rows, whatever its shape; a format of whole weights has one', () => {
  for (const view of [{ rows: 7, cols: 3 }, { rows: 300, cols: 9000 }, { rows: 3, cols: 2 * TILE_WEIGHTS + 5 }, { rows: 1, cols: 1 }]) {
    for (const rowsAtOnce of [1, 16, 128]) {
      const bands = heldBands(view, counting('row', rowsAtOnce));
      let next = 0;
      for (const band of bands) {
        assert.equal(band.start, next);
        assert.ok(Number.isInteger(bandView(view, band).rows));
        assert.equal(band.start % (rowsAtOnce * view.cols), 0);
        next += band.length;
      }
      assert.equal(next, view.rows * view.cols);
    }
    assert.deepEqual(heldBands(view, counting('weight')), [{ start: 0, length: view.rows * view.cols }]);
  }
});

test('a weight that a format cannot hold in memory is refused with what it needs', () => {
  const layout = weightLayout([1000, 1000], 0);
  const weight = { spec: task(''), tensor: { name: 'w', dtype: 'F32' as const, shape: [1000, 1000], bytes: 4e6, data: null }, layout, weights: 1e6 };
  const context = (memoryCapBytes: number, threads = 1) => ({ ...inlineJobContext(), memoryCapBytes, threads });
  refuseOversized(weight, counting('weight'), context(16e6));
  assert.throws(() => refuseOversized(weight, counting('weight'), context(16e6 - 1)), (error) => error instanceof JobError && /w: test is found over the whole weight at once, which needs 16000000 bytes of memory; a worker may use 15999999/.test(error.message));
  assert.throws(() => refuseOversized(weight, counting('weight'), context(16e6, 2)), JobError);
});

test('cancelling is noticed while runs are encoded', async (t) => {
  const file = await temporarySafetensors(t, [{ name: 'w', shape: [64, 1024], values: normal(5, 65536) }]);
  const whole = inlineJobContext();
  await scanJob.run({ checkpoint: file, weights: [task('')], formats: ['afpq-fp4-g128'], scaleRule: 'mse' }, whole);
  await assert.rejects(scanJob.run({ checkpoint: file, weights: [task('')], formats: ['afpq-fp4-g128'], scaleRule: 'mse' }, inlineJobContext({ cancelAfterPolls: Math.floor(whole.polls / 2) })), /cancelled/);
  assert.ok(listedFormats().some((format) => !isBlockScaled(format)));
});
