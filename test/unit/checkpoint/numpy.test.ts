import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { CheckpointError, locationKey, openCheckpoint, TensorReader, type Checkpoint } from '../../../kernels/checkpoint';
import { dataPath, needsData } from '../../support/data';
import { npy } from './numpy-files';
import { build, call, dict, floats, global, list, pickle, rawBytes, tuple, zip } from './pickles';
import { MemorySource, openBytes, opened, randomFrom, refused, valuesOf, writeScratch } from './support';

const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Of numpy.load on the two archives: sha256(array.tobytes()). */
const FACTS_PLAIN = [
  ['w', 'F32', [3, 4], '29e1889124dc651e7bb488251123910767d042ae6dc47c280ec364655e24ab49'], ['b', 'F16', [4], 'deedf0014cc4c691390c525d65c2d22d4cdb4cd65f6b50b9727499975a21c848'],
  ['layer/x', 'F64', [2], '374708fff7719dd5979ec875d56cd2286f6d3cf7ec317a3b25632aab28ec37bb'],
];
const FACTS_DEFLATED = [
  ['w', 'F32', [64, 64], '4fe7b59af6de3b665b67788cc2f99892ab827efae3a467342b3bb4e3bc8e5bfe'], ['b', 'I64', [9], '419ce84f0e9d892643ed1279ee8cdaa70ddc452e676dfe448cbeaaa830c06567'],
];

