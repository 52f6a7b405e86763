/** Closed forms and proofs of the codebook, logarithmic, additive, posit, nested and learned families. */
import { createHash } from 'node:crypto';
import test from 'node:test';
import assert from 'node:assert/strict';
import { cluster, runMeans } from '../../../kernels/formats/clusters';
import { dynamicMap } from '../../../kernels/formats/dynamic';
import { isBlockScaled, type CodebookElement, type WeightView } from '../../../kernels/formats/format';
import { sliceAnyPrecision } from '../../../kernels/formats/learned';
import { positValue } from '../../../kernels/formats/posit';
import { parseFormat } from '../../../kernels/formats/registry';
import { Random } from '../../../kernels/numerics/random';

function draw(seed: number, length: number, next: (random: Random) => number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length }, () => next(random));
}
const normal = (random: Random): number => random.normal();
const laplace = (random: Random): number => { const u = random.uniform() - 0.5; return -Math.sign(u) * Math.log(1 - 2 * Math.abs(u)); };
const uniform = (random: Random): number => 2 * random.uniform() - 1;
const relativeError = (id: string, weights: Float32Array, view: WeightView = { rows: 1, cols: weights.length }): number => {
  const format = parseFormat(id);
  const values = format.decode(format.encode(weights, view, 'absmax'));
  let [error, signal] = [0, 0];
  weights.forEach((x, i) => { error += (x - values[i]!) ** 2; signal += x * x; });
  return error / signal;
};
const values = (id: string, weights: Float32Array, view: WeightView = { rows: 1, cols: weights.length }): number[] => {
  const format = parseFormat(id);
  return Array.from(format.decode(format.encode(weights, view, 'absmax')), (value) => value + 0);
};
const book = (id: string): CodebookElement => {
  const format = parseFormat(id);
  assert.ok(isBlockScaled(format) && format.element.kind === 'codebook');
  return format.element;
};

test('companders at their identity are the symmetric integer, bit for bit', () => {
  const weights = draw(1, 1024, normal);
  const view = { rows: 4, cols: 256 };
  for (const bits of [3, 4, 8]) {
    for (const id of [`power${bits}-a1-channel`, `tan${bits}-c0-channel`, `khot${bits}-k${bits - 1}-channel`]) {
      assert.deepEqual(values(id, weights, view), values(`int${bits}-symr-channel`, weights, view), id);
    }
  }
});

test('the best power is below 1 for bell-shaped weights and 1 for uniform ones, and a product of powers is the power of the product', () => {
  const grid = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
  const best = (weights: Float32Array): number => grid.map((a) => [relativeError(`power4-a${a}-channel`, weights), a] as const).sort((a, b) => a[0] - b[0])[0]![1];
  assert.ok(best(draw(2, 65536, normal)) < 0.9);
  assert.ok(best(draw(3, 65536, laplace)) < best(draw(2, 65536, normal)) + 1e-9);
  assert.equal(best(draw(4, 65536, uniform)), 1);
  const gauss = draw(2, 65536, normal);
  assert.ok(relativeError('power4-channel', gauss) <= Math.min(...[1, 0.5, 0.7].map((a) => relativeError(`power4-a${a}-channel`, gauss))));
});

test('log2 values are powers of two, log sqrt2 is a shift with a factor for odd codes, and adalog at q = 37 is log2', () => {
  for (const value of book('log2-b4-channel').values) if (value !== 0) assert.ok(Number.isInteger(Math.log2(Math.abs(value))));
  const magnitudes = Array.from(book('logsqrt2-b5-channel').values).filter((value) => value > 0).reverse();
  magnitudes.forEach((value, k) => {
    const shifted = 2 ** -Math.ceil(k / 2) * (k % 2 === 1 ? Math.SQRT2 : 1);
    assert.ok(Math.abs(value - shifted) <= 1e-7 * shifted, `code ${k}`);
  });
  const weights = draw(5, 512, normal);
  assert.deepEqual(values('adalog-b4-q37-channel', weights), values('log2-b4-channel', weights));
  // The search has log2 among its candidates.
  assert.ok(relativeError('adalog-b4-channel', weights) <= relativeError('log2-b4-channel', weights));
});

