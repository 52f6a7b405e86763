import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { CheckpointError, openCheckpoint, shownDtype } from '../../../kernels/checkpoint';
import { GGML_TYPES } from '../../../kernels/checkpoint/ggml-types';
import { dataPath, needsData } from '../../support/data';
import { gguf, type GgufParts } from './gguf-file';
import { MemorySource, openBytes, opened, randomFrom, refused, scratch, valuesOf, writeScratch } from './support';

interface Verdict { mutation: string; header_only: string; with_data: string; bytes: string | null }

test('no mutant is accepted that ggml refuses, and none refused that ggml loads (1,273)', async (t) => {
  if (!needsData(t, 'oracles/ggml-verdicts')) return;
  const { base, cases } = JSON.parse(readFileSync(dataPath('oracles/ggml-verdicts/verdicts.json'), 'utf8')) as { base: string; cases: Verdict[] };
  const whole = Buffer.from(base, 'base64');
  const bytesOf = ({ mutation, bytes }: Verdict): Buffer => {
    if (bytes !== null) return Buffer.from(bytes, 'base64');
    if (mutation === 'truncate last byte') return whole.subarray(0, -1);
    const cut = /^truncate to (\d+)$/.exec(mutation);
    const more = /^append (\d+) bytes?$/.exec(mutation);
    assert.ok(cut ?? more, mutation);
    return cut ? whole.subarray(0, Number(cut[1])) : Buffer.concat([whole, Buffer.alloc(Number(more![1]))]);
  };
  assert.equal(cases.length, 1273);
  let accepted = 0;
  for (const each of cases) {
    const result = await openBytes(bytesOf(each));
    const loads = each.with_data === 'accept';
    assert.equal('checkpoint' in result, loads, `${each.mutation}: ${'error' in result ? result.error.message : 'opened'}`);
    if (loads) accepted++;
    else if ('error' in result) assert.ok(result.error.problem.grade === 'malformed' && result.error.problem.fix.length > 0);
  }
  t.diagnostic(`${cases.length} verdicts, ${accepted} accepted`);
});

test('a file with every type lists each under the name that people know, outermost dimension first', async (t) => {
  if (!needsData(t, 'oracles/ggml-quants')) return;
  const checkpoint = await openCheckpoint(dataPath('oracles/ggml-quants/all-types.gguf'));
  const { types } = JSON.parse(readFileSync(dataPath('oracles/ggml-quants/manifest.json'), 'utf8')) as { types: { name: string; bytes_per_block: number; block: number; row_bytes: number }[] };
  assert.equal(checkpoint.format, 'gguf');
  // Its tensors are padded to 32 bytes while it names an alignment of 64: ggml wrote it and refuses to read it.
  assert.deepEqual(checkpoint.problems.map(({ message }) => message.slice(0, 62)), ['general.alignment is 64, but all tensors are padded to 32: the']);
  const shown = new Set(checkpoint.tensors.map((tensor) => shownDtype(tensor).toLowerCase()));
  for (const { name } of types) assert.ok(shown.has(name.toLowerCase()), name);
  for (const { name, block, bytes_per_block: bytes } of types) {
    const type = GGML_TYPES.find((each) => each.name === name.toUpperCase());
    assert.deepEqual([type?.block, type?.bytes], [block, bytes], name);
  }
  const metadata = new Map(checkpoint.metadata);
  assert.equal(metadata.get('general.alignment'), '64');
  assert.equal(metadata.get('t.arr.str'), '["a", "é"]');
  assert.equal(metadata.get('t.i64'), '-9223372036854775808');
});

