/** Published models in the editor: their config.json stands for them, and their layers lie in the built-in source. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { repositoryRoot } from '../support/data';
import { start, workspace } from './harness';

const published = (name: string): string => path.join(repositoryRoot, 'test/trace/families/gpt2', name);

test('config.json of a published model is asked about like a source file', async (t) => {
  const made = workspace(t);
  made.write('config.json', readFileSync(published('config.json'), 'utf8'));
  made.write('model.safetensors', readFileSync(published('model.safetensors')));
  const { client } = await start(t, made.folder);
  const uri = made.uri('config.json');
  const { target, layers } = await client.request('bitlens/model', { uri });
  assert.deepEqual(target, { uri, root: 'GPT2LMHeadModel' });
  const linear = layers.filter(({ path: layer }) => /c_attn|c_fc|c_proj/.test(layer));
  assert.equal(linear.length, 8);
  assert.ok(linear.every((row) => row.uri.endsWith('/families/gpt2.py')));
  const { recipe } = await client.request('bitlens/writeRecipe', { uri, path: linear[0]!.path, format: 'int8-sym-channel', method: 'rtn' });
  assert.equal(path.dirname(recipe), made.folder);
  const written = JSON.parse(readFileSync(recipe, 'utf8')) as { model: unknown };
  assert.deepEqual(written.model, { source: '.', class: 'GPT2LMHeadModel', checkpoint: 'model.safetensors' });
  // Found again, without being named.
  assert.equal((await client.request('bitlens/model', { uri })).recipe, recipe);
});
