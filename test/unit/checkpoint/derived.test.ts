import assert from 'node:assert/strict';
import test from 'node:test';
import { modelTensors, shownDtype, type Checkpoint, type DerivedTensor, type TensorInfo } from '../../../kernels/checkpoint';

const tensor = (name: string): TensorInfo => ({ name, dtype: 'I32', shape: [2, 2], bytes: 16, data: null });
const checkpointOf = (tensors: readonly TensorInfo[], derived?: readonly DerivedTensor[]): Checkpoint =>
  ({ format: 'safetensors', path: '/x', files: [], tensors, problems: [], imports: [], metadata: [], ...(derived ? { derived } : {}) });

test('a derived weight stands in the place of the first tensor that it replaces', () => {
  const weight: DerivedTensor = { ...tensor('a.weight'), dtype: 'F16', encoding: { layout: 'x', name: 'int4 (X)' }, replaces: ['a.qweight', 'a.scales'] };
  const checkpoint = checkpointOf(['first', 'a.qweight', 'b', 'a.scales'].map(tensor), [weight]);
  assert.deepEqual(modelTensors(checkpoint).map(({ name }) => name), ['first', 'a.weight', 'b']);
  assert.equal(shownDtype(weight), 'int4 (X)');
  assert.equal(shownDtype(tensor('b')), 'I32');
});

test('without derived weights a model sees the tensors of the file', () => {
  const checkpoint = checkpointOf([tensor('a')]);
  assert.equal(modelTensors(checkpoint), checkpoint.tensors);
});
