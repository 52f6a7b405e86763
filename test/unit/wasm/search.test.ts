import assert from 'node:assert/strict';
import test from 'node:test';
import * as plain from '../../../kernels/numerics/ggml/encode-search';
import { Random } from '../../../kernels/numerics/random';
import * as fast from '../../../kernels/wasm/search';

const STEPS: readonly plain.AffineSteps[] = [
  { least: -1, step: 0.1, count: 20, absolute: false }, { least: -0.5, step: 0.1, count: 15, absolute: true }, { least: -0.9, step: 0.05, count: 36, absolute: false },
];

/** Runs of values of every kind: smooth, with ties, one-sided, zero, denormal, huge. */
function* runs(length: number): Generator<Float32Array> {
  const random = new Random(3);
  for (let round = 0; round < 60; round += 1) {
    yield Float32Array.from({ length }, () => random.normal() * 10 ** (random.integer(8) - 5));
    yield Float32Array.from({ length }, () => random.integer(7) - 3);
    yield Float32Array.from({ length }, () => Math.abs(random.normal()) + 0.5);
    yield Float32Array.from({ length }, () => -Math.abs(random.normal()));
    yield Float32Array.from({ length }, () => (random.uniform() < 0.8 ? 0 : random.normal() * 1e-3));
    yield Float32Array.from({ length }, () => random.normal() * 1e-42);
    yield Float32Array.from({ length }, () => random.normal() * 1e7);
  }
  yield new Float32Array(length);
  yield new Float32Array(length).fill(2.5);
  yield new Float32Array(length).fill(-2.5);
}

test('the searches of ggml\'s encoders give the codes and the bits of the plain ones', () => {
  const random = new Random(8);
  let compared = 0;
  for (const length of [16, 32]) {
    for (const values of runs(length)) {
      const x = new Float32Array(length + 5);
      x.set(values, 3);
      const w = Float32Array.from({ length: length + 4 }, () => random.uniform() ** 2);
      const [a, b] = [new Int32Array(length + 8).fill(-99), new Int32Array(length + 8).fill(-99)];
      for (const most of [3, 15, 31]) {
        for (const steps of STEPS) {
          const one = plain.affineSearch(length, most, x, 3, w, 2, a, 4, steps);
          const other = fast.affineSearch(length, most, x, 3, w, 2, b, 4, steps);
          assert.ok(Object.is(one, other) && plain.foundMinimum === fast.foundMinimum, `${one} ${other}, ${plain.foundMinimum} ${fast.foundMinimum}`);
          assert.deepEqual(a, b);
          compared += 1;
        }
      }
      for (const most of [4, 8, 16, 32]) {
        for (const weights of [w, null]) {
          assert.ok(Object.is(plain.symmetricSearch(length, most, x, 3, a, 4, weights, 2), fast.symmetricSearch(length, most, x, 3, b, 4, weights, 2)));
          assert.deepEqual(a, b, `symmetric ${most}`);
          compared += 1;
        }
      }
      assert.ok([0, 3, length + 4, length + 7].every((i) => b[i] === -99), 'nothing is written around the codes');
    }
  }
  assert.ok(compared > 10_000);
});
