import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readdirSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { CheckpointError, openCheckpoint, TensorReader, type Checkpoint, type TensorInfo } from '../../../kernels/checkpoint';
import { rangeBoxes } from '../../../kernels/checkpoint/strided-read';
import { dict, floats, storage, tensorV2, torchZip } from './pickles';
import { randomFrom, safetensors, scratch, valuesOf, writeScratch } from './support';

test('the boxes of a range cover it once and in order', () => {
  const random = randomFrom(7);
  for (let run = 0; run < 500; run++) {
    const shape = Array.from({ length: 1 + random(4) }, () => 1 + random(5));
    const total = shape.reduce((a, b) => a * b, 1);
    const first = random(total);
    const count = random(total - first + 1);
    const steps = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
    const seen: number[] = [];
    const boxes = rangeBoxes(shape, first, count);
    for (const box of boxes) {
      const walk = (axis: number, at: number): void => {
        if (axis === shape.length) { seen.push(at); return; }
        for (let i = 0; i < box.size[axis]; i++) walk(axis + 1, at + (box.from[axis] + i) * steps[axis]);
      };
      walk(0, 0);
    }
    assert.deepEqual(seen, Array.from({ length: count }, (_, i) => first + i), `${shape.join('x')} [${first}, +${count}]`);
    assert.ok(boxes.length <= 2 * shape.length + 1, `${boxes.length} boxes for ${shape.length} dimensions`);
  }
});

test('any strides, any range, any window: the values of a plain walk', async (t) => {
  const random = randomFrom(11);
  const values = Array.from({ length: 4096 }, (_, i) => i);
  for (let run = 0; run < 150; run++) {
    const shape = Array.from({ length: 1 + random(4) }, () => 1 + random(6));
    // A permuted, stepped or repeated view of one storage.
    const order = shape.map((_, i) => i).sort(() => random(3) - 1);
    const strides = new Array<number>(shape.length).fill(0);
    let step = 1 + random(2);
    for (const axis of order) { strides[axis] = random(8) === 0 ? 0 : step; step *= shape[axis] + random(2); }
    const offset = random(20);
    const reach = offset + shape.reduce((sum, dim, i) => sum + (dim - 1) * strides[i], 1);
    if (reach > values.length) continue;
    const file = writeScratch(t, 'x.pt', torchZip(dict([['x', tensorV2(storage('FloatStorage', '0', values.length), offset, shape, strides)]]), { 0: floats(...values) }));
    const checkpoint = await openCheckpoint(file);
    const expected: number[] = [];
    const walk = (axis: number, at: number): void => {
      if (axis === shape.length) { expected.push(values[at]); return; }
      for (let i = 0; i < shape[axis]; i++) walk(axis + 1, at + i * strides[axis]);
    };
    walk(0, offset);
    for (const [pieces, window] of [[Infinity, 8 * 2 ** 20], [1 + random(7), 4 + random(60)]]) {
      assert.deepEqual(valuesOf(checkpoint, checkpoint.tensors[0], pieces, window), floats(...expected), `${shape.join('x')} strides ${strides.join(',')}`);
    }
  }
});

test('big-endian checkpoints come out little-endian', async (t) => {
  const big = floats(1, -2, 3.5, 0).swap32();
  const file = writeScratch(t, 'x.pt', torchZip(dict([['x', tensorV2(storage('FloatStorage', '0', 4), 0, [4])], ['t', tensorV2(storage('FloatStorage', '0', 4), 0, [2, 2], [1, 2])], ['c', tensorV2(storage('ComplexFloatStorage', '1', 2), 0, [2])]]),
    { 0: big, 1: big }, [{ name: 'byteorder', bytes: Buffer.from('big') }]));
  const checkpoint = await openCheckpoint(file);
  assert.deepEqual(valuesOf(checkpoint, checkpoint.tensors[0]), floats(1, -2, 3.5, 0));
  assert.deepEqual(valuesOf(checkpoint, checkpoint.tensors[1]), floats(1, 3.5, -2, 0));
  assert.deepEqual(valuesOf(checkpoint, checkpoint.tensors[2]), floats(1, -2, 3.5, 0), 'each half of a complex number is turned round by itself');
  const odd = torchZip(dict([['x', tensorV2(storage('FloatStorage', '0', 1), 0, [1])]]), { 0: floats(1) }, [{ name: 'byteorder', bytes: Buffer.from('middle') }]);
  await assert.rejects(openCheckpoint(writeScratch(t, 'y.pt', odd)), /neither little nor big/);
});

