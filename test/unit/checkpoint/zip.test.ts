import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { crc32, deflateRawSync } from 'node:zlib';
import { openCheckpoint } from '../../../kernels/checkpoint';
import { call, dict, floats, global, pickle, storage, tensorV2, tuple, torchZip, zip, type Member } from './pickles';
import { MemorySource, openBytes, opened, randomFrom, refused, scratch, valuesOf, writeScratch } from './support';

const object = dict([['w', tensorV2(storage('FloatStorage', '0', 4), 0, [2, 2])]]);
const members = (changes: Partial<Record<'pickle' | 'data', Partial<Member>>> = {}): Member[] => [
  { name: 'm/data.pkl', bytes: pickle(object), ...changes.pickle },
  { name: 'm/data/0', bytes: floats(1, 2, 3, 4), ...changes.data },
  { name: 'm/version', bytes: Buffer.from('3\n') },
];
const messages = (checkpoint: { problems: readonly { message: string }[] }): string => checkpoint.problems.map((problem) => problem.message).join('\n');

test('zip64, comments, data before the archive and any top folder are read', async (t) => {
  for (const bytes of [zip(members()), zip(members(), { zip64: true }), zip(members(), { comment: Buffer.from('PK\x05\x06 a comment') }), zip(members().map((member) => ({ ...member, name: member.name.replace('m/', 'ä b/') })))]) {
    const checkpoint = await openCheckpoint(writeScratch(t, 'x.pt', bytes));
    assert.deepEqual(valuesOf(checkpoint, checkpoint.tensors[0]), floats(1, 2, 3, 4));
  }
  for (const zip64 of [false, true]) {
    const shifted = await openCheckpoint(writeScratch(t, 'x.pt', zip(members(), { zip64, before: Buffer.from('#!/bin/sh\n# not a zip at first sight\n') })));
    assert.deepEqual(valuesOf(shifted, shifted.tensors[0]), floats(1, 2, 3, 4));
    assert.match(messages(shifted), /^37 bytes stand before the archive/);
  }
  // Room between the two end records can hide a second pair of them.
  const wide = zip(members(), { zip64: true });
  const gap = await opened(Buffer.concat([wide.subarray(0, -42), Buffer.alloc(1), wide.subarray(-42)]));
  assert.deepEqual(gap.problems.map(({ grade, message }) => [grade, message]), [['questionable', '1 byte lies between the two end records of the archive, so programs may find another archive in the file']]);
});

test('a deflated pickle is inflated; a deflated storage is listed without values', async () => {
  const packed = await opened(zip(members({ pickle: { method: 8, packed: deflateRawSync(pickle(object)) } })));
  assert.deepEqual(packed.tensors.map((tensor) => tensor.data !== null), [true]);
  const storagePacked = await opened(zip(members({ data: { method: 8, packed: deflateRawSync(floats(1, 2, 3, 4)) } })));
  assert.equal(storagePacked.tensors[0].data, null);
  assert.match(messages(storagePacked), /compressed/);
});

test('a member that inflates to more or less than it declares is refused, without inflating it all', async () => {
  const bomb = deflateRawSync(Buffer.alloc(64 * 2 ** 20));
  const before = process.memoryUsage().arrayBuffers;
  for (const size of [100, 2 ** 20, 200 * 2 ** 20]) {
    const error = await refused(zip(members({ pickle: { method: 8, packed: bomb, size } })));
    assert.match(error.message, /inflate|declares/);
  }
  // Neither the 64 MiB it holds nor the 200 MiB it claims are ever taken.
  assert.ok(process.memoryUsage().arrayBuffers - before < 48 * 2 ** 20);
  const small = deflateRawSync(pickle(object));
  for (const delta of [-1, 1]) assert.match((await refused(zip(members({ pickle: { method: 8, packed: small, size: pickle(object).length + delta } })))).message, /inflate|declares/);
});

