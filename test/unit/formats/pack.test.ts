import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { packColumns, packedWords, packRows, unpackRows } from '../../../kernels/formats/pack';
import { Random } from '../../../kernels/numerics/random';
import { dataPath, needsData } from '../../support/data';

test('packing equals compressed-tensors on its 16 cases, and unpacks to what was packed', (t) => {
  const folder = 'oracles/compressed-tensors';
  if (!needsData(t, folder)) return;
  const cases = (JSON.parse(readFileSync(dataPath(`${folder}/manifest.json`), 'utf8')) as { name: string; bits?: number; rows: number; cols: number; packed_cols: number; values: string; packed: string }[])
    .filter((each) => each.bits !== undefined);
  assert.equal(cases.length, 16);
  for (const { name, bits, rows, cols, packed_cols: words, values, packed } of cases) {
    const codes = new Int8Array(readFileSync(dataPath(`${folder}/${values}`)));
    const bytes = readFileSync(dataPath(`${folder}/${packed}`));
    const expected = new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    assert.equal(packedWords(cols, bits!), words);
    assert.deepEqual(packRows(codes, rows, cols, bits!, 2 ** (bits! - 1)), expected, name);
    assert.deepEqual(unpackRows(expected, rows, cols, bits!, 2 ** (bits! - 1)), Int32Array.from(codes), name);
  }
});

test('packing along dimension 0 is packing of the transpose', () => {
  const random = new Random(1);
  for (const [rows, cols, bits] of [[1, 1, 4], [9, 3, 5], [33, 2, 8], [64, 4, 3]] as const) {
    const codes = Int32Array.from({ length: rows * cols }, () => random.integer(2 ** bits));
    const packed = packColumns(codes, rows, cols, bits, 0);
    assert.equal(packed.length, packedWords(rows, bits) * cols);
    for (let col = 0; col < cols; col += 1) {
      const column = Int32Array.from({ length: packedWords(rows, bits) }, (_, word) => packed[word * cols + col]!);
      assert.deepEqual(unpackRows(column, 1, rows, bits, 0), Int32Array.from({ length: rows }, (_, row) => codes[row * cols + col]!));
    }
  }
});
