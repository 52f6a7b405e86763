import assert from 'node:assert/strict';
import test from 'node:test';
import { elementCount, openCheckpoint, shownDtype, TensorReader, type Checkpoint, type TensorInfo } from '../../../kernels/checkpoint';
import { storedValues } from '../../../kernels/stored/registry';
import { floats } from './pickles';
import { MemorySource, openBytes, opened, refused, valuesOf, writeScratch } from './support';
import { flatbuffer, tfliteModel, type TfliteTensor } from './tflite-files';

function decoded(checkpoint: Checkpoint, info: TensorInfo): number[] {
  const reader = TensorReader.open(checkpoint);
  const out = new Float32Array(elementCount(info.shape));
  for (let i = 0; i < out.length; i++) storedValues(info, reader).read(i, 1, out.subarray(i));
  reader.close();
  return [...out];
}

test('weights have their values, quantized ones as what they stand for, activations are counted', async (t) => {
  const tensors: TfliteTensor[] = [
    { name: 'float', type: 0, shape: [2], data: floats(1.5, -2) },
    { name: 'half', type: 1, shape: [1], data: Buffer.from([0, 0x3c]) },
    { name: 'per tensor', type: 3, shape: [2, 2], data: Buffer.from([0, 128, 255, 130]), scales: [0.5], zeros: [128] },
    { name: 'per channel', type: 9, shape: [2, 3], data: Buffer.from([1, 2, 3, 255, 254, 253]), scales: [0.5, 2], zeros: [0, 0], axis: 0 },
    { name: 'last', type: 9, shape: [1, 1, 2, 2], data: Buffer.from([1, 2, 3, 4]), scales: [1, 10], zeros: [0, 1], axis: 3 },
    { name: 'bias', type: 2, shape: [2], data: Buffer.from([1, 0, 0, 0, 255, 255, 255, 255]), scales: [0.25], zeros: [0] },
    { name: 'four', type: 17, shape: [3], data: Buffer.from([0x2f, 0x08]), scales: [2], zeros: [0] },
    { name: 'plain four', type: 17, shape: [3], data: Buffer.from([0x2f, 0x08]) },
    { name: 'activation', type: 9, shape: [1, 8], data: null, scales: [1], zeros: [0] },
    { name: 'float', type: 0, shape: [1], data: floats(9) },
  ];
  const checkpoint = await openCheckpoint(writeScratch(t, 'm.tflite', tfliteModel(tensors, [{ code: 4, inputs: [8, 4] }])));
  assert.equal(checkpoint.format, 'tflite');
  assert.deepEqual(checkpoint.problems, []);
  assert.deepEqual(checkpoint.tensors.map((tensor) => [tensor.name, shownDtype(tensor), tensor.outputAxis ?? 0]), [
    ['float', 'F32', 0], ['half', 'F16', 0], ['per tensor', 'uint8 tensor (TFLite)', 0], ['per channel', 'int8 channel (TFLite)', 0], ['last', 'int8 channel (TFLite)', 3],
    ['bias', 'int32 tensor (TFLite)', 0], ['four', 'int4 tensor (TFLite)', 0], ['plain four', 'INT4', 0], ['float (2)', 'F32', 0],
  ]);
  const of = (name: string): TensorInfo => checkpoint.tensors.find((tensor) => tensor.name === name)!;
  assert.deepEqual(valuesOf(checkpoint, of('float')), floats(1.5, -2));
  assert.deepEqual(decoded(checkpoint, of('per tensor')), [-64, 0, 63.5, 1]);
  assert.deepEqual(decoded(checkpoint, of('per channel')), [0.5, 1, 1.5, -2, -4, -6]);
  assert.deepEqual(decoded(checkpoint, of('last')), [1, 10, 3, 30]);
  assert.deepEqual(decoded(checkpoint, of('bias')), [0.25, -0.25]);
  assert.deepEqual(decoded(checkpoint, of('four')), [-2, 4, -16]);
  assert.deepEqual(decoded(checkpoint, of('plain four')), [-1, 2, -8]);
  assert.ok(checkpoint.metadata.some(([key, value]) => key === 'tensors without values' && value === '1'));
});

test('tables, vectors and buffers that lie outside the file or do not fit are refused', async () => {
  const good = tfliteModel([{ name: 'w', type: 0, shape: [2], data: floats(1, 2) }]);
  // The name of the tensor comes last; the zero behind it belongs to no reader.
  for (let length = 8; length < good.length - 1; length++) assert.ok('error' in await openBytes(good.subarray(0, length)), `cut at ${length} of ${good.length}`);
  const cases: [Buffer, RegExp][] = [
    [tfliteModel([{ name: 'w', type: 0, shape: [3], data: floats(1, 2) }]), /8 bytes of values, but its shape \[3\] needs 12/],
    [tfliteModel([{ name: 'w', type: 0, shape: [-1], data: floats(1) }]), /has the dimension -1/],
    [tfliteModel([{ name: 'w', type: 0, shape: Array<number>(65).fill(1), data: floats(1) }]), /65 dimensions/],
    [tfliteModel([{ name: 'w', type: 0, shape: Array<number>(5).fill(2 ** 31 - 1), data: floats(1) }]), /too large/],
    [Buffer.concat([Buffer.from([0xff, 0xff, 0xff, 0x7f]), Buffer.from('TFL3'), Buffer.alloc(40)]), /the file ends at 48/],
    [flatbuffer({ table: [{ u32: 3 }, null, { to: { tables: [{ table: [{ to: { tables: [{ table: [null, { u8: 0 }, { u32: 7 }] }] } }] }] } }] }), /buffer 7 of 0/],
  ];
  for (const [bytes, message] of cases) assert.match((await refused(bytes)).message, message);
  const odd = await opened(tfliteModel([{ name: 'w', type: 9, shape: [3], data: Buffer.alloc(3), scales: [1, 2], zeros: [], axis: 0 }, { name: 'x', type: 99, shape: [1], data: Buffer.alloc(1) }]));
  assert.deepEqual(odd.tensors.map(shownDtype), ['I8']);
  assert.ok(odd.problems.some(({ message }) => /2 scales for dimension 0 of \[3\]/.test(message)) && odd.problems.some(({ message }) => /element type 99/.test(message)));
  // Values behind the flatbuffer, as models of more than 2 GiB keep them.
  const behind = flatbuffer({ table: [{ u32: 3 }, null, { to: { tables: [{ table: [{ to: { tables: [{ table: [null, { u8: 9 }, { u32: 1 }] }] } }] }] } }, null, { to: { tables: [{ table: [] }, { table: [null, { u64: 4000 }, { u64: 1 }] }] } }] });
  const large = await opened(Buffer.concat([behind, Buffer.alloc(4001 - behind.length, 5)]));
  assert.equal(large.tensors[0].data?.offset, 4000);
});

test('many tensors of one name cost no more than their number', async () => {
  const bytes = tfliteModel(Array.from({ length: 2000 }, (): TfliteTensor => ({ name: 'w', type: 9, shape: [1], data: Buffer.alloc(1) })));
  const source = new MemorySource(bytes);
  const result = await openBytes(source);
  assert.ok('checkpoint' in result && result.checkpoint.tensors.length === 2000 && result.checkpoint.tensors[1999].name === 'w (2000)');
  assert.ok(source.bytesRead <= 2 * bytes.length + 8192);
});