test('a real vocabulary opens; the same file after a trip through a text editor says what happened to it', async (t) => {
  if (!needsData(t, 'oracles/gguf-vocab') || !needsData(t, 'oracles/gguf-utf8-mangled')) return;
  const checkpoint = await openCheckpoint(dataPath('oracles/gguf-vocab/ggml-vocab-bert-bge.gguf'));
  assert.equal(checkpoint.tensors.length, 0);
  assert.deepEqual(checkpoint.problems, []);
  const metadata = new Map(checkpoint.metadata);
  assert.equal(metadata.get('general.architecture'), 'bert');
  assert.match(metadata.get('tokenizer.ggml.tokens')!, /^\["\[PAD\]", .*, \.\.\. 30522 items\]$/);
  assert.ok([...metadata.values()].every((value) => value.length < 4000));
  const error = await openCheckpoint(dataPath('oracles/gguf-utf8-mangled/ggml-vocab-bert-bge.gguf')).then(() => assert.fail('it was opened'), (reason: unknown) => reason as CheckpointError);
  assert.ok(error instanceof CheckpointError);
  assert.match(error.message, /treated as text and damaged: it holds replacement characters \(ef bf bd\).*byte \d+.*binary mode/);
});

const floats = (...values: number[]): Buffer => { const bytes = Buffer.alloc(4 * values.length); values.forEach((value, i) => bytes.writeFloatLE(value, 4 * i)); return bytes; };
const SAMPLE: GgufParts = {
  pairs: [
    ['general.architecture', 'string', 'llama'], ['u8', 'uint8', 255], ['i8', 'int8', -1], ['u16', 'uint16', 65535], ['i16', 'int16', -2], ['u32', 'uint32', 4294967295], ['i32', 'int32', -3],
    ['f32', 'float32', 1.5], ['yes', 'bool', true], ['u64', 'uint64', 2n ** 64n - 1n], ['i64', 'int64', -(2n ** 63n)], ['f64', 'float64', 0.1], ['empty', 'string', ''],
    ['words', 'string[]', ['a', 'b"c', '']], ['numbers', 'int32[]', [-1, 2]], ['none', 'float32[]', []], ['flags', 'bool[]', [true, false]], ['__proto__', 'string', '{{ template }}'], ['10', 'uint8', 1],
  ],
  tensors: [
    { name: 'token_embd.weight', dims: [3, 2], type: 0, data: floats(1, 2, 3, 4, 5, 6) },
    { name: 'scalar', dims: [], type: 26, data: Buffer.from([1, 0, 0, 0]) },
    { name: 'hollow', dims: [32, 0], type: 2, data: Buffer.alloc(0) },
    { name: 'blk.0.q', dims: [64, 1, 2], type: 8, data: Buffer.alloc(4 * 34, 7) },
    { name: '__proto__', dims: [1], type: 24, data: Buffer.from([9]) },
  ],
};

test('every type of value and shape is read, in both byte orders and both versions', async () => {
  for (const version of [2, 3]) for (const bigEndian of [false, true]) {
    const parts = bigEndian ? { ...SAMPLE, tensors: SAMPLE.tensors!.filter(({ type }) => type !== 0 && type !== 26) } : SAMPLE;
    const checkpoint = await opened(gguf({ ...parts, version, bigEndian }));
    assert.deepEqual(checkpoint.problems, []);
    assert.deepEqual(checkpoint.metadata, [
      ['general.architecture', 'llama'], ['u8', '255'], ['i8', '-1'], ['u16', '65535'], ['i16', '-2'], ['u32', '4294967295'], ['i32', '-3'], ['f32', '1.5'], ['yes', 'true'],
      ['u64', '18446744073709551615'], ['i64', '-9223372036854775808'], ['f64', '0.1'], ['empty', ''], ['words', '["a", "b\\"c", ""]'], ['numbers', '[-1, 2]'], ['none', '[]'], ['flags', '[true, false]'],
      ['__proto__', '{{ template }}'], ['10', '1'],
    ]);
    const listed = checkpoint.tensors.map((tensor) => `${tensor.name} ${shownDtype(tensor)} [${tensor.shape.join(',')}] ${tensor.bytes} ${tensor.data?.byteOrder}`);
    const order = bigEndian ? 'big' : 'little';
    assert.deepEqual(listed, [...(bigEndian ? [] : [`token_embd.weight F32 [2,3] 24 ${order}`, `scalar I32 [] 4 ${order}`]), `hollow Q4_0 [0,32] 0 ${order}`, `blk.0.q Q8_0 [2,1,64] 136 ${order}`, `__proto__ I8 [1] 1 ${order}`]);
  }
});

