/** Statistics added up batch by batch against the same worked out from all values at once. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Random } from '../../../kernels/numerics/random';
import { ActivationSums } from '../../../kernels/run/activation-statistics';

const near = (actual: number, expected: number, within = 1e-6): void => assert.ok(Math.abs(actual - expected) <= within * Math.max(1, Math.abs(expected)), `${actual}, not ${expected}`);

test('moments, ranges and channels of pictures and of sequences, whatever the batches', () => {
  const random = new Random(1);
  for (const { shape, axis } of [{ shape: [6, 5, 4, 3], axis: 1 }, { shape: [6, 7, 5], axis: 2 }]) {
    const size = shape.reduce((a, b) => a * b, 1);
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    const channelOf = (i: number): number => Math.floor(i / inner) % 5;
    // A large mean, and one channel that stands out.
    const data = Float32Array.from({ length: size }, (_, i) => 100 + random.normal() * (channelOf(i) === 3 ? 400 : 1));
    data[7] = 0;
    const sums = new ActivationSums();
    const per = size / shape[0]!;
    sums.add(data.subarray(0, 4 * per), [4, ...shape.slice(1)], axis);
    sums.add(data.subarray(4 * per), [2, ...shape.slice(1)], axis);
    const s = sums.statistics()!;
    const values = [...data];
    const mean = values.reduce((a, b) => a + b, 0) / size;
    const central = (power: number): number => values.reduce((sum, x) => sum + (x - mean) ** power, 0) / size;
    assert.deepEqual([s.count, s.zeros, s.nonFinite, s.min, s.max], [size, 1, 0, Math.min(...values), Math.max(...values)]);
    near(s.mean, mean);
    near(s.std, Math.sqrt(central(2)));
    near(s.kurtosis!, central(4) / central(2) ** 2);
    for (let c = 0; c < 5; c += 1) {
      const own = values.filter((_, i) => channelOf(i) === c);
      assert.equal(s.channels!.absmax[c], Math.max(...own.map(Math.abs)));
      near(s.channels!.energy[c]!, own.reduce((sum, x) => sum + x * x, 0) / own.length);
    }
    const sorted = [...s.channels!.absmax].sort((a, b) => a - b);
    near(s.channelSpread!, sorted[4]! / sorted[2]!);
    const magnitudes = values.map(Math.abs).sort((a, b) => a - b);
    const exact = magnitudes[Math.ceil(0.5 * size) - 1]!;
    assert.ok(s.magnitude.p50 >= exact && s.magnitude.p50 <= exact * 2 ** (1 / 16), `${s.magnitude.p50}, median ${exact}`);
    assert.equal(s.histogram.counts.reduce((a, b) => a + b, 0), size - 1);
  }
});

test('infinities of masks are counted and left out; nothing finite gives nothing', () => {
  const sums = new ActivationSums();
  sums.add(Float32Array.of(-Infinity, 1, NaN, -2), [1, 4], null);
  const s = sums.statistics()!;
  assert.deepEqual([s.count, s.nonFinite, s.min, s.max, s.channels], [2, 2, -2, 1, null]);
  const none = new ActivationSums();
  none.add(Float32Array.of(NaN), [1, 1], null);
  assert.equal(none.statistics(), null);
});