test('a wrong checksum is told and hides nothing; 0 means that none was made', async () => {
  const crc = crc32(pickle(object));
  assert.deepEqual((await opened(zip(members({ pickle: { crc } })))).problems, []);
  assert.deepEqual((await opened(zip(members({ pickle: { method: 8, packed: deflateRawSync(pickle(object)), crc } })))).problems, []);
  assert.deepEqual((await opened(zip(members({ pickle: { crc: 0 } })))).problems, []);
  const damaged = await opened(zip(members({ pickle: { crc: crc ^ 1 } })));
  assert.equal(damaged.tensors.length, 1);
  assert.deepEqual(damaged.problems.map(({ code, grade }) => [code, grade]), [['BL406', 'questionable']]);
  assert.match(messages(damaged), /^m\/data\.pkl does not have the checksum/);
  assert.match(messages(await opened(zip(members({ pickle: { crc, localCrc: crc ^ 2 } })))), /different checksum/);
  // A sum that follows the data is 0 in the header before it.
  assert.deepEqual((await opened(zip(members({ pickle: { crc, localCrc: 0 } })))).problems, []);
  // Values are read in pieces and never summed: opening stays as cheap as it was.
  const source = new MemorySource(zip(members({ data: { crc: 1 } })));
  assert.ok('checkpoint' in await openBytes(source));
});

test('what loaders may read differently is refused or told', async () => {
  assert.match((await refused(zip([...members(), { name: 'm/data/0', bytes: floats(9, 9, 9, 9) }]))).message, /two entries named/);
  assert.match((await refused(zip([...members(), { name: 'n/data.pkl', bytes: pickle(1) }]))).message, /2 data\.pkl/);
  assert.match(messages(await opened(zip(members({ data: { localName: 'm/data/1' } })))), /different name/);
  assert.match(messages(await opened(zip(members({ data: { localSize: 3 } })))), /different size/);
  assert.match((await refused(zip(members({ data: { headerShift: -64 } })))).message, /overlaps|no member/);
  assert.match((await refused(zip(members({ data: { bytes: floats(1, 2, 3) } })))).message, /holds 12 bytes, but the pickle says 16/);
  assert.match((await refused(zip(members().filter((member) => member.name !== 'm/data/0')))).message, /not in the archive/);
});

test('a header offset moved by a byte is refused, whichever it is', async () => {
  const random = randomFrom(5);
  for (let run = 0; run < 100; run++) {
    const count = 1 + random(6);
    const tensors = Array.from({ length: count }, (_, i) => [`t${i}`, tensorV2(storage('FloatStorage', String(i), 1 + i), 0, [1 + i])] as const);
    const entries: Member[] = [{ name: 'm/data.pkl', bytes: pickle(dict(tensors)) }, ...tensors.map((_, i) => ({ name: `m/data/${i}`, bytes: Buffer.alloc(4 * (1 + i), 7) }))];
    await opened(zip(entries));
    const victim = random(entries.length);
    for (const headerShift of victim === 0 ? [1] : [-1, 1]) {
      await refused(zip(entries.map((entry, i) => (i === victim ? { ...entry, headerShift } : entry))));
    }
  }
});

test('strides and offsets that leave the storage are refused (200 mutants)', async () => {
  const random = randomFrom(9);
  let checked = 0;
  while (checked < 200) {
    const shape = [1 + random(4), 1 + random(4)];
    const strides = [random(8), random(8)];
    const offset = random(30);
    const reach = offset + (shape[0] - 1) * strides[0] + (shape[1] - 1) * strides[1];
    const result = await openBytes(torchZip(dict([['x', tensorV2(storage('FloatStorage', '0', 16), offset, shape, strides)]]), { 0: Buffer.alloc(64) }));
    assert.equal('checkpoint' in result, reach < 16, `${shape.join('x')} strides ${strides.join(',')} offset ${offset}`);
    if ('error' in result) assert.match(result.error.message, /x is impossible|element/);
    checked++;
  }
});

test('a zip of other things says what it holds; one of pickles lists their imports', async () => {
  const other = await refused(zip([{ name: 'model.pth', bytes: Buffer.from('not weights') }, { name: 'README.md', bytes: Buffer.from('x') }]));
  assert.match(other.message, /model\.pth, README\.md/);
  assert.match(other.problem.fix, /Extract/);
  assert.match((await refused(zip([]))).message, /empty zip/);
  const hidden = await opened(zip([{ name: 'a/notes.txt', bytes: pickle(call(global('os', 'system'), 'ls')) }]));
  assert.deepEqual(hidden.imports.map((item) => [item.module, item.name, item.kind]), [['os', 'system', 'code']]);
  const beside = await opened(zip([...members(), { name: 'm/extra.bin', bytes: pickle(tuple(call(global('os', 'system'), 'ls'))) }]));
  assert.equal(beside.tensors.length, 1);
  assert.ok(beside.imports.some((item) => item.name === 'system'));
});

