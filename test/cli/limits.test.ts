/** allocate with limits beside size, and with layers that belong together, on the real networks. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { dataPath, needsData, repositoryRoot } from '../support/data';
import { bitlens, folder, json } from './run';

const RESNET = path.join(repositoryRoot, 'examples/resnet20/model.py');
const resnet = (): string[] => ['allocate', `${RESNET}:ResNet20`, '--checkpoint', dataPath('resnet20/resnet20-12fca82f.th')];
const CIFAR = ['--input', 'x=1,3,32,32', '--formats', [2, 3, 4, 6, 8].map((bits) => `int${bits}-sym-channel`).join(',')];
const STORIES = path.join(repositoryRoot, 'test/trace/stories/model.py');
const stories = (): string[] => ['allocate', `${STORIES}:LlamaForCausalLM`, '--checkpoint', dataPath('stories260k/model.safetensors')];
const MIXED = [2, 3, 4, 6, 8].map((bits) => `int${bits}-sym-channel`).join(',');

interface Cost { id: string; unit: string; value: number; limit: number | null; uniform: number | null; estimated: number }
interface Layer { path: string; format: string; bitsPerWeight: number; macs: number; costs: Record<string, { value: number; basis: string; operator?: string }> }
interface Allocated { averageBits: number; objective: number; optimal: boolean; costs: Cost[]; layers: Layer[]; coupled: { kind: string; layers: string[]; by: string }[]; note: string | null; uniform: { objective: number } | null; judgement: { baseline: { accuracy: number }; recipes: { accuracy: number }[]; within: string[] } | null }
const run = async (...words: string[]): Promise<Allocated> => {
  const outcome = await bitlens([...words, '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  return json<Allocated>(outcome);
};

test('bit operations: those of ResNet-20 as they are counted by hand, alone and beside a size', async (t) => {
  if (!needsData(t, 'resnet20')) return;
  const alone = await run(...resnet(), '--bops', '1.2', '--activation-bits', '8', ...CIFAR);
  const macs = alone.layers.reduce((sum, layer) => sum + layer.macs, 0);
  assert.equal(macs, 40_551_040);
  const [cost] = alone.costs;
  assert.ok(cost!.id === 'bops' && cost!.limit === 1.2 && cost!.value <= 1.2 && cost!.value > 1.15, JSON.stringify(cost));
  const counted = alone.layers.reduce((sum, layer) => sum + layer.macs * Number(/^int(\d)/.exec(layer.format)![1]) * 8, 0);
  assert.ok(Math.abs(cost!.value * 1e9 - counted) < 1);
  assert.ok(alone.optimal && alone.objective < alone.uniform!.objective);
  const both = await run(...resnet(), '--bops', '1200M', '--bits', '3.3', '--activation-bits', '8', ...CIFAR);
  assert.ok(both.optimal && both.averageBits <= 3.3 && both.costs[0]!.value <= 1.2 && both.objective >= alone.objective);
  const sized = await run(...resnet(), '--bits', '3.3', '--formats', MIXED);
  assert.ok(sized.costs.length === 0 && both.objective >= sized.objective * (1 - 1e-12), 'a further limit never helps');
  assert.match((await bitlens([...resnet(), '--bops', '2', ...CIFAR])).stderr, /a budget of 2 GBOPs cannot be met.* at least 2\.6 GBOPs\. /);
  // Nothing says here how large a picture is, so that the error does.
  assert.match((await bitlens([...resnet(), '--bops', '2', '--formats', MIXED])).stderr, /at least 1\d\d GBOPs for one sample with height 224, width 224 \(--input says otherwise\)/);
});

test('latency: int8 is measured, what no operator computes with is called an estimate', async (t) => {
  if (!needsData(t, 'stories260k')) return;
  const { costs: [cost], layers, note } = await run(...stories(), '--latency', '1000', '--formats', 'int3-sym-g32', '--input', 'ids=1,16:int64');
  assert.ok(cost!.id === 'latency' && cost!.unit === 'ms' && cost!.value > 0 && cost!.value < 1000);
  assert.equal(cost!.estimated, layers.length);
  assert.ok(layers.every((layer) => layer.costs.latency!.basis === 'estimated' && layer.costs.latency!.operator === undefined));
  assert.match(note!, /costs are those of one sample/);
  const measured = await run(...stories(), '--latency', '1000', '--formats', 'int4-sym-g32,int8-sym-channel', '--input', 'ids=1,16:int64');
  // The embedding is a lookup too, which is nothing but bytes.
  assert.equal(measured.costs[0]!.estimated, 1);
  for (const layer of measured.layers) if (layer.path !== 'model.embed_tokens') assert.match(layer.costs.latency!.operator!, /^(MatMulNBits, 4 bits|DynamicQuantizeMatMul)/);
});

test('a target is reached with the fewest operations, and a graph that is a file is counted like its source', async (t) => {
  if (!needsData(t, 'resnet20') || !needsData(t, 'cifar10')) return;
  const cifar = (name: string): string => dataPath(`cifar10/${name}.npy`);
  const config = path.join(folder(t), 'bitlens.json');
  writeFileSync(config, JSON.stringify({ models: [{
    source: RESNET, class: 'ResNet20', checkpoint: dataPath('resnet20/resnet20-12fca82f.th'), task: 'classification',
    data: {
      calibration: { inputs: cifar('train_images'), labels: cifar('train_labels') }, evaluation: { inputs: cifar('test_images'), labels: cifar('test_labels') },
      preprocess: { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], layout: 'NHWC' },
    },
  }] }));
  const words = ['--target-drop', '5%', '--activation-bits', '8', '--formats', 'int3-sym-channel,int4-sym-channel,int8-sym-channel', '--samples', '100', '--calibration-samples', '8'];
  const { costs: [cost], judgement } = await run('allocate', config, '--minimize', 'bops', ...words);
  const [own, ...rivals] = judgement!.recipes;
  assert.ok(own!.accuracy >= 0.95 * judgement!.baseline.accuracy && cost!.limit !== null && cost!.value <= cost!.limit && cost!.value < 2.5, JSON.stringify(cost));
  assert.deepEqual(judgement!.within, ['bit operations']);
  assert.ok(rivals.length >= 2);
  const limited = await run('allocate', config, '--bops', '2.3', ...words);
  assert.ok(limited.costs[0]!.value <= 2.3 && limited.judgement!.recipes[0]!.accuracy >= 0.95 * judgement!.baseline.accuracy);
  const onnx = path.join(folder(t), 'resnet.onnx');
  assert.equal((await bitlens(['trace', config, '--onnx', onnx])).code, 0);
  const file = await run('allocate', onnx, '--bops', '1.2', '--activation-bits', '8', ...CIFAR);
  assert.equal(file.layers.reduce((sum, layer) => sum + layer.macs, 0), 40_551_040);
});

test('a text of unknown length is as long as the model takes', async () => {
  const { note, costs: [cost] } = await run('allocate', `${path.join(repositoryRoot, 'test/trace/models/bert.py')}:BertModel`, '--checkpoint', path.join(repositoryRoot, 'test/trace/goldens/bert.safetensors'), '--bops', '1T', '--formats', 'int8-sym-channel');
  assert.match(note!, /one sample with sequence 64, which --input or data can change/);
  assert.ok(cost!.value > 0);
});

test('coupled layers get one format, and the recipe keeps them together', async (t) => {
  if (!needsData(t, 'stories260k')) return;
  const out = path.join(folder(t), 'recipe.json');
  const { coupled, layers } = await run(...stories(), '--bits', '4', '--formats', MIXED, '--couple', 'all', '--out', out);
  const formats = new Map(layers.map((layer) => [layer.path, layer.format]));
  assert.deepEqual(coupled.map(({ kind, by, layers: { length } }) => [kind, by, length]), [...Array.from({ length: 5 }, () => ['qkv', 'graph', 3]), ...Array.from({ length: 5 }, () => ['gate-up', 'graph', 2]), ['residual', 'graph', 10]]);
  for (const group of coupled) assert.equal(new Set(group.layers.map((layer) => formats.get(layer))).size, 1, group.layers.join());
  assert.deepEqual((JSON.parse(readFileSync(out, 'utf8')) as { groups: string[][] }).groups, coupled.map((group) => group.layers));
  const free = await run(...stories(), '--bits', '4', '--formats', MIXED);
  assert.ok(free.layers.some((layer, i) => layer.format !== layers[i]!.format), 'without it, formats differ');
});

test('what cannot be followed, and flags that would change nothing, are refused in words', async (t: TestContext) => {
  if (!needsData(t, 'resnet20')) return;
  for (const [words, message] of [
    [['--bops', 'many'], /--bops must be billions of bit operations/],
    [['--bits', '4', '--activation-bits', '8'], /--activation-bits belong to --bops/],
    [['--bits', '4', '--input', 'x=1,3,32,32'], /--input belongs to --bops and --latency/],
    [['--bits', '4', '--minimize', 'bops'], /--minimize belongs to --target-drop/],
    [['--bits', '4', '--target-drop', '1%'], /no budget of it can be given/],
    [['--bits', '4', '--couple', 'qvk'], /"qvk" is no kind of coupled layers/],
    [['--latency', '0'], /a budget of 0 is not possible/],
    [['--bops', '4T', '--allocator', 'log-variance-allocation'], /closed form is of size alone/],
  ] as const) {
    const outcome = await bitlens([...resnet(), ...words, '--formats', MIXED]);
    assert.equal(outcome.code, 2, words.join(' '));
    assert.match(outcome.stderr, message, words.join(' '));
  }
  const file = path.join(folder(t), 'model.py');
  writeFileSync(file, readFileSync(RESNET, 'utf8').replace('def forward(self, x):', 'def forward(self, x):\n        x = unknown_library.warp(x)'));
  const stopped = await bitlens(['allocate', `${file}:ResNet20`, '--checkpoint', dataPath('resnet20/resnet20-12fca82f.th'), '--bops', '2', '--formats', MIXED]);
  assert.equal(stopped.code, 2);
  assert.match(stopped.stderr, /forward cannot be followed to the end: .*model\.py:\d+/);
});
