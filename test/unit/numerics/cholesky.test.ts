import assert from 'node:assert/strict';
import test from 'node:test';
import { solveSymmetric, upperFactor } from '../../../kernels/numerics/cholesky';
import { Random } from '../../../kernels/numerics/random';

function positive(n: number, seed: number): Float64Array {
  const random = new Random(seed);
  const a = Float64Array.from({ length: n * (n + 2) }, () => random.normal());
  const h = new Float64Array(n * n);
  for (let i = 0; i < n; i += 1) for (let j = 0; j < n; j += 1) for (let k = 0; k < n + 2; k += 1) h[i * n + j]! += a[i * (n + 2) + k]! * a[j * (n + 2) + k]!;
  return h;
}

test('the upper factor times its transpose is the matrix', () => {
  for (const n of [1, 2, 7, 33]) {
    const h = positive(n, n);
    const r = upperFactor(h, n, 0.5)!;
    for (let i = 0; i < n; i += 1) {
      for (let j = 0; j < n; j += 1) {
        let sum = 0;
        for (let k = 0; k < n; k += 1) sum += r[i * n + k]! * r[j * n + k]!;
        assert.ok(Math.abs(sum - h[i * n + j]! - (i === j ? 0.5 : 0)) < 1e-9 * n * n, `${n}: ${i}, ${j}`);
        if (j < i) assert.equal(r[i * n + j], 0);
      }
    }
  }
});

test('a matrix that is not positive definite has no factor', () => {
  assert.equal(upperFactor(Float64Array.of(1, 2, 2, 1), 2, 0), null);
  assert.equal(upperFactor(Float64Array.of(NaN), 1, 0), null);
  assert.ok(upperFactor(Float64Array.of(1, 2, 2, 1), 2, 3));
});

test('solutions solve', () => {
  const n = 9;
  const h = positive(n, 4);
  const random = new Random(9);
  const b = Float64Array.from({ length: n * 2 }, () => random.normal());
  const x = b.slice();
  assert.ok(solveSymmetric(h, n, x, 2));
  for (let i = 0; i < n; i += 1) for (let c = 0; c < 2; c += 1) {
    let sum = 0;
    for (let k = 0; k < n; k += 1) sum += h[i * n + k]! * x[k * 2 + c]!;
    assert.ok(Math.abs(sum - b[i * 2 + c]!) < 1e-8);
  }
});
