import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { CheckpointError, openCheckpoint, type Checkpoint } from '../../../kernels/checkpoint';
import { isPlainSegment } from '../../../kernels/checkpoint/shard-path';
import { dataPath, needsData } from '../../support/data';
import { call, dict, floats, global, storage, tensorV2, torchZip } from './pickles';
import { safetensors, scratch, valuesOf } from './support';

const one = (name: string, value: number): Buffer => safetensors({ [name]: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } }, floats(value));
const NAME = (i: number, of: number): string => `model-0000${i}-of-0000${of}.safetensors`;
const messages = (checkpoint: Checkpoint): string => checkpoint.problems.map((problem) => problem.message).join('\n');
async function refusal(file: string): Promise<string> {
  try {
    await openCheckpoint(file);
  } catch (error) {
    assert.ok(error instanceof CheckpointError, (error as Error).stack);
    assert.ok(error.problem.fix.length > 0);
    return error.message;
  }
  return assert.fail('it was opened');
}

/** A folder with an index and shards; returns the path of the index. */
function model(folder: string, map: Record<string, string> | string, shards: Record<string, Buffer>, metadata: unknown = {}): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(shards)) writeFileSync(path.join(folder, name), bytes);
  const index = path.join(folder, 'model.safetensors.index.json');
  writeFileSync(index, typeof map === 'string' ? map : JSON.stringify({ metadata, weight_map: map }));
  return index;
}

test('a model split into shards has the tensors of the whole, with the same values', async (t) => {
  if (!needsData(t, 'stories260k/model.safetensors')) return;
  const whole = await openCheckpoint(dataPath('stories260k/model.safetensors'));
  const bytes = readFileSync(dataPath('stories260k/model.safetensors'));
  const shards: Record<string, Buffer> = {};
  const map: Record<string, string> = {};
  for (let shard = 0; shard < 3; shard++) {
    const part = whole.tensors.filter((_, i) => i % 3 === shard);
    let at = 0;
    const header = Object.fromEntries(part.map((tensor) => [tensor.name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [at, at += tensor.bytes] }]));
    shards[NAME(shard + 1, 3)] = safetensors(header, Buffer.concat(part.map((tensor) => bytes.subarray(tensor.data!.offset, tensor.data!.offset + tensor.bytes))));
    for (const tensor of part) map[tensor.name] = NAME(shard + 1, 3);
  }
  const folder = scratch(t);
  const index = model(folder, map, shards, { total_size: whole.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0) });
  for (const target of [index, folder]) {
    const sharded = await openCheckpoint(target);
    assert.equal(sharded.format, 'safetensors');
    assert.equal(sharded.files.length, 4);
    assert.deepEqual(sharded.problems.filter((problem) => problem.grade !== 'information'), []);
    assert.deepEqual(new Set(sharded.tensors.map((tensor) => tensor.name)), new Set(whole.tensors.map((tensor) => tensor.name)));
    for (const tensor of whole.tensors) {
      assert.deepEqual(valuesOf(sharded, sharded.tensors.find((each) => each.name === tensor.name)!), valuesOf(whole, tensor), tensor.name);
    }
  }
});

test('shards of PyTorch, with their imports and storages kept apart', async (t) => {
  const shard = (name: string, value: number): Buffer => torchZip(dict([[name, tensorV2(storage('FloatStorage', '0', 1), 0, [1])], ['x', call(global('os', name))]]), { 0: floats(value) });
  const index = model(scratch(t), { a: '1.bin', b: '2.bin' }, { '1.bin': shard('a', 1), '2.bin': shard('b', 2) });
  const checkpoint = await openCheckpoint(index);
  assert.equal(checkpoint.format, 'pytorch-zip');
  assert.deepEqual(checkpoint.tensors.map((tensor) => valuesOf(checkpoint, tensor)), [floats(1), floats(2)]);
  assert.notEqual(checkpoint.tensors[0].data!.storage, checkpoint.tensors[1].data!.storage);
  assert.deepEqual(checkpoint.imports.filter((item) => item.kind === 'code').map((item) => item.name), ['a', 'b']);
});

