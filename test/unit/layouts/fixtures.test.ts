/** Layouts as other programs wrote them (test/fixtures/layouts/PROVENANCE.md): recognised, named, and decoded to the last bit. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { DTYPE_BITS, elementCount, modelTensors, openCheckpoint, TensorReader, type DType } from '../../../kernels/checkpoint';
import { parseFormat } from '../../../kernels/formats/registry';
import { encodeFloats } from '../../../kernels/numerics/codecs';
import { storedValues } from '../../../kernels/stored/registry';
import { repositoryRoot } from '../../support/data';
import { valuesOfModelTensor } from './values';

const folder = path.join(repositoryRoot, 'test/fixtures/layouts');
const names = readdirSync(folder).filter((name) => name.endsWith('.expected.safetensors')).map((name) => name.replace('.expected.safetensors', '')).sort();

/** What each is shown as, and the format it is in where it is one of ours. */
const SHOWN: Readonly<Record<string, readonly [name: string, format: string | undefined]>> = {
  'gptq-2bit': ['int2 g32 (GPTQ)', 'int2-asym-g32'],
  'gptq-3bit': ['int3 g32 (GPTQ)', 'int3-asym-g32'],
  'gptq-4bit': ['int4 g32 (GPTQ)', 'int4-asym-g32'],
  'gptq-8bit': ['int8 g32 (GPTQ)', 'int8-asym-g32'],
  'gptq-2bit-act-order': ['int2 g32 act-order (GPTQ)', undefined],
  'gptq-3bit-act-order': ['int3 g32 act-order (GPTQ)', undefined],
  'gptq-4bit-act-order': ['int4 g32 act-order (GPTQ)', undefined],
  'gptq-8bit-act-order': ['int8 g32 act-order (GPTQ)', undefined],
  awq: ['int4 g32 (AWQ)', 'int4-asym-g32-sf16'],
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
      assert.deepEqual([weight.encoding!.name, weight.encoding!.format], SHOWN[name], weight.name);
      if (weight.encoding!.format) assert.equal(parseFormat(weight.encoding!.format).id, weight.encoding!.format);
      const wanted = expected.tensors.find((tensor) => tensor.name === weight.name)!;
      assert.deepEqual(weight.shape, wanted.shape);
      const values = valuesOfModelTensor(checkpoint, weight);
      assert.deepEqual(hex(rounded(wanted.dtype, values)), hex(stored(expected, wanted)), weight.name);
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
        assert.deepEqual(hex(new Uint8Array(out.buffer)), hex(new Uint8Array(values.buffer)));
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

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
