/** Casts and Quantize/DequantizeLinear against the node tests of ONNX (oracles/onnx-node-lowprec). */
import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dequantizeElement, loadedCode, quantizeElement, storedCode } from '../../../kernels/formats/element';
import type { Element } from '../../../kernels/formats/format';
import { decodeE8m0, encodeE8m0 } from '../../../kernels/numerics/e8m0';
import { decodeMinifloat, encodeMinifloat, minifloatSpec, type MinifloatSpec } from '../../../kernels/numerics/minifloat';
import { dataPath, needsData } from '../../support/data';

const FOLDER = 'oracles/onnx-node-lowprec';

/** Data types of TensorProto. */
const FLOATS: ReadonlyMap<number, MinifloatSpec> = new Map([
  [10, minifloatSpec(5, 10, 15, 'ieee')], [16, minifloatSpec(8, 7, 127, 'ieee')], [17, minifloatSpec(4, 3, 7, 'fn')], [18, minifloatSpec(4, 3, 8, 'fnuz')],
  [19, minifloatSpec(5, 2, 15, 'ieee')], [20, minifloatSpec(5, 2, 16, 'fnuz')], [23, minifloatSpec(2, 1, 1, 'none')],
]);
const INTEGERS: ReadonlyMap<number, readonly [bits: number, signed: boolean]> = new Map<number, readonly [number, boolean]>([
  [2, [8, false]], [3, [8, true]], [4, [16, false]], [5, [16, true]], [21, [4, false]], [22, [4, true]], [25, [2, false]], [26, [2, true]],
]);
const E8M0 = 24;

interface Tensor { readonly type: number; readonly dims: readonly number[]; readonly codes: readonly number[] }

function fieldsOf(bytes: Uint8Array): [number, number | Uint8Array][] {
  const fields: [number, number | Uint8Array][] = [];
  let at = 0;
  const varint = (): number => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = bytes[at++]!;
      // Negative numbers have ten bytes; their low 32 bits are enough here.
      if (scale < 2 ** 32) value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) return value % 2 ** 32;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    if ((key & 7) === 0) fields.push([key >>> 3, varint()]);
    else {
      assert.equal(key & 7, 2);
      const length = varint();
      fields.push([key >>> 3, bytes.subarray(at, at + length)]);
      at += length;
    }
  }
  return fields;
}

/** Stored codes of a tensor, unsigned; float32 values as they are. */
function readTensor(file: string): Tensor {
  const fields = fieldsOf(readFileSync(file));
  const numbersOf = (wanted: number): number[] => fields.filter(([field]) => field === wanted).flatMap(([, value]) => (typeof value === 'number' ? [value] : fieldsOfPacked(value)));
  const type = numbersOf(2)[0]!;
  const dims = numbersOf(1);
  const count = dims.reduce((product, dim) => product * dim, 1);
  const raw = fields.find(([field]) => field === 9)?.[1] as Uint8Array | undefined;
  const bits = type === 1 ? 32 : INTEGERS.get(type)?.[0] ?? (type === E8M0 ? 8 : 1 + FLOATS.get(type)!.exponentBits + FLOATS.get(type)!.mantissaBits);
  // int32_data holds one number an entry, types below a byte several.
  const source = raw ?? (bits < 8 ? Uint8Array.from(numbersOf(5)) : null);
  if (!source) return { type, dims, codes: numbersOf(5).map((code) => code % 2 ** bits) };
  const view = new DataView(source.buffer, source.byteOffset, source.length);
  const codes = Array.from({ length: count }, (_, i) => (bits === 32 ? view.getFloat32(4 * i, true) : bits === 16 ? view.getUint16(2 * i, true) : (source[Math.floor((i * bits) / 8)]! >> ((i * bits) % 8)) % 2 ** bits));
  return { type, dims, codes };
}

function fieldsOfPacked(bytes: Uint8Array): number[] {
  const values: number[] = [];
  let [value, scale] = [0, 1];
  for (const byte of bytes) {
    if (scale < 2 ** 32) value += (byte & 127) * scale;
    scale *= 128;
    if (byte < 128) {
      values.push(value % 2 ** 32);
      [value, scale] = [0, 1];
    }
  }
  return values;
}

/** Codes as numbers. */
function valuesOf({ type, codes }: Tensor): number[] {
  const integer = INTEGERS.get(type);
  return codes.map((code) => (type === 1 ? code : type === E8M0 ? decodeE8m0(code) : integer ? (integer[1] && code >= 2 ** (integer[0] - 1) ? code - 2 ** integer[0] : code) : decodeMinifloat(FLOATS.get(type)!, code)));
}

