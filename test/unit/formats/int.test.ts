import test from 'node:test';
import assert from 'node:assert/strict';
import type { BlockScaledFormat } from '../../../kernels/formats/format';
import { packRows } from '../../../kernels/formats/pack';
import { parseFormat } from '../../../kernels/formats/registry';
import { Random } from '../../../kernels/numerics/random';

function normal(seed: number, length: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length }, (_, i) => random.normal() * (i % 61 === 0 ? 8 : 1) * 0.1);
}

test('codes stay within their range: sym, symr and asym', () => {
  const weights = normal(8, 512);
  for (let bits = 2; bits <= 8; bits += 1) {
    for (const [symmetry, low, high] of [['sym', -(2 ** (bits - 1)), 2 ** (bits - 1) - 1], ['symr', 1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1], ['asym', 0, 2 ** bits - 1]] as const) {
      const { codes, scales, zeroPoints } = parseFormat(`int${bits}-${symmetry}-g32`).encode(weights, { rows: 2, cols: 256 }, 'mse');
      assert.equal(scales.length, 16);
      assert.equal(zeroPoints?.length ?? null, symmetry === 'asym' ? 16 : null);
      assert.ok(codes.every((code) => code >= low && code <= high), `int${bits}-${symmetry}`);
      assert.ok(new Set(codes).size > Math.min(2, 2 ** bits - 2), 'codes are used');
    }
  }
});

test('the packed fields of one row begin with what compressed-tensors stores', () => {
  for (const id of ['int3-sym-channel', 'int4-sym-channel', 'int7-sym-channel']) {
    const format = parseFormat(id) as BlockScaledFormat;
    const view = { rows: 1, cols: 96 };
    const quantized = format.encode(normal(9, 96), view, 'absmax');
    const words = packRows(quantized.codes, 1, 96, format.codeBits, 2 ** (format.codeBits - 1));
    assert.deepEqual(format.pack(quantized).subarray(0, words.byteLength), new Uint8Array(words.buffer));
  }
});

test('16-bit scales are rounded before use, so what is stored decodes to what was measured', () => {
  for (const [id, step] of [['int4-g32-sf16', 2 ** -10], ['int4-g32-sbf16', 2 ** -7]] as const) {
    const format = parseFormat(id);
    const { scales } = format.encode(normal(6, 256), { rows: 2, cols: 128 }, 'absmax');
    for (const scale of scales) {
      const exponent = Math.floor(Math.log2(scale));
      assert.ok(Number.isInteger(scale / 2 ** exponent / step), `${scale} has too many bits for ${id}`);
    }
    assert.ok(format.nominalBitsPerWeight === 4 + 16 / 32);
  }
});

test('a block of zeros has scale 1', () => {
  for (const id of ['int4-sym-channel', 'int8-asym-channel', 'fp8-e4m3-channel', 'nf4-g64', 'mxfp4']) {
    assert.deepEqual(Array.from(parseFormat(id).encode(new Float32Array(32), { rows: 1, cols: 32 }, 'mse').scales), [1], id);
  }
});
