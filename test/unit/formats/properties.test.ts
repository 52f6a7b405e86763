import test from 'node:test';
import assert from 'node:assert/strict';
import { CLIP_FRACTIONS } from '../../../kernels/formats/clip-search';
import { blockLayout } from '../../../kernels/formats/blocks';
import { dequantizeElement, loadedCode } from '../../../kernels/formats/element';
import type { BlockScaledFormat } from '../../../kernels/formats/format';
import { packRows } from '../../../kernels/formats/pack';
import { families, listedFormats, parseFormat } from '../../../kernels/formats/registry';
import { Random } from '../../../kernels/numerics/random';

const scaled = listedFormats() as BlockScaledFormat[];
const VIEWS = [{ rows: 3, cols: 256 }, { rows: 4, cols: 27 }, { rows: 1, cols: 128 }, { rows: 130, cols: 1 }];

function normal(seed: number, length: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length }, (_, i) => random.normal() * (i % 61 === 0 ? 8 : 1) * 0.1);
}

const squaredError = (a: Float32Array, b: Float32Array, from = 0, to = a.length): number => {
  let sum = 0;
  for (let i = from; i < to; i += 1) sum += (a[i]! - b[i]!) ** 2;
  return sum;
};

test('encoding what was decoded, with the same scales, changes nothing', () => {
  for (const format of scaled) {
    for (const view of VIEWS) {
      const quantized = format.encode(normal(1, view.rows * view.cols), view, 'absmax');
      const values = format.decode(quantized);
      const again = format.encodeWith(values, view, quantized);
      assert.deepEqual(format.decode(again), values, `${format.id} ${view.rows}x${view.cols}`);
    }
  }
});

test('every weight gets the nearest of all values its block can hold', () => {
  const random = new Random(2);
  for (const format of scaled.filter((each) => each.codeBits <= 8)) {
    const view = { rows: 2, cols: 128 };
    const weights = normal(3, 256);
    for (const rule of ['absmax', 'mse'] as const) {
      const quantized = format.encode(weights, view, rule);
      const values = format.decode(quantized);
      const { size } = blockLayout(view, format.granularity);
      const { element } = format;
      const codes = element.kind === 'int'
        ? Array.from({ length: element.high - element.low + 1 }, (_, i) => i + element.low)
        : Array.from({ length: 256 }, (_, code) => loadedCode(element, code)).filter((value) => Number.isFinite(value));
      for (let trial = 0; trial < 24; trial += 1) {
        const i = random.integer(256);
        const block = Math.floor(i / size);
        const distances = codes.map((code) => Math.abs(weights[i]! - dequantizeElement(element, code, quantized.scales[block]!, quantized.zeroPoints?.[block] ?? 0)));
        // Half-way points are judged after a float32 division: a last-place rounding of it is allowed for.
        assert.ok(Math.abs(weights[i]! - values[i]!) <= Math.min(...distances) * (1 + 1e-5) + 1e-9, `${format.id} ${rule} weight ${i}`);
      }
    }
  }
});

test('decoded values rise with the weights of a block', () => {
  for (const format of scaled) {
    const weights = normal(4, 128).sort();
    const view = { rows: 1, cols: 128 };
    const values = format.decode(format.encode(weights, view, 'mse'));
    const { size } = blockLayout(view, format.granularity);
    for (let i = 1; i < values.length; i += 1) if (i % size !== 0) assert.ok(values[i]! >= values[i - 1]!, `${format.id} at ${i}`);
  }
});

test('the storage cost is the size of what is stored: codes packed, scales, zero points', () => {
  for (const format of [...scaled, parseFormat('int4-asym-g32-sf16'), parseFormat('int3-symr-tensor-sbf16')] as BlockScaledFormat[]) {
    for (const view of VIEWS) {
      const { codes, scales, zeroPoints } = format.encode(normal(5, view.rows * view.cols), view, 'absmax');
      const cost = format.storage(view);
      const scaleBits = scales.length * (format.scaleStorage === 'f32' ? 32 : 16);
      const zeroBits = (zeroPoints?.length ?? 0) * format.codeBits;
      assert.equal(cost.codeBits, codes.length * format.codeBits);
      assert.equal(cost.totalBits, codes.length * format.codeBits + scaleBits + zeroBits, format.id);
      assert.equal(cost.bitsPerWeight, cost.totalBits / codes.length);
      if (format.codeBits <= 8 && format.element.kind === 'int') {
        const words = packRows(codes, 1, codes.length, format.codeBits, -format.element.low).length;
        assert.ok(words * 32 - cost.codeBits >= 0 && words * 32 - cost.codeBits < 32, 'packed codes fill whole words');
      }
    }
  }
});

