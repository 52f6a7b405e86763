import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { DType } from '../../../kernels/checkpoint/checkpoint';
import { decodeFloats, encodeFloats, MINIFLOAT_DTYPES } from '../../../kernels/numerics/codecs';
import { BFLOAT16, decodeMinifloat, E4M3FN, E4M3FNUZ, E5M2, E5M2FNUZ, encodeMinifloat, FLOAT16, roundHalfEven, roundToMinifloat, type MinifloatSpec } from '../../../kernels/numerics/minifloat';
import { dataPath, needsData } from '../../support/data';

const FOLDER = 'oracles/mldtypes';
const floats = (name: string): Float32Array => {
  const bytes = readFileSync(dataPath(`${FOLDER}/${name}`));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};
const isNaNCode = (spec: MinifloatSpec, code: number): boolean => Number.isNaN(decodeMinifloat(spec, code));

test('encoding equals ml_dtypes on its 88,960 inputs: float16, bfloat16 and four 8-bit floats', (t) => {
  if (!needsData(t, FOLDER)) return;
  const inputs = floats('encode_inputs.f32');
  assert.equal(inputs.length, 88960);
  for (const spec of [E4M3FN, E5M2, E4M3FNUZ, E5M2FNUZ, FLOAT16, BFLOAT16]) {
    const wide = spec.exponentBits + spec.mantissaBits === 15;
    const bytes = readFileSync(dataPath(`${FOLDER}/${spec.name}.encode.${wide ? 'u16' : 'u8'}`));
    let wrong = 0;
    inputs.forEach((input, i) => {
      const expected = wide ? bytes.readUInt16LE(2 * i) : bytes[i]!;
      const code = encodeMinifloat(spec, input, false);
      // NaNs have many codes; which one is free.
      if (code !== expected && !(isNaNCode(spec, code) && isNaNCode(spec, expected))) wrong += 1;
    });
    assert.equal(wrong, 0, spec.name);
  }
});

test('decoding equals ml_dtypes for every code', (t) => {
  if (!needsData(t, FOLDER)) return;
  for (const spec of [E4M3FN, E5M2, E4M3FNUZ, E5M2FNUZ, FLOAT16]) {
    floats(`${spec.name}.decode.f32`).forEach((expected, code) => {
      assert.ok(Object.is(decodeMinifloat(spec, code), expected), `${spec.name} ${code.toString(16)}: ${decodeMinifloat(spec, code)}, not ${expected}`);
    });
  }
});

test('every code of every stored type decodes and encodes to itself', () => {
  for (const [dtype, spec] of Object.entries(MINIFLOAT_DTYPES) as [DType, MinifloatSpec][]) {
    const codes = 2 ** (1 + spec.exponentBits + spec.mantissaBits);
    const bytes = new Uint8Array(codes === 256 ? Uint8Array.from({ length: 256 }, (_, i) => i) : Uint16Array.from({ length: codes }, (_, i) => i).buffer);
    const values = new Float32Array(codes);
    decodeFloats(dtype, bytes, codes, values);
    const again = new Uint8Array(bytes.length);
    encodeFloats(dtype, values, codes, again);
    const read = codes === 256 ? again : new Uint16Array(again.buffer);
    values.forEach((value, code) => {
      if (Number.isNaN(value)) assert.ok(isNaNCode(spec, read[code]!), `${dtype} ${code} stays NaN`);
      else assert.equal(read[code], code, `${dtype} ${code}`);
    });
  }
});

test('bfloat16: 65,536 high halves with ties round to even, truncation is biased and rounding is not', () => {
  const scratch = new Uint32Array(1);
  const asFloat = new Float32Array(scratch.buffer);
  let [bias, truncated] = [0, 0];
  for (let high = 0; high < 65536; high += 1) {
    for (const low of [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff]) {
      scratch[0] = high * 65536 + low;
      const x = asFloat[0]!;
      if (!Number.isFinite(x)) continue;
      const expected = low > 0x8000 || (low === 0x8000 && high % 2 === 1) ? high + 1 : high;
      assert.equal(encodeMinifloat(BFLOAT16, x, false), expected);
      if (low === 0 || Math.abs(x) < 1e-30 || Math.abs(x) > 1e30) continue;
      scratch[0] = high * 65536;
      truncated += (Math.abs(asFloat[0]!) - Math.abs(x)) / Math.abs(x);
      bias += (Math.abs(roundToMinifloat(BFLOAT16, x)) - Math.abs(x)) / Math.abs(x);
    }
  }
  assert.ok(truncated < -500 && Math.abs(bias) < Math.abs(truncated) / 1000, `truncation ${truncated}, nearest even ${bias}`);
});

test('fp8: largest values, NaN codes, ties to even, saturation', () => {
  assert.deepEqual([E4M3FN, E5M2].map((spec) => Math.max(...Array.from({ length: 256 }, (_, code) => decodeMinifloat(spec, code)).filter(Number.isFinite))), [448, 57344]);
  assert.deepEqual(Array.from({ length: 256 }, (_, code) => code).filter((code) => isNaNCode(E4M3FN, code)), [0x7f, 0xff]);
  for (const spec of [E4M3FN, E5M2]) {
    for (let code = 0; code < 0x7b; code += 1) {
      const [a, b] = [decodeMinifloat(spec, code), decodeMinifloat(spec, code + 1)];
      assert.equal(encodeMinifloat(spec, (a + b) / 2, true), code % 2 === 0 ? code : code + 1, `${spec.name} between ${a} and ${b}`);
      assert.equal(roundToMinifloat(spec, (a + b) / 2), code % 2 === 0 ? a : b);
    }
    for (const x of [spec.maxFinite * 1.01, 1e30, Infinity]) {
      assert.equal(decodeMinifloat(spec, encodeMinifloat(spec, x, true)), spec.maxFinite);
      assert.equal(roundToMinifloat(spec, -x), -spec.maxFinite);
    }
  }
});

test('wide types pass through; a double rounds to the nearest float32', () => {
  const bytes = new Uint8Array(new Float64Array([1 / 3, 1e300, -0]).buffer);
  const out = new Float32Array(3);
  decodeFloats('F64', bytes, 3, out);
  assert.deepEqual(Array.from(out), [Math.fround(1 / 3), Infinity, -0]);
  assert.throws(() => decodeFloats('I32', bytes, 1, out), /I32 is not a floating-point type/);
  assert.deepEqual([0.5, 1.5, 2.5, -0.5, -1.5, 0.49999999999999994].map((x) => roundHalfEven(x) + 0), [0, 2, 2, 0, -2, 0]);
});