test('a missing shard, a tensor in two shards and a tensor outside the map are three different things', async (t) => {
  const folder = scratch(t);
  const [first, second] = [NAME(1, 2), NAME(2, 2)];
  const missing = await refusal(model(path.join(folder, '1'), { a: first, b: second, c: second }, { [first]: one('a', 1) }));
  assert.match(missing, /1 of 2 shards is missing \(model-00002-of-00002\.safetensors\), with 2 of 3 tensors/);
  const both = safetensors({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] }, b: { dtype: 'F32', shape: [1], data_offsets: [4, 8] } }, floats(8, 9));
  const twice = await openCheckpoint(model(path.join(folder, '2'), { a: first, b: second }, { [first]: one('a', 1), [second]: both }));
  assert.match(messages(twice), /a is in two shards.*the index names model-00001-of-00002/);
  assert.deepEqual(valuesOf(twice, twice.tensors.find((tensor) => tensor.name === 'a')!), floats(1));
  const unmapped = await openCheckpoint(model(path.join(folder, '3'), { b: second }, { [second]: both }));
  assert.match(messages(unmapped), /1 tensor of model-00002-of-00002\.safetensors is not in the index \(a\); loaders leave it out/);
  const absent = await openCheckpoint(model(path.join(folder, '4'), { a: first, z: first }, { [first]: one('a', 1) }));
  assert.match(messages(absent), /the index names 1 tensor that the shards do not hold \(z in /);
  const elsewhere = await openCheckpoint(model(path.join(folder, '7'), { a: second, b: first }, { [first]: one('a', 1), [second]: one('b', 2) }));
  assert.equal(elsewhere.problems.filter(({ grade }) => grade === 'questionable').length, 1);
  assert.match(messages(elsewhere), /another shard for 2 tensors than the one that holds them \(a is in model-00001-of-00002\.safetensors, not in model-00002/);
  const damaged = model(path.join(folder, '8'), { a: first, b: second }, { [first]: one('a', 1), [second]: one('b', 2).subarray(0, 50) });
  await assert.rejects(openCheckpoint(damaged), (error) => error instanceof CheckpointError && path.basename(error.path) === second && /^in the shard model-00002-of-00002\.safetensors: .* missing \(byte/.test(error.message));
  const endless = await openCheckpoint(model(path.join(folder, '9'), `{"metadata":{"total_size":1e999},"weight_map":{"a":"${first}"}}`, { [first]: one('a', 1) }));
  assert.doesNotMatch(messages(endless), /claims/);
  const size = await openCheckpoint(model(path.join(folder, '5'), { a: first }, { [first]: one('a', 1) }, { total_size: 5 }));
  assert.ok(size.problems.some((problem) => /claims 5 bytes/.test(problem.message)) && size.problems.every((problem) => problem.grade === 'information'));
  const repeated = await openCheckpoint(model(path.join(folder, '6'), `{"weight_map":{"a":"${first}","a":"${second}"}}`, { [first]: one('a', 1), [second]: one('a', 2) }));
  assert.match(messages(repeated), /the index puts a in two shards/);
  assert.deepEqual(valuesOf(repeated, repeated.tensors[0]), floats(2));
});

test('an index that is no index, or names another index, is refused', async (t) => {
  const folder = scratch(t);
  const json = (name: string, text: string): string => model(path.join(folder, name), text, {});
  assert.match(await refusal(json('1', '{"hidden_size": 64}')), /without a weight_map/);
  assert.match(await refusal(json('2', '{"weight_map": {}}')), /empty/);
  assert.match(await refusal(json('3', '{"weight_map": {"a": 5}}')), /must be a string/);
  assert.match(await refusal(json('4', '{"weight_map": {"a": "x"')), /"}" is expected|damaged/);
  assert.match(await refusal(json('5', '{"weight_map": ["a"]}')), /must be an object/);
  assert.match(await refusal(json('6', '{"weight_map": {"a": "model.safetensors.index.json"}}')), /^it is an index itself/);
  assert.match(await refusal(json('7', `{"a": ${'['.repeat(200)}${']'.repeat(200)}}`)), /nested/);
});

test('names of shards are plain segments, and links stay in the folder or in the cache of the same model', async (t) => {
  const folder = scratch(t);
  writeFileSync(path.join(folder, 'outside.safetensors'), one('a', 1));
  const at = path.join(folder, 'model');
  for (const name of ['../outside.safetensors', '/etc/passwd', 'a/b', 'a\\b', '..', '.', '', 'C:x', '\\\\host\\share', 'a\0b', 'file:x', 'https://x/y']) {
    assert.ok(!isPlainSegment(name), name);
    assert.match(await refusal(model(at, { a: name }, {})), /not a plain file name/, name);
  }
  const index = model(at, { a: 'x.safetensors' }, {});
  const place = path.join(at, 'x.safetensors');
  const attempt = async (make: () => void): Promise<string> => { rmSync(place, { recursive: true, force: true }); make(); return refusal(index); };
  assert.match(await attempt(() => { symlinkSync(path.join(folder, 'outside.safetensors'), place); }), /leads out of the folder/);
  assert.match(await attempt(() => { symlinkSync('/dev/zero', place); }), /leads out of the folder/);
  assert.match(await attempt(() => { symlinkSync(place, place); }), /link that leads back|ELOOP/);
  assert.match(await attempt(() => { symlinkSync(path.join(at, 'nowhere'), place); }), /missing/);
  assert.match(await attempt(() => { mkdirSync(place); }), /not a regular file/);
  if (process.platform === 'linux') assert.match(await attempt(() => { execFileSync('mkfifo', [place]); }), /not a regular file/);
  // Inside the folder a link is fine, and so is a second name of the same file.
  rmSync(place, { recursive: true });
  writeFileSync(path.join(at, 'real'), one('a', 1));
  symlinkSync('real', place);
  assert.equal((await openCheckpoint(index)).tensors.length, 1);
  rmSync(place);
  linkSync(path.join(at, 'real'), place);
  assert.equal((await openCheckpoint(index)).tensors.length, 1);
  // A folder that is itself reached through a link is judged by where it is.
  symlinkSync(at, path.join(folder, 'link'));
  assert.equal((await openCheckpoint(path.join(folder, 'link'))).tensors.length, 1);
});

test('a Hugging Face cache, where every file is a link into blobs, opens; a link into another model does not', async (t) => {
  const hub = scratch(t);
  const make = (name: string): string => {
    const root = path.join(hub, name);
    mkdirSync(path.join(root, 'blobs'), { recursive: true });
    mkdirSync(path.join(root, 'snapshots', 'abc'), { recursive: true });
    writeFileSync(path.join(root, 'blobs', 'b1'), one('a', 1));
    writeFileSync(path.join(root, 'blobs', 'i1'), JSON.stringify({ weight_map: { a: 'x.safetensors' } }));
    symlinkSync('../../blobs/i1', path.join(root, 'snapshots', 'abc', 'model.safetensors.index.json'));
    return root;
  };
  const good = make('models--me--good');
  symlinkSync('../../blobs/b1', path.join(good, 'snapshots', 'abc', 'x.safetensors'));
  assert.equal((await openCheckpoint(path.join(good, 'snapshots', 'abc'))).tensors.length, 1);
  // The folder of the whole cache entry stands for its only revision, or for the one that refs/main names.
  assert.equal((await openCheckpoint(good)).tensors.length, 1);
  mkdirSync(path.join(good, 'snapshots', 'old'));
  assert.match(await refusal(good), /holds no checkpoint/);
  mkdirSync(path.join(good, 'refs'));
  writeFileSync(path.join(good, 'refs', 'main'), 'abc');
  assert.equal(path.basename(path.dirname((await openCheckpoint(good)).path)), 'abc');
  const bad = make('models--me--bad');
  symlinkSync(path.join(good, 'blobs', 'b1'), path.join(bad, 'snapshots', 'abc', 'x.safetensors'));
  assert.match(await refusal(path.join(bad, 'snapshots', 'abc')), /leads out of the folder/);
});

test('a folder opens its one checkpoint, and says which ones when there are several', async (t) => {
  const folder = scratch(t);
  assert.match(await refusal(folder), /holds no checkpoint/);
  writeFileSync(path.join(folder, 'a.safetensors'), one('a', 1));
  writeFileSync(path.join(folder, 'optimizer.pt'), 'x');
  writeFileSync(path.join(folder, 'training_args.bin'), 'x');
  writeFileSync(path.join(folder, 'config.json'), '{}');
  assert.equal(path.basename((await openCheckpoint(folder)).path), 'a.safetensors');
  writeFileSync(path.join(folder, 'b.safetensors'), one('a', 1));
  assert.match(await refusal(folder), /2 checkpoints: a\.safetensors, b\.safetensors/);
  writeFileSync(path.join(folder, 'model.safetensors'), one('m', 1));
  assert.equal(path.basename((await openCheckpoint(folder)).path), 'model.safetensors');
  const parts = path.join(folder, 'parts');
  mkdirSync(parts);
  writeFileSync(path.join(parts, NAME(1, 2)), one('a', 1));
  writeFileSync(path.join(parts, NAME(2, 2)), one('b', 1));
  assert.match(await refusal(parts), /2 shards .* but no index/);
});
