import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { ggmlTypeNamed } from '../../../kernels/checkpoint/ggml-types';
import { decodeGgufRows, encodeGgufRows } from '../../../kernels/formats/gguf';
import { parseFormat } from '../../../kernels/formats/registry';
import { encodeGgmlRow } from '../../../kernels/numerics/ggml/encoders';
import { gridOf } from '../../../kernels/numerics/ggml/grids';
import { Random } from '../../../kernels/numerics/random';
import { dataPath, needsData } from '../../support/data';

interface ManifestType { name: string; imatrix: boolean; quantised: string; block: number; bytes_per_block: number; row_bytes: number; rel_mse: number }

const oracle = (name: string): Uint8Array => new Uint8Array(readFileSync(dataPath(`oracles/ggml-quants/${name}`)));
const floatsOf = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer);

test('every type encodes to the bytes that ggml writes, with and without importance', (t) => {
  if (!needsData(t, 'oracles/ggml-quants')) return;
  const { types, rows, cols } = JSON.parse(readFileSync(dataPath('oracles/ggml-quants/manifest.json'), 'utf8')) as { types: ManifestType[]; rows: number; cols: number };
  const input = floatsOf(oracle('input.f32'));
  const importance = floatsOf(oracle('imatrix.f32'));
  const sum = input.reduce((total, x) => total + x * x, 0);
  let equal = 0;
  for (const { name, imatrix, quantised, block, rel_mse: reference } of types) {
    if (block === 1) continue;
    const type = ggmlTypeNamed(name)!;
    const bytes = encodeGgufRows(type, input, { rows, cols }, imatrix ? importance : null);
    const error = decodeGgufRows(type, bytes, { rows, cols }).reduce((total, value, i) => total + (value - input[i]!) ** 2, 0) / sum;
    assert.ok(error <= 1.02 * reference, `${name}: relative error ${error}, ggml ${reference}`);
    const expected = oracle(quantised);
    // ggml 's IQ3_S does not move on behind a block of zeros: what follows lands in the wrong place, with eight times the error.
    if (name === 'iq3_s') {
      const rowBytes = bytes.length / rows;
      for (const row of [0, 1, 3]) assert.deepEqual(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), expected.subarray(row * rowBytes, (row + 1) * rowBytes), `${name} row ${row}`);
      assert.ok(error < 0.2 * reference);
    } else {
      assert.deepEqual(bytes, expected, `${name}${imatrix ? ' with importance' : ''}`);
      equal++;
    }
  }
  t.diagnostic(`${equal} encodings byte for byte`);
  assert.equal(equal, 45);
});

test('what a row decodes to does not depend on how it is asked for, and foreign values cost nothing but themselves', () => {
  const random = new Random(5);
  for (const id of ['q4_0', 'q6_k', 'iq2_xs', 'iq1_m', 'nvfp4']) {
    const type = ggmlTypeNamed(id)!;
    const weights = Float32Array.from({ length: 3 * 512 }, () => random.normal());
    const together = encodeGgufRows(type, weights, { rows: 3, cols: 512 });
    const rowBytes = together.length / 3;
    for (let row = 0; row < 3; row++) assert.deepEqual(encodeGgufRows(type, weights.subarray(512 * row, 512 * (row + 1)), { rows: 1, cols: 512 }), together.subarray(row * rowBytes, (row + 1) * rowBytes), id);
    const damaged = weights.slice(0, 512);
    damaged[100] = NaN;
    damaged[101] = -Infinity;
    const cleared = damaged.map((x) => (Number.isFinite(x) ? x : 0));
    const out = new Uint8Array(rowBytes + 3).fill(0xaa);
    encodeGgmlRow(type.name, damaged, null, out.subarray(0, rowBytes));
    assert.deepEqual(out.subarray(0, rowBytes), encodeGgufRows(type, cleared, { rows: 1, cols: 512 }), id);
    assert.deepEqual([...out.subarray(rowBytes)], [0xaa, 0xaa, 0xaa], 'nothing is written behind the row');
  }
});

test('weights by importance have less error where it matters', () => {
  const random = new Random(6);
  const cols = 1024;
  const weights = Float32Array.from({ length: cols }, () => random.normal());
  const importance = Float32Array.from({ length: cols }, () => Math.exp(3 * random.normal()));
  const view = { rows: 1, cols };
  for (const id of ['q2_k', 'q3_k', 'q4_k', 'q5_k', 'q4_0', 'q4_1', 'iq2_xxs', 'iq2_s', 'iq3_xxs', 'iq3_s', 'iq4_xs', 'iq1_m']) {
    const type = ggmlTypeNamed(id)!;
    const errorWith = (given: Float32Array | null): number => decodeGgufRows(type, encodeGgufRows(type, weights, view, given), view).reduce((sum, value, i) => sum + importance[i]! * (value - weights[i]!) ** 2, 0);
    assert.ok(errorWith(importance) < errorWith(null), id);
  }
});

test('the code books have distinct entries, as many as their codes can name', () => {
  for (const [name, entries] of [['IQ2_XXS', 256], ['IQ2_XS', 512], ['IQ2_S', 1024], ['IQ3_XXS', 256], ['IQ3_S', 512], ['IQ1_S', 2048]] as const) {
    const { width, values, levels, indices } = gridOf(name);
    assert.equal(values.length, entries * width);
    const rows = new Set(Array.from({ length: entries }, (_, i) => indices.subarray(i * width, (i + 1) * width).join()));
    assert.equal(rows.size, entries);
    assert.ok(values.every((value, i) => value === levels[indices[i]!]));
  }
});

test('the storage cost is that of the blocks: 4.5 bits for Q4_K, 2.0625 for IQ2_XXS', () => {
  const view = { rows: 7, cols: 1024 };
  for (const [id, bits] of [['gguf-q4_k', 4.5], ['gguf-q6_k', 6.5625], ['gguf-iq2_xxs', 2.0625], ['gguf-tq1_0', 1.6875], ['gguf-q8_0', 8.5], ['gguf-mxfp4', 4.25], ['gguf-q1_0', 1.125]] as const) {
    assert.equal(parseFormat(id).storage(view).bitsPerWeight, bits);
    assert.equal(parseFormat(id).nominalBitsPerWeight, bits);
  }
  // A part of a block costs a whole one.
  assert.equal(parseFormat('gguf-q8_0').storage({ rows: 2, cols: 33 }).totalBits, 2 * 2 * 34 * 8);
});