test('types below a byte are read by whole bytes, and ranges outside the tensor are errors', async (t) => {
  const file = writeScratch(t, 'x', safetensors({ a: { dtype: 'F4', shape: [6], data_offsets: [0, 3] } }, Buffer.from([1, 2, 3])));
  const checkpoint = await openCheckpoint(file);
  const reader = TensorReader.open(checkpoint);
  const [tensor] = checkpoint.tensors;
  const target = new Uint8Array(2);
  reader.readInto(tensor, 2, 4, target);
  assert.deepEqual([...target], [2, 3]);
  assert.throws(() => { reader.readInto(tensor, 1, 2, target); }, RangeError);
  assert.throws(() => { reader.readInto(tensor, 0, 7, target); }, RangeError);
  assert.throws(() => { reader.readInto(tensor, -1, 2, target); }, RangeError);
  assert.throws(() => { reader.readInto(tensor, 0, 6, target); }, RangeError);
  reader.close();
  assert.throws(() => { reader.readInto(tensor, 0, 2, target); }, /closed/);
});

interface Fault { name: string; apply: (file: string) => void; read: RegExp }
const FAULTS: readonly Fault[] = [
  { name: 'truncated', apply: (file) => { truncateSync(file, 100); }, read: /became shorter|changed while/ },
  { name: 'appended to', apply: (file) => { appendFileSync(file, 'x'); }, read: /changed while/ },
  { name: 'touched', apply: (file) => { utimesSync(file, 1, 1); }, read: /changed while/ },
  { name: 'replaced', apply: (file) => { writeFileSync(`${file}.new`, Buffer.alloc(1128)); renameSync(`${file}.new`, file); }, read: /changed while/ },
  { name: 'removed', apply: (file) => { rmSync(file); }, read: /was removed|ENOENT/ },
];

test('a file that changes at any read of a pass never gives a mixed result', async (t) => {
  const folder = scratch(t);
  for (const fault of FAULTS) {
    for (let when = 0; when <= 4; when++) {
      const file = path.join(folder, `${fault.name}-${when}`);
      writeFileSync(file, safetensors({ a: { dtype: 'U8', shape: [1000], data_offsets: [0, 1000] } }, Buffer.alloc(1000, 7)));
      const checkpoint = await openCheckpoint(file);
      const reader = TensorReader.open(checkpoint);
      const pass = (): void => {
        reader.assertUnchanged();
        for (let i = 0; i < 4; i++) {
          if (i === when) fault.apply(file);
          const target = new Uint8Array(250);
          reader.readInto(checkpoint.tensors[0], i * 250, 250, target);
        }
        if (when === 4) fault.apply(file);
        reader.assertUnchanged();
      };
      assert.throws(pass, (error) => fault.read.test((error as Error).message) && (error instanceof CheckpointError || fault.name === 'removed'), `${fault.name} at ${when}`);
      reader.close();
    }
  }
});

test('thousands of files do not open thousands of descriptors', { skip: process.platform !== 'linux' }, async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'bitlens-many-'));
  try {
    const parts: Checkpoint[] = [];
    for (let i = 0; i < 300; i++) {
      const file = path.join(folder, String(i));
      writeFileSync(file, safetensors({ a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] } }, Buffer.from([i & 255])));
      parts.push(await openCheckpoint(file));
    }
    const tensors: TensorInfo[] = parts.map((part, i) => ({ ...part.tensors[0], name: String(i), data: { ...part.tensors[0].data!, file: i } }));
    const reader = TensorReader.open({ ...parts[0], files: parts.flatMap((part) => part.files), tensors });
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    const target = new Uint8Array(1);
    for (let round = 0; round < 2; round++) {
      tensors.forEach((tensor, i) => { reader.readInto(tensor, 0, 1, target); assert.equal(target[0], i & 255); });
    }
    assert.ok(descriptors() - before <= 40, `${descriptors() - before} descriptors`);
    reader.close();
    assert.ok(descriptors() <= before);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