test('a value is rounded in the exponent: a code changes at the geometric mean of its neighbours', () => {
  const { values: list, thresholds } = book('log2-b5-channel');
  for (let i = list.findIndex((value) => value > 0); i < list.length - 1; i += 1) {
    assert.ok(Math.abs(thresholds[i]! / Math.sqrt(list[i]! * list[i + 1]!) - 1) < 1e-6);
  }
});

test('shifted log2: every value plus eta is a power of two, zero stays zero, and there are at most 2^(b-1) magnitudes', () => {
  for (const e of [0, 3, 7, 10]) {
    const eta = 2 ** -e;
    const magnitudes = Array.from(book(`sulq-b4-e${e}-channel`).values).filter((value) => value >= 0);
    assert.equal(magnitudes[0], 0);
    assert.ok(magnitudes.length <= 8);
    for (const value of magnitudes) assert.ok(Number.isInteger(Math.log2(value + eta)), `eta 2^-${e}, ${value}`);
  }
});

test('additive powers of two are exactly the sums of one power of each term', () => {
  const magnitudes = (id: string): number[] => { const list = Array.from(book(id).values).filter((value) => value >= 0); return list.map((value) => value / list.at(-1)!); };
  const expected = (sums: number[]): number[] => { const list = [...new Set(sums)].sort((a, b) => a - b); return list.map((value) => Math.fround(value / list.at(-1)!)); };
  const [a, b] = [[0, 1 / 2, 1 / 8, 1 / 32], [0, 1 / 4, 1 / 16, 1 / 64]];
  assert.deepEqual(magnitudes('apot5-channel').map(Math.fround), expected(a.flatMap((x) => b.map((y) => x + y))));
  assert.deepEqual(magnitudes('apot4-channel').map(Math.fround), expected([0, 1 / 2, 1 / 4, 1 / 16].flatMap((x) => [0, 1 / 8].map((y) => x + y))));
});

test('k-hot codes have at most k ones, and more ones never hurt', () => {
  for (const most of [1, 2, 3]) {
    for (const value of book(`khot6-k${most}-channel`).values) assert.ok(Math.abs(value).toString(2).replaceAll('0', '').length <= most);
  }
  const weights = draw(6, 8192, normal);
  const errors = [1, 2, 3, 5].map((most) => relativeError(`khot6-k${most}-channel`, weights));
  errors.forEach((error, i) => { if (i > 0) assert.ok(error <= errors[i - 1]!); });
});

/** Exact fractions: [numerator, power of two]. Independent of positValue: works on the string of bits. */
function positByString(code: number, bits: number, es: number): number {
  const text = code.toString(2).padStart(bits, '0').slice(1);
  const [run] = /^(0+|1+)/.exec(text)!;
  const k = run.startsWith('1') ? run.length - 1 : -run.length;
  const rest = text.slice(run.length + 1);
  const exponent = parseInt(rest.slice(0, es).padEnd(es, '0') || '0', 2);
  const fraction = rest.slice(es);
  return (1 + (fraction === '' ? 0 : parseInt(fraction, 2) / 2 ** fraction.length)) * (2 ** (2 ** es)) ** k * 2 ** exponent;
}

test('posits: all codes of 8 and 16 bits, in the order of signed integers, and the longer posit decides half way', () => {
  for (const [bits, es] of [[8, 0], [8, 1], [8, 2], [16, 1], [16, 2]] as const) {
    const { values: list, codes } = book(`posit${bits}-es${es}`);
    assert.equal(list.length, 2 ** bits - 1);
    const signed = Array.from(codes, (code) => (code >= 2 ** (bits - 1) ? code - 2 ** bits : code));
    for (let i = 1; i < signed.length; i += 1) assert.equal(signed[i], signed[i - 1]! + 1);
    for (let code = 1; code < 2 ** (bits - 1); code += 1) {
      assert.equal(positValue(code, bits, es), positByString(code, bits, es), `posit${bits}-es${es} code ${code}`);
      assert.equal(list[signed.indexOf(0) + code], positValue(code, bits, es));
    }
  }
  assert.equal(positValue(0b01000000, 8, 2), 1);
  assert.equal(positValue(0b01111111, 8, 2), 2 ** 24);
});

