import test from 'node:test';
import assert from 'node:assert/strict';
import { Random } from '../../../kernels/numerics/random';
import { CompensatedSum, mergeMoments, NO_MOMENTS, type Moments } from '../../../kernels/numerics/sums';

test('compensated sums keep what plain sums lose', () => {
  const sum = new CompensatedSum();
  for (const value of [1, 1e100, 1, -1e100]) sum.add(value);
  assert.equal(sum.value, 2);
  const many = new CompensatedSum();
  for (let i = 0; i < 1e6; i += 1) many.add(0.1);
  assert.ok(Math.abs(many.value - 1e5) < 1e-9);
});

function moments(values: readonly number[]): Moments {
  const count = values.length;
  const mean = values.reduce((sum, x) => sum + x, 0) / count;
  const power = (p: number): number => values.reduce((sum, x) => sum + (x - mean) ** p, 0);
  return { count, mean, m2: power(2), m3: power(3), m4: power(4) };
}

test('moments of parts merge to the moments of the whole, however it is cut', () => {
  const random = new Random(3);
  for (let trial = 0; trial < 200; trial += 1) {
    const values = Array.from({ length: 2 + random.integer(60) }, () => 100 + random.normal() ** 3);
    const whole = moments(values);
    let merged = NO_MOMENTS;
    for (let at = 0; at < values.length;) {
      const size = 1 + random.integer(10);
      merged = mergeMoments(merged, moments(values.slice(at, at + size)));
      at += size;
    }
    assert.equal(merged.count, whole.count);
    for (const key of ['mean', 'm2', 'm3', 'm4'] as const) {
      const scale = Math.max(Math.abs(whole[key]), key === 'm3' ? whole.m2 ** 1.5 / Math.sqrt(whole.count) : 0, 1e-12);
      assert.ok(Math.abs(merged[key] - whole[key]) <= 1e-9 * scale, `${key}: ${merged[key]} and ${whole[key]}`);
    }
  }
});

test('random numbers: same seed same sequence, uniform and normal as they should be', () => {
  const [a, b, c] = [new Random(5), new Random(5), new Random(6)];
  const take = (random: Random): number[] => Array.from({ length: 10 }, () => random.bits());
  const first = take(a);
  assert.deepEqual(first, take(b));
  assert.notDeepEqual(first, take(c));
  const sample = moments(Array.from({ length: 100_000 }, () => a.normal()));
  assert.ok(Math.abs(sample.mean) < 0.02 && Math.abs(sample.m2 / sample.count - 1) < 0.02);
  assert.ok(Math.abs((sample.count * sample.m4) / sample.m2 ** 2 - 3) < 0.1);
  const uniform = moments(Array.from({ length: 100_000 }, () => a.uniform()));
  assert.ok(Math.abs(uniform.mean - 0.5) < 0.005 && Math.abs(uniform.m2 / uniform.count - 1 / 12) < 0.002);
});
