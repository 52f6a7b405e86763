import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { openCheckpoint, writeSafetensors, type DType, type SafetensorsEntry } from '../../../kernels/checkpoint';
import { NODE_FILES, type FileOperations } from '../../../kernels/checkpoint/atomic-file';
import { randomFrom, scratch, valuesOf } from './support';

const entry = (name: string, dtype: DType, shape: readonly number[], bytes: Buffer, piece = 7): SafetensorsEntry => ({
  name, dtype, shape,
  write: (sink) => { for (let at = 0; at < bytes.length; at += piece) sink(bytes.subarray(at, at + piece)); },
});

test('what is written is read back: names, shapes, metadata, every byte', async (t) => {
  const folder = scratch(t);
  const random = randomFrom(3);
  const names = fc.uniqueArray(fc.oneof(fc.string({ unit: 'grapheme', maxLength: 12 }), fc.constantFrom('__proto__', 'constructor', 'toString', '', '10', '2', 'a\0b', '\u202egnp', 'n'.repeat(4096))).filter((name) => name !== '__metadata__'), { maxLength: 8 });
  const pairs = fc.uniqueArray(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 6 }), fc.string({ unit: 'grapheme', maxLength: 20 })), { maxLength: 4, selector: ([key]) => key });
  let run = 0;
  await fc.assert(fc.asyncProperty(names, pairs, async (list, metadata) => {
    const entries = list.map((name) => {
      const shape = Array.from({ length: random(4) }, () => random(5));
      const dtype = (['F32', 'BF16', 'I8', 'F64'] as const)[random(4)];
      const width = { F32: 4, BF16: 2, I8: 1, F64: 8 }[dtype];
      const bytes = Buffer.from(Array.from({ length: shape.reduce((a, b) => a * b, 1) * width }, () => random(256)));
      return { ...entry(name, dtype, shape, bytes, 1 + random(9)), bytes };
    });
    const file = path.join(folder, `${run++}.safetensors`);
    const result = await writeSafetensors(file, entries, metadata);
    const written = readFileSync(file);
    assert.equal(result.bytes, written.length);
    assert.equal(result.sha256, createHash('sha256').update(written).digest('hex'));
    assert.equal(Number(written.readBigUInt64LE(0)) % 8, 0);
    const checkpoint = await openCheckpoint(file);
    assert.deepEqual(checkpoint.tensors.map((tensor) => [tensor.name, tensor.dtype, tensor.shape]), entries.map((each) => [each.name, each.dtype, each.shape]));
    assert.deepEqual(checkpoint.metadata, metadata);
    assert.deepEqual(checkpoint.problems.filter((problem) => problem.grade === 'questionable'), []);
    checkpoint.tensors.forEach((tensor, i) => { assert.deepEqual(valuesOf(checkpoint, tensor), entries[i].bytes); });
  }), { numRuns: 300, seed: 5 });
});

test('entries that are wrong are refused, and leave the destination as it was', async (t) => {
  const folder = scratch(t);
  const file = path.join(folder, 'x.safetensors');
  writeFileSync(file, 'before');
  const bytes = Buffer.alloc(8);
  const wrong: [SafetensorsEntry[], RegExp][] = [
    [[entry('a', 'F32', [2], bytes), entry('a', 'F32', [2], bytes)], /given twice/],
    [[entry('a', 'F32', [3], bytes)], /wrote 8 bytes, but its shape needs 12/],
    [[entry('a', 'F32', [1], bytes)], /more than the 4 bytes/],
    [[entry('a', 'C128', [1], bytes)], /no element type/],
    [[entry('a', 'F4', [3], bytes)], /whole bytes/],
    [[entry('a', 'F32', [-2], bytes)], /whole bytes/],
    [[entry('__metadata__', 'F32', [2], bytes)], /cannot be named/],
    [[entry('\ud800', 'F32', [2], bytes)], /surrogate/],
    [[{ name: 'a', dtype: 'F32', shape: [2], write: () => Promise.reject(new Error('boom')) }], /boom/],
  ];
  for (const [entries, message] of wrong) {
    await assert.rejects(writeSafetensors(file, entries), message);
    assert.equal(readFileSync(file, 'utf8'), 'before');
    assert.deepEqual(readdirSync(folder), ['x.safetensors']);
  }
});

test('cancelling between or inside entries leaves nothing behind', async (t) => {
  const folder = scratch(t);
  for (const stop of [0, 1, 5, 20]) {
    const controller = new AbortController();
    let chunks = 0;
    const slow: SafetensorsEntry = { name: 'a', dtype: 'U8', shape: [30], write: (sink) => { for (let i = 0; i < 30; i++) { if (chunks++ === stop) controller.abort(); sink(Buffer.alloc(1)); } } };
    await assert.rejects(writeSafetensors(path.join(folder, 'x'), [slow], [], { signal: controller.signal }), { name: 'AbortError' });
    assert.deepEqual(readdirSync(folder), []);
  }
});

test('whichever file operation fails, the old content or the new is there whole, and no temporary file', async (t) => {
  const folder = scratch(t);
  const file = path.join(folder, 'x.safetensors');
  const operations = Object.keys(NODE_FILES) as (keyof FileOperations)[];
  for (let fail = 0; ; fail++) {
    writeFileSync(file, 'before');
    let count = 0;
    let failed = '';
    // Fails the operation number `fail`, once, with the error of a full disk.
    const faulty = Object.fromEntries(operations.map((name) => [name, (...args: unknown[]) => {
      if (count++ === fail) { failed = name; throw Object.assign(new Error(`ENOSPC: ${name}`), { code: 'ENOSPC' }); }
      return (NODE_FILES[name] as (...rest: unknown[]) => unknown)(...args);
    }])) as unknown as FileOperations;
    const result = await writeSafetensors(file, [entry('a', 'U8', [20], Buffer.alloc(20, 1))], [], { files: faulty }).then(() => 'written', (error: Error) => error.message);
    if (failed === '') {
      assert.equal(result, 'written');
      assert.ok(fail > 6, 'every step was made to fail');
      break;
    }
    assert.match(result, /ENOSPC/);
    assert.equal(readFileSync(file, 'utf8'), 'before', failed);
    assert.deepEqual(readdirSync(folder), ['x.safetensors'], failed);
  }
});

test('a rename that Windows refuses for a while succeeds in the end', async (t) => {
  const folder = scratch(t);
  let refusals = 0;
  const files: FileOperations = { ...NODE_FILES, renameSync: (from, to) => {
    if (refusals++ < 7) throw Object.assign(new Error('EPERM'), { code: 'EPERM' });
    NODE_FILES.renameSync(from, to);
  } };
  await writeSafetensors(path.join(folder, 'x'), [entry('a', 'U8', [1], Buffer.alloc(1))], [], { files });
  assert.equal(refusals, 8);
  assert.deepEqual(readdirSync(folder), ['x']);
});

test('short writes are continued', async (t) => {
  const file = path.join(scratch(t), 'x');
  const files: FileOperations = { ...NODE_FILES, writeSync: (descriptor, bytes, offset, length) => NODE_FILES.writeSync(descriptor, bytes, offset, Math.min(3, length)) };
  const bytes = Buffer.from(Array.from({ length: 50 }, (_, i) => i));
  await writeSafetensors(file, [entry('a', 'U8', [50], bytes, 50)], [], { files });
  const checkpoint = await openCheckpoint(file);
  assert.deepEqual(valuesOf(checkpoint, checkpoint.tensors[0]), bytes);
});