test('posits: nothing but zero becomes zero, large values saturate, ties go to the even code on both sides', () => {
  const weights = Float32Array.of(1e-30, -1e-30, 1e30, -1e30, 0, -0);
  assert.deepEqual(values('posit8-es1', weights), [2 ** -12, -(2 ** -12), 2 ** 12, -(2 ** 12), 0, 0]);
  // Codes 64 (1.0) and 65 (1.0625 for es 1: four fraction bits): the tie goes to 64; 65 and 66 to 66.
  const step = positValue(65, 8, 1) - 1;
  assert.deepEqual(values('posit8-es1', Float32Array.of(1 + step / 2, -1 - step / 2, 1 + 1.5 * step, -1 - 1.5 * step)), [1, -1, 1 + 2 * step, -1 - 2 * step]);
});

test('the dynamic map has 256 ascending values with 0 and 1, seven decades deep', () => {
  const map = dynamicMap();
  assert.equal(map.length, 256);
  // The table that bitsandbytes 0.50 makes (create_dynamic_map), as float32.
  assert.equal(createHash('sha256').update(new Uint8Array(map.buffer)).digest('hex'), 'e732639a65f497b4ad684bb166a4467708255edd5207757de8b8f0c7e1fda89c');
  for (let i = 1; i < 256; i += 1) assert.ok(map[i]! > map[i - 1]!);
  assert.ok(map.includes(0) && map[255] === 1);
  assert.ok(Math.abs(map[0]! + 0.99296875) < 1e-7);
  assert.ok(Math.abs(map[128]! - 5.5e-7) < 1e-12);
  // One outlier spoils only its own block.
  const weights = draw(7, 4 * 2048, normal);
  weights[5] = 1000;
  const view = { rows: 1, cols: weights.length };
  const format = parseFormat('dyn8-g2048');
  const decoded = format.decode(format.encode(weights, view, 'absmax'));
  const clean = weights.slice();
  clean[5] = 0;
  const before = format.decode(format.encode(clean, view, 'absmax'));
  for (let i = 2048; i < weights.length; i += 1) assert.equal(decoded[i], before[i]);
});

test('double rounding equals integer arithmetic on the stored codes, and is better than truncation', () => {
  const weights = draw(8, 4096, normal);
  const absmax = weights.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const scale = Math.fround(absmax / 127);
  const even = (x: number): number => { const floor = Math.floor(x); return x - floor > 0.5 || (x - floor === 0.5 && floor % 2 !== 0) ? floor + 1 : floor; };
  for (const low of [2, 3, 4, 6]) {
    const step = 2 ** (8 - low);
    const codes = Array.from(weights, (x) => even(Math.fround(x / scale)));
    const slice = (code: number): number => Math.min(2 ** (low - 1) - 1, Math.max(-(2 ** (low - 1)), Math.floor(code / step + 0.5))) * step;
    assert.deepEqual(values(`dr8to${low}-channel`, weights), codes.map((code) => Math.fround(slice(code) * scale) + 0));
    // The slice of the unsigned code (Matryoshka) is the same.
    for (let code = -127; code <= 127; code += 1) assert.equal(Math.min(2 ** low - 1, Math.max(0, Math.floor((code + 128) / step + 0.5))) * step - 128, slice(code));
    const truncated = codes.reduce((sum, code, i) => sum + (weights[i]! - Math.max(-(2 ** (low - 1)), Math.floor(code / step)) * step * scale) ** 2, 0);
    const rounded = values(`dr8to${low}-channel`, weights).reduce((sum, value, i) => sum + (weights[i]! - value) ** 2, 0);
    assert.ok(rounded < truncated, `${low} bits`);
  }
  assert.deepEqual(values('dr8to8-channel', weights), values('int8-sym-channel', weights));
});