test('plain elements of a big-endian file are the same values', async (t) => {
  const data = floats(1.5, -2, 3e30, 0.1);
  const little = writeScratch(t, 'l.gguf', gguf({ tensors: [{ name: 'x', dims: [4], type: 0, data }] }));
  const big = writeScratch(t, 'b.gguf', gguf({ bigEndian: true, tensors: [{ name: 'x', dims: [4], type: 0, data: Buffer.from(data).swap32() }] }));
  const [a, b] = [await openCheckpoint(little), await openCheckpoint(big)];
  assert.deepEqual(valuesOf(a, a.tensors[0]), valuesOf(b, b.tensors[0]));
  // Blocks that ggml reads through wider integers have no settled big-endian form: listed, not read.
  const unsettled = await opened(gguf({ bigEndian: true, tensors: [{ name: 'x', dims: [256], type: 16, data: Buffer.alloc(66) }] }));
  assert.equal(unsettled.tensors[0].data, null);
  assert.match(unsettled.problems[0].message, /no program settles/);
});

test('what is wrong is said with its place', async () => {
  const one = (change: Partial<NonNullable<GgufParts['tensors']>[number]>): Buffer => gguf({ tensors: [{ name: 'w', dims: [32], type: 2, data: Buffer.alloc(18), ...change }] });
  const cases: [Buffer, RegExp][] = [
    [gguf({ version: 1 }), /version 1, which ggml no longer reads/], [gguf({ version: 4 }), /version 4;.*Update Bitlens/], [gguf({ version: 0 }), /version 0/],
    [gguf({ version: 4, bigEndian: true }), /version 4;/],
    [gguf({ pairs: [['general.alignment', 'uint32', 13]] }), /alignment is 13, which is no power of two/], [gguf({ pairs: [['general.alignment', 'uint32', 0]] }), /alignment is 0/],
    [gguf({ pairs: [['general.alignment', 'int32', 32]] }), /alignment is a int32; it must be a uint32/],
    [gguf({ pairs: [['a', 'uint8', 1], ['a', 'uint8', 2]] }), /key a is given twice/], [gguf({ pairs: [['', 'uint8', 1]] }), /key 0 of the metadata is empty/],
    [gguf({ tensorCount: 2n ** 60n }), /claims 1152921504606846976 tensors/], [gguf({ pairCount: 5n }), /claims 5 metadata entries, more than its 0 bytes can hold/],
    [one({ type: 999 }), /unknown type 999.*update Bitlens/], [one({ type: 31 }), /Q4_0_4_4 \(31\), which ggml removed/], [one({ type: 4 }), /Q4_2 \(4\)/], [one({ type: 2 ** 32 - 1 }), /unknown type 4294967295/],
    [one({ dims: [31], data: Buffer.alloc(18) }), /rows of 31 values, no multiple of the 32 of a block of Q4_0/], [one({ dims: [], data: Buffer.alloc(18) }), /rows of 1 value, no multiple/],
    [one({ dims: [1, 1, 1, 1, 1] }), /5 dimensions/], [one({ dims: [2n ** 63n] }), /dimension of 9223372036854775808/], [one({ dims: [2 ** 40, 2 ** 40] }), /more than 2\^53 bytes/],
    [one({ name: 'n'.repeat(64) }), /claims 64 bytes; ggml takes at most 63/], [one({ offset: 32n }), /begins at byte 32 of the data, but byte 0 was expected/],
    [gguf({ tensors: [{ name: 'a', dims: [1], type: 24, data: Buffer.alloc(1) }, { name: 'a', dims: [1], type: 24, data: Buffer.alloc(1) }] }), /a is given twice, to the tensors 0 and 1/],
    [gguf({ tensors: [{ name: 'a\0b', dims: [1], type: 24, data: Buffer.alloc(1) }, { name: 'a', dims: [1], type: 24, data: Buffer.alloc(1) }] }), /given twice/],
    [one({}).subarray(0, -1), /1 byte is missing/], [one({}).subarray(0, -30), /30 bytes are missing/],
  ];
  for (const [bytes, message] of cases) assert.match((await refused(bytes)).message, message);
  const nested = Buffer.concat([gguf({ pairs: [['k', 'uint8[]', []]] })]);
  nested.writeUInt32LE(9, nested.length - 12);
  assert.match((await refused(nested)).message, /array of arrays/);
  assert.match((await opened(gguf({ tensors: [{ name: Buffer.from([0x61, 0xff]), dims: [1], type: 24, data: Buffer.alloc(1) }] }))).problems[0].message, /not UTF-8/);
  assert.match((await opened(Buffer.concat([one({}), Buffer.alloc(40)]))).problems[0].message, /40 bytes follow the last tensor/);
});

