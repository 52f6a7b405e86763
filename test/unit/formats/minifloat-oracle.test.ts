/** Small floats against ml_dtypes (oracles/mldtypes): every code decoded, 88,960 inputs encoded, in each of its formats. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parseFormat } from '../../../kernels/formats/registry';
import type { BlockScaledFormat } from '../../../kernels/formats/format';
import { decodeE8m0, encodeE8m0 } from '../../../kernels/numerics/e8m0';
import { decodeMinifloat, encodeMinifloat, minifloatSpec, roundToMinifloat, type MinifloatSpec } from '../../../kernels/numerics/minifloat';
import { dataPath, needsData } from '../../support/data';

const FOLDER = 'oracles/mldtypes';

const SPECS: Readonly<Record<string, MinifloatSpec>> = {
  float16: minifloatSpec(5, 10, 15, 'ieee'), bfloat16: minifloatSpec(8, 7, 127, 'ieee'),
  float8_e4m3fn: minifloatSpec(4, 3, 7, 'fn'), float8_e5m2: minifloatSpec(5, 2, 15, 'ieee'), float8_e4m3fnuz: minifloatSpec(4, 3, 8, 'fnuz'),
  float8_e5m2fnuz: minifloatSpec(5, 2, 16, 'fnuz'), float8_e4m3b11fnuz: minifloatSpec(4, 3, 11, 'fnuz'), float8_e4m3: minifloatSpec(4, 3, 7, 'ieee'),
  float8_e3m4: minifloatSpec(3, 4, 3, 'ieee'), float6_e2m3fn: minifloatSpec(2, 3, 1, 'none'), float6_e3m2fn: minifloatSpec(3, 2, 3, 'none'),
  float4_e2m1fn: minifloatSpec(2, 1, 1, 'none'),
};

const floats = (file: string): Float32Array => new Float32Array(new Uint8Array(readFileSync(dataPath(`${FOLDER}/${file}`))).buffer);
const codesOf = (name: string, wide: boolean): Uint8Array | Uint16Array => {
  const bytes = new Uint8Array(readFileSync(dataPath(`${FOLDER}/${name}.encode.${wide ? 'u16' : 'u8'}`)));
  return wide ? new Uint16Array(bytes.buffer) : bytes;
};

test('every input encodes to the code that ml_dtypes gives, without saturation', (t) => {
  if (!needsData(t, FOLDER)) return;
  const inputs = floats('encode_inputs.f32');
  assert.equal(inputs.length, 88_960);
  let checked = 0;
  for (const [name, spec] of Object.entries(SPECS)) {
    const bits = 1 + spec.exponentBits + spec.mantissaBits;
    const expected = codesOf(name, bits > 8);
    const sign = 2 ** (bits - 1);
    let wrong = 0;
    inputs.forEach((x, i) => {
      const code = encodeMinifloat(spec, x, false);
      // The sign of a NaN is not part of a number here.
      if (Number.isNaN(x) ? code % sign !== expected[i]! % sign : code !== expected[i]!) wrong += 1;
      checked += 1;
    });
    assert.equal(wrong, 0, name);
  }
  const scales = codesOf('float8_e8m0fnu', false);
  inputs.forEach((x, i) => assert.equal(encodeE8m0(x), scales[i], `e8m0 of ${x}`));
  t.diagnostic(`${checked + inputs.length} encodings checked`);
});

test('every code decodes to the value that ml_dtypes gives', (t) => {
  if (!needsData(t, FOLDER)) return;
  let checked = 0;
  for (const [name, spec] of Object.entries(SPECS)) {
    if (name === 'bfloat16') continue;
    const expected = floats(`${name}.decode.f32`);
    assert.equal(expected.length, 2 ** (1 + spec.exponentBits + spec.mantissaBits));
    expected.forEach((value, code) => assert.ok(Object.is(decodeMinifloat(spec, code), value), `${name} code ${code}: ${decodeMinifloat(spec, code)}, expected ${value}`));
    checked += expected.length;
  }
  floats('float8_e8m0fnu.decode.f32').forEach((value, code) => assert.ok(Object.is(decodeE8m0(code), value), `e8m0 ${code}`));
  t.diagnostic(`${checked + 256} codes checked`);
});

test('the formats of the registry saturate, and otherwise store the codes of ml_dtypes', (t) => {
  if (!needsData(t, FOLDER)) return;
  const inputs = floats('encode_inputs.f32').filter((x) => Number.isFinite(x));
  for (const [id, name] of [
    ['fp8-e4m3', 'float8_e4m3fn'], ['fp8-e5m2', 'float8_e5m2'], ['fp8-e4m3-fnuz', 'float8_e4m3fnuz'], ['fp8-e5m2-fnuz', 'float8_e5m2fnuz'], ['fp8-e4m3-fnuz-b11', 'float8_e4m3b11fnuz'],
    ['fp8-e4m3-ieee', 'float8_e4m3'], ['fp8-e3m4-ieee', 'float8_e3m4'], ['fp6-e2m3', 'float6_e2m3fn'], ['fp6-e3m2', 'float6_e3m2fn'], ['fp4-e2m1', 'float4_e2m1fn'], ['fp16', 'float16'], ['bf16', 'bfloat16'],
  ] as const) {
    const format = parseFormat(`${id}`) as BlockScaledFormat;
    const spec = SPECS[name]!;
    const { codes } = format.encodeWith(inputs, { rows: 1, cols: inputs.length }, { scales: Float32Array.of(1), zeroPoints: null });
    inputs.forEach((x, i) => {
      const rounded = roundToMinifloat(spec, x);
      assert.equal(codes[i], encodeMinifloat(spec, x, true), `${id} of ${x}`);
      assert.ok(decodeMinifloat(spec, codes[i]!) === rounded || rounded === 0, `${id} of ${x}`);
    });
    assert.equal(Math.max(...Array.from({ length: 2 ** Math.min(16, format.codeBits) }, (_, code) => decodeMinifloat(spec, code)).filter(Number.isFinite)), spec.maxFinite, id);
  }
});

test('FP8 tables have the published landmarks, and E2M1 the published values', () => {
  const e4m3 = minifloatSpec(4, 3, 7, 'fn');
  const e5m2 = minifloatSpec(5, 2, 15, 'ieee');
  assert.deepEqual([decodeMinifloat(e4m3, 0x7e), decodeMinifloat(e4m3, 0x7f), decodeMinifloat(e4m3, 1)], [448, NaN, 2 ** -9]);
  assert.deepEqual([decodeMinifloat(e5m2, 0x7b), decodeMinifloat(e5m2, 0x7c), decodeMinifloat(e5m2, 1)], [57344, Infinity, 2 ** -16]);
  assert.deepEqual(Array.from({ length: 8 }, (_, code) => decodeMinifloat(minifloatSpec(2, 1, 1, 'none'), code)), [0, 0.5, 1, 1.5, 2, 3, 4, 6]);
  // Ties to even on every midpoint, saturation above the largest value.
  const values = Array.from({ length: 0x7f }, (_, code) => decodeMinifloat(e4m3, code));
  values.slice(1).forEach((value, code) => assert.equal(encodeMinifloat(e4m3, (values[code]! + value) / 2, true), code % 2 === 0 ? code : code + 1));
  assert.equal(encodeMinifloat(e4m3, 1e9, true), 0x7e);
  // The 240-max variant cannot hold 300 (fp8-hardware).
  assert.equal(minifloatSpec(4, 3, 8, 'fnuz').maxFinite, 240);
});
