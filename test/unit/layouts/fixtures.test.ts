/** Layouts as other programs wrote them (test/fixtures/layouts/PROVENANCE.md): recognised, named, and decoded to the last bit. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { DTYPE_BITS, elementCount, modelTensors, openCheckpoint, TensorReader, type DType } from '../../../kernels/checkpoint';
import { parseFormat } from '../../../kernels/formats/registry';
import { decodeFloats, encodeFloats } from '../../../kernels/numerics/codecs';
import { storedValues } from '../../../kernels/stored/registry';
import { repositoryRoot } from '../../support/data';
import { valuesOfModelTensor } from './values';

const folder = path.join(repositoryRoot, 'test/fixtures/layouts');
const names = readdirSync(folder).filter((name) => name.endsWith('.expected.safetensors')).map((name) => name.replace('.expected.safetensors', '')).sort();

/** What each is shown as, and the format it is in where it is one of ours (null: not pinned here, since more families may come). */
const SHOWN: Readonly<Record<string, readonly [name: string, format: string | undefined | null]>> = {
  awq: ['int4 g32 (AWQ)', 'int4-asym-g32-sf16'],
  'bnb-fp4-nested': ['fp4 g64 nested scales (bitsandbytes)', undefined],
  'bnb-fp4': ['fp4 g64 (bitsandbytes)', null],
  'bnb-int8': ['int8 per channel (bitsandbytes)', 'int8-symr-channel'],
  'bnb-nf4-nested': ['nf4 g64 nested scales (bitsandbytes)', undefined],
  'bnb-nf4': ['nf4 g64 (bitsandbytes)', null],
  'ct-fp8-block': ['fp8-e4m3 16x32 blocks', null],
  'ct-fp8-channel': ['fp8-e4m3 per channel', 'fp8-e4m3-channel'],
  'ct-fp8-tensor': ['fp8-e4m3 per tensor', 'fp8-e4m3-tensor-sbf16'],
  'ct-int8-asym': ['int8 per channel', 'int8-asym-channel-sf16'],
  'ct-int8-channel': ['int8 per channel', 'int8-sym-channel-sbf16'],
  'ct-mxfp4': ['mxfp4 (compressed-tensors)', null],
  'ct-mxfp6': ['mxfp6-e2m3 (compressed-tensors)', null],
  'ct-mxfp8': ['mxfp8-e4m3 g32', null],
  'ct-nvfp4': ['nvfp4 (compressed-tensors)', null],
  'ct-packed-1bit': ['int1 g32 (compressed-tensors)', null],
  'ct-packed-2bit': ['int2 g32 (compressed-tensors)', 'int2-asym-g32-sbf16'],
  'ct-packed-3bit': ['int3 g32 (compressed-tensors)', 'int3-asym-g32-sf16'],
  'ct-packed-4bit': ['int4 g32 (compressed-tensors)', 'int4-sym-g32-sbf16'],
  'ct-packed-5bit': ['int5 per channel (compressed-tensors)', 'int5-asym-channel-sf16'],
  'ct-packed-6bit': ['int6 g32 (compressed-tensors)', 'int6-sym-g32-sf16'],
  'ct-packed-7bit': ['int7 g16 (compressed-tensors)', 'int7-asym-g16-sbf16'],
  'ct-packed-8bit': ['int8 per channel (compressed-tensors)', 'int8-sym-channel'],
  'ct-padded-3bit': ['int3 g32 (compressed-tensors)', 'int3-asym-g32-sf16'],
  'ct-padded-5bit': ['int5 g32 (compressed-tensors)', 'int5-asym-g32-sf16'],
  'deepseek-fp8': ['fp8-e4m3 128x128 blocks', null],
  'gpt-oss-original': ['mxfp4', null],
  'gpt-oss': ['mxfp4', null],
  'gptq-2bit-act-order': ['int2 g32 act-order (GPTQ)', undefined],
  'gptq-2bit': ['int2 g32 (GPTQ)', 'int2-asym-g32'],
  'gptq-3bit-act-order': ['int3 g32 act-order (GPTQ)', undefined],
  'gptq-3bit': ['int3 g32 (GPTQ)', 'int3-asym-g32'],
  'gptq-4bit-act-order': ['int4 g32 act-order (GPTQ)', undefined],
  'gptq-4bit': ['int4 g32 (GPTQ)', 'int4-asym-g32'],
  'gptq-8bit-act-order': ['int8 g32 act-order (GPTQ)', undefined],
  'gptq-8bit': ['int8 g32 (GPTQ)', 'int8-asym-g32'],
  'hqq-1bit-axis0': ['int1 g32 along outputs (HQQ)', undefined],
  'hqq-1bit-axis1': ['int1 g32 (HQQ)', undefined],
  'hqq-2bit-axis0': ['int2 g32 along outputs (HQQ)', undefined],
  'hqq-2bit-axis1': ['int2 g32 (HQQ)', undefined],
  'hqq-3bit-axis0': ['int3 g32 along outputs (HQQ)', undefined],
  'hqq-3bit-axis1': ['int3 g32 (HQQ)', undefined],
  'hqq-4bit-axis0': ['int4 g32 along outputs (HQQ)', undefined],
  'hqq-4bit-axis1': ['int4 g32 (HQQ)', undefined],
  'hqq-8bit-axis0': ['int8 g32 along outputs (HQQ)', undefined],
  'hqq-8bit-axis1': ['int8 g32 (HQQ)', undefined],
  'modelopt-fp8': ['fp8-e4m3 per tensor', 'fp8-e4m3-tensor'],
  'modelopt-nvfp4': ['nvfp4 (ModelOpt)', null],
  'torchao-float8': ['fp8-e4m3 per channel (torchao)', 'fp8-e4m3-channel'],
  'torchao-int4-unpacked': ['int4 g32 (torchao)', 'int4-asym-g32-sbf16'],
  'torchao-int8': ['int8 per channel (torchao)', 'int8-asym-channel'],
};