test('every cut and every moved offset is refused', async () => {
  const bytes = gguf(SAMPLE);
  for (let length = 0; length < bytes.length; length++) await refused(bytes.subarray(0, length));
  const random = randomFrom(5);
  for (let run = 0; run < 300; run++) {
    const alignment = 2 ** (3 + random(4));
    const tensors = Array.from({ length: 1 + random(5) }, (_, i) => ({ name: `t${i}`, dims: [random(40)], type: 24, data: Buffer.alloc(0) })).map((each) => ({ ...each, data: Buffer.alloc(each.dims[0]) }));
    const pairs = [['general.alignment', 'uint32', alignment] as const];
    await opened(gguf({ alignment, pairs, tensors }));
    let at = 0;
    for (const [i, { data }] of tensors.entries()) {
      for (const by of [-1, 1, alignment]) await refused(gguf({ alignment, pairs, tensors: tensors.map((each, j) => (i === j ? { ...each, offset: BigInt(at + by) } : each)) }));
      at += Math.ceil(data.length / alignment) * alignment;
    }
  }
});

test('limits hold at their value and refuse one beyond it; long values stay in the file', async () => {
  const tensors = (count: number): Buffer => gguf({ tensors: Array.from({ length: count }, (_, i) => ({ name: `t${i}`, dims: [1], type: 24, data: Buffer.alloc(1) })) });
  await opened(tensors(3), { tensors: 3 });
  await refused(tensors(4), { tensors: 3 });
  const pairs = (count: number): Buffer => gguf({ pairs: Array.from({ length: count }, (_, i) => [`k${i}`, 'uint8', 1] as const) });
  await opened(pairs(3), { metadataEntries: 3 });
  await refused(pairs(4), { metadataEntries: 3 });
  const long = gguf({ pairs: [['a', 'string', 'x'.repeat(1000)], ['b', 'string', 'y'.repeat(1001)], ['c', 'string[]', ['z'.repeat(2000), 'kept']], ['many', 'string[]', Array.from({ length: 500 }, (_, i) => `w${i}`)]] });
  const { metadata } = await opened(long, { stringKept: 1000 });
  assert.equal(metadata[0][1].length, 1000);
  assert.equal(metadata[1][1], '(1009 bytes, not kept)');
  assert.equal(metadata[2][1], '["kept", ... 2 items]');
  assert.match(metadata[3][1], /"w99", \.\.\. 500 items\]$/);
  const budget = await opened(long, { metadataBytes: 1200 });
  assert.equal(budget.metadata[1][1], '(1009 bytes, not kept)');
});

test('a header of 60,000 strings and 20,000 tensors opens in little memory and few reads', async () => {
  const strings = Array.from({ length: 60_000 }, (_, i) => `token${i}`);
  const tensors = Array.from({ length: 20_000 }, (_, i) => ({ name: `blk.${i}.weight`, dims: [1], type: 24, data: Buffer.alloc(0) }));
  const bytes = gguf({ pairs: [['tokenizer.ggml.tokens', 'string[]', strings]], tensors: tensors.map((each) => ({ ...each, dims: [0] })) });
  const source = new MemorySource(bytes);
  const result = await openBytes(source);
  assert.ok('checkpoint' in result && result.checkpoint.tensors.length === 20_000);
  assert.ok(source.reads < 30 && source.bytesRead < 2 * bytes.length, `${source.reads} reads of ${source.bytesRead} bytes`);
});

