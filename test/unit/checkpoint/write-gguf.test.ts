import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { openCheckpoint, readGgufMetadata, TensorReader, writeGguf, type Checkpoint, type GgufEntry, type GgufMetadataEntry } from '../../../kernels/checkpoint';
import { NODE_FILES } from '../../../kernels/checkpoint/atomic-file';
import { GGML_TYPES } from '../../../kernels/checkpoint/ggml-types';
import { dataPath, needsData } from '../../support/data';
import { gguf, type GgufParts } from './gguf-file';
import { randomFrom, scratch, writeScratch } from './support';

function storedBytes(checkpoint: Checkpoint): Map<string, Buffer> {
  const reader = TensorReader.open(checkpoint);
  const all = new Map(checkpoint.tensors.map((tensor) => {
    const bytes = Buffer.alloc(tensor.bytes);
    reader.readStored(tensor, 0, bytes);
    return [tensor.name, bytes];
  }));
  reader.close();
  return all;
}

const METADATA: readonly GgufMetadataEntry[] = [
  { key: 'general.architecture', type: 'string', value: 'llama' }, { key: 'general.alignment', type: 'uint32', value: 64 }, { key: 'u8', type: 'uint8', value: 255 }, { key: 'i8', type: 'int8', value: -128 },
  { key: 'u16', type: 'uint16', value: 65535 }, { key: 'i16', type: 'int16', value: -2 }, { key: 'i32', type: 'int32', value: -3 }, { key: 'u64', type: 'uint64', value: 2n ** 64n - 1n },
  { key: 'i64', type: 'int64', value: -(2n ** 63n) }, { key: 'f32', type: 'float32', value: 1.5 }, { key: 'f64', type: 'float64', value: 0.1 }, { key: 'yes', type: 'bool', value: true },
  { key: 'words', type: 'string', value: ['a', 'é', ''] }, { key: 'numbers', type: 'int32', value: [-1, 2] }, { key: 'none', type: 'float32', value: [] }, { key: '__proto__', type: 'string', value: '' },
];

test('every type and every kind of value comes back as it was written', async (t) => {
  const random = randomFrom(7);
  const file = path.join(scratch(t), 'x.gguf');
  const data = new Map(GGML_TYPES.map((type) => [`w.${type.name}`, Buffer.from(Array.from({ length: 6 * type.bytes }, () => random(256)))]));
  const entries = GGML_TYPES.map((type): GgufEntry => ({
    name: `w.${type.name}`, type: type.name, shape: [3, 2 * type.block],
    write: (sink) => { const bytes = data.get(`w.${type.name}`)!; for (let at = 0; at < bytes.length; at += 7) sink(bytes.subarray(at, at + 7)); },
  }));
  const scalar: GgufEntry = { name: 'scalar', type: 'F32', shape: [], write: (sink) => { sink(Buffer.from([0, 0, 128, 63])); } };
  const empty: GgufEntry = { name: 'empty', type: 'Q4_K', shape: [0, 256], write: () => undefined };
  const written = await writeGguf(file, [...entries, scalar, empty], METADATA);
  assert.equal(written.bytes, readFileSync(file).length);
  const checkpoint = await openCheckpoint(file);
  assert.deepEqual(checkpoint.problems, []);
  assert.deepEqual(checkpoint.tensors.map(({ name, shape }) => [name, shape.join()]), [...GGML_TYPES.map((type) => [`w.${type.name}`, `3,${2 * type.block}`]), ['scalar', ''], ['empty', '0,256']]);
  const back = storedBytes(checkpoint);
  for (const [name, bytes] of data) assert.deepEqual(back.get(name), bytes, name);
  assert.ok(checkpoint.tensors.every(({ data: at }) => at!.offset % 64 === 0));
  assert.equal(new Map(checkpoint.metadata).get('words'), '["a", "é", ""]');
  // And written once more from what was read, the file is the same byte for byte.
  const second = path.join(scratch(t), 'y.gguf');
  await writeGguf(second, checkpoint.tensors.map((tensor) => ({ name: tensor.name, type: tensor.encoding?.name ?? tensor.dtype, shape: tensor.shape, write: (sink) => { sink(back.get(tensor.name)!); } })), await readGgufMetadata(checkpoint));
  assert.deepEqual(readFileSync(second), readFileSync(file));
});

