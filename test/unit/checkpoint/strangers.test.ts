import assert from 'node:assert/strict';
import { chmodSync, closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { CheckpointError, DEFAULT_LIMITS, openCheckpoint } from '../../../kernels/checkpoint';
import { JsonScanner, JsonSyntaxError } from '../../../kernels/checkpoint/json-scanner';
import { shown } from '../../../kernels/checkpoint/problems';
import { dataPath, needsData } from '../../support/data';
import { dict, pickle } from './pickles';
import { MemorySource, openBytes, opened, randomFrom, refused, safetensors, scratch, writeScratch } from './support';
import fc from 'fast-check';

test('a Git LFS pointer names the size that is wanted and the command that fetches it', async (t) => {
  if (!needsData(t, 'oracles/git-lfs-pointers')) return;
  for (const [name, size] of [['bertsquad-12.onnx', 294498], ['gpt2-10.onnx', 148238], ['yolov3-12.onnx', 168354]] as const) {
    await assert.rejects(openCheckpoint(dataPath(`oracles/git-lfs-pointers/${name}`)), (error) => {
      assert.ok(error instanceof CheckpointError);
      assert.match(error.message, new RegExp(`${size} bytes`));
      assert.ok(error.message.includes(`git lfs pull --include="${name}"`));
      return true;
    });
  }
});

test('what people take for checkpoints gets a message of its own', async () => {
  const tar = Buffer.alloc(1024);
  tar.write('ustar', 257);
  const cases: [Buffer, RegExp][] = [
    [Buffer.alloc(0), /the file is empty/],
    [Buffer.from('abc'), /3 bytes, too few/], [Buffer.from('a'), /has 1 byte, too few/],
    [Buffer.from('\n404: Not Found. The file w\u00e4s moved\r\nelsewhere'), /text and no checkpoint: it begins with "404: Not Found\. The file w\u00e4s moved"/],
    [Buffer.from('<!DOCTYPE html><html><head><title>Sign in</title>'), /web page.*"Sign in"/],
    [Buffer.from('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), /web page or XML/],
    [Buffer.from('{"error":"Repository not found"}'), /without a weight_map/],
    [tar, /tar archive/], [gzipSync('x'), /gzip/], [Buffer.from('7z\xbc\xaf\x27\x1c12345', 'latin1'), /7z/], [Buffer.from('\xfd7zXZ\0xxxxx', 'latin1'), /xz/],
    [Buffer.from('%PDF-1.4 xxxx'), /PDF/],
    [Buffer.concat([Buffer.from([0, 1]), Buffer.from('abc\ufffd\ufffdabc\ufffd'), Buffer.alloc(4)]), /treated as text and damaged/],
    [Buffer.alloc(100, 0x11), /no reader knows this file: it starts with 11 11/],
  ];
  for (const [bytes, message] of cases) {
    const error = await refused(bytes);
    assert.match(error.message, message);
    assert.ok(error.problem.fix.length > 5 && error.problem.grade === 'malformed');
  }
});

test('what the file system says comes as a CheckpointError too', async (t) => {
  const folder = scratch(t);
  const rejects = (file: string, message: RegExp) => assert.rejects(openCheckpoint(file), (error) => error instanceof CheckpointError && message.test(error.message));
  await rejects(path.join(folder, 'nothing.pt'), /does not exist/);
  await rejects(path.join(folder, 'nothing', 'deeper.pt'), /does not exist/);
  await rejects('a\0b', /not a valid path/);
  if (process.platform === 'linux') await rejects('/dev/zero', /not a regular file/);
  if (process.getuid?.() !== 0 && process.platform !== 'win32') {
    writeFileSync(path.join(folder, 'locked'), 'x');
    chmodSync(path.join(folder, 'locked'), 0);
    await rejects(path.join(folder, 'locked'), /may not be read/);
  }
  mkdirSync(path.join(folder, 'empty'));
  await rejects(path.join(folder, 'empty'), /holds no checkpoint/);
});

test('any layout of tensors opens, and moving any offset by a byte is refused (300 layouts)', async () => {
  const random = randomFrom(21);
  for (let run = 0; run < 300; run++) {
    const count = 1 + random(6);
    let at = 0;
    const entries = Array.from({ length: count }, (_, i) => {
      const size = random(5) === 0 ? 0 : 1 + random(20);
      return { name: `t${i}`, begin: at, end: at += size };
    });
    // In any order in the header; the data stays tiled.
    const order = entries.map((entry) => ({ entry, key: random(1000) })).sort((a, b) => a.key - b.key).map(({ entry }) => entry);
    const file = (changed?: { name: string; side: 0 | 1; by: number }): Buffer => safetensors(`{${order.map(({ name, begin, end }) => {
      const offsets = [begin, end];
      if (changed?.name === name) offsets[changed.side] += changed.by;
      return `"${name}":{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${offsets.join(',')}]}`;
    }).join(',')}}`, Buffer.alloc(at));
    assert.deepEqual((await opened(file())).tensors.map((tensor) => tensor.name), order.map((entry) => entry.name));
    for (const { name } of entries) for (const side of [0, 1] as const) for (const by of [-1, 1]) await refused(file({ name, side, by }));
  }
});

test('renaming any tensor to another\'s name is always reported (1,000 runs)', async () => {
  const random = randomFrom(22);
  const escape = (text: string): string => [...text].map((character) => (random(3) === 0 ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : character)).join('');
  for (let run = 0; run < 1000; run++) {
    const names = Array.from({ length: 2 + random(4) }, (_, i) => `n${i}`);
    const victim = random(names.length);
    const other = (victim + 1 + random(names.length - 1)) % names.length;
    names[victim] = names[other];
    const checkpoint = await openBytes(safetensors(`{${names.map((name) => `"${escape(name)}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`).join(',')}}`));
    assert.ok('checkpoint' in checkpoint && checkpoint.checkpoint.problems.some((problem) => problem.grade === 'questionable' && problem.message.includes(`${names[other]} is given twice`)));
  }
});

test('every cut of a safetensors file is refused, and says how many bytes are missing', async () => {
  const bytes = safetensors({ a: { dtype: 'F32', shape: [20], data_offsets: [0, 80] }, b: { dtype: 'I8', shape: [3], data_offsets: [80, 83] } }, Buffer.alloc(83));
  for (let length = 0; length < bytes.length; length++) {
    const error = await refused(bytes.subarray(0, length));
    if (length > bytes.length - 83) assert.match(error.message, new RegExp(`: ${bytes.length - length} ${bytes.length - length === 1 ? 'byte is' : 'bytes are'} missing`));
  }
});

test('limits hold at their value and refuse one beyond it', async () => {
  const tensors = (count: number): Buffer => safetensors(Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, { dtype: 'U8', shape: [0], data_offsets: [0, 0] }])));
  await opened(tensors(5), { tensors: 5 });
  await refused(tensors(6), { tensors: 5 });
  const header = safetensors({ a: { dtype: 'U8', shape: [0], data_offsets: [0, 0] } });
  await opened(header, { safetensorsHeader: header.length - 8 });
  await refused(header, { safetensorsHeader: header.length - 9 });
  const metadata = (count: number): Buffer => safetensors({ __metadata__: Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v'])) });
  await opened(metadata(3), { metadataEntries: 3 });
  await refused(metadata(4), { metadataEntries: 3 });
  const dims = (count: number): Buffer => safetensors({ a: { dtype: 'U8', shape: Array(count).fill(1), data_offsets: [0, 1] } }, Buffer.alloc(1));
  assert.notEqual((await opened(dims(64))).tensors[0].data, null);
  assert.equal((await opened(dims(65))).tensors[0].data, null);
  const deep = (depth: number): Buffer => safetensors(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":${'['.repeat(depth)}${']'.repeat(depth)}}}`);
  await opened(deep(64));
  await refused(deep(65));
  const repeated = safetensors(`{${Array.from({ length: 50 }, () => '"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}').join(',')}}`);
  const { problems } = await opened(repeated, { problems: 10 });
  assert.equal(problems.length, 11);
  assert.match(problems[10].message, /39 more problems/);
});

test('a header length that cannot be costs nothing', async () => {
  for (const length of [2n ** 64n - 1n, 2n ** 63n, 100_000_001n, 99_999_999n, 60n]) {
    const bytes = Buffer.concat([Buffer.alloc(8), Buffer.from('{"a":1}')]);
    bytes.writeBigUInt64LE(length);
    const source = new MemorySource(bytes);
    const result = await openBytes(source);
    assert.ok('error' in result && /header claims/.test(result.error.message), String(length));
    assert.ok(source.bytesRead <= 64);
  }
});

test('a file of 100 GB is opened by its header alone', async (t) => {
  const file = path.join(scratch(t), 'sparse.safetensors');
  const count = 3000;
  const each = 33_000_000;
  const header = safetensors(Object.fromEntries(Array.from({ length: count }, (_, i) => [`model.layers.${i}.weight`, { dtype: 'F32', shape: [each / 4], data_offsets: [i * each, (i + 1) * each] }])));
  const descriptor = openSync(file, 'w');
  writeSync(descriptor, header);
  ftruncateSync(descriptor, header.length + count * each);
  closeSync(descriptor);
  const before = process.memoryUsage().rss;
  const checkpoint = await openCheckpoint(file);
  assert.equal(checkpoint.tensors.length, count);
  assert.equal(checkpoint.files[0].identity.size, header.length + count * each);
  assert.ok(process.memoryUsage().rss - before < 100 * 2 ** 20);
});

test('cancelling stops an opening that is under way', async (t) => {
  const many = Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => [`name.of.tensor.${i}`, { dtype: 'U8', shape: [0], data_offsets: [0, 0] }]));
  const file = writeScratch(t, 'x.safetensors', safetensors(many));
  await assert.rejects(openCheckpoint(file, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  const controller = new AbortController();
  const opening = openCheckpoint(file, { signal: controller.signal });
  controller.abort();
  await assert.rejects(opening, { name: 'AbortError' });
  const long = writeScratch(t, 'x.pkl', pickle(dict(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i] as const))));
  const second = new AbortController();
  const reading = openCheckpoint(long, { signal: second.signal });
  second.abort();
  await assert.rejects(reading, { name: 'AbortError' });
});

test('the scanner reads what JSON.parse reads, and keeps what JSON.parse loses', () => {
  const rebuilt = (text: string): unknown => {
    const scanner = new JsonScanner(Buffer.from(text), DEFAULT_LIMITS.jsonDepth);
    const value = (): unknown => {
      const first = scanner.peek();
      if (first === 0x7b) { const pairs: [string, unknown][] = []; scanner.object((key) => { pairs.push([key, value()]); }); return Object.fromEntries(pairs); }
      if (first === 0x5b) { const items: unknown[] = []; scanner.array(() => { items.push(value()); }); return items; }
      if (first === 0x22) return scanner.string();
      if (scanner.takeNull()) return null;
      const from = scanner.position;
      scanner.skipValue();
      return JSON.parse(Buffer.from(text).toString('utf8', from, scanner.position)) as unknown;
    };
    const result = value();
    scanner.end();
    return result;
  };
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(0, 1, 3), (document, indent) => {
    // Keys like __proto__ need the same treatment on both sides.
    const text = JSON.stringify(document, null, indent);
    assert.deepEqual(rebuilt(text), JSON.parse(text));
    new JsonScanner(Buffer.from(text), 64).skipValue();
  }), { numRuns: 2000, seed: 4 });
  // What JSON.parse refuses is refused, by the grammar check as well.
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:0123456789-+.eE truefalsnl\\u\n'), maxLength: 20 }), (text) => {
    let valid = true;
    try { JSON.parse(text); } catch { valid = false; }
    const scanner = new JsonScanner(Buffer.from(text), 64);
    const accepted = (() => { try { scanner.skipValue(); scanner.end(); return true; } catch (error) { assert.ok(error instanceof JsonSyntaxError); return false; } })();
    // Lone surrogates are the one thing JSON.parse takes and this does not.
    if (accepted !== valid) assert.ok(valid && /\\u[dD]/.test(text), text);
  }), { numRuns: 20_000, seed: 6 });
});

test('names are shown without characters that would change the text around them', () => {
  assert.equal(shown('a\u202eb\n\u001b[31m'), 'a\\u202eb\\u000a\\u001b[31m');
  assert.equal(shown('x'.repeat(300)).length, 203);
  assert.equal(shown(''), '""');
});
