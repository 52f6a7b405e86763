import assert from 'node:assert/strict';
import test from 'node:test';
import { clipChoice as plain } from '../../../kernels/numerics/clip-choice';
import { Random } from '../../../kernels/numerics/random';
import { clipChoice as fast } from '../../../kernels/wasm/clip';

/** Blocks of every kind: smooth, full of ties, one-sided, nearly empty, of one value, with an outlier. */
function block(kind: number, length: number, random: Random): Float64Array {
  const draw = [() => random.normal(), () => (random.integer(9) - 4) / 2, () => Math.abs(random.normal()) + 1, () => (random.uniform() < 0.9 ? 0 : random.normal()), () => 0.75, () => random.normal() ** 5][kind]!;
  return Float64Array.from({ length }, draw);
}

test('the search for a scale in SIMD makes the choice of the plain one', () => {
  const random = new Random(4);
  const chosen = new Set<number>();
  for (let round = 0; round < 40; round += 1) for (let kind = 0; kind < 6; kind += 1) for (const length of [1, 2, 31, 32, 33, 128]) {
    const [at, weightsAt] = [random.integer(4), random.integer(4)];
    const values = block(kind, length + 5, random);
    const weights = Float64Array.from({ length: length + 5 }, () => random.uniform() ** 3);
    const largest = values.subarray(at, at + length).reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
    for (const [low, high, zero] of [[-7, 7, 0], [-8, 7, 0], [0, 15, 6], [-1, 1, 0]] as const) {
      const scales = Float64Array.from({ length: 81 }, (_, c) => Math.fround((largest * (100 - c)) / 100 / high));
      const trials = { scales, zeros: new Float64Array(81).fill(zero) };
      const run = { values: round % 2 ? Float32Array.from(values) : values, at, length, weights, weightsAt };
      const expected = plain(run, trials, { low, high });
      assert.equal(fast(run, trials, { low, high }), expected, `round ${round}, kind ${kind}, ${length} values, codes ${low} to ${high}`);
      chosen.add(expected);
    }
  }
  assert.ok(chosen.size > 40, 'many different choices were compared');
});

test('the choice is the scale of least weighted error, the first of equals', () => {
  const run = { values: Float64Array.of(0.9, 2, 0.4), at: 0, length: 3, weights: Float64Array.of(1, 1e-3, 1), weightsAt: 0 };
  // On scale 1 the first two are 1 and 1, errors 0.01 + 0.001 + 0.16; on 2: 0.81 + 0 + 0.16; on 0.45: 0.2025 + 0.0024 + 0.0025.
  assert.equal(fast(run, { scales: Float64Array.of(2, 1, 0.45), zeros: new Float64Array(3) }, { low: -1, high: 1 }), 1);
  assert.equal(fast({ ...run, weights: new Float64Array(3) }, { scales: Float64Array.of(2, 1, 0.45), zeros: new Float64Array(3) }, { low: -1, high: 1 }), 0);
});
