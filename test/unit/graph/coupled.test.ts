/** Weights that belong together, in graphs traced from models as people write them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test, { before } from 'node:test';
import { coupledTensors, type Coupling } from '../../../kernels/graph/coupled';
import { sitesOf } from '../../../kernels/run/sites';
import { initParser, PythonWorkspace } from '../../../server/python';
import { traceModel } from '../../../server/trace/trace';
import { repositoryRoot } from '../../support/data';
import { openCheckpoint } from '../../support/run-graph';

const folder = path.join(repositoryRoot, 'test/trace');
const models = JSON.parse(readFileSync(path.join(folder, 'models.json'), 'utf8')) as { name: string; root: string; shapes?: (number | string)[][] }[];

before(() => initParser());

/** Groups of a model of test/trace, each as sorted module paths. */
async function groupsOf(name: string, kind: Coupling): Promise<string[][]> {
  const { root, shapes } = models.find((each) => each.name === name)!;
  const workspace = new PythonWorkspace({ readFile: (file) => { try { return readFileSync(file, 'utf8'); } catch { return null; } }, roots: () => [path.join(folder, 'models')] });
  const checkpoint = await openCheckpoint(path.join(folder, 'goldens', `${name}.safetensors`));
  const weights = new Map(checkpoint.tensors.filter((tensor) => tensor.name.startsWith('w.')).map((tensor) => [tensor.name.slice(2), tensor] as const));
  const { graph, stopped } = traceModel(workspace, {
    file: path.join(folder, 'models', `${name}.py`), root, tensors: weights,
    ...(shapes ? { inputs: shapes.map((shape, i) => ({ name: `input_${i}`, type: 'F32' as const, shape })) } : {}),
  });
  workspace.dispose();
  assert.equal(stopped, null);
  const applications = [...weights.values()].filter(({ shape }) => shape.length > 1).flatMap((tensor) => sitesOf(graph, tensor.name).filter((site) => site.kind !== 'lookup'));
  return coupledTensors(graph, applications, kind).map((group) => group.map((tensor) => tensor.replace(/^w\./, '').replace(/\.weight$/, '')).sort()).sort((a, b) => (a[0]! < b[0]! ? -1 : 1));
}

test('projections of one input that one attention multiplies', async () => {
  assert.deepEqual(await groupsOf('llama_real', 'qkv'), [0, 1].map((i) => ['k_proj', 'q_proj', 'v_proj'].map((leaf) => `layers.${i}.${leaf}`)));
  assert.deepEqual(await groupsOf('bert', 'qkv'), [0, 1].map((i) => ['key', 'query', 'value'].map((leaf) => `layer.${i}.attention.${leaf}`)));
  // Queries of another input than keys and values stand alone; a fused projection is one weight already.
  assert.deepEqual(await groupsOf('cross_attention', 'qkv'), [['attn.k_proj_weight', 'attn.v_proj_weight']]);
  assert.deepEqual(await groupsOf('nano_gpt', 'qkv'), []);
});

test('gate and up of a gated feed-forward, and nothing that is merely multiplied', async () => {
  assert.deepEqual(await groupsOf('llama_complex', 'gate-up'), [0, 1].map((i) => ['w1', 'w3'].map((leaf) => `layers.${i}.feed_forward.${leaf}`)));
  for (const name of ['bert', 'mobilenet_v2', 'se_hardswish', 'resnet_bottleneck']) assert.deepEqual(await groupsOf(name, 'gate-up'), [], name);
});

test('layers that write to one residual stream, up to where it ends', async () => {
  assert.deepEqual(await groupsOf('resnet_bottleneck', 'residual'), [
    ['layer1.0.conv3', 'layer1.0.downsample.0'],
    ['layer2.0.conv3', 'layer2.0.downsample.0', 'layer2.1.conv3'],
  ]);
  assert.deepEqual(await groupsOf('llama_real', 'residual'), [[0, 1].flatMap((i) => ['down', 'o_proj'].map((leaf) => `layers.${i}.${leaf}`))]);
  // The time embedding is broadcast onto a feature map: it shifts it, and is no branch of it.
  assert.ok((await groupsOf('diffusion_unet', 'residual')).every((group) => group.every((layer) => !layer.includes('time'))));
  for (const name of ['vgg_config', 'densenet', 'lenet']) assert.deepEqual(await groupsOf(name, 'residual'), [], name);
});
