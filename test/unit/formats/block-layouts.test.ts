/** Two-dimensional blocks and double-quantized scales. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { parseFormat } from '../../../kernels/formats/registry';
import { FormatIdError } from '../../../kernels/formats/format';
import { Random } from '../../../kernels/numerics/random';

function normal(seed: number, length: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length }, (_, i) => random.normal() * (i % 97 === 0 ? 6 : 1));
}

test('each two-dimensional block is the per-tensor format of its values, at edges too', () => {
  const [rows, cols] = [10, 23];
  const weights = normal(1, rows * cols);
  for (const [id, plain] of [['int8-sym-b4x8', 'int8-sym-tensor'], ['int4-asym-b4x8', 'int4-asym-tensor'], ['fp8-e4m3-b4x8', 'fp8-e4m3-tensor']] as const) {
    for (const rule of ['absmax', 'mse'] as const) {
      const format = parseFormat(id);
      const values = format.decode(format.encode(weights, { rows, cols }, rule));
      for (let top = 0; top < rows; top += 4) for (let left = 0; left < cols; left += 8) {
        const places: number[] = [];
        for (let row = top; row < Math.min(top + 4, rows); row += 1) for (let col = left; col < Math.min(left + 8, cols); col += 1) places.push(row * cols + col);
        const block = Float32Array.from(places, (at) => weights[at]!);
        const tensor = parseFormat(plain);
        assert.deepEqual(Float32Array.from(places, (at) => values[at]!), tensor.decode(tensor.encode(block, { rows: 1, cols: block.length }, rule)), `${id} ${rule} at ${top},${left}`);
      }
    }
  }
  // ceil(10 / 4) x ceil(23 / 8) scales.
  assert.equal(parseFormat('fp8-e4m3-b4x8').storage({ rows, cols }).scaleBits, 9 * 32);
  assert.equal(parseFormat('int8-b64x64').id, 'int8-sym-b64x64');
  for (const id of ['int8-sym-b0x4', 'nf4-b8x8', 'int8-sym-g32-b8x8', 'int8-sym-b9000x1']) assert.throws(() => parseFormat(id), FormatIdError, id);
});

test('double-quantized scales cost 4.127 bits a weight and little error (nf4-study)', () => {
  const view = { rows: 64, cols: 2048 };
  const weights = normal(2, view.rows * view.cols);
  const errorOf = (id: string): number => {
    const values = parseFormat(id).decode(parseFormat(id).encode(weights, view, 'absmax'));
    return weights.reduce((sum, x, i) => sum + (x - values[i]!) ** 2, 0);
  };
  const { bitsPerWeight } = parseFormat('dq-nf4-g64').storage(view);
  assert.ok(Math.abs(bitsPerWeight - 4.127) < 0.001, `${bitsPerWeight}`);
  assert.equal(parseFormat('nf4-g64').storage(view).bitsPerWeight, 4.5);
  for (const name of ['nf4', 'bnb-fp4']) {
    const ratio = errorOf(`dq-${name}-g64`) / errorOf(`${name}-g64`);
    assert.ok(ratio > 0.99 && ratio < 1.02, `${name}: ${ratio}`);
    // The codes are those of the free scales.
    assert.deepEqual(Array.from(parseFormat(`dq-${name}-g64`).encode(weights, view, 'absmax').codes), Array.from(parseFormat(`${name}-g64`).encode(weights, view, 'absmax').codes));
  }
});