/** A number as a code of an integer or small float type. */
function cast(value: number, type: number, saturate: boolean): number {
  if (type === 1) return Math.fround(value);
  if (type === E8M0) return encodeE8m0(value, 'up');
  const integer = INTEGERS.get(type);
  if (!integer) return encodeMinifloat(FLOATS.get(type)!, value, saturate);
  return ((Math.trunc(value) % 2 ** integer[0]) + 2 ** integer[0]) % 2 ** integer[0];
}

const sameCode = (type: number, a: number, b: number): boolean => a === b || (FLOATS.has(type) && Number.isNaN(decodeMinifloat(FLOATS.get(type)!, a)) && Number.isNaN(decodeMinifloat(FLOATS.get(type)!, b)))
  || (type === 1 && (Object.is(a, b) || (Number.isNaN(a) && Number.isNaN(b))));

test('casts between small types equal the node tests of ONNX', (t) => {
  if (!needsData(t, FOLDER)) return;
  let checked = 0;
  for (const name of readdirSync(dataPath(FOLDER)).filter((each) => each.startsWith('test_cast'))) {
    const folder = dataPath(`${FOLDER}/${name}/test_data_set_0`);
    const [input, output] = [readTensor(`${folder}/input_0.pb`), readTensor(`${folder}/output_0.pb`)];
    const saturate = !name.includes('no_saturate');
    valuesOf(input).forEach((value, i) => {
      // The attribute `saturate` is for types of 8 bits and less; 16-bit floats overflow to infinity.
      const code = cast(value, output.type, saturate && output.type !== 10 && output.type !== 16);
      assert.ok(sameCode(output.type, code, output.codes[i]!), `${name} ${i}: ${value} gives ${code}, expected ${output.codes[i]}`);
      checked += 1;
    });
  }
  assert.ok(checked > 500);
  t.diagnostic(`${checked} casts checked`);
});

/** The element of a quantized type; zero points as in ONNX. */
function elementOf(type: number): Element {
  const integer = INTEGERS.get(type);
  if (!integer) return { kind: 'float', spec: FLOATS.get(type)!, divisor: FLOATS.get(type)!.maxFinite };
  const [bits, signed] = integer;
  return { kind: 'int', low: signed ? -(2 ** (bits - 1)) : 0, high: signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1, divisor: 2 ** bits - 1, symmetric: false };
}

/** Index of the scale of element i: per tensor, per axis, or blocked along an axis. */
function scaleIndex(i: number, dims: readonly number[], scale: Tensor): number {
  const { dims: scaleDims } = scale;
  if (scale.codes.length === 1) return 0;
  const coordinates = dims.map((dim, axis) => Math.floor(i / dims.slice(axis + 1).reduce((product, d) => product * d, 1)) % dim);
  if (scaleDims.length === dims.length) return coordinates.reduce((index, at, axis) => index * scaleDims[axis]! + Math.floor(at / (dims[axis]! / scaleDims[axis]!)), 0);
  // One axis: 1 for images, 0 for matrices of the node tests.
  return coordinates[dims.length === 4 ? 1 : 0]!;
}

test('QuantizeLinear and DequantizeLinear equal the node tests of ONNX', (t) => {
  if (!needsData(t, FOLDER)) return;
  let checked = 0;
  for (const name of readdirSync(dataPath(FOLDER)).filter((each) => /^test_(de)?quantizelinear/.test(each))) {
    const folder = dataPath(`${FOLDER}/${name}/test_data_set_0`);
    const [input, scale, output] = ['input_0', 'input_1', 'output_0'].map((each) => readTensor(`${folder}/${each}.pb`)) as [Tensor, Tensor, Tensor];
    const zero = existsSync(`${folder}/input_2.pb`) ? readTensor(`${folder}/input_2.pb`) : null;
    const quantized = name.startsWith('test_q') ? output : input;
    const element = elementOf(quantized.type);
    const scales = valuesOf(scale);
    const zeros = zero && INTEGERS.has(zero.type) ? valuesOf(zero) : null;
    const [from, to] = [valuesOf(input), valuesOf(output)];
    from.forEach((value, i) => {
      const at = scaleIndex(i, input.dims, scale);
      const zeroPoint = zeros?.[at] ?? 0;
      if (quantized === output) {
        const code = quantizeElement(element, value, scales[at]!, zeroPoint);
        assert.equal(loadedCode(element, storedCode(element, code)) + 0, to[i]! + 0, `${name} ${i}: ${value}`);
      } else {
        const result = dequantizeElement(element, value, scales[at]!, zeroPoint);
        const rounded = output.type === 1 ? result : decodeMinifloat(FLOATS.get(output.type)!, encodeMinifloat(FLOATS.get(output.type)!, result, false));
        assert.ok(Object.is(rounded + 0, to[i]! + 0), `${name} ${i}: code ${value} gives ${rounded}, expected ${to[i]}`);
      }
      checked += 1;
    });
  }
  assert.ok(checked > 150);
  t.diagnostic(`${checked} values checked`);
});
