/** The claims that papers make about the families of small floats, block floats and fixed point, as properties of seeded data. */
import test from 'node:test';
import assert from 'node:assert/strict';
import type { BlockScaledFormat } from '../../../kernels/formats/format';
import { parseFormat } from '../../../kernels/formats/registry';
import { decodeMinifloat, encodeMinifloat, minifloatSpec, roundToMinifloat } from '../../../kernels/numerics/minifloat';
import { Random } from '../../../kernels/numerics/random';

type Draw = (random: Random) => number;
const gaussian: Draw = (random) => random.normal();
const uniform: Draw = (random) => 2 * random.uniform() - 1;
const laplace: Draw = (random) => (random.uniform() < 0.5 ? -1 : 1) * Math.log(1 - random.uniform());
/** Student's t with `degrees` of freedom. */
const student = (degrees: number): Draw => (random) => random.normal() / Math.sqrt(Array.from({ length: degrees }, () => random.normal() ** 2).reduce((a, b) => a + b, 0) / degrees);

function sample(draw: Draw, length: number, seed = 1): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length }, () => draw(random));
}

/** Squared error over squared signal. */
function relativeError(id: string, weights: Float32Array, cols: number, rule: 'absmax' | 'mse' = 'absmax'): number {
  const format = parseFormat(id);
  const values = format.decode(format.encode(weights, { rows: weights.length / cols, cols }, rule));
  let [error, signal] = [0, 0];
  weights.forEach((x, i) => {
    error += (x - values[i]!) ** 2;
    signal += x * x;
  });
  return error / signal;
}

test('a float of one exponent bit is the restricted integer of as many bits (llm-fp4)', () => {
  for (let bits = 3; bits <= 8; bits += 1) {
    for (const rule of ['absmax', 'mse'] as const) {
      const weights = sample(gaussian, 512, bits);
      const decode = (id: string): Float32Array => {
        const format = parseFormat(id);
        return format.decode(format.encode(weights, { rows: 2, cols: 256 }, rule));
      };
      const [float, integer] = [decode(`fp${bits}-e1m${bits - 2}-g64`), decode(`int${bits}-symr-g64`)];
      // The scales differ by a power of two or its float32 rounding: values agree to the last place.
      float.forEach((value, i) => assert.ok(Math.abs(value - integer[i]!) <= 2e-7 * Math.abs(integer[i]!) + 1e-12, `${bits} bits: ${value} and ${integer[i]}`));
    }
  }
});

test('which of FP4 and INT4 has the smaller error follows the tails and the block (minifloat-ptq)', () => {
  const wins = (draw: Draw, block: number): boolean => relativeError(`fp4-e2m1-g${block}`, sample(draw, 2 ** 16), 1024) < relativeError(`int4-symr-g${block}`, sample(draw, 2 ** 16), 1024);
  for (const block of [32, 128, 1024]) {
    assert.ok(wins(laplace, block) && wins(student(4), block), `tails, ${block}`);
    assert.ok(!wins(uniform, block), `uniform, ${block}`);
  }
  assert.deepEqual([wins(gaussian, 32), wins(gaussian, 128), wins(gaussian, 1024)], [false, true, true]);
});

test('order of errors over exponent splits (fp8-exponent, fp8-vs-int8)', () => {
  const order = (draw: Draw, ids: readonly string[]): void => {
    const errors = ids.map((id) => relativeError(`${id}-tensor`, sample(draw, 20_000), 20_000, 'mse'));
    errors.forEach((error, i) => { if (i > 0) assert.ok(error > errors[i - 1]!, `${ids[i]} (${error}) after ${ids[i - 1]} (${errors[i - 1]})`); });
  };
  order(uniform, ['int8-symr', 'fp8-e2m5']);
  order(gaussian, ['fp8-e2m5', 'int8-symr', 'fp8-e3m4', 'fp8-e4m3']);
  order(student(2), ['fp8-e3m4', 'fp8-e4m3', 'int8-symr']);
});

test('FP8 against INT8 per tensor: far better on heavy tails, worse on Gaussian and uniform data (zeroquant-fp, fp8-ptq-intel)', () => {
  const ratio = (draw: Draw): number => relativeError('int8-symr-tensor', sample(draw, 2 ** 17), 2 ** 17) / relativeError('fp8-e4m3-tensor', sample(draw, 2 ** 17), 2 ** 17);
  assert.ok(ratio(student(2)) > 20);
  assert.ok(ratio(student(3)) > 2);
  assert.ok(ratio(gaussian) < 1 / 3 && ratio(uniform) < 1 / 10);
  assert.ok(relativeError('fp8-e3m4-channel', sample(gaussian, 8192), 1024) < relativeError('fp8-e4m3-channel', sample(gaussian, 8192), 1024));
});

