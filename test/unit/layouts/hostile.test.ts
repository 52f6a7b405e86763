/** Parts that do not fit: whatever shapes and types a header claims, opening never throws, and values are refused or read, never past a tensor. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { CheckpointError, DTYPE_BITS, elementCount, openCheckpoint, TensorReader, type Checkpoint, type DType, type TensorInfo } from '../../../kernels/checkpoint';
import { withDerived } from '../../../kernels/checkpoint/layouts/registry';
import { storedValues } from '../../../kernels/stored/registry';
import { dataPath, needsData, repositoryRoot } from '../../support/data';
import { readFileSync } from 'node:fs';
import { temporarySafetensors } from '../../support/temporary-safetensors';
import { valuesOfModelTensor } from './values';

const folder = path.join(repositoryRoot, 'test/fixtures/layouts');
const DTYPES = Object.keys(DTYPE_BITS) as DType[];

test('wrong shapes, wrong types and missing parts are findings or refusals, in every layout', async () => {
  let [derived, refused] = [0, 0];
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.safetensors') && !name.includes('.expected.'))) {
    const { derived: _recognised, ...plain } = await openCheckpoint(path.join(folder, file));
    const base: Checkpoint = { ...plain, problems: [] };
    const reader = TensorReader.open(base);
    const change = fc.record({
      which: fc.nat(base.tensors.length - 1),
      what: fc.constantFrom('drop', 'shape', 'dtype', 'transpose', 'empty', 'huge', 'meta'),
      dtype: fc.constantFrom(...DTYPES),
      dims: fc.array(fc.integer({ min: 0, max: 70 }), { maxLength: 4 }),
    });
    fc.assert(fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      let tensors: TensorInfo[] = [...base.tensors];
      for (const { which, what, dtype, dims } of changes) {
        const tensor = tensors[which % Math.max(1, tensors.length)];
        if (!tensor) continue;
        const resized = (shape: readonly number[], type = tensor.dtype): TensorInfo => ({ ...tensor, shape, dtype: type, bytes: Math.floor((elementCount(shape) * DTYPE_BITS[type]) / 8) });
        const changed = what === 'shape' ? resized(dims) : what === 'dtype' ? resized(tensor.shape, dtype) : what === 'transpose' ? resized([...tensor.shape].reverse())
          : what === 'empty' ? resized(tensor.shape.map(() => 0)) : what === 'huge' ? resized([2 ** 26, 2 ** 20]) : what === 'meta' ? { ...tensor, data: null } : null;
        tensors = tensors.flatMap((each) => (each === tensor ? (changed ? [changed] : []) : [each]));
      }
      const checkpoint = withDerived({ ...base, tensors });
      for (const problem of checkpoint.problems) assert.equal(problem.code, 'BL406');
      for (const weight of checkpoint.derived ?? []) {
        derived += 1;
        assert.ok(elementCount(weight.shape) > 0);
        const values = new Float32Array(Math.min(elementCount(weight.shape), 5000));
        try {
          storedValues(weight, reader).read(0, values.length, values);
        } catch (error) {
          // The file is shorter than the header that the test made up, or holds group indices that make no sense.
          if (!(error instanceof CheckpointError)) throw error;
          refused += 1;
        }
      }
    }), { numRuns: 60, seed: 11 });
    reader.close();
  }
  assert.ok(derived > 300 && refused > 0 && refused < derived, `${derived} recognised, ${refused} refused when read`);
});

test('packed integers of 1 to 8 bits are those that compressed-tensors packs (oracles/compressed-tensors)', async (t) => {
  if (!needsData(t, 'oracles/compressed-tensors/manifest.json')) return;
  const manifest = JSON.parse(readFileSync(dataPath('oracles/compressed-tensors/manifest.json'), 'utf8')) as { name: string; bits?: number; rows: number; cols: number; packed_cols: number; values: string; packed: string }[];
  const cases = manifest.filter(({ bits }) => bits !== undefined);
  assert.equal(cases.length, 16);
  for (const { name, bits, rows, cols, packed_cols: words, values, packed } of cases) {
    const file = await temporarySafetensors(t, [
      { name: 'l.weight_packed', dtype: 'I32', shape: [rows, words], values: new Uint8Array(readFileSync(dataPath(`oracles/compressed-tensors/${packed}`))) },
      { name: 'l.weight_scale', dtype: 'F32', shape: [rows, 1], values: new Float32Array(rows).fill(1) },
      { name: 'l.weight_shape', dtype: 'I64', shape: [2], values: new Uint8Array(BigInt64Array.of(BigInt(rows), BigInt(cols)).buffer) },
      // Four codes to a word may be 8 bits, or 7 as they were padded once.
    ], [['quantization_config', JSON.stringify({ quant_method: 'compressed-tensors', config_groups: { group_0: { targets: ['Linear'], weights: { num_bits: bits } } } })]]);
    const checkpoint = await openCheckpoint(file);
    assert.deepEqual(checkpoint.problems.filter(({ grade }) => grade === 'questionable'), [], name);
    assert.equal(checkpoint.derived![0]!.encoding.options!.bits, bits);
    const expected = new Int8Array(readFileSync(dataPath(`oracles/compressed-tensors/${values}`)));
    assert.deepEqual([...valuesOfModelTensor(checkpoint, checkpoint.derived![0]!)], [...expected], name);
  }
});