test('the metadata of a real vocabulary is kept to the last byte, and of a big-endian file to the last value', async (t) => {
  if (needsData(t, 'oracles/gguf-vocab')) {
    const source = dataPath('oracles/gguf-vocab/ggml-vocab-bert-bge.gguf');
    const copy = path.join(scratch(t), 'copy.gguf');
    await writeGguf(copy, [], await readGgufMetadata(await openCheckpoint(source)));
    assert.ok(readFileSync(copy).equals(readFileSync(source)));
  }
  const pairs: GgufParts['pairs'] = [['split.no', 'uint16', 0], ['split.count', 'uint16', 1], ['long', 'string', 'x'.repeat(70_000)], ['words', 'string[]', ['a', 'bcd', '']], ['numbers', 'int32[]', [-1, 2, 3]], ['f', 'float64', 0.1], ['u', 'uint64[]', [1n, 2n ** 63n]]];
  const big = await openCheckpoint(writeScratch(t, 'big.gguf', gguf({ bigEndian: true, pairs })));
  const copy = path.join(scratch(t), 'little.gguf');
  await writeGguf(copy, [], await readGgufMetadata(big));
  assert.deepEqual(readFileSync(copy), gguf({ pairs: pairs.slice(2) }));
});

test('what cannot be written is said, and nothing is left behind', async (t) => {
  const folder = scratch(t);
  const file = path.join(folder, 'x.gguf');
  const entry = (change: Partial<GgufEntry> = {}): GgufEntry => ({ name: 'w', type: 'Q8_0', shape: [2, 32], write: (sink) => { sink(new Uint8Array(68)); }, ...change });
  const cases: [readonly GgufEntry[], readonly GgufMetadataEntry[], RegExp][] = [
    [[entry({ type: 'Q9' })], [], /no type Q9/], [[entry({ shape: [32, 2] })], [], /rows of 2 values, no multiple of the 32/], [[entry({ shape: [1, 1, 1, 1, 32] })], [], /5 dimensions/],
    [[entry({ name: 'é'.repeat(32) })], [], /64 bytes; ggml takes at most 63/], [[entry(), entry()], [], /w is given twice/], [[entry({ shape: [3, 32] })], [], /wrote 68 bytes, but its shape needs 102/],
    [[entry({ shape: [1, 32] })], [], /more than the 34 bytes/], [[entry({ shape: [-1, 32] })], [], /which is none/], [[entry({ name: '\ud800' })], [], /surrogate/],
    [[], [{ key: 'a', type: 'uint8', value: 256 }], /no uint8: 256/], [[], [{ key: 'a', type: 'int32', value: 1.5 }], /no int32/], [[], [{ key: 'a', type: 'string', value: 1 }], /no string/],
    [[], [{ key: '', type: 'uint8', value: 1 }], /has 0 bytes/], [[], [{ key: 'general.alignment', type: 'uint32', value: 24 }], /power of two/], [[], [{ key: 'a', type: 'bool', value: true }, { key: 'a', type: 'bool', value: true }], /a is given twice/],
  ];
  for (const [entries, metadata, message] of cases) {
    await assert.rejects(writeGguf(file, entries, metadata), message);
    assert.deepEqual(readdirSync(folder), [], String(message));
  }
  writeFileSync(file, 'before');
  for (const failing of ['writeSync', 'fsyncSync', 'renameSync'] as const) {
    await assert.rejects(writeGguf(file, [entry()], [], { files: { ...NODE_FILES, [failing]: () => { throw Object.assign(new Error('full'), { code: 'ENOSPC' }); } } }), /full/);
    assert.equal(readFileSync(file, 'utf8'), 'before');
  }
  const controller = new AbortController();
  await assert.rejects(writeGguf(file, [entry({ write: (sink) => { controller.abort(); sink(new Uint8Array(68)); } })], [], { signal: controller.signal }), { name: 'AbortError' });
  assert.deepEqual(readdirSync(folder), ['x.gguf']);
  await writeGguf(file, [entry()]);
  assert.ok(existsSync(file) && (await openCheckpoint(file)).tensors.length === 1);
});
