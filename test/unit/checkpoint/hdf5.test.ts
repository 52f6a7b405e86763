import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { CheckpointError, openCheckpoint } from '../../../kernels/checkpoint';
import { dataPath, needsData } from '../../support/data';
import { call, global, pickle, zip } from './pickles';
import { MemorySource, openBytes, opened, randomFrom, refused, valuesOf, writeScratch } from './support';

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const ORACLE = 'oracles/hdf5';
const NAMES = ['libver_earliest.h5', 'libver_latest.h5'];

test('both files of the HDF5 oracle give every dataset, in any pieces', async (t) => {
  if (!needsData(t, ORACLE)) return;
  const expected = JSON.parse(readFileSync(dataPath(`${ORACLE}/expected.json`), 'utf8')) as Record<string, Record<string, { dtype: string; shape: number[]; sha256: string }>>;
  const dtypes: Record<string, string> = { float32: 'F32', int32: 'I32', '>f8': 'F64', float16: 'F16', float64: 'F64' };
  let checked = 0;
  for (const name of NAMES) {
    const checkpoint = await openCheckpoint(dataPath(`${ORACLE}/${name}`));
    assert.equal(checkpoint.format, 'hdf5');
    assert.deepEqual(checkpoint.tensors.map((tensor) => tensor.name).sort(), Object.keys(expected[name]!).sort());
    for (const tensor of checkpoint.tensors) {
      const want = expected[name]![tensor.name]!;
      assert.deepEqual([tensor.dtype, tensor.shape], [dtypes[want.dtype], want.shape], tensor.name);
      const values = valuesOf(checkpoint, tensor);
      // The oracle's hash of a big-endian array is of its bytes as they are stored.
      const asStored = want.dtype.startsWith('>') ? Buffer.from(values).swap64() : values;
      assert.equal(sha(asStored), want.sha256, `${name} ${tensor.name}`);
      for (const step of [1, 7]) assert.deepEqual(valuesOf(checkpoint, tensor, step), values);
      checked++;
    }
    // Links are told, and the one that leads to another file is not followed.
    assert.ok(checkpoint.problems.some(({ message, grade }) => grade === 'questionable' && /link to another file/.test(message)), name);
    assert.ok(checkpoint.problems.some(({ message }) => /another name of/.test(message)), name);
    assert.equal(checkpoint.files.length, 1);
  }
  assert.equal(checked, 12);
  t.diagnostic(`${checked} datasets`);
});

test('every cut of an HDF5 file is refused, and says how many bytes are missing', async (t) => {
  if (!needsData(t, ORACLE)) return;
  for (const name of NAMES) {
    const bytes = readFileSync(dataPath(`${ORACLE}/${name}`));
    for (let length = 9; length < bytes.length; length += 97) {
      const result = await openBytes(bytes.subarray(0, length));
      assert.ok('error' in result, `${name} cut at ${length}`);
      if (length > 100) assert.match(result.error.message, new RegExp(`${bytes.length - length} bytes are missing`));
    }
  }
});

test('addresses that lead back, out of the file or into other structures are refused or told (2,000 mutants)', async (t) => {
  if (!needsData(t, ORACLE)) return;
  const random = randomFrom(8);
  let refusedCount = 0;
  for (let run = 0; run < 2000; run++) {
    const bytes = Buffer.from(readFileSync(dataPath(`${ORACLE}/${NAMES[run % 2]}`)));
    // An address of the file where another stands.
    const words = Array.from({ length: Math.floor(bytes.length / 8) }, (_, i) => i * 8).filter((at) => bytes.readBigUInt64LE(at) > 0n && bytes.readBigUInt64LE(at) < BigInt(bytes.length));
    const [to, from] = [words[random(words.length)]!, words[random(words.length)]!];
    bytes.copyWithin(to, from, from + 8);
    const source = new MemorySource(bytes);
    const result = await openBytes(source);
    if ('error' in result) { refusedCount++; continue; }
    assert.ok(source.reads < 5000);
  }
  assert.ok(refusedCount > 100, String(refusedCount));
});

test('damaged chunks are told when they are read, and nothing is made up', async (t) => {
  if (!needsData(t, ORACLE)) return;
  const bytes = Buffer.from(readFileSync(dataPath(`${ORACLE}/libver_earliest.h5`)));
  const checkpoint = await opened(bytes);
  const tensor = checkpoint.tensors.find(({ name }) => name === 'g/chunk_gzip')!;
  const { packed } = tensor.data!;
  assert.ok(packed?.method === 'chunks' && packed.table.length > 3);
  bytes[packed.table[3]! + 5] ^= 0xff;
  const damaged = await openCheckpoint(writeScratch(t, 'x.h5', bytes));
  assert.throws(() => valuesOf(damaged, damaged.tensors.find(({ name }) => name === 'g/chunk_gzip')!), (error) => error instanceof CheckpointError && /the chunk at byte \d+ cannot be read/.test(error.message));
  assert.ok(path.isAbsolute(damaged.path));
});

test('a .keras archive gives the weights of the HDF5 file in it', async (t) => {
  if (!needsData(t, ORACLE)) return;
  const bytes = readFileSync(dataPath(`${ORACLE}/${NAMES[0]}`));
  const plain = await openCheckpoint(dataPath(`${ORACLE}/${NAMES[0]}`));
  const members = [{ name: 'metadata.json', bytes: Buffer.from('{"keras_version": "3.5.0", "date_saved": "2024"}') }, { name: 'config.json', bytes: Buffer.from('{}') }];
  const archive = await openCheckpoint(writeScratch(t, 'm.keras', zip([...members, { name: 'model.weights.h5', bytes }, { name: 'evil.pkl', bytes: pickle(call(global('os', 'system'), 'x')) }])));
  assert.equal(archive.format, 'keras');
  assert.deepEqual(archive.tensors.map(({ name, shape }) => [name, shape]), plain.tensors.map(({ name, shape }) => [name, shape]));
  for (const [i, tensor] of archive.tensors.entries()) assert.deepEqual(valuesOf(archive, tensor), valuesOf(plain, plain.tensors[i]));
  assert.ok(archive.metadata.some(([key, value]) => key === 'keras_version' && value === '3.5.0'));
  assert.ok(archive.imports.some(({ kind }) => kind === 'code'), 'pickles beside it are looked at');
  const packed = await refused(zip([...members, { name: 'model.weights.h5', bytes, packed: deflateRawSync(bytes), method: 8 }]));
  assert.match(packed.message, /is compressed/);
});
