import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Quantized } from '../../../kernels/formats/format';
import type { FormatError, WeightStatistics } from '../../../kernels/jobs/job';
import { method, methodOfKind, methods } from '../../../kernels/methods/registry';
import { listedFormats, parseFormat } from '../../../kernels/formats/registry';
import { Random } from '../../../kernels/numerics/random';
import { dataRoot } from '../../support/data';

const statistics = (over: Partial<WeightStatistics>): WeightStatistics => ({
  count: 100, nan: 0, inf: 0, zeros: 0, min: -1, max: 1, absmax: 1, mean: 0, std: 0.5, rms: 0.5, kurtosis: 3, outlierShare: 0, absmaxOverRms: 2,
  channelRangeSpread: 1, deadChannels: [], deadChannelCount: 0, constantChannelCount: 0, zd: 0.15865525393145707, fp16Overflow: 0, fp16Underflow: 0, ...over,
});
const error: FormatError = { mse: 0.01, sqnrDb: 14, cosine: 0.99, bitsPerWeight: 4, bytes: 50, scaleRule: 'absmax' };

test('ids are unique, kebab-case, and aliases lead to them', () => {
  const ids = methods().map((each) => each.id);
  assert.equal(new Set(ids).size, ids.length);
  for (const each of methods()) {
    assert.match(each.id, /^[a-z0-9]+(-[a-z0-9]+)*$/);
    assert.ok(each.title && each.source);
    assert.equal(method(each.id), each);
  }
  assert.deepEqual(['nsr', 'sse', 'mse', 'zd'].map((alias) => methodOfKind('sensitivity', alias).id), ['weight-nsr', 'weight-sse', 'weight-mse', 'lim-zd']);
  assert.equal(methodOfKind('range', 'mse').kind, 'range', 'methods of two kinds may share a name');
  for (const name of ['no-such', '', '__proto__', 'constructor']) assert.equal(method(name), undefined);
  assert.throws(() => methodOfKind('ptq', 'knapsack'), /"knapsack" is not a ptq method; known: rtn, mse-clip/);
});

test('catalogue rows named by methods and formats exist', (t) => {
  const file = path.join(dataRoot, '../catalogue/methods.jsonl');
  if (!existsSync(file)) return t.skip('needs catalogue/methods.jsonl beside the folder of real inputs');
  const rows = new Set(readFileSync(file, 'utf8').trim().split('\n').map((line) => (JSON.parse(line) as { id: string }).id));
  for (const each of [...methods(), ...listedFormats()]) for (const row of each.catalogue) assert.ok(rows.has(row), `${each.id} names ${row}`);
});

test('metrics: noise to signal, sums and means, and ZD weighting', () => {
  const score = (id: string, over: Partial<WeightStatistics> = {}): number => methodOfKind('sensitivity', id).score(statistics(over), error, { path: '', depth: 0.5 });
  assert.ok(Math.abs(score('weight-nsr') - 0.04) < 1e-15);
  assert.equal(score('weight-sse'), 1);
  assert.equal(score('weight-mse'), 0.01);
  assert.ok(Math.abs(score('lim-zd') - 0.04) < 1e-15, 'normal weights count as they are');
  assert.ok(score('lim-zd', { zd: 0.05 }) > score('lim-zd', { zd: 0.1 }), 'fewer large z-scores: more important');
  assert.ok(Number.isFinite(score('lim-zd', { zd: 0 })));
  for (const id of ['weight-nsr', 'lim-zd']) assert.equal(score(id, { rms: 0 }), 0);
});

test('rtn is the format itself with absmax scales; mse-clip never has a larger squared error', () => {
  const random = new Random(1);
  const view = { rows: 4, cols: 128 };
  const weights = Float32Array.from({ length: 512 }, () => random.normal() ** 3);
  for (const id of ['int3', 'int4-asym-g32', 'fp8-e5m2-tensor', 'bf16']) {
    const format = parseFormat(id);
    const squared = (name: string): number => {
      const values = format.decode(methodOfKind('ptq', name).run(weights, view, format, {}) as Quantized);
      return values.reduce((sum, value, i) => sum + (value - weights[i]!) ** 2, 0);
    };
    assert.deepEqual(methodOfKind('ptq', 'rtn').run(weights, view, format, {}), format.encode(weights, view, 'absmax'));
    assert.ok(squared('mse-clip') <= squared('rtn') * (1 + 1e-12));
    if (id === 'int3') assert.ok(squared('mse-clip') < 0.8 * squared('rtn'), 'heavy tails gain from clipping');
  }
});
