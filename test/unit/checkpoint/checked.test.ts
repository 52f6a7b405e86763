import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { checkedBytes, checkedExtent, checkedProduct, isContiguous, rowMajorStrides } from '../../../kernels/checkpoint/checked';

test('a product of dimensions is exact or refused, in any order (>= 10,000 shapes)', () => {
  const values = [0n, 1n, 2n, 2n ** 31n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];
  let shapes = 0;
  const visit = (shape: bigint[]): void => {
    if (shape.length > 0) {
      shapes++;
      const exact = shape.reduce((product, dim) => product * dim, 1n);
      // Small ones as numbers, as a reader gives them.
      const mixed = shape.map((dim) => (dim <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(dim) : dim));
      const expected = exact <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(exact) : null;
      assert.equal(checkedProduct(mixed, Number.MAX_SAFE_INTEGER), expected, shape.join(' x '));
      assert.equal(checkedProduct([...mixed].reverse(), Number.MAX_SAFE_INTEGER), expected);
    }
    if (shape.length < 4) for (const value of values) visit([...shape, value]);
  };
  visit([]);
  assert.ok(shapes >= 10_000, String(shapes));
});

test('products near the limit agree with bigint arithmetic', () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 31 }), { maxLength: 4 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (shape, limit) => {
    const exact = shape.reduce((product, dim) => product * BigInt(dim), 1n);
    assert.equal(checkedProduct(shape, limit), exact <= BigInt(limit) ? Number(exact) : null);
  }), { numRuns: 5000, seed: 1 });
});

test('bytes of a count of elements are whole and below 2^53, or refused', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), fc.constantFrom(4, 6, 8, 16, 32, 64, 128), (count, bits) => {
    const exact = BigInt(count) * BigInt(bits);
    const fits = exact % 8n === 0n && exact / 8n <= BigInt(Number.MAX_SAFE_INTEGER);
    assert.equal(checkedBytes(count, bits), fits ? Number(exact / 8n) : null);
  }), { numRuns: 3000, seed: 2 });
});

test('the extent of a strided view is that of its last element', () => {
  const dims = fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constantFrom(2 ** 52, Number.MAX_SAFE_INTEGER))), { maxLength: 4 });
  fc.assert(fc.property(dims, fc.integer({ min: 0, max: 1000 }), (pairs, offset) => {
    const shape = pairs.map(([dim]) => dim);
    const strides = pairs.map(([, stride]) => stride);
    const last = pairs.reduce((sum, [dim, stride]) => sum + BigInt(dim - 1) * BigInt(stride), BigInt(offset));
    const expected = shape.includes(0) ? 0 : last < BigInt(Number.MAX_SAFE_INTEGER) ? Number(last) + 1 : null;
    assert.equal(checkedExtent(shape, strides, offset), expected);
  }), { numRuns: 3000, seed: 3 });
  assert.equal(checkedExtent([2], [-1], 5), null);
  assert.equal(checkedExtent([2], [1], -1), null);
});

test('row-major strides are contiguous, and transposing breaks that', () => {
  assert.ok(isContiguous([2, 3, 4], rowMajorStrides([2, 3, 4])));
  assert.ok(!isContiguous([4, 3], [1, 4]));
  assert.ok(isContiguous([1, 3], [99, 1]));
  assert.ok(isContiguous([0, 3], [7, 7]));
  assert.ok(!isContiguous([3, 4], [0, 1]));
});
