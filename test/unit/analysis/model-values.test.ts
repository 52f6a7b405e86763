import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import type { Checkpoint } from '../../../kernels/checkpoint/checkpoint';
import { argumentsFrom, modelValues, tiesEmbeddings } from '../../../server/analysis/model-values';
import { parsePlainYaml } from '../../../server/analysis/plain-yaml';
import { findCheckpoints } from '../../../server/analysis/discovery';
import { checkpoint } from '../linking/build';

const folder = (t: test.TestContext): string => {
  const made = mkdtempSync(path.join(tmpdir(), 'bitlens-values-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
};
const at = (root: string, extra?: Checkpoint['extra']): Checkpoint => ({ ...checkpoint({}), path: path.join(root, 'ckpt.pt'), ...(extra ? { extra } : {}) });

test('config.json beside the checkpoint, and what training scripts save with the weights', async (t) => {
  const root = folder(t);
  const names = async (extra?: Checkpoint['extra']): Promise<string[]> => (await modelValues(at(root, extra))).map(({ from }) => from);
  assert.deepEqual(await names(), []);
  assert.deepEqual(await names({ epoch: 3, model_args: { n_layer: 2 }, config: { batch: 1, model: { dim: 4 } } }), ['model_args of ckpt.pt', 'config of ckpt.pt', 'config.model of ckpt.pt']);
  assert.deepEqual(await names({ arch: 'resnet', depth: 20 }), ['ckpt.pt']);
  writeFileSync(path.join(root, 'config.json'), '{"model_type": "llama", "hidden_size": 64, "__proto__": {"x": 1}}');
  const values = await modelValues(at(root, { hyper_parameters: { hidden: 4 } }));
  assert.deepEqual(values.map(({ from }) => from), ['config.json', 'hyper_parameters of ckpt.pt']);
  assert.deepEqual(Object.keys(values[0]!.values), ['model_type', 'hidden_size', '__proto__']);
  writeFileSync(path.join(root, 'config.json'), 'not json');
  assert.deepEqual(await names(), [], 'a broken file adds nothing and breaks nothing');
});

test('files of other publishers: params.json, and the YAML of training scripts', async (t) => {
  const root = folder(t);
  writeFileSync(path.join(root, 'params.json'), '{"dim": 64, "n_layers": 2}');
  writeFileSync(path.join(root, 'model_config.yaml'), 'n_layer: 6\n');
  assert.deepEqual((await modelValues(at(root))).map(({ from }) => from), ['params.json', 'model_config.yaml']);
});

test('plain YAML: scalars, lists and mappings; what is more leaves out its key', () => {
  const text = ['# made by a script', 'name: pythia-14m', "quoted: 'a # b'", 'n_layer: 6  # layers', 'eps: 1e-05', 'bias: true', 'rope: null', 'none:', 'scale: -0.5', 'version: 1.2.3', 'octal: 010',
    'hf_config:', '  org: EleutherAI', '  deep:', '    x: 1', 'widths:', '- 1', '- 2', 'flow: [3, 4]', 'anchored: &a 1', 'tagged: !!python/object:x', 'many:', '- a: 1', '  b: 2', 'text: |', '  several', '  lines', 'last: 7'].join('\n');
  assert.deepEqual(JSON.parse(JSON.stringify(parsePlainYaml(text))), {
    name: 'pythia-14m', quoted: 'a # b', n_layer: 6, eps: 1e-5, bias: true, rope: null, none: null, scale: -0.5, version: '1.2.3',
    hf_config: { org: 'EleutherAI', deep: { x: 1 } }, widths: [1, 2], flow: [3, 4], last: 7,
  });
  assert.equal(parsePlainYaml('- a\n- b'), null);
  assert.equal(parsePlainYaml(''), null);
  assert.equal(parsePlainYaml(`a:\n${Array.from({ length: 500 }, (_, i) => `${' '.repeat(i + 1)}a:`).join('\n')}`), null, 'nested too deep');
});

test('ties of embeddings: what Hugging Face means by its default', async (t) => {
  const root = folder(t);
  const ties = async (config: object): Promise<boolean> => {
    writeFileSync(path.join(root, 'config.json'), JSON.stringify(config));
    return tiesEmbeddings(await modelValues(at(root)));
  };
  assert.equal(await ties({ model_type: 'llama', tie_word_embeddings: true }), true);
  assert.equal(await ties({ model_type: 'gpt2' }), true);
  assert.equal(await ties({ model_type: 'llama', tie_word_embeddings: false }), false);
  assert.equal(await ties({ name: 'not a model configuration' }), false);
});

test('arguments: same names, or the whole as a configuration object', () => {
  const source = { from: 'x', values: { depth: 20, width: 4 } };
  assert.deepEqual({ ...argumentsFrom(['depth', 'other'], source) }, { depth: 20 });
  assert.deepEqual({ ...argumentsFrom(['config'], source) }, { config: source.values });
  assert.deepEqual({ ...argumentsFrom(['model_config', 'width'], source) }, { model_config: source.values, width: 4 });
  assert.equal(argumentsFrom(['block'], source), null);
});

test('discovery: usual folders, indices instead of shards, no optimizer files, bounded', async (t) => {
  const root = folder(t);
  for (const name of ['weights', 'ckpt', 'elsewhere', 'out']) mkdirSync(path.join(root, name));
  const files = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors', 'model.safetensors.index.json', 'weights/a.pt', 'ckpt/optimizer.pt', 'ckpt/b.ckpt', 'elsewhere/c.pt', 'out/notes.txt', 'out/empty.pt'];
  for (const name of files) writeFileSync(path.join(root, name), name.endsWith('empty.pt') ? '' : 'x');
  const found = (await findCheckpoints(path.join(root, 'model.py'))).map((entry) => path.relative(root, entry.path).split(path.sep).join('/'));
  assert.deepEqual(found, ['model.safetensors.index.json', 'weights/a.pt', 'ckpt/b.ckpt']);
  for (let index = 0; index < 40; index += 1) writeFileSync(path.join(root, 'out', `step${index}.pt`), 'x');
  assert.equal((await findCheckpoints(path.join(root, 'model.py'))).length, 16);
  assert.deepEqual(await findCheckpoints(path.join(root, 'nowhere', 'model.py')), []);
});

test('files called .bin are weights when they begin like some', async (t) => {
  const root = folder(t);
  const contents: Record<string, Buffer | string> = {
    'tokenizer.bin': Buffer.from([7, 0, 0, 0, 1, 2]), 'train.bin': Buffer.from([200, 1, 9, 0, 3, 0, 4, 0, 9, 0]),
    'zip.bin': 'PK\x03\x04', 'pickle.bin': Buffer.from([0x80, 2, 0x8a]), 'safe.bin': Buffer.from([8, 0, 0, 0, 0, 0, 0, 0, 0x7b]), 'pointer.bin': 'version https://git-lfs.github.com/spec/v1\n',
  };
  for (const [name, content] of Object.entries(contents)) writeFileSync(path.join(root, name), content);
  assert.deepEqual((await findCheckpoints(path.join(root, 'model.py'))).map((entry) => path.basename(entry.path)).sort(), ['pickle.bin', 'pointer.bin', 'safe.bin', 'zip.bin']);
});