test('clustering reaches the least error of small inputs', () => {
  const random = new Random(9);
  for (let trial = 0; trial < 40; trial += 1) {
    const sorted = Float64Array.from({ length: 9 }, () => random.normal()).sort();
    const mean = runMeans(sorted);
    const costOf = (cuts: readonly number[]): number => [0, ...cuts].reduce((sum, from, k) => {
      const to = [...cuts, sorted.length][k]!;
      const centre = mean(from, to);
      return sum + sorted.subarray(from, to).reduce((part, x) => part + (x - centre) ** 2, 0);
    }, 0);
    let least = Infinity;
    for (let a = 1; a < 9; a += 1) least = Math.min(least, costOf([a]));
    const centres = cluster(sorted, 2, mean, () => undefined);
    const found = sorted.reduce((sum, x) => sum + Math.min(...centres.map((centre) => (x - centre) ** 2)), 0);
    // Two clusters of nine values: Lloyd's iterations may stop at a local least, but never far.
    assert.ok(found <= 1.6 * least + 1e-12, `trial ${trial}: ${found} against ${least}`);
  }
  assert.deepEqual(cluster(Float64Array.of(1, 1, 2, 2, 2), 4, () => 0, () => undefined), [1, 2]);
});

test('learned codebooks beat fixed ones on the weights they were learned on', () => {
  const weights = draw(10, 16384, laplace);
  const view = { rows: 4, cols: 4096 };
  assert.ok(relativeError('kmeans4-channel', weights, view) < relativeError('int4-sym-channel', weights, view));
  assert.ok(relativeError('kmeans4-channel', weights, view) < relativeError('nf4-channel', weights, view));
  assert.ok(relativeError('af4-g64', weights, view) < relativeError('int4-sym-g64', weights, view));
});

test('any precision: the top bits of a code are the code of fewer bits, and each bit lowers the error', () => {
  const weights = draw(11, 8192, normal);
  const view = { rows: 8, cols: 1024 };
  const format = parseFormat('anyprec6');
  const quantized = format.encode(weights, view, 'absmax');
  const errors = [3, 4, 5, 6].map((bits) => {
    const sliced = sliceAnyPrecision(quantized.parts, view, 6, bits);
    const direct = parseFormat(`anyprec${bits}`);
    assert.deepEqual(sliced, direct.decode(direct.encode(weights, view, 'absmax')), `${bits} bits`);
    return weights.reduce((sum, x, i) => sum + (x - sliced[i]!) ** 2, 0);
  });
  errors.forEach((error, i) => { if (i > 0) assert.ok(error < errors[i - 1]!); });
});

test('binary: the error of one and two bases on normal weights, and the mean magnitude is the best scale', () => {
  const weights = draw(12, 1 << 18, normal);
  assert.ok(Math.abs(relativeError('binary1-channel', weights) - (1 - 2 / Math.PI)) < 0.003);
  assert.ok(Math.abs(relativeError('binary2-channel', weights) - 0.131) < 0.003);
  const mean = weights.reduce((sum, x) => sum + Math.abs(x), 0) / weights.length;
  const errorAt = (scale: number): number => weights.reduce((sum, x) => sum + (x - Math.sign(x) * scale) ** 2, 0);
  for (const factor of [0.9, 0.97, 1.03, 1.1]) assert.ok(errorAt(mean) < errorAt(mean * factor));
});

test('ternary: the share of zeros on normal weights, and no rule beats the best threshold', () => {
  const weights = draw(13, 1 << 18, normal);
  const zeros = (id: string): number => values(id, weights).filter((value) => value === 0).length / weights.length;
  assert.ok(Math.abs(zeros('ternary-absmean-channel') - 0.31) < 0.004);
  assert.ok(Math.abs(zeros('ternary-absmedian-channel') - 0.264) < 0.004);
  assert.ok(Math.abs(zeros('ternary-fourthirds-channel') - 0.406) < 0.004);
  assert.ok(Math.abs(relativeError('ternary-fourthirds-channel', weights) - 0.2) < 0.006);
  assert.ok(Math.abs(relativeError('ternary-twn-channel', weights) - 0.192) < 0.006);
  for (const rule of ['absmean', 'absmedian', 'fourthirds', 'twn']) assert.ok(relativeError('ternary-best-channel', weights) <= relativeError(`ternary-${rule}-channel`, weights) + 1e-6, rule);
  // The median does not move with outliers, the mean does.
  const odd = weights.slice(0, 4096);
  const stretched = odd.map((x, i) => (i < 41 ? x * 100 : x));
  const scaleOf = (id: string, list: Float32Array): number => Math.max(...values(id, list));
  assert.ok(Math.abs(scaleOf('ternary-absmedian-channel', stretched) / scaleOf('ternary-absmedian-channel', odd) - 1) < 0.03);
  assert.ok(scaleOf('ternary-absmean-channel', stretched) > 1.5 * scaleOf('ternary-absmean-channel', odd));
});