test('more than 4 GiB and 70,000 members: opened from its directory, almost nothing read', async (t) => {
  const file = path.join(scratch(t), 'big.pt');
  const count = 70_000;
  const tensors = Array.from({ length: count }, (_, i) => [`layer.${i}.weight`, tensorV2(storage('FloatStorage', String(i), i === 0 ? 1_200_000_000 : 1), 0, [i === 0 ? 1_200_000_000 : 1])] as const);
  const object = pickle(dict(tensors));
  // The large storage stands first on disk as a hole: built around it, because no buffer could hold it.
  const large = 4_800_000_000;
  const rest = zip([{ name: 'm/data.pkl', bytes: object }, ...Array.from({ length: count - 1 }, (_, i) => ({ name: `m/data/${i + 1}`, bytes: Buffer.alloc(4, 1) }))], { zip64: true });
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt32LE(0xffffffff, 18);
  local.writeUInt32LE(0xffffffff, 22);
  local.writeUInt16LE('m/data/0'.length, 26);
  const shift = 30 + 8 + large;
  const end64 = rest.length - 22 - 20 - 56;
  const directoryStart = Number(rest.readBigUInt64LE(end64 + 48));
  const directory = Buffer.from(rest.subarray(directoryStart, end64));
  // Every entry moves by the length of the hole.
  for (let at = 0; at < directory.length;) {
    const name = directory.readUInt16LE(at + 28);
    const extra = directory.readUInt16LE(at + 30);
    directory.writeBigUInt64LE(directory.readBigUInt64LE(at + 46 + name + 20) + BigInt(shift), at + 46 + name + 20);
    at += 46 + name + extra;
  }
  const first = Buffer.alloc(46 + 8 + 28);
  first.writeUInt32LE(0x02014b50, 0);
  first.writeUInt32LE(0xffffffff, 20);
  first.writeUInt32LE(0xffffffff, 24);
  first.writeUInt16LE(8, 28);
  first.writeUInt16LE(28, 30);
  first.writeUInt32LE(0xffffffff, 42);
  first.write('m/data/0', 46);
  first.writeUInt16LE(1, 54);
  first.writeUInt16LE(24, 56);
  first.writeBigUInt64LE(BigInt(large), 58);
  first.writeBigUInt64LE(BigInt(large), 66);
  const tail = Buffer.from(rest.subarray(end64));
  tail.writeBigUInt64LE(BigInt(count + 1), 32);
  tail.writeBigUInt64LE(BigInt(directory.length + first.length), 40);
  tail.writeBigUInt64LE(BigInt(directoryStart + shift), 48);
  tail.writeBigUInt64LE(BigInt(directoryStart + shift + directory.length + first.length), 56 + 8);
  const descriptor = openSync(file, 'w');
  writeSync(descriptor, Buffer.concat([local, Buffer.from('m/data/0')]), 0, 38, 0);
  const body = Buffer.concat([rest.subarray(0, directoryStart), directory, first, tail]);
  ftruncateSync(descriptor, shift);
  writeSync(descriptor, body, 0, body.length, shift);
  closeSync(descriptor);
  const checkpoint = await openCheckpoint(file);
  assert.equal(checkpoint.tensors.length, count);
  assert.deepEqual(checkpoint.problems, []);
  assert.deepEqual(checkpoint.tensors[0].shape, [1_200_000_000]);
  assert.deepEqual(valuesOf(checkpoint, checkpoint.tensors[count - 1]), Buffer.alloc(4, 1));
});

test('opening reads the directory, the pickle and headers, not the values', async () => {
  const big = Buffer.alloc(4 * 2 ** 20);
  const source = new MemorySource(torchZip(dict([['x', tensorV2(storage('FloatStorage', '0', 2 ** 20), 0, [2 ** 20])]]), { 0: big }));
  await openBytes(source);
  assert.ok(source.bytesRead < 100_000, `${source.bytesRead} bytes`);
});
