import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { CheckpointError } from '../../../kernels/checkpoint/checkpoint';
import type { Recipe } from '../../../kernels/recipe/recipe';
import { selectLayers } from '../../../server/analysis/trial';
import { UserError } from '../../../server/analysis/user-error';
import type { ModuleTree } from '../../../server/python/module-tree';
import { checkpoint, checkpointOf, embedding, linear, node, parameter, tensor, tree } from '../linking/build';
import { bench } from './fakes';

const model = tree(linear('fc1', 64, 32), linear('fc2', 32, 16), linear('fc3', 16, 8));
const weights = checkpoint({ 'fc1.weight': [32, 64], 'fc1.bias': [32], 'fc2.weight': [16, 32], 'fc2.bias': [16], 'fc3.weight': [8, 16], 'fc3.bias': [8] });
const COUNT = 32 * 64 + 16 * 32 + 8 * 16;
const folder = (t: test.TestContext): string => {
  const made = mkdtempSync(path.join(tmpdir(), 'bitlens-service-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
};
const tied = (): { model: ModuleTree; weights: typeof weights } => ({
  model: tree(embedding('embed', 64, 16), linear('fc', 16, 16), node('head', 'Linear', 'torch', [parameter('weight', [64, 16], { tiedTo: 'embed.weight' })])),
  weights: checkpoint({ 'embed.weight': [64, 16], 'fc.weight': [16, 16], 'fc.bias': [16], 'head.weight': [64, 16] }),
});

test('analysing asks nothing of the kernel; measuring asks once, and the next analysis knows', async (t) => {
  const file = path.join(folder(t), 'model.py');
  const { service, kernel } = bench({ Net: { tree: model } }, weights);
  const analysis = await service.analyse(file, { checkpoint: 'w' });
  assert.equal(analysis.measurements.state, 'none');
  assert.equal(kernel.calls.length, 0);
  const measured = await service.measure(analysis);
  assert.equal(measured.measurements.state, 'ready');
  await service.measure(analysis);
  assert.equal((await service.analyse(file, { checkpoint: 'w' })).measurements.state, 'ready');
  assert.equal(kernel.calls.length, 1);
  await service.measure(analysis, ['int4-sym-channel', 'int3-sym-channel']);
  assert.deepEqual((kernel.calls[1]!.params as { formats: string[] }).formats, ['int3-sym-channel'], 'only what is not known is asked');
});

test('a kernel that fails gives a state, not an exception; a cancelled one throws', async (t) => {
  const { service, kernel } = bench({ Net: { tree: model } }, weights);
  const analysis = await service.analyse(path.join(folder(t), 'model.py'), { checkpoint: 'w' });
  kernel.fail = new Error('the kernel process has stopped');
  assert.deepEqual((await service.measure(analysis)).measurements, { state: 'failed', message: 'the kernel process has stopped' });
  const cancel = new AbortController();
  cancel.abort();
  await assert.rejects(service.measure(analysis, undefined, { signal: cancel.signal }));
});

test('allocation: within the budget, beside the uniform recipe of at most its size, never worse', async (t) => {
  const { service } = bench({ Net: { tree: model } }, weights);
  const analysis = await service.analyse(path.join(folder(t), 'model.py'), { checkpoint: 'w' });
  const result = await service.allocate(analysis, { bits: 5 });
  assert.ok(result.averageBits <= 5);
  assert.ok(result.uniform && result.objective <= result.uniform.objective && result.uniform.bytes <= 5 * COUNT / 8);
  assert.deepEqual(result.layers.map((layer) => layer.path), ['fc1', 'fc2', 'fc3']);
  const total = result.layers.reduce((sum, layer) => sum + layer.bitsPerWeight * [32 * 64, 16 * 32, 8 * 16][['fc1', 'fc2', 'fc3'].indexOf(layer.path)]!, 0);
  assert.ok(Math.abs(total / COUNT - result.averageBits) < 1e-9, 'average bits are total bits over total weights');
  const bytes = await service.allocate(analysis, { bytes: 2500 });
  assert.ok(bytes.bytes <= 2500);
});

test('budgets that cannot be met, or are no budgets, are explained', async (t) => {
  const { service } = bench({ Net: { tree: model } }, weights);
  const analysis = await service.analyse(path.join(folder(t), 'model.py'), { checkpoint: 'w' });
  await assert.rejects(service.allocate(analysis, { bits: 1 }), (error: unknown) => error instanceof UserError && /a budget of 1 bit per weight cannot be met.*at least/.test(error.message));
  await assert.rejects(service.allocate(analysis, {}), UserError);
  await assert.rejects(service.allocate(analysis, { bits: 4, bytes: 4 }), UserError);
  await assert.rejects(service.allocate(analysis, { bits: -1 }), UserError);
  await assert.rejects(service.allocate(analysis, { bits: 4, metric: 'wieght-nsr' }), /Did you mean weight-nsr/);
  await assert.rejects(service.allocate(analysis, { bits: 4, formats: ['nit4'] }), UserError);
  assert.ok((await service.allocate(analysis, { bits: 32 })).note, 'a budget in which everything fits says so');
});

test('tied weights are counted once, measured once and given one format in the recipe', async (t) => {
  const { model: tiedModel, weights: stored } = tied();
  const { service, kernel } = bench({ Net: { tree: tiedModel } }, stored);
  const file = path.join(folder(t), 'model.py');
  const analysis = await service.analyse(file, { checkpoint: 'w' });
  const out = path.join(path.dirname(file), 'model.recipe.json');
  const result = await service.allocate(analysis, { bits: 5, out });
  assert.deepEqual(result.layers.map((layer) => layer.path), ['embed', 'fc']);
  assert.equal((kernel.calls[0]!.params as { weights: unknown[] }).weights.length, 2);
  const recipe = JSON.parse(readFileSync(out, 'utf8')) as Recipe;
  assert.equal(recipe.layers.head!.weights, recipe.layers.embed!.weights);
  assert.equal(recipe.model.source, 'model.py');
  // The trial writes both stored copies with the same values, and reports the weight once.
  const trial = await service.trial(analysis, { recipe: out, out: path.join(path.dirname(file), 'q.safetensors') });
  const tasks = (kernel.calls.find(({ kind }) => kind === 'quantize')!.params as { tasks: { tensor: string; format: string }[] }).tasks;
  assert.deepEqual(tasks.map((task) => task.tensor), ['embed.weight', 'head.weight', 'fc.weight']);
  assert.equal(tasks[0]!.format, tasks[1]!.format);
  assert.deepEqual(trial.layers.map((layer) => layer.path), ['embed', 'fc']);
  assert.equal(trial.bytesBefore, (64 * 16 + 16 * 16) * 4);
});

test('groups of the recipe stay together', async (t) => {
  const file = path.join(folder(t), 'model.py');
  const { service } = bench({ Net: { tree: model } }, weights);
  const recipe = path.join(path.dirname(file), 'model.recipe.json');
  writeFileSync(recipe, JSON.stringify({ version: 1, model: { source: 'model.py', class: 'Net', checkpoint: 'w' }, default: { weights: 'keep' }, layers: {}, groups: [['fc1', 'fc3']] }));
  const analysis = await service.analyse(file, { checkpoint: 'w' });
  assert.equal(analysis.recipePath, recipe, 'the recipe beside the source that names this class is found');
  for (const bits of [3, 4, 5, 6]) {
    const formats = new Map((await service.allocate(analysis, { bits })).layers.map((layer) => [layer.path, layer.format]));
    assert.equal(formats.get('fc1'), formats.get('fc3'));
  }
});

test('trials: a recipe that does not fit or changes nothing is refused, and the read checkpoint is never overwritten', async (t) => {
  const root = folder(t);
  const { service } = bench({ Net: { tree: model } }, weights);
  const analysis = await service.analyse(path.join(root, 'model.py'), { checkpoint: 'w' });
  const write = (name: string, layers: object): string => {
    const file = path.join(root, name);
    writeFileSync(file, JSON.stringify({ version: 1, model: { source: 'model.py', class: 'Net', checkpoint: 'w' }, default: { weights: 'keep' }, layers }));
    return file;
  };
  await assert.rejects(service.trial(analysis, { recipe: write('a.json', {}) }), /would change nothing/);
  await assert.rejects(service.trial(analysis, { recipe: write('b.json', { 'fc9': { weights: 'int4' } }) }), /names a layer that the model does not have: "fc9".*Did you mean fc1/);
  await assert.rejects(service.trial(analysis, { format: 'int4', out: '/weights.safetensors' }), /is the checkpoint that is read/);
  await assert.rejects(service.trial(analysis, {}), /either a recipe or a format/);
  await assert.rejects(service.trial(analysis, { format: 'int4', method: 'mse-clp' }), /Did you mean mse-clip/);
  const only = await service.trial(analysis, { format: 'int4', layers: ['fc2'] });
  assert.deepEqual(only.layers.map((layer) => layer.path), ['fc2']);
});

test('layers are selected by path, module or subtree; tied names stand for the one that carries the weight', async (t) => {
  const { model: tiedModel, weights: stored } = tied();
  const { service } = bench({ Net: { tree: tiedModel } }, stored);
  const analysis = await service.analyse(path.join(folder(t), 'model.py'), { checkpoint: 'w' });
  const select = (...names: string[]): string[] => selectLayers(analysis.link!, names).map((layer) => layer.path);
  assert.deepEqual(select('head'), ['embed']);
  assert.deepEqual(select('fc', 'embed', 'head'), ['embed', 'fc']);
  assert.deepEqual(select('head.weight', 'fc.weight'), ['embed', 'fc']);
  assert.throws(() => select('fcc'), /has no layer "fcc"\. Did you mean fc\?/);
});

test('one layer through a method', async (t) => {
  const { service } = bench({ Net: { tree: model } }, weights);
  const analysis = await service.analyse(path.join(folder(t), 'model.py'), { checkpoint: 'w' });
  const done = await service.quantizeLayer(analysis, { path: 'fc1', format: 'int4-sym-channel', method: 'mse-clip' });
  assert.equal(done.bytesBefore, 32 * 64 * 4);
  assert.equal(done.format, 'int4-sym-channel');
});

test('writing one scheme makes, keeps and changes the recipe', async (t) => {
  const file = path.join(folder(t), 'model.py');
  const { service } = bench({ Net: { tree: model } }, weights);
  const analysis = await service.analyse(file, { checkpoint: path.join(path.dirname(file), 'w') });
  const { recipe } = await service.writeRecipe(analysis, { path: 'fc1', format: 'int4', method: 'mse-clip' });
  assert.equal(recipe, path.join(path.dirname(file), 'model.recipe.json'));
  await service.writeRecipe(await service.analyse(file, { checkpoint: path.join(path.dirname(file), 'w') }), { path: 'fc2', format: 'int8-sym-channel' });
  const read = JSON.parse(readFileSync(recipe, 'utf8')) as Recipe;
  assert.deepEqual(Object.keys(read.layers), ['fc1', 'fc2']);
  assert.equal(read.layers.fc1!.method, 'mse-clip');
  assert.equal(read.default.weights, 'keep');
});

test('the summary counts bytes before and after by the recipe', async (t) => {
  const file = path.join(folder(t), 'model.py');
  const { service } = bench({ Net: { tree: model } }, weights);
  const analysis = await service.measure(await service.analyse(file, { checkpoint: 'w' }));
  const suggested = service.summary(analysis);
  assert.equal(suggested.parameters, COUNT + 32 + 16 + 8);
  assert.equal(suggested.layers[0]!.format, 'int4-sym-channel', '24 dB at 4 bits is the first above 20');
  assert.equal(suggested.layers[0]!.formatSource, 'suggested');
  assert.ok(suggested.bytesAfter! < suggested.bytes / 4);
  await service.writeRecipe(analysis, { path: 'fc1', format: 'int8-sym-channel' });
  const withRecipe = service.summary(await service.analyse(file, { checkpoint: 'w' }));
  assert.deepEqual(withRecipe.layers.map((layer) => layer.format), ['int8-sym-channel', 'keep', 'keep']);
  assert.equal(withRecipe.layers[0]!.formatSource, 'recipe');
  assert.ok(withRecipe.averageBits! > 8 && withRecipe.averageBits! < 32);
});

test('the report holds every layer with its detail, and a curve through the allocation shown', async (t) => {
  const { service } = bench({ Net: { tree: model } }, weights);
  const analysis = await service.analyse(path.join(folder(t), 'model.py'), { checkpoint: 'w' });
  const report = await service.report(analysis, { details: true });
  assert.deepEqual(report.layers.map((layer) => layer.path), ['fc1', 'fc2', 'fc3']);
  assert.ok(report.layers.every((layer) => layer.detail && layer.errors.length === report.formats.length));
  assert.ok(report.curve.points.length > 1 && report.curve.chosen !== null);
  const points = report.curve.points;
  assert.ok(points.every((point, index) => index === 0 || (point.bytes >= points[index - 1]!.bytes && point.objective <= points[index - 1]!.objective)), 'more bytes, less error');
  assert.deepEqual(report.curve.uniform.map(({ format }) => format), ['int2-sym-channel', 'int4-sym-channel', 'int8-sym-channel']);
  const uniform = report.curve.uniform.find(({ format }) => format === 'int4-sym-channel')!;
  assert.ok(points[report.curve.chosen!]!.bytes <= uniform.bytes && points[report.curve.chosen!]!.objective <= uniform.objective);
});

test('discovery takes the checkpoint that the classes explain best, and bitlens.json overrides it', async (t) => {
  const root = folder(t);
  const file = path.join(root, 'model.py');
  mkdirSync(path.join(root, 'weights'));
  for (const name of ['other.pt', 'weights/good.safetensors', 'weights/optimizer.pt']) writeFileSync(path.join(root, name), 'x');
  const unrelated = checkpoint({ 'a.b': [3, 3] });
  const opened: string[] = [];
  const { service } = bench({ Net: { tree: model } }, weights, async (name) => {
    opened.push(path.relative(root, name));
    const made = name.endsWith('good.safetensors') ? weights : unrelated;
    return { ...made, path: name, files: [] };
  });
  const found = await service.analyse(file);
  assert.equal(found.checkpointPath, path.join(root, 'weights', 'good.safetensors'));
  assert.match(found.checkpointReason!, /chosen of 2 beside the source/);
  assert.ok(!opened.includes(path.join('weights', 'optimizer.pt')));
  writeFileSync(path.join(root, 'bitlens.json'), JSON.stringify({ models: [{ source: 'model.py', class: 'Net', checkpoint: 'other.pt' }] }));
  const configured = await service.analyse(file);
  assert.equal(configured.checkpointPath, path.join(root, 'other.pt'));
  assert.match(configured.checkpointReason!, /bitlens\.json/);
  writeFileSync(path.join(root, 'bitlens.json'), '{');
  assert.match((await service.analyse(file)).notes![0]!, /not sound JSON/, 'a broken configuration is said, and the editor goes on');
});

test('no checkpoint, a refused one, and one that fits nothing', async (t) => {
  const root = folder(t);
  const file = path.join(root, 'model.py');
  const problem = { code: 'BL405', grade: 'malformed', message: 'cut short', fix: 'Copy it again', offset: 7 } as const;
  const { service } = bench({ Net: { tree: model } }, weights, async (name) => { throw new CheckpointError(problem, name); });
  const none = await service.analyse(file);
  assert.equal(none.checkpoint, null);
  assert.equal(none.link!.layers.length, 3, 'layers are listed without weights');
  await assert.rejects(service.allocate(none, { bits: 4 }), /no checkpoint beside the source/);
  const refused = await service.analyse(file, { checkpoint: 'bad.pt' });
  assert.deepEqual(refused.checkpointError, problem);
  await assert.rejects(service.trial(refused, { format: 'int4' }), /cut short \(byte 7\)\. Copy it again/);
});

test('a large file is not searched for its root again on every key', async (t) => {
  const classes = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`Block${index}`, { tree: tree(linear(`x${index}`, 2, 2)) }]));
  const { service, python } = bench({ ...classes, Net: { tree: model } }, weights);
  const file = path.join(folder(t), 'model.py');
  assert.equal((await service.analyse(file, { checkpoint: 'w' })).root!.name, 'Net');
  const before = python.built;
  const again = await service.analyse(file, { checkpoint: 'w' });
  assert.equal(again.root!.name, 'Net');
  assert.equal(again.root!.alternatives.length, 30);
  assert.equal(python.built - before, 1);
});

test('inspection counts shared storage once', async () => {
  const shared = { storage: 's', offset: 0 };
  const { service } = bench({}, checkpointOf([tensor('a', [4, 4], 'F32', shared), tensor('b', [4, 4], 'F32', shared), tensor('c', [3], 'I64')]));
  const summary = await service.inspect('w');
  assert.equal(summary.parameters, 16 + 3);
  assert.deepEqual(summary.tensors.map(({ name, float }) => [name, float]), [['a', true], ['b', true], ['c', false]]);
  assert.ok(!existsSync('w'));
});
