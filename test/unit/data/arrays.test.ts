import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { openDataset } from '../../../kernels/data/open';
import { sampleShapeOf } from '../../../kernels/data/shape';
import { temporaryFolder } from '../../support/temporary-safetensors';

/** Writes an .npy file of version 1. */
function npy(t: TestContext, name: string, descr: string, shape: readonly number[], data: ArrayBufferView): string {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`;
  const padded = header.padEnd(Math.ceil((10 + header.length + 1) / 64) * 64 - 11, ' ') + '\n';
  const prefix = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, padded.length & 255, padded.length >> 8]);
  const file = path.join(temporaryFolder(t), name);
  writeFileSync(file, Buffer.concat([prefix, Buffer.from(padded, 'latin1'), new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]));
  return file;
}

test('pictures of bytes become floats, channels first, scaled and normalised per channel', async (t) => {
  const inputs = npy(t, 'x.npy', '|u1', [2, 1, 2, 3], Uint8Array.from([10, 20, 30, 40, 50, 60, 1, 2, 3, 4, 5, 6]));
  const spec = { inputs, preprocess: { scale: 0.1, mean: [1, 2, 3], std: [1, 2, 0.5], layout: 'NHWC' as const } };
  const data = await openDataset(spec);
  assert.deepEqual(data.sample, { shape: [3, 1, 2], whole: false });
  assert.deepEqual([...data.inputs([0]).data as Float32Array], [0, 3, 0, 1.5, 0, 6]);
  assert.deepEqual(data.inputs([1, 0]).shape, [2, 3, 1, 2]);
  assert.deepEqual(await sampleShapeOf(spec), { shape: [3, 1, 2], whole: false, count: 2 });
  data.close();
});

test('whole numbers of more than a byte stay whole: token ids', async (t) => {
  const data = await openDataset({ inputs: npy(t, 'ids.npy', '<i4', [2, 3], Int32Array.from([1, 2, 3, 4, 5, 6])) });
  assert.deepEqual(data.sample, { shape: [3], whole: true });
  assert.deepEqual([...data.inputs([1]).data as BigInt64Array], [4n, 5n, 6n]);
  data.close();
});

test('bytes without preprocessing become floats', async (t) => {
  const data = await openDataset({ inputs: npy(t, 'x.npy', '|u1', [1, 2], Uint8Array.from([7, 255])), labels: npy(t, 'y.npy', '<i8', [1], BigInt64Array.from([3n])) });
  assert.deepEqual([...data.inputs([0]).data as Float32Array], [7, 255]);
  assert.deepEqual([...data.labels([0]).data as BigInt64Array], [3n]);
  data.close();
});

test('what cannot be used says so: no samples, another number of labels, wrong channels, NaN', async (t) => {
  const one = npy(t, 'x.npy', '<f4', [1, 2], Float32Array.from([1, NaN]));
  await assert.rejects(openDataset({ inputs: npy(t, 'none.npy', '<f4', [0, 2], new Float32Array(0)) }), /none\.npy holds no samples/);
  await assert.rejects(openDataset({ inputs: one, labels: npy(t, 'y.npy', '<i8', [2], BigInt64Array.from([0n, 1n])) }), /2 labels for the 1 samples/);
  await assert.rejects(openDataset({ inputs: one, preprocess: { mean: [1, 2, 3] } }), /mean has 3 values .* 2 channels/);
  await assert.rejects(openDataset({ inputs: path.join(temporaryFolder(t), 'missing.npy') }), /missing\.npy/);
  const data = await openDataset({ inputs: one });
  assert.throws(() => data.inputs([0]), /sample 0 holds NaN/);
  data.close();
});