const head = (descr: string, shape: string, fortran = 'False'): string => `{'descr': ${descr}, 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;

test('every array of the numpy oracle has its type, shape and values', async (t) => {
  if (!needsData(t, 'oracles/numpy')) return;
  const folder = dataPath('oracles/numpy');
  const expected = JSON.parse(readFileSync(path.join(folder, 'expected.json'), 'utf8')) as Record<string, { descr: string; shape: number[]; fortran: boolean; sha256_c_order_native_le: string | null }>;
  let values = 0;
  let without = 0;
  for (const [name, want] of Object.entries(expected)) {
    if (!name.endsWith('.npy')) continue;
    const checkpoint = await openCheckpoint(path.join(folder, name));
    assert.equal(checkpoint.format, 'npy');
    assert.deepEqual(checkpoint.files.length, 1);
    const [tensor] = checkpoint.tensors;
    assert.equal(tensor.name, '');
    if (tensor.data) {
      assert.deepEqual([...tensor.shape], want.shape, name);
      assert.equal(sha(valuesOf(checkpoint, tensor)), want.sha256_c_order_native_le, name);
      // The same in pieces and through a small window.
      if (tensor.bytes > 0) assert.equal(sha(valuesOf(checkpoint, tensor, 1, 8)), want.sha256_c_order_native_le, name);
      values++;
    } else {
      assert.deepEqual(tensor.shape.slice(0, -1), want.shape, name);
      assert.ok(checkpoint.problems.some(({ message }) => /whose values are not shown/.test(message)), name);
      without++;
    }
    if (want.fortran) assert.ok(tensor.data?.strides);
  }
  assert.deepEqual([values, without], [24, 5], 'all 29 array files');
  const objects = await openCheckpoint(path.join(folder, 'object_PICKLE.npy'));
  assert.ok(objects.imports.some(({ module, name }) => module === 'numpy.core.multiarray' && name === '_reconstruct'));
  t.diagnostic(`${values} arrays by SHA-256, ${without} without values`);
});

test('the archives of the numpy oracle, plain and deflated, give the arrays they were made of', async (t) => {
  if (!needsData(t, 'oracles/numpy')) return;
  const folder = dataPath('oracles/numpy');
  assert.deepEqual(readdirSync(folder).filter((name) => name.endsWith('.npz')).sort(), ['deflated.npz', 'plain.npz', 'zeros_64MiB_deflated.npz']);
  const plain = await openCheckpoint(path.join(folder, 'plain.npz'));
  const deflated = await openCheckpoint(path.join(folder, 'deflated.npz'));
  assert.ok(plain.tensors.length > 0 && plain.format === 'npz' && deflated.format === 'npz');
  const facts = (checkpoint: Checkpoint) => checkpoint.tensors.map((tensor) => [tensor.name, tensor.dtype, tensor.shape, sha(valuesOf(checkpoint, tensor))]);
  assert.deepEqual(facts(plain), FACTS_PLAIN);
  assert.deepEqual(facts(deflated), FACTS_DEFLATED);
  assert.ok(deflated.tensors.every((tensor) => tensor.data?.packed) && plain.tensors.every((tensor) => !tensor.data?.packed));
});

test('a bomb is listed for the price of its header, and read with little memory', async (t) => {
  if (!needsData(t, 'oracles/numpy')) return;
  const file = dataPath('oracles/numpy/zeros_64MiB_deflated.npz');
  await openCheckpoint(file);
  const source = new MemorySource(readFileSync(file), file);
  const before = process.memoryUsage();
  const result = await openBytes(source);
  const after = process.memoryUsage();
  assert.ok('checkpoint' in result);
  assert.ok(source.bytesRead < source.size + 6000, `${source.bytesRead} bytes read`);
  assert.ok(after.arrayBuffers - before.arrayBuffers < 2 ** 20, `${after.arrayBuffers - before.arrayBuffers} bytes of buffers`);
  const { checkpoint } = result;
  const [tensor] = checkpoint.tensors;
  assert.equal(tensor.bytes, 64 * 2 ** 20);
  const reader = TensorReader.open(checkpoint.files[0].identity.inode === 0 ? await openCheckpoint(file) : checkpoint);
  const piece = new Uint8Array(2 ** 20);
  const zeros = new Uint8Array(2 ** 20);
  const start = process.memoryUsage.rss();
  const elements = tensor.shape.reduce((a, b) => a * b, 1);
  const each = piece.length / (tensor.bytes / elements);
  for (let at = 0; at < elements; at += each) {
    piece.fill(1);
    reader.readInto(tensor, at, Math.min(each, elements - at), piece);
    assert.equal(Buffer.compare(piece, zeros), 0);
  }
  reader.close();
  assert.ok(process.memoryUsage.rss() - start < 8 * 2 ** 20, `${process.memoryUsage.rss() - start} bytes grown`);
});

test('headers that are not numpy\'s are refused, at the byte where it shows', async () => {
  const cases: [Buffer, RegExp][] = [
    [npy(head("'<f4'", '(2,)'), Buffer.alloc(7)), /needs 8 bytes, but 7 follow its header: 1 byte is missing \(byte/],
    [npy(head("'<f4'", '(-1,)'), Buffer.alloc(8)), /shape \(-1,\) is impossible/],
    [npy(head("'<f4'", '(9223372036854775807, 2)')), /larger than 2\^53/],
    [npy(head("'<f4'", '(2**3,)')), /damaged/],
    [npy(head("'<f4'", '3')), /exactly the keys/],
    [npy(head("'<f4'", '(3,)', '0'), Buffer.alloc(12)), /exactly the keys/],
    [npy("{'descr': '<f4', 'fortran_order': False}"), /exactly the keys/],
    [npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", Buffer.alloc(4)), /descr twice/],
    [npy("{'descr': __import__('os').system('x'), 'fortran_order': False, 'shape': ()}", Buffer.alloc(4)), /damaged: a value is expected/],
    [npy(head("'<q9'", '()'), Buffer.alloc(9)), /none of numpy's/],
    [npy(head(`${'['.repeat(5000)}${']'.repeat(4000)}`, '()')), /nested too deep/],
    [npy(`${head("'<f4'", '()')}${' '.repeat(10_000)}`, Buffer.alloc(4)), /claims \d+ bytes, more than the 10000/],
    [npy(`${head("'<f4'", '()')}x`, Buffer.alloc(4)), /something follows the dict/],
    [Buffer.from('\x93NUMPY\x04\x00v\x00{}', 'latin1'), /version is 4\.0/],
    [Buffer.from('\x93NUMPY\x01\x00v\x00{}', 'latin1'), /should end at byte 128, but the file ends at 12/],
    [Buffer.from('\x93NUMPY\x02\x00v', 'latin1'), /ends before the length/],
  ];
  for (const [bytes, message] of cases) {
    const error = await refused(bytes);
    assert.match(error.message, message);
    assert.ok(error.problem.offset !== undefined, error.message);
  }
  // At the limit it opens; Python 2's long integers and a quoted key in either way too.
  const text = head("'<f4'", '(2L,)').replace("'descr'", '"descr"');
  await opened(npy(text.padEnd(10_000, ' '), floats(1, 2)));
  await refused(npy(text.padEnd(10_001, ' '), floats(1, 2)));
  const trailing = await opened(npy(head("'<f4'", '(2,)'), Buffer.alloc(11)));
  assert.match(trailing.problems[0].message, /3 bytes follow the array/);
});

test('a pickled dict of arrays gives its arrays, names and imports', async () => {
  const array = (code: string, order: string, shape: number[], data: Buffer) => build(call(global('numpy.core.multiarray', '_reconstruct'), global('numpy', 'ndarray'), tuple(0), rawBytes(Buffer.from('b'))),
    tuple(1, tuple(...shape), build(call(global('numpy', 'dtype'), code, 0, 1), tuple(3, order, null)), false, rawBytes(data)));
  const objects = (shape: number[], ...items: Parameters<typeof list>) => build(call(global('numpy.core.multiarray', '_reconstruct'), global('numpy', 'ndarray'), tuple(0), rawBytes(Buffer.from('b'))),
    tuple(1, tuple(...shape), build(call(global('numpy', 'dtype'), 'O8', 0, 1), tuple(3, '|', null)), false, list(...items)));
  const weights = dict([['conv1', list(array('f4', '<', [2, 2], floats(1, 2, 3, 4)), array('f4', '<', [2], floats(5, 6)))], ['fc', array('f4', '>', [1], floats(7).swap32())]]);
  const bytes = npy(head("'|O'", '()'), pickle(objects([], weights), 3));
  const checkpoint = await opened(bytes);
  assert.deepEqual(checkpoint.tensors.map(({ name, shape }) => [name, shape]), [['conv1[0]', [2, 2]], ['conv1[1]', [2]], ['fc', [1]]]);
  assert.ok(checkpoint.tensors.every(({ data }) => data && data.offset + 4 <= bytes.length));
  const first = checkpoint.tensors[0];
  assert.deepEqual(bytes.subarray(first.data!.offset, first.data!.offset + 16), floats(1, 2, 3, 4));
  const evil = await opened(npy(head("'|O'", '(1,)'), pickle(objects([1], call(global('os', 'system'), 'true')), 3)));
  assert.ok(evil.imports.some(({ kind, module }) => kind === 'code' && module === 'os'));
  assert.ok(evil.problems.some(({ code }) => code === 'BL407'));
  const broken = await opened(npy(head("'|O'", '(1,)'), Buffer.from('cos\nsystem\n(S\'x\'\n')));
  assert.ok(broken.imports.length === 1 && broken.problems.some(({ message }) => /breaks/.test(message)));
  // In an archive beside other members, whose pickles are looked at as well.
  const archive = await opened(zip([
    { name: 'w.npy', bytes }, { name: 'x.npy', bytes: npy(head("'<f4'", '(2,)'), floats(1, 2)) }, { name: 'evil.pkl', bytes: pickle(call(global('os', 'system'), 'true')) },
  ]));
  assert.deepEqual(archive.tensors.map(({ name }) => name), ['w.conv1[0]', 'w.conv1[1]', 'w.fc', 'x']);
  assert.ok(archive.imports.some(({ kind }) => kind === 'code'));
});

test('deflated members of any shape and order are read like plain ones, and sizes that lie are told', async (t) => {
  const random = randomFrom(5);
  for (let run = 0; run < 60; run++) {
    const shape = Array.from({ length: 1 + random(3) }, () => 1 + random(40));
    const total = shape.reduce((a, b) => a * b, 1);
    const data = Buffer.alloc(total * 4);
    for (let i = 0; i < total; i++) data.writeFloatLE(Math.fround(random(1000) / 7), i * 4);
    const member = npy(head("'<f4'", `(${shape.join(', ')},)`, random(2) ? 'True' : 'False'), data);
    const packed = deflateRawSync(member, { level: random(10) });
    const member8 = { name: 'a/b.npy', bytes: member, packed, method: 8 };
    const plain = await openCheckpoint(writeScratch(t, 'plain.npz', zip([{ name: 'a/b.npy', bytes: member }])));
    const other = await openCheckpoint(writeScratch(t, 'packed.npz', zip([member8])));
    assert.equal(other.tensors[0].name, 'a/b');
    assert.deepEqual(valuesOf(other, other.tensors[0], 1 + random(total)), valuesOf(plain, plain.tensors[0]));
  }
  // Two members that begin alike are not one tensor.
  const twins = await opened(zip(['a', 'b'].map((name) => { const bytes = npy(head("'<f4'", '(2,)'), floats(1, 2)); return { name: `${name}.npy`, bytes, packed: deflateRawSync(bytes), method: 8 }; })));
  assert.equal(new Set(twins.tensors.map(({ data }) => locationKey(data!))).size, 2);
  const member = npy(head("'<f4'", '(1000,)'), Buffer.alloc(4000, 3));
  const packed = deflateRawSync(member);
  assert.match((await refused(zip([{ name: 'a.npy', bytes: member, packed, method: 8, size: member.length - 4 }]))).message, /needs 4000 bytes after its header, but the archive gives it 3996/);
  const longer = await openCheckpoint(writeScratch(t, 'x.npz', zip([{ name: 'a.npy', bytes: member, packed, method: 8, size: member.length + 4 }])));
  assert.ok(longer.problems.some(({ message }) => /4 bytes follow the array/.test(message)));
  assert.throws(() => valuesOf(longer, longer.tensors[0]), (error) => error instanceof CheckpointError && /cannot be unpacked/.test(error.message));
  assert.match((await refused(zip([{ name: 'a.npy', bytes: member, packed, method: 8, size: 2 ** 31 }]))).message, /more than \d+ compressed ones can hold/);
});
