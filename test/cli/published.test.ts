/** Published models, without code: a folder with config.json and weights is a target of every verb. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { dataPath, needsData } from '../support/data';
import { bitlens, folder, json } from './run';

/** stories260k as it was published: config.json, weights, and token arrays beside them. */
function stories(t: TestContext): string {
  const made = path.join(folder(t), 'stories');
  mkdirSync(made);
  for (const name of ['config.json', 'model.safetensors']) copyFileSync(dataPath(`stories260k/${name}`), path.join(made, name));
  return made;
}
const run = async <T>(...words: string[]): Promise<T> => {
  const outcome = await bitlens([...words, '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  return json<T>(outcome);
};
const tokens = (): string => dataPath('stories260k/tokens_eval.npy');

test('evaluate: stories260k from its folder, its config.json, and a bitlens.json without a source', async (t) => {
  if (!needsData(t, 'stories260k')) return;
  const model = stories(t);
  const data = ['--data', tokens(), '--task', 'language-model'];
  const project = path.join(path.dirname(model), 'bitlens.json');
  for (const [words, named] of [[[model, ...data], {}], [[path.join(model, 'config.json'), ...data], {}], [[project], { checkpoint: 'stories' }], [[model], { checkpoint: 'stories' }], [[project], { source: 'stories/config.json', checkpoint: 'stories/model.safetensors' }], [[project], { source: 'stories' }]] as const) {
    if (words.length === 1) writeFileSync(project, JSON.stringify({ models: [{ ...named, task: 'language-model', data: { evaluation: { inputs: tokens() } } }] }));
    const { loss, metric, root } = await run<{ loss: number; metric: string; root: string }>('evaluate', ...words);
    assert.ok(Math.abs(loss - 1.2015) <= 2e-4, `${words[0]}: ${loss}`);
    assert.deepEqual([metric, root], ['perplexity', 'LlamaForCausalLM']);
  }
});

test('layers, scan, trace, allocate, sensitivity and trial take the folder', async (t) => {
  if (!needsData(t, 'stories260k')) return;
  const model = stories(t);
  const found = await run<{ explained: number; missing: unknown[]; misshaped: unknown[]; layers: { path: string; linked: boolean }[]; arguments: { from: string } }>('layers', model);
  assert.deepEqual([found.explained, found.missing, found.misshaped, found.arguments.from], [1, [], [], 'config.json']);
  assert.ok(found.layers.every(({ linked }) => linked));
  assert.equal((await run<{ tensors: unknown[] }>('scan', model, '--formats', 'int4-sym-channel')).tensors.length, 36);
  const traced = await run<{ complete: boolean; inputs: unknown }>('trace', model);
  assert.deepEqual([traced.complete, traced.inputs], [true, [{ name: 'input_ids', type: 'I64', shape: ['batch', 'sequence'] }]]);
  // A recipe in the folder names the folder as its source, and is found there.
  const recipe = path.join(model, 'stories.recipe.json');
  await run('allocate', model, '--bits', '4', '--out', recipe);
  const written = JSON.parse(readFileSync(recipe, 'utf8')) as { model: unknown };
  assert.deepEqual(written.model, { source: '.', class: 'LlamaForCausalLM', checkpoint: 'model.safetensors' });
  const data = ['--data', tokens(), '--task', 'language-model', '--samples', '4'];
  const tried = await run<{ after: { kl: number } }>('trial', 'ptq', model, '--recipe', recipe, ...data);
  assert.ok(tried.after.kl > 0 && Number.isFinite(tried.after.kl));
  const sensitivity = await run<{ layers: unknown[] }>('sensitivity', model, '--metric', 'kl', '--formats', 'int4-sym-channel', ...data);
  assert.equal(sensitivity.layers.length, 36);
});

test('check looks at a published model, and passes over a config.json of something else', async (t) => {
  if (!needsData(t, 'stories260k')) return;
  const model = stories(t);
  const checked = await run<{ models: { root: string; linked: number }[] }>('check', model, '--no-measure');
  assert.deepEqual(checked.models.map(({ root }) => root), ['LlamaForCausalLM']);
  writeFileSync(path.join(model, 'config.json'), '{"port": 80}');
  assert.deepEqual((await run<{ models: unknown[] }>('check', model, '--no-measure')).models, []);
});

test('a class of the family can be chosen', async (t) => {
  if (!needsData(t, 'stories260k')) return;
  const traced = await run<{ root: string; outputs: { shape: unknown[] }[] }>('trace', `${stories(t)}:LlamaModel`);
  assert.deepEqual([traced.root, traced.outputs[0]!.shape.at(-1)], ['LlamaModel', 64]);
});

test('what the source of a family does not do stops the trace with its name', async (t) => {
  const place = folder(t);
  const says = async (more: object, expected: RegExp): Promise<void> => {
    writeFileSync(path.join(place, 'config.json'), JSON.stringify({ model_type: 'llama', hidden_size: 8, num_attention_heads: 2, num_hidden_layers: 1, vocab_size: 9, intermediate_size: 8, ...more }));
    const outcome = await bitlens(['trace', place, '--json']);
    assert.equal(outcome.code, 1);
    assert.match(json<{ stopped: { reason: string } }>(outcome).stopped.reason, expected);
  };
  await says({ rope_scaling: { rope_type: 'ntk' } }, /rotary scaling of the kind ntk is not known: default, linear/);
  await says({ rope_scaling: { type: 'linear' } }, /scaling of the kind linear needs factor/);
  await says({ hidden_act: 'foo' }, /the activation foo is not known/);
  await says({ model_type: 'bert', position_embedding_type: 'relative_key' }, /positions of the kind relative_key are not built in/);
  await says({ model_type: 'gpt2', add_cross_attention: true }, /not built in: cross attention/);
  await says({ model_type: 'gemma3_text', use_bidirectional_attention: true }, /not built in: two-way attention/);
});

test('what is not known is refused with one clear error', async (t) => {
  const place = folder(t);
  const refuses = async (config: string | null, target: string, expected: RegExp): Promise<void> => {
    if (config !== null) writeFileSync(path.join(place, 'config.json'), config);
    const { code, stderr } = await bitlens(['layers', target]);
    assert.equal(code, 2);
    assert.match(stderr, expected);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
  };
  await refuses(null, place, /is a folder without a config\.json/);
  await refuses('{"model_type": "lama"}', place, /no network of the model_type "lama" is built in\. Did you mean llama\? There are: .*llama/);
  await refuses('{"model_type": "llama", "architectures": ["LlamaForCasualLM"]}', place, /"LlamaForCasualLM" is not built in for the model_type llama\. Did you mean LlamaForCausalLM\?/);
  await refuses('{"hidden_size": 4}', place, /names no "model_type"/);
  await refuses('{"model_type": 7}', place, /model_type must be a string, not 7/);
  await refuses('{"model_type": "__proto__"}', place, /no network of the model_type "__proto__"/);
  await refuses('{"model_type": "llama", "hidden_size": "64"}', place, /config\.json: hidden_size must be a number, not "64"/);
  await refuses('{"model_type": "llama", "num_attention_heads": 0}', place, /num_attention_heads must be at least 1/);
  await refuses('{"model_type": "llama", "num_hidden_layers": 1e9}', place, /num_hidden_layers must be at most 4096/);
  await refuses('{"model_type": "llama", "rope_scaling": 7}', place, /rope_scaling must be an object, not 7/);
  await refuses('{"model_type": "gemma3"}', place, /is of the model_type gemma3 and has no "text_config"/);
  await refuses('{"model_type": ', place, /not sound JSON/);
  writeFileSync(path.join(place, 'bitlens.json'), '{"models": [{"checkpoint": "nothing.safetensors"}]}');
  await refuses('[]', path.join(place, 'bitlens.json'), /config\.json: the document must be an object, not an array/);
});
