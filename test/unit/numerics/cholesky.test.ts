import assert from 'node:assert/strict';
import test from 'node:test';
import { factorInPlace, solveFactored, upperFactor } from '../../../kernels/numerics/cholesky';
import { Random } from '../../../kernels/numerics/random';
import { Multiplier } from '../../../kernels/run/multiply';

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

test('the factor in blocks is the plain one, with the same bits for any number of threads', async () => {
  for (const n of [1, 127, 128, 129, 300]) {
    const h = positive(n, n);
    const plain = upperFactor(h, n, 0.5)!;
    const found = await Promise.all([1, 2, 5].map((threads) => Multiplier.with(async (multiply) => { const r = h.slice(); assert.ok(await factorInPlace(r, n, 0.5, multiply)); return r; }, threads)));
    plain.forEach((value, i) => { assert.ok(Math.abs(value - found[0]![i]!) < 1e-8, `${n}: ${i}`); });
    assert.deepEqual(found[1], found[0]);
    assert.deepEqual(found[2], found[0]);
  }
});

test('a matrix that is not positive definite has no factor', async () => {
  assert.equal(upperFactor(Float64Array.of(1, 2, 2, 1), 2, 0), null);
  assert.equal(upperFactor(Float64Array.of(NaN), 1, 0), null);
  assert.ok(upperFactor(Float64Array.of(1, 2, 2, 1), 2, 3));
  const h = positive(200, 1);
  h[0] = -1;
  assert.equal(await Multiplier.with((multiply) => factorInPlace(h, 200, 0, multiply)), false);
});

test('solutions solve', async () => {
  for (const [n, rows] of [[9, 2], [200, 3], [150, 160]] as const) {
    const h = positive(n, 4);
    const random = new Random(9);
    const s = Float64Array.from({ length: rows * n }, () => random.normal());
    const x = s.slice();
    const factor = h.slice();
    await Multiplier.with(async (multiply) => { await factorInPlace(factor, n, 0, multiply); await solveFactored(factor, n, x, rows, multiply); });
    for (let r = 0; r < rows; r += 1) for (let c = 0; c < n; c += 1) {
      let sum = 0;
      for (let k = 0; k < n; k += 1) sum += x[r * n + k]! * h[k * n + c]!;
      assert.ok(Math.abs(sum - s[r * n + c]!) < 1e-6, `${n}: ${sum} ${s[r * n + c]}`);
    }
  }
});