test('a file of 100 GB is opened by its header alone', async (t) => {
  const file = path.join(scratch(t), 'sparse.gguf');
  const block = Buffer.alloc(0);
  const count = 1000;
  const values = 2 ** 27;
  const each = values / 256 * 210;
  const header = gguf({ tensors: Array.from({ length: count }, (_, i) => ({ name: `blk.${i}.w`, dims: [values], type: 14, data: block, offset: BigInt(i * each) })) });
  const descriptor = openSync(file, 'w');
  writeSync(descriptor, header);
  ftruncateSync(descriptor, header.length + count * each);
  closeSync(descriptor);
  const checkpoint = await openCheckpoint(file);
  assert.equal(checkpoint.tensors.length, count);
  assert.equal(checkpoint.tensors[count - 1].data!.offset, header.length + (count - 1) * each);
});

test('opening one part of a split model opens all of it; a missing or strange part is told', async (t) => {
  const folder = scratch(t);
  const part = (index: number, count: number, names: readonly string[], more: GgufParts['pairs'] = []): Buffer => gguf({
    pairs: [...(index === 0 ? [['general.architecture', 'string', 'llama'] as const] : []), ['split.no', 'uint16', index], ['split.count', 'uint16', count], ['split.tensors.count', 'int32', 4], ...more],
    tensors: names.map((name, i) => ({ name, dims: [1], type: 24, data: Buffer.from([index * 10 + i]) })),
  });
  const name = (index: number): string => path.join(folder, `model-0000${index}-of-00003.gguf`);
  writeFileSync(name(1), part(0, 3, ['a', 'b']));
  writeFileSync(name(2), part(1, 3, ['c']));
  writeFileSync(name(3), part(2, 3, ['d']));
  for (const asked of [name(1), name(3), folder]) {
    const checkpoint = await openCheckpoint(asked);
    assert.deepEqual(checkpoint.tensors.map((tensor) => `${tensor.name} ${valuesOf(checkpoint, tensor)[0]}`), ['a 0', 'b 1', 'c 10', 'd 20']);
    assert.equal(checkpoint.files.length, 3);
    assert.equal(new Map(checkpoint.metadata).get('general.architecture'), 'llama');
  }
  const refusedWith = (asked: string, message: RegExp): Promise<void> => assert.rejects(openCheckpoint(asked), (error) => error instanceof CheckpointError && message.test(error.message));
  writeFileSync(name(3), part(2, 3, ['a']));
  await refusedWith(name(1), /a is in two parts, the second time in model-00003-of-00003\.gguf/);
  writeFileSync(name(3), part(1, 3, ['d']));
  await refusedWith(name(1), /says it is part 2 of 3, not part 3 of 3/);
  writeFileSync(name(3), part(2, 3, []));
  await refusedWith(name(1), /claims 4 tensors, but its parts hold 3/);
  writeFileSync(name(3), part(2, 3, ['d']).subarray(0, 50));
  await refusedWith(name(1), /in the part model-00003-of-00003\.gguf:/);
  rmSync(name(3));
  await refusedWith(name(2), /1 of 3 parts is missing: model-00003-of-00003\.gguf/);
  const alone = path.join(folder, 'renamed.gguf');
  writeFileSync(alone, part(1, 3, ['c']));
  await refusedWith(alone, /part 2 of 3 of a model, but its name/);
  writeFileSync(name(1), part(1, 3, ['c']));
  await refusedWith(name(1), /the name says part 1 of 3, but the file says part 2 of 3/);
});

test('line ends changed on the way are told', async () => {
  const damaged = Buffer.from(gguf({ pairs: [['0123456789', 'string', 'a\nb\nc\nd']] }).toString('latin1').replaceAll('\n', '\r\n'), 'latin1');
  assert.match((await refused(damaged)).message, /carriage returns before line feeds/);
});