test('16-bit scales are rounded before use, so what is stored decodes to what was measured', () => {
  for (const [id, step] of [['int4-g32-sf16', 2 ** -10], ['int4-g32-sbf16', 2 ** -7]] as const) {
    const format = parseFormat(id) as BlockScaledFormat;
    const { scales } = format.encode(normal(6, 256), { rows: 2, cols: 128 }, 'absmax');
    for (const scale of scales) {
      const exponent = Math.floor(Math.log2(scale));
      assert.ok(Number.isInteger(scale / 2 ** exponent / step), `${scale} has too many bits for ${id}`);
    }
    assert.ok(format.nominalBitsPerWeight === 4 + 16 / 32);
  }
});

test('the mse rule never has a larger sum of squares than absmax, in any block, and only shrinks ranges', () => {
  for (const format of scaled.filter((each) => each.granularity !== null)) {
    for (const view of VIEWS) {
      const weights = normal(7, view.rows * view.cols);
      const plain = format.encode(weights, view, 'absmax');
      const clipped = format.encode(weights, view, 'mse');
      const [a, b] = [format.decode(plain), format.decode(clipped)];
      const { count, size } = blockLayout(view, format.granularity);
      for (let block = 0; block < count; block += 1) {
        const [from, to] = [block * size, (block + 1) * size];
        assert.ok(squaredError(weights, b, from, to) <= squaredError(weights, a, from, to) * (1 + 1e-12), `${format.id} block ${block}`);
        assert.ok(clipped.scales[block]! <= plain.scales[block]!, `${format.id} block ${block} grew`);
      }
    }
  }
});

test('clip fractions fall from 1 to 0.2 in hundredths, and a block without gain keeps absmax', () => {
  assert.equal(CLIP_FRACTIONS.length, 81);
  assert.equal(CLIP_FRACTIONS[0], 1);
  assert.ok(Math.abs(CLIP_FRACTIONS[80]! - 0.2) < 1e-7);
  const exact = Float32Array.of(-7, 0, 3, 7);
  assert.equal(parseFormat('int4').encode(exact, { rows: 1, cols: 4 }, 'mse').scales[0], 1);
});

test('hostile blocks: empty, zeros, NaN, infinities, denormals and huge values give finite codes and positive scales', () => {
  const inputs = {
    zeros: new Float32Array(32),
    notANumber: Float32Array.from({ length: 32 }, (_, i) => (i % 4 === 0 ? NaN : i)),
    infinite: Float32Array.from({ length: 32 }, (_, i) => (i === 3 ? Infinity : i === 5 ? -Infinity : 0.5)),
    onlyNaN: new Float32Array(32).fill(NaN),
    denormal: new Float32Array(32).fill(1e-45),
    huge: Float32Array.from({ length: 32 }, (_, i) => (i % 2 ? 3.4e38 : -3.4e38)),
  };
  for (const format of scaled) {
    for (const [name, weights] of Object.entries(inputs)) {
      for (const rule of ['absmax', 'mse'] as const) {
        const quantized = format.encode(weights, { rows: 1, cols: 32 }, rule);
        const values = format.decode(quantized);
        assert.ok(quantized.scales.every((scale) => scale > 0 && Number.isFinite(scale)), `${format.id} ${name} scale`);
        assert.ok(values.every((value) => Number.isFinite(value)), `${format.id} ${name} values`);
        weights.forEach((weight, i) => { if (!Number.isFinite(weight)) assert.equal(values[i]! + 0, 0, `${format.id} ${name}: ${weight} is stored as zero`); });
        if (name === 'zeros') assert.ok(quantized.scales.every((scale) => scale === 1), 'a block of zeros has scale 1');
      }
    }
    const empty = format.encode(new Float32Array(0), { rows: 0, cols: 0 }, 'absmax');
    assert.equal(format.decode(empty).length, 0);
    assert.equal(format.storage({ rows: 0, cols: 0 }).bitsPerWeight, 0);
  }
});

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

test('more bits and smaller blocks never hurt on average', () => {
  const weights = normal(9, 4096);
  const view = { rows: 16, cols: 256 };
  const error = (id: string): number => {
    const format = parseFormat(id);
    return squaredError(weights, format.decode(format.encode(weights, view, 'absmax')));
  };
  for (let bits = 3; bits <= 8; bits += 1) assert.ok(error(`int${bits}-sym-channel`) < error(`int${bits - 1}-sym-channel`));
  assert.ok(error('int4-sym-g32') < error('int4-sym-g128') && error('int4-sym-g128') < error('int4-sym-channel') && error('int4-sym-channel') < error('int4-sym-tensor'));
});

test('families list canonical ids only, each once', () => {
  const ids = families.flatMap((family) => family.listed);
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) {
    const format = parseFormat(id);
    assert.equal(format.id, id);
    assert.ok(format.title.length > 0 && format.nominalBitsPerWeight >= format.codeBits);
  }
});
