import test from 'node:test';
import assert from 'node:assert/strict';
import oracle from './numpy-oracle.json';
import { isBlockScaled, type BlockScaledFormat } from '../../../kernels/formats/format';
import { parseFormat } from '../../../kernels/formats/registry';
import { formatError } from '../../../kernels/jobs/format-error';
import { scanJob } from '../../../kernels/jobs/scan';
import { inlineJobContext } from '../../support/inline-job-context';
import { temporarySafetensors } from '../../support/temporary-safetensors';

/** The weights of make_numpy_oracle.py. */
function oracleWeights(rows: number, cols: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: rows * cols }, (_, i) => {
    let total = 0;
    for (let k = 0; k < 4; k += 1) {
      state = Number((BigInt(state) * 1664525n + 1013904223n) % 2n ** 32n);
      total += state / 2 ** 32 - 0.5;
    }
    return total * (i % 53 === 0 ? 16 : 1) * 0.05;
  });
}

const close = (actual: number | null, expected: number, tolerance: number, what: string): void => {
  assert.ok(actual !== null && Math.abs(actual - expected) <= tolerance * Math.abs(expected), `${what}: ${actual}, numpy says ${expected}`);
};

test('mse, SQNR and cosine agree with numpy float32 for every family and granularity, through encode and decode', () => {
  for (const { rows, cols, seed, cases } of oracle) {
    const weights = oracleWeights(rows, cols, seed);
    const view = { rows, cols };
    for (const expected of cases) {
      const format = parseFormat(expected.format);
      const values = format.decode(format.encode(weights, view, 'absmax'));
      let [squared, signal, product, power] = [0, 0, 0, 0];
      values.forEach((y, i) => {
        const x = weights[i]!;
        squared += Math.fround(x - y) ** 2;
        signal += x * x;
        product += x * y;
        power += y * y;
      });
      const what = `${expected.format} on ${rows}x${cols}`;
      close(squared / weights.length, expected.mse, 1e-12, what);
      close(10 * Math.log10(signal / squared), expected.sqnrDb, 1e-12, what);
      close(product / Math.sqrt(signal * power), expected.cosine, 1e-12, what);
    }
  }
});

test('a scan of a file gives the same figures as numpy', async (t) => {
  const file = await temporarySafetensors(t, oracle.map(({ rows, cols, seed }) => ({ name: `w${seed}`, shape: [rows, cols], values: oracleWeights(rows, cols, seed) })));
  const formats = oracle[0]!.cases.map((each) => each.format);
  const result = await scanJob.run({ checkpoint: file, weights: oracle.map(({ seed }) => ({ key: `layer${seed}`, tensor: `w${seed}`, outputAxis: 0 })), formats, scaleRule: 'absmax' }, inlineJobContext());
  result.weights.forEach((scan, i) => {
    const { rows, cols, cases } = oracle[i]!;
    assert.deepEqual(scan.view, { rows, cols });
    for (const expected of cases) {
      const found = scan.formats[expected.format]!;
      const what = `${expected.format} on ${rows}x${cols}`;
      close(found.mse, expected.mse, 1e-12, what);
      close(found.sqnrDb, expected.sqnrDb, 1e-12, what);
      // Squares of codes are added in float32: the cosine has half the digits of a double.
      close(found.cosine, expected.cosine, 1e-8, what);
      const cost = parseFormat(expected.format).storage(scan.view);
      assert.equal(found.bitsPerWeight, cost.totalBits / (rows * cols));
      assert.equal(found.bytes, Math.ceil(cost.totalBits / 8));
    }
  });
});

test('edge figures: no error, no signal, nothing left', () => {
  const format = parseFormat('int4') as BlockScaledFormat;
  assert.ok(isBlockScaled(format));
  const view = { rows: 1, cols: 10 };
  assert.deepEqual([formatError(format, view, 'absmax', 10, 5, { squared: 0, power: 5 })].map((e) => [e.mse, e.sqnrDb, e.cosine]), [[0, null, 1]]);
  assert.deepEqual([formatError(format, view, 'absmax', 10, 0, { squared: 0, power: 0 })].map((e) => [e.mse, e.sqnrDb, e.cosine]), [[0, null, null]]);
  // Everything became zero: e = x.
  assert.deepEqual([formatError(format, view, 'absmax', 10, 5, { squared: 5, power: 0 })].map((e) => [e.mse, e.sqnrDb, e.cosine]), [[0.5, 0, null]]);
  assert.equal(formatError(parseFormat('bf16'), view, 'mse', 10, 5, { squared: 1, power: 4 }).scaleRule, 'absmax');
});
