/** Published checkpoints with ordinary model files. */
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { dataPath, needsData, repositoryRoot } from '../support/data';
import { bitlens, folder, json } from './run';

const fixture = (name: string): string => path.join(repositoryRoot, 'test/fixtures/cli', name);
interface Layers {
  root: string; reason: string; unlinkedTensors: string[]; missing: unknown[]; misshaped: unknown[]; prefix: string; tied: string[][];
  layers: { path: string; className: string; line: number; linked: boolean; tensors: { name: string; shape: number[] }[] }[];
}

test('ResNet-20: the factory of the right depth, every tensor explained', async (t) => {
  if (!needsData(t, 'resnet20/resnet20-12fca82f.th')) return;
  const outcome = await bitlens(['layers', fixture('resnet20/resnet.py'), '--checkpoint', dataPath('resnet20/resnet20-12fca82f.th'), '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  const document = json<Layers>(outcome);
  assert.equal(document.root, 'resnet20');
  assert.equal(document.prefix, 'state_dict.module.');
  assert.deepEqual([document.unlinkedTensors, document.missing, document.misshaped], [[], [], []]);
  assert.equal(document.layers.length, 39);
  assert.ok(document.layers.every(({ linked }) => linked));
  const conv = document.layers.find((layer) => layer.path === 'layer3.2.conv2')!;
  assert.equal(conv.line, 29);
  assert.deepEqual(conv.tensors, [{ name: 'state_dict.module.layer3.2.conv2.weight', shape: [64, 64, 3, 3], dtype: 'F32' }]);
});

test('ResNet-20: a trial at 4 bits reads back what it wrote; the stored file is not touched', async (t) => {
  if (!needsData(t, 'resnet20/resnet20-12fca82f.th')) return;
  const out = path.join(folder(t), 'q.safetensors');
  const target = [fixture('resnet20/resnet.py:resnet20'), '--checkpoint', dataPath('resnet20/resnet20-12fca82f.th')];
  const outcome = await bitlens(['quantize', ...target, '--format', 'int4-sym-channel', '--out', out, '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  const trial = json<{ layers: { after: { sqnrDb: number } }[]; bytesBefore: number; bytesAfter: number; export: { verifiedTensors: number } }>(outcome);
  assert.equal(trial.layers.length, 20);
  assert.ok(trial.layers.every(({ after }) => after.sqnrDb > 10 && after.sqnrDb < 30));
  assert.ok(trial.bytesAfter < trial.bytesBefore / 7);
  assert.equal(trial.export.verifiedTensors, 97);
});

test('Llama: the class that takes a configuration is built from config.json, and the tied head is not missing', async (t) => {
  if (!needsData(t, 'stories260k/model.safetensors')) return;
  const outcome = await bitlens(['layers', fixture('llama/model.py'), '--checkpoint', dataPath('stories260k/model.safetensors'), '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  const document = json<Layers>(outcome);
  assert.equal(document.root, 'LlamaForCausalLM');
  assert.match(document.reason, /constructor arguments from config\.json/);
  assert.deepEqual([document.unlinkedTensors, document.missing, document.misshaped], [[], [], []]);
  assert.deepEqual(document.tied, [['model.embed_tokens.weight', 'lm_head.weight']]);
  assert.equal(document.layers.filter((layer) => layer.className === 'Linear').length, 5 * 7 + 1);
});

test('Llama: an allocation beats the uniform recipe of its size', async (t) => {
  if (!needsData(t, 'stories260k/model.safetensors')) return;
  const outcome = await bitlens(['allocate', fixture('llama/model.py'), '--checkpoint', dataPath('stories260k/model.safetensors'), '--bits', '4.6', '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  const document = json<{ averageBits: number; objective: number; optimal: boolean; uniform: { objective: number } }>(outcome);
  assert.ok(document.averageBits <= 4.6 && document.optimal && document.objective < document.uniform.objective);
});
