import assert from 'node:assert/strict';
import test from 'node:test';
import type { Operand } from '../../../kernels/numerics/matrix';
import { Random } from '../../../kernels/numerics/random';
import { Multiplier } from '../../../kernels/run/multiply';

const random = new Random(5);
const matrix = (rows: number, cols: number, turned: boolean): Operand => ({ data: Float64Array.from({ length: rows * cols }, () => random.normal()), ...(turned ? { rows: cols, cols: rows } : { rows, cols }), turned });
const at = ({ data, cols, turned }: Operand, i: number, j: number): number => (turned ? data[j * cols + i]! : data[i * cols + j]!);

test('products are those of the definition, with the same bits for any number of threads', async () => {
  for (const [m, n, k] of [[1, 1, 1], [3, 5, 7], [40, 30, 500], [30, 200, 700], [2, 0, 3], [2, 3, 0]] as const) {
    for (const [turnA, turnB] of [[false, false], [true, false], [false, true], [true, true]] as const) {
      const [a, b] = [matrix(m, k, turnA), matrix(k, n, turnB)];
      const [one, ...others] = await Promise.all([1, 2, 16].map((threads) => Multiplier.with((multiply) => multiply(a, b), threads)));
      for (const other of others) assert.deepEqual(other, one);
      assert.equal(one!.length, m * n);
      for (let i = 0; i < m; i += 1) for (let j = 0; j < n; j += 1) {
        let sum = 0;
        for (let l = 0; l < k; l += 1) sum += at(a, i, l) * at(b, l, j);
        assert.ok(Math.abs(one![i * n + j]! - sum) < 1e-11, `${m} ${n} ${k}: ${i}, ${j}`);
      }
    }
  }
});

test('factors that do not fit are refused', async () => {
  await assert.rejects(Multiplier.with((multiply) => multiply(matrix(2, 3, false), matrix(4, 2, false))), /product of \[2, 3\] and \[4, 2\]/);
});
