/** MX formats against microxcaling (oracles/microxcaling): 8 x 256 values, six elements, three roundings, bit for bit. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parseFormat } from '../../../kernels/formats/registry';
import { Random } from '../../../kernels/numerics/random';
import { dataPath, needsData } from '../../support/data';

const FOLDER = 'oracles/microxcaling';
const IDS: Readonly<Record<string, string>> = { int8: 'mxint8', fp8_e5m2: 'mxfp8-e5m2', fp8_e4m3: 'mxfp8-e4m3', fp6_e3m2: 'mxfp6-e3m2', fp6_e2m3: 'mxfp6-e2m3', fp4_e2m1: 'mxfp4' };
const ROUNDINGS: Readonly<Record<string, string>> = { even: '', nearest: '-away', floor: '-trunc' };

test('values equal microxcaling in every element and rounding', (t) => {
  if (!needsData(t, FOLDER)) return;
  const manifest = JSON.parse(readFileSync(dataPath(`${FOLDER}/manifest.json`), 'utf8')) as { rows: number; cols: number; results: { element: string; round: string; file: string }[] };
  const read = (file: string): Float32Array => new Float32Array(new Uint8Array(readFileSync(dataPath(`${FOLDER}/${file}`))).buffer);
  const input = read('input.f32');
  assert.equal(manifest.results.length, 18);
  let checked = 0;
  for (const { element, round, file } of manifest.results) {
    const format = parseFormat(`${IDS[element]}${ROUNDINGS[round]}`);
    const values = format.decode(format.encode(input, { rows: manifest.rows, cols: manifest.cols }, 'absmax'));
    read(file).forEach((expected, i) => { assert.equal(values[i]! + 0, expected + 0, `${format.id} value ${i} of ${input[i]}`); });
    checked += values.length;
  }
  t.diagnostic(`${checked} values checked`);
});

const normal = (seed: number, length: number): Float32Array => {
  const random = new Random(seed);
  return Float32Array.from({ length }, () => random.normal());
};

test('scaling by a power of two keeps the codes; an outlier of 2^6 silences its MXFP4 block; zeros stay zero', () => {
  const view = { rows: 1, cols: 64 };
  const weights = normal(1, 64);
  for (const id of ['mxfp4', 'mxfp6-e2m3', 'mxfp8-e4m3', 'mxint8', 'mxfp4-rceil', 'mxfp4-even', 'mxfp4-ceil']) {
    const format = parseFormat(id);
    const [plain, shifted] = [weights, weights.map((x) => x * 2 ** 7)].map((each) => format.encode(each, view, 'absmax'));
    assert.deepEqual(shifted!.codes, plain!.codes, id);
    assert.deepEqual(Array.from(shifted!.scales, (scale) => scale / 2 ** 7), Array.from(plain!.scales), id);
    for (const scale of plain!.scales) assert.ok(Number.isInteger(Math.log2(scale)), id);
  }
  const mxfp4 = parseFormat('mxfp4');
  const loud = Float32Array.from({ length: 32 }, (_, i) => (i === 5 ? 64 : i % 2 ? 0.9 : -0.7));
  assert.deepEqual(Array.from(mxfp4.decode(mxfp4.encode(loud, { rows: 1, cols: 32 }, 'absmax')), (x) => x + 0), Array.from({ length: 32 }, (_, i) => (i === 5 ? 64 : 0)));
  assert.equal(mxfp4.nominalBitsPerWeight, 4.25);
});

test('scale modes: floor may clip, rceil never does, ceil and even lie between', () => {
  const view = { rows: 1, cols: 32 };
  for (const [absmax, floor, even, ceil, rceil] of [[6, 1, 1, 2, 1], [7, 1, 2, 2, 2], [6.5, 1, 1, 2, 2], [4, 1, 1, 1, 1], [7.9, 1, 2, 2, 2], [3.6, 0.5, 1, 1, 1]] as const) {
    const weights = new Float32Array(32);
    weights[3] = -absmax;
    const scaleOf = (id: string): number => parseFormat(id).encode(weights, view, 'absmax').scales[0]!;
    assert.deepEqual(['mxfp4', 'mxfp4-even', 'mxfp4-ceil', 'mxfp4-rceil'].map(scaleOf), [floor, even, ceil, rceil], `absmax ${absmax}`);
  }
});