test('every fixture is listed, and every listed one is there', () => {
  assert.deepEqual(names, Object.keys(SHOWN).sort());
});

for (const name of names) {
  test(`${name}: recognised as layers, equal to its own program's values`, async () => {
    const checkpoint = await openCheckpoint(path.join(folder, `${name}.safetensors`));
    const expected = await openCheckpoint(path.join(folder, `${name}.expected.safetensors`));
    assert.deepEqual(checkpoint.problems, []);
    const weights = modelTensors(checkpoint).filter((tensor) => tensor.encoding);
    assert.deepEqual(weights.map((weight) => weight.name).sort(), expected.tensors.map((tensor) => tensor.name).sort());
    for (const weight of weights) {
      const [shown, format] = SHOWN[name]!;
      assert.equal(weight.encoding!.name, shown);
      if (format !== null) assert.equal(weight.encoding!.format, format);
      if (weight.encoding!.format) assert.equal(parseFormat(weight.encoding!.format).id, weight.encoding!.format);
      const wanted = expected.tensors.find((tensor) => tensor.name === weight.name)!;
      assert.deepEqual(weight.shape, wanted.shape);
      const values = valuesOfModelTensor(checkpoint, weight);
      assert.equal(firstDifference(floats(wanted.dtype, rounded(wanted.dtype, values)), floats(wanted.dtype, stored(expected, wanted))), null, weight.name);
      // Any range, and panels of other sizes, give the same values.
      const reader = TensorReader.open(checkpoint);
      try {
        const piecewise = storedValues(weight, reader);
        const out = new Float32Array(values.length);
        for (let first = values.length; first > 0;) {
          const count = Math.min(first, 1 + (first % 97));
          const part = new Float32Array(count);
          piecewise.read(first - count, count, part);
          out.set(part, first - count);
          first -= count;
        }
        assert.equal(firstDifference(out, values), null);
      } finally {
        reader.close();
      }
    }
  });
}

function rounded(dtype: DType, values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length * DTYPE_BITS[dtype]) / 8);
  encodeFloats(dtype, values, values.length, bytes);
  return bytes;
}

function stored(checkpoint: Parameters<typeof TensorReader.open>[0], tensor: (typeof checkpoint.tensors)[number]): Uint8Array {
  const reader = TensorReader.open(checkpoint);
  try {
    const bytes = new Uint8Array(tensor.bytes);
    reader.readInto(tensor, 0, elementCount(tensor.shape), bytes);
    return bytes;
  } finally {
    reader.close();
  }
}

function floats(dtype: DType, bytes: Uint8Array): Float32Array {
  const values = new Float32Array((bytes.length * 8) / DTYPE_BITS[dtype]);
  decodeFloats(dtype, bytes, values.length, values);
  return values;
}

/** The first place where two differ, in words. Zeros of either sign are one value (bitsandbytes' kernel and its table differ there). */
function firstDifference(found: Float32Array, wanted: Float32Array): string | null {
  if (found.length !== wanted.length) return `${found.length} values instead of ${wanted.length}`;
  const at = found.findIndex((value, i) => !(value === wanted[i] || (Number.isNaN(value) && Number.isNaN(wanted[i]))));
  return at < 0 ? null : `value ${at} is ${found[at]}, not ${wanted[at]}`;
}