test('scale constraints of ZeroQuant-FP: powers of two, ratios of powers of two, and their order of errors', () => {
  const weights = sample(gaussian, 2 ** 16);
  const view = { rows: 64, cols: 1024 };
  const scalesOf = (id: string): Float32Array => parseFormat(id).encode(weights, view, 'absmax').scales;
  const free = scalesOf('fp4-e2m1-g256');
  scalesOf('fp4-e2m1-g256-sp2up').forEach((scale, i) => assert.ok(Number.isInteger(Math.log2(scale)) && scale >= free[i]! && scale < 2 * free[i]!));
  const relative = scalesOf('fp4-e2m1-g256-sp2row');
  for (let row = 0; row < view.rows; row += 1) {
    const most = Math.max(...free.subarray(4 * row, 4 * row + 4));
    for (let i = 4 * row; i < 4 * row + 4; i += 1) assert.ok(Number.isInteger(Math.log2(most / relative[i]!)) && relative[i]! >= free[i]!);
  }
  const [plain, m2, m1] = ['fp4-e2m1-g256', 'fp4-e2m1-g256-sp2row', 'fp4-e2m1-g256-sp2up'].map((id) => relativeError(id, weights, 1024));
  assert.ok(plain! < m2! && m2! < m1!, `${plain} ${m2} ${m1}`);
  // The cast of FP4 x 2^k to FP8 loses nothing.
  const e4m3 = minifloatSpec(4, 3, 7, 'fn');
  for (let code = 0; code < 16; code += 1) for (let k = -6; k <= 6; k += 1) {
    const value = decodeMinifloat(minifloatSpec(2, 1, 1, 'none'), code) * 2 ** k;
    assert.equal(roundToMinifloat(e4m3, value), value);
  }
});

test('power-of-two tensor scales move with the data, and the codes stay (fp8-amax)', () => {
  const weights = sample(gaussian, 1024).map((x) => x * 1e-6);
  const format = parseFormat('fp8-e5m2-tensor-sp2up');
  const view = { rows: 1, cols: 1024 };
  const plain = format.encode(weights, view, 'absmax');
  for (const k of [-9, 4, 20]) {
    const moved = format.encode(weights.map((x) => x * 2 ** k), view, 'absmax');
    assert.deepEqual(moved.codes, plain.codes);
    assert.equal(moved.scales[0]! / plain.scales[0]!, 2 ** k);
  }
  // Without a scale such gradients vanish; with one they keep the precision of two mantissa bits.
  const e5m2 = minifloatSpec(5, 2, 15, 'ieee');
  assert.ok(weights.every((x) => Math.abs(roundToMinifloat(e5m2, x)) <= 2 ** -16));
  assert.ok(relativeError('fp8-e5m2-tensor-sp2up', weights, 1024) < 2 ** -8);
});

test('a truncating cast is biased to zero, nearest rounding is not (bfloat16)', () => {
  const weights = sample((random) => 1 + random.uniform(), 20_000);
  const format = parseFormat('bf16');
  const rounded = format.decode(format.encode(weights, { rows: 1, cols: weights.length }, 'absmax'));
  const cut = new Float32Array(new Uint32Array(weights.slice().buffer).map((bits) => bits & 0xffff0000).buffer);
  const bias = (values: Float32Array): number => weights.reduce((sum, x, i) => sum + (values[i]! - x), 0) / weights.length / 2 ** -7;
  assert.ok(Math.abs(bias(rounded)) < 0.01 && bias(cut) < -0.4);
});

test('sign-asymmetric scales: equal ones give the symmetric format, skewed groups gain, more so in small groups (afpq)', () => {
  const mirrored = sample(gaussian, 256);
  for (let i = 0; i < 256; i += 2) mirrored[i + 1] = -mirrored[i]!;
  const view = { rows: 1, cols: 256 };
  const decode = (id: string): Float32Array => parseFormat(id).decode(parseFormat(id).encode(mirrored, view, 'absmax'));
  assert.deepEqual(decode('afpq-fp4-g32'), decode('fp4-e2m1-g32'));
  const skewed = sample((random) => 0.3 + random.normal(), 2 ** 15);
  const gain = (size: number): number => relativeError(`afpq-fp4-g${size}`, skewed, 1024) / relativeError(`fp4-e2m1-g${size}`, skewed, 1024);
  assert.ok(gain(32) < 0.97, `${gain(32)}`);
  assert.ok(gain(32) < gain(256));
});

test('NF4 is the best of three 4-bit formats on Gaussian blocks of 64 (nf4-study)', () => {
  const errors = ['nf4-g64', 'int4-sym-g64', 'bnb-fp4-g64'].map((id) => relativeError(id, sample(gaussian, 2 ** 15), 1024));
  assert.ok(errors[0]! < errors[1]! && errors[1]! < errors[2]!, errors.join(' '));
  assert.ok(Math.abs(errors[0]! - 0.0084) < 0.0006 && Math.abs(errors[1]! - 0.0117) < 0.001 && Math.abs(errors[2]! - 0.0149) < 0.001, errors.join(' '));
  assert.equal(parseFormat('nf4-g64').nominalBitsPerWeight, 4.5);
});

