import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { writeFileAtomic } from '../../../server/analysis/atomic-file';
import { configFor, parseConfig, readConfig } from '../../../server/analysis/config';
import { parseRecipe, refuseStrangeLayers, strangeLayers } from '../../../server/analysis/recipe-file';
import { nearest, UserError } from '../../../server/analysis/user-error';
import { FormatIdError } from '../../../kernels/formats/format';
import { repositoryRoot } from '../../support/data';

const folder = (t: test.TestContext): string => {
  const made = mkdtempSync(path.join(tmpdir(), 'bitlens-config-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
};
const complains = (make: () => unknown, ...parts: RegExp[]): void => {
  assert.throws(make, (error: unknown) => {
    assert.ok(error instanceof UserError, String(error));
    for (const part of parts) assert.match(error.message, part);
    return true;
  });
};

/** The example of the command line's contract, word for word. */
const CONTRACT = { models: [{ source: 'model.py', class: 'ResNet20', args: {}, checkpoint: 'weights.th', task: 'classification',
  data: { calibration: { inputs: 'train_images.npy', labels: 'train_labels.npy' }, evaluation: { inputs: 'test_images.npy', labels: 'test_labels.npy' },
    preprocess: { scale: 0.00392156862745098, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], layout: 'NHWC' } } }] };

test('the configuration of the contract is read, paths relative to the file', () => {
  const { models } = parseConfig(CONTRACT, '/work/project/bitlens.json');
  assert.equal(models[0]!.source, path.resolve('/work/project/model.py'));
  assert.equal(models[0]!.checkpoint, path.resolve('/work/project/weights.th'));
  assert.deepEqual(models[0]!.data!.evaluation, { inputs: path.resolve('/work/project/test_images.npy'), labels: path.resolve('/work/project/test_labels.npy') });
  assert.deepEqual(models[0]!.data!.preprocess, CONTRACT.models[0]!.data.preprocess);
});

test('every complaint names the place', () => {
  const at = (value: unknown) => () => parseConfig(value, 'bitlens.json');
  complains(at([]), /bitlens\.json: the document must be an object, not an array/);
  complains(at({}), /needs the property "models"/);
  complains(at({ models: {} }), /models must be an array, not an object/);
  complains(at({ models: [] }), /models must name at least one model/);
  complains(at({ models: [{ sorce: 'x' }] }), /models\[0\] has no property "sorce"\. Did you mean source\?/);
  complains(at({ models: [{ class: 'X' }] }), /models\[0\] needs the property "source"/);
  complains(at({ models: [{ source: 7 }] }), /models\[0\]\.source must be a string, not 7/);
  complains(at({ models: [{ source: 'a.py', task: 'clasification' }] }), /models\[0\]\.task must be one of .*Did you mean classification\?/);
  complains(at({ models: [{ source: 'a.py', args: [1] }] }), /models\[0\]\.args must be an object/);
  complains(at({ models: [{ source: 'a.py', data: { preprocess: { mean: [0, 1], std: [1] } } }] }), /preprocess\.std has 1 values and mean has 2/);
  complains(at({ models: [{ source: 'a.py', data: { preprocess: { std: [1, 0] } } }] }), /preprocess\.std\[1\] must be larger than 0/);
  complains(at({ models: [{ source: 'a.py', data: { calibration: { labels: 'x' } } }] }), /data\.calibration needs the property "inputs"/);
  complains(at({ models: [{ source: '' }] }), /models\[0\]\.source must not be empty/);
});

test('not JSON: the line is named', async (t) => {
  const file = path.join(folder(t), 'bitlens.json');
  writeFileSync(file, '{\n "models": [\n  { "source": }\n]}');
  await assert.rejects(readConfig(file), (error: unknown) => error instanceof UserError && /is not sound JSON \(line 3\)/.test(error.message));
  writeFileSync(file, '{\n "models": [],\n "models": []}');
  await assert.rejects(readConfig(file), /line 3.*"models" is given twice/);
  writeFileSync(file, '['.repeat(100_000));
  await assert.rejects(readConfig(file), /nested more than 64 deep/);
  await assert.rejects(readConfig(path.join(file, 'none')), UserError);
});

test('the nearest configuration that names the file is taken, not beyond the root', async (t) => {
  const root = folder(t);
  mkdirSync(path.join(root, 'a', 'b'), { recursive: true });
  const model = path.join(root, 'a', 'b', 'model.py');
  writeFileSync(path.join(root, 'bitlens.json'), JSON.stringify({ models: [{ source: 'a/b/model.py', class: 'Outer' }] }));
  writeFileSync(path.join(root, 'a', 'bitlens.json'), JSON.stringify({ models: [{ source: 'other.py', class: 'Other' }] }));
  assert.equal((await configFor(model, [root]))!.entries[0]!.class, 'Outer');
  assert.equal(await configFor(model, [path.join(root, 'a')]), null);
  writeFileSync(path.join(root, 'a', 'b', 'bitlens.json'), JSON.stringify({ models: [{ source: 'model.py', class: 'Inner' }, { source: 'model.py', class: 'Second' }] }));
  assert.deepEqual((await configFor(model, [root]))!.entries.map((entry) => entry.class), ['Inner', 'Second']);
});

test('schema and reader allow the same properties', () => {
  const schema = JSON.parse(readFileSync(path.join(repositoryRoot, 'server/analysis/bitlens.schema.json'), 'utf8')) as { definitions: Record<string, { properties: Record<string, unknown> }> };
  const sample: Record<string, unknown> = { source: 'a.py', class: 'A', args: {}, checkpoint: 'c', recipe: 'r', task: 'features', data: {} };
  assert.deepEqual(Object.keys(schema.definitions.model!.properties).sort(), Object.keys(sample).sort());
  parseConfig({ models: [sample] }, 'bitlens.json');
  assert.deepEqual(Object.keys(schema.definitions.preprocess!.properties).sort(), ['crop', 'layout', 'mean', 'resize', 'scale', 'std']);
  const data = { inputs: 'x', labels: 'y', sequence: 4, tokenizer: 't' };
  assert.deepEqual(Object.keys(schema.definitions.files!.properties).sort(), Object.keys(data).sort());
  const synthetic = { synthetic: 'auto', samples: 8, sequence: 4 };
  assert.deepEqual(Object.keys(schema.definitions.synthetic!.properties).sort(), Object.keys(synthetic).sort());
  parseConfig({ models: [{ ...sample, data: { calibration: synthetic } }] }, 'bitlens.json');
  parseConfig({ models: [{ ...sample, data: { evaluation: data, preprocess: { crop: [8, 9], resize: 10 } } }] }, 'bitlens.json');
});

const vocabulary = {
  canonicalFormat: (id: string): string => {
    if (id === 'int4') return 'int4-sym-channel';
    if (id.startsWith('int')) return id;
    throw new FormatIdError(`"${id}" is not a number format`);
  },
  methods: ['rtn', 'mse-clip'],
};
const recipe = (change: object = {}): unknown => ({ version: 1, model: { source: 'm.py', class: 'M', checkpoint: 'w' }, default: { weights: 'keep' }, layers: { 'a.b': { weights: 'int4' } }, ...change });

test('a recipe is read; shorthands become full ids', () => {
  const read = parseRecipe(recipe(), 'r.json', vocabulary);
  assert.equal(read.layers['a.b']!.weights, 'int4-sym-channel');
  assert.equal(read.default.weights, 'keep');
});

test('recipes with hostile layer names keep them', () => {
  const read = parseRecipe(JSON.parse(JSON.stringify(recipe()).replace('"a.b"', '"__proto__"')), 'r.json', vocabulary);
  assert.deepEqual(Object.keys(read.layers), ['__proto__']);
  assert.equal(read.layers['__proto__']!.weights, 'int4-sym-channel');
  assert.deepEqual(strangeLayers(read, new Set(['x'])), ['__proto__']);
});

test('recipe complaints name the place', () => {
  const at = (change: object) => () => parseRecipe(recipe(change), 'r.json', vocabulary);
  complains(at({ version: 2 }), /r\.json: version must be 1/);
  complains(at({ layers: { 'a.b': { weights: 'nit4' } } }), /layers\["a\.b"\]\.weights is not a format/);
  complains(at({ layers: { x: { weights: 'int4', method: 'gptqq' } } }), /layers\.x\.method is not a method.*rtn, mse-clip/);
  complains(at({ layers: { x: {} } }), /layers\.x needs the property "weights"/);
  complains(at({ layer: {} }), /has no property "layer"\. Did you mean layers\?/);
  complains(at({ model: { source: 'm.py' } }), /model needs the property "class"/);
  const read = parseRecipe(recipe(), 'r.json', vocabulary);
  complains(() => refuseStrangeLayers(read, 'r.json', new Set(['a.c'])), /names a layer that the model does not have: "a\.b".*Did you mean a\.c\?/);
});

test('a file is written whole or not at all', async (t) => {
  const root = folder(t);
  const file = path.join(root, 'new', 'r.json');
  await writeFileAtomic(file, 'one');
  await writeFileAtomic(file, 'two');
  assert.equal(readFileSync(file, 'utf8'), 'two');
  const cancel = new AbortController();
  cancel.abort();
  await assert.rejects(writeFileAtomic(file, 'three', cancel.signal));
  assert.equal(readFileSync(file, 'utf8'), 'two');
  assert.deepEqual(readdirSync(path.dirname(file)), ['r.json'], 'nothing temporary is left');
  await assert.rejects(writeFileAtomic(path.join(file, 'below-a-file'), 'x'), UserError);
  await assert.rejects(writeFileAtomic(path.dirname(file), 'x'), (error: unknown) => error instanceof UserError && /it is a folder\. Name a file/.test(error.message));
});

test('nearest names what was meant and stays silent otherwise', () => {
  assert.equal(nearest('chekpoint', ['checkpoint', 'formats']), 'checkpoint');
  assert.equal(nearest('zzz', ['checkpoint', 'formats']), null);
});