test('bitmod: mirrored groups have mirrored values, and the order of errors on normal weights is that of the paper', () => {
  const weights = draw(14, 1 << 16, normal);
  const view = { rows: 16, cols: 4096 };
  const mirrored = values('bitmod4-g128', weights.map((x) => -x), view).map((value) => 0 - value);
  const own = values('bitmod4-g128', weights, view);
  const errorOf = (decoded: readonly number[]): number => decoded.reduce((sum, value, i) => sum + (weights[i]! - value) ** 2, 0);
  assert.ok(Math.abs(errorOf(mirrored) / errorOf(own) - 1) < 1e-9);
  const e = (id: string): number => relativeError(id, weights, view);
  assert.ok(e('bitmod3-g128') < e('int3-asym-g128') && e('int3-asym-g128') < e('fp3-e2m0-g128') && e('fp3-e2m0-g128') < e('int3-sym-g128'));
  assert.ok(e('bitmod4-g128') < e('int4-asym-g128') && e('int4-asym-g128') < e('fp4-e2m1-g128') && e('fp4-e2m1-g128') < e('int4-sym-g128'));
  // b + (8 + 2) / 128 bits and the row scale.
  assert.ok(Math.abs(parseFormat('bitmod4-g128').storage(view).bitsPerWeight - (4 + 10 / 128 + 32 / 4096)) < 1e-12);
});

test('spqr keeps planted outliers, and a larger share of them never hurts', () => {
  const weights = draw(15, 4 * 1024, (random) => 0.05 * random.normal());
  const planted = [3, 500, 1024 + 77, 3000];
  for (const i of planted) weights[i] = 4;
  const view = { rows: 4, cols: 1024 };
  const decoded = values('spqr3-o1', weights, view);
  for (const i of planted) assert.equal(decoded[i], 4);
  const errors = ['spqr3-o0', 'spqr3-o1', 'spqr3-o2', 'spqr3-o5'].map((id) => relativeError(id, weights, view));
  errors.forEach((error, i) => { if (i > 0) assert.ok(error < errors[i - 1]!, `${i}`); });
});

test('daq: a group away from zero is better centred, and one around zero is no worse by much', () => {
  const shifted = draw(16, 8192, (random) => 3 + 0.2 * random.normal());
  const view = { rows: 64, cols: 128 };
  assert.ok(relativeError('daq-nf4-g128', shifted, view) < 0.1 * relativeError('nf4-g128', shifted, view));
  const centred = draw(17, 8192, normal);
  assert.ok(relativeError('daq-nf4-g128', centred, view) < 1.02 * relativeError('nf4-g128', centred, view));
});

test('mixed columns: nothing salient is binary, everything salient is 4-bit, and the chosen columns help', () => {
  const random = new Random(18);
  const view = { rows: 32, cols: 256 };
  const weights = Float32Array.from({ length: view.rows * view.cols }, (_, i) => random.normal() * (i % view.cols < 40 ? 8 : 1));
  assert.deepEqual(values('ptq1.61-p0', weights, view), values('binary1-channel', weights, view));
  assert.ok(Math.abs(relativeError('ptq1.61-p100', weights, view) / relativeError('int4-symr-channel-sf16', weights, view) - 1) < 0.01);
  assert.ok(relativeError('ptq1.61-p20', weights, view) < 0.5 * relativeError('ptq1.61-p0', weights, view));
  const bits = parseFormat('ptq1.61-p25').storage(view).bitsPerWeight;
  assert.ok(Math.abs(bits - (0.25 * 4 + 0.75 + 1 / view.rows + 32 / view.cols)) < 1e-12);
});