test('NVFP4: E4M3 block scales under absmax / (6 x 448), at 4.5 bits and 32 a tensor', () => {
  const weights = sample(laplace, 4096);
  const view = { rows: 4, cols: 1024 };
  const format = parseFormat('nvfp4') as BlockScaledFormat;
  const { scales, parts, codes } = format.encode(weights, view, 'absmax');
  const absmax = weights.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const tensor = (parts[0] as Float32Array)[0]!;
  assert.equal(tensor, Math.fround(absmax / 2688));
  const [e4m3, e2m1] = [minifloatSpec(4, 3, 7, 'fn'), minifloatSpec(2, 1, 1, 'none')];
  for (let block = 0; block < 256; block += 1) {
    const most = weights.subarray(16 * block, 16 * block + 16).reduce((a, x) => Math.max(a, Math.abs(x)), 0);
    const scale = Math.max(roundToMinifloat(e4m3, Math.fround(Math.fround(most / 6) / tensor)), 2 ** -9);
    assert.equal(scales[block], Math.fround(scale * tensor));
    for (let i = 16 * block; i < 16 * block + 16; i += 1) assert.equal(codes[i], encodeMinifloat(e2m1, Math.fround(weights[i]! / scales[block]!), true));
  }
  assert.equal(format.storage(view).totalBits, 4096 * 4.5 + 32);
  assert.deepEqual(format.decode(format.encode(new Float32Array(32), { rows: 2, cols: 16 }, 'absmax')), new Float32Array(32));
});

test('block floats: bfp8-g32 is MXINT8, ABFP over a row is the integer per channel, errors fall as blocks shrink (bct, int-fp-qsim, dfp16)', () => {
  const weights = sample(student(3), 2 ** 14);
  const view = { rows: 16, cols: 1024 };
  const decode = (id: string): Float32Array => parseFormat(id).decode(parseFormat(id).encode(weights, view, 'absmax'));
  assert.deepEqual(decode('bfp8-g32'), decode('mxint8'));
  assert.deepEqual(decode('abfp4-channel'), decode('int4-symr-channel-sbf16'));
  for (const kind of ['bfp4', 'abfp4']) {
    const errors = [16, 64, 256, 1024].map((size) => relativeError(`${kind}-g${size}`, weights, 1024));
    errors.forEach((error, i) => { if (i > 0) assert.ok(error > errors[i - 1]!, `${kind}: ${errors.join(' ')}`); });
  }
  // 32 / (b + s / B): 4-bit codes with an 8-bit exponent for 128 are 7.88 times smaller.
  assert.ok(Math.abs(32 / parseFormat('bfp4-g128').storage(view).bitsPerWeight - 7.877) < 0.001);
  const dfp = parseFormat('dfp16-tensor').encode(weights, view, 'absmax');
  const most = Math.max(...Array.from(dfp.codes, Math.abs));
  assert.ok(most >= 2 ** 14 && most < 2 ** 15, 'the largest code uses all its bits');
});

test('fixed point is code / 2^f, saturating', () => {
  const format = parseFormat('fixed-8.5');
  const weights = Float32Array.of(0, 1, -1, 0.015625, 0.046875, 3.96875, 4, -4, -5, 100);
  const values = format.decode(format.encode(weights, { rows: 1, cols: 10 }, 'absmax'));
  assert.deepEqual(Array.from(values, (x) => x + 0), [0, 1, -1, 0, 0.0625, 3.96875, 3.96875, -4, -4, 3.96875]);
  assert.equal(format.storage({ rows: 1, cols: 10 }).totalBits, 80);
});

test('a searched split and bias is never worse than any one split, and is one of them bit for bit (llm-fp4)', () => {
  const weights = sample(laplace, 4096);
  const view = { rows: 8, cols: 512 };
  const searched = parseFormat('llm-fp4-channel').encode(weights, view, 'mse');
  const values = parseFormat('llm-fp4-channel').decode(searched);
  const splits = ['e1m2', 'e2m1', 'e3m0'].map((split) => parseFormat(`fp4-${split}-channel`)).map((format) => format.decode(format.encode(weights, view, 'mse')));
  const errorOf = (decoded: Float32Array, row: number): number => weights.subarray(512 * row, 512 * row + 512).reduce((sum, x, i) => sum + Math.fround(x - decoded[512 * row + i]!) ** 2, 0);
  for (let row = 0; row < 8; row += 1) {
    const split = splits[searched.parts[2]![row]!]!;
    assert.deepEqual(Array.from(values.subarray(512 * row, 512 * row + 512), (x) => x + 0), Array.from(split.subarray(512 * row, 512 * row + 512), (x) => x + 0), `row ${row}`);
    assert.ok(errorOf(values, row) <= Math.min(...splits.map((each) => errorOf(each, row))) * (1 + 1e-12));
  }
});

test('tf32 is float32 with the mantissa rounded to 10 bits', () => {
  const weights = sample(gaussian, 1000);
  const format = parseFormat('tf32');
  const values = format.decode(format.encode(weights, { rows: 1, cols: 1000 }, 'absmax'));
  const bits = new Uint32Array(values.buffer);
  const source = new Uint32Array(weights.buffer);
  bits.forEach((word, i) => {
    assert.equal(word & 0x1fff, 0);
    assert.ok(Math.abs(word - source[i]!) <= 0x1000);
  });
});
