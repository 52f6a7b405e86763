/** Requests that run the model: what the kernel is asked, and where the answer shows. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import type { MarkupContent } from 'vscode-languageserver/node';
import type { SensitivityResult } from '../../server/protocol';
import type { TrialParams, TrialResult } from '../../kernels/jobs/job';
import { repositoryRoot } from '../support/data';
import { error } from '../unit/rules/fixture';
import { start, workspace, type Workspace } from './harness';

const example = (name: string): string => path.join(repositoryRoot, 'examples/shakespeare-gpt', name);
const SOURCE = readFileSync(example('model.py'), 'utf8');
const QKV = SOURCE.split('\n').findIndex((line) => line.includes('self.qkv = nn.Linear'));

function files(t: TestContext, data = true): Workspace {
  const made = workspace(t);
  made.write('model.py', SOURCE);
  made.write('weights.safetensors', readFileSync(example('weights.safetensors')));
  const config = JSON.parse(readFileSync(example('bitlens.json'), 'utf8')) as { models: { data?: unknown }[] };
  if (!data) delete config.models[0]!.data;
  made.write('bitlens.json', JSON.stringify(config));
  for (const name of ['tokens_calibration.npy', 'tokens_eval.npy']) made.write(name, readFileSync(example(name)));
  return made;
}

test('sensitivity runs the traced model on the data of bitlens.json, and shows in hover and report from then on', async (t) => {
  const made = files(t);
  const { client, kernel } = await start(t, made.folder);
  kernel.other.sensitivity = ({ weights, formats, metric }): SensitivityResult => ({
    metric, unit: 'nats', baseline: { loss: 1.7, accuracy: 0.5 }, skipped: [], samples: 16, seconds: 1, data: 'tokens_eval.npy',
    layers: weights.map(({ key }, i) => ({ key, formats: Object.fromEntries(formats.map((id, f) => [id, { value: (i + 1) / 4 ** (f + 2), stderr: 1e-4, bitsPerWeight: 4 }])) })),
  });
  const uri = made.uri('model.py');
  await client.open(uri, SOURCE);
  const { data } = await client.request('bitlens/model', { uri });
  assert.deepEqual(data, { task: 'language-model', calibration: 'tokens_calibration.npy', evaluation: 'tokens_eval.npy', metric: 'kl' });
  assert.equal((await client.request('bitlens/report', { uri })).sensitivities, undefined);
  await client.request('bitlens/sensitivity', { uri, samples: 16, formats: ['int4', 'int8'] });
  const asked = kernel.asked.find(({ kind }) => kind === 'sensitivity')!.params as { graph: { nodes: unknown[] }; samples: number; task: string };
  assert.ok(asked.graph.nodes.length > 50 && asked.samples === 16 && asked.task === 'language-model');
  const hover = await client.hover(uri, QKV, 20);
  assert.match((hover!.contents as MarkupContent).value, /KL divergence[^\n]* \(nats\), largest of 4 layers, measured on 16 samples of tokens.{0,2}eval.{0,2}npy: `int4[^`]*` 0\.\d+ ± 1\.0e-4/);
  const { sensitivities } = await client.request('bitlens/report', { uri });
  assert.equal(sensitivities!.length, 1);
  assert.equal(sensitivities![0]!.layers.length, 18);
  assert.ok(sensitivities![0]!.agreement.every(({ tau }) => tau === null || (tau >= -1 && tau <= 1)));
});

test('a trial runs the model where data is named, and says so where it is not', async (t) => {
  const figures = { loss: 1.7, lossStderr: 0.01, accuracy: 0.5 };
  const result = (keys: readonly string[]): TrialResult => ({
    before: figures, after: { ...figures, loss: 1.75, kl: 0.01, klStderr: 0.001, nsr: 0.02 }, layers: keys.map((key) => ({ key, tensor: key, format: 'int4', method: 'gptq', before: error(10, 4), after: error(11, 4) })),
    weights: 1, bytesBefore: 4, bytes: 1, averageBits: 4, samples: 64, data: 'tokens_eval.npy', calibration: { samples: 64, data: 'tokens_calibration.npy', seconds: 1 }, notes: [], seconds: 2,
  });
  const made = files(t);
  const { client, kernel } = await start(t, made.folder);
  kernel.other.trial = ({ tasks }) => result(tasks.map(({ key }) => key));
  const uri = made.uri('model.py');
  await client.open(uri, SOURCE);
  const trial = await client.request('bitlens/trial', { uri, format: 'int4', method: 'gptq' });
  assert.deepEqual(trial.judged, { before: { loss: 1.7, accuracy: 0.5 }, after: { loss: 1.75, accuracy: 0.5, kl: 0.01, nsr: 0.02 } });
  assert.match(trial.evidence, /ran on 64 samples of tokens_eval\.npy; calibrated on 64 samples/);

  const bare = files(t, false);
  const other = await start(t, bare.folder);
  await other.client.open(bare.uri('model.py'), SOURCE);
  await assert.rejects(other.client.request('bitlens/evaluate', { uri: bare.uri('model.py') }), /there is no data to run the model on: name inputs in bitlens\.json under data\.evaluation/);
});

test('synthetic data of bitlens.json: the kernel is told its shape, other samples judge than calibrate, and views say what it is', async (t) => {
  const made = files(t, false);
  const config = JSON.parse(readFileSync(example('bitlens.json'), 'utf8')) as { models: { data?: unknown }[] };
  config.models[0]!.data = { calibration: { synthetic: 'auto', samples: 8 } };
  made.write('bitlens.json', JSON.stringify(config));
  const { client, kernel } = await start(t, made.folder);
  const title = 'synthetic data: texts that the model wrote itself';
  kernel.other.trial = ({ tasks }): TrialResult => ({
    before: { loss: null, lossStderr: null, accuracy: null }, after: { loss: null, lossStderr: null, accuracy: null, kl: 0.01, klStderr: 0.001, nsr: 0.02 },
    layers: tasks.map(({ key }) => ({ key, tensor: key, format: 'int4', method: 'gptq', before: error(10, 4), after: error(11, 4) })),
    weights: 1, bytesBefore: 4, bytes: 1, averageBits: 4, samples: 8, data: title, calibration: { samples: 8, data: title, seconds: 1 }, notes: ['judged on synthetic data'], seconds: 2,
  });
  const uri = made.uri('model.py');
  await client.open(uri, SOURCE);
  const { data } = await client.request('bitlens/model', { uri });
  assert.deepEqual([data.calibration, data.evaluation], ['synthetic data', null]);
  const trial = await client.request('bitlens/trial', { uri, format: 'int4', method: 'gptq' });
  const asked = kernel.asked.find(({ kind }) => kind === 'trial')!.params as TrialParams;
  const shared = { synthetic: 'auto', samples: 8, sample: { shape: [128], whole: true } };
  assert.deepEqual([asked.data, asked.calibration!.data], [{ ...shared, seed: 1 }, shared]);
  assert.equal(trial.evidence, `The model ran on 8 samples of ${title}; calibrated on 8 samples of ${title}; judged on synthetic data`);
  await assert.rejects(client.request('bitlens/evaluate', { uri }), /of synthetic data nobody knows what is right: name data with labels/);
});

test('a model that cannot be followed is still quantized by its weights, and says why it was not run', async (t) => {
  const source = SOURCE.replace('B, T = idx.shape', 'B, T = compiled_kernel(idx)');
  assert.notEqual(source, SOURCE);
  const made = files(t);
  made.write('model.py', source);
  const { client, kernel } = await start(t, made.folder);
  kernel.other.quantize = ({ tasks }) => ({ layers: tasks.map(({ key, tensor, format, method }) => ({ key, tensor, format, method, before: error(10, 4), after: error(11, 4) })), weights: 1, bytesBefore: 4, bytesAfter: 1, averageBits: 4, seconds: 1 });
  const uri = made.uri('model.py');
  await client.open(uri, source);
  const layer = { uri, path: 'blocks.0.mlp.up', format: 'int4' };
  const { judged, evidence } = await client.request('bitlens/quantizeLayer', { ...layer, method: 'rtn' });
  assert.equal(judged, undefined);
  assert.match(evidence, /the model was not run: the model cannot be run, because its forward cannot be followed to the end: .*model\.py:\d+/);
  const trial = await client.request('bitlens/trial', { uri, format: 'int4', method: 'rtn' });
  assert.match(trial.evidence, /the model was not run; the model cannot be run/);
  await assert.rejects(client.request('bitlens/quantizeLayer', { ...layer, method: 'gptq' }), /cannot be followed to the end/);
});
