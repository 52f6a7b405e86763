/**
 * Built-in families against PyTorch: each folder of families/ is a tiny published model (generate_families.py). It is read as a user
 * reads one, from its folder alone, traced, run in onnxruntime, and gives what transformers gave.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { after } from 'node:test';
import { createAnalysis } from '../../server/analysis/create';
import { FAMILIES, familyEntry } from '../../server/analysis/families';
import { DEFAULT_SETTINGS } from '../../server/protocol';
import { repositoryRoot } from '../support/data';
import { openCheckpoint, readTensor, relativeError, runGraph } from '../support/run-graph';
import { temporarySafetensors, type TestTensor } from '../support/temporary-safetensors';

const folder = path.join(repositoryRoot, 'test/trace/families');
const sources = path.join(repositoryRoot, 'server/families');
const TOLERANCE = 1e-4;
const { service, dispose } = createAnalysis({ settings: DEFAULT_SETTINGS, roots: () => [], log: () => undefined });
after(() => dispose());

/** The model of a folder gives what the golden says; `unexplained` are the tensors that its source does not know. */
async function equals(place: string, expectedFile: string, unexplained: readonly string[] = []): Promise<void> {
  const analysis = await service.analyse(place);
  const { link, tree } = analysis;
  assert.deepEqual([link!.missing, link!.misshaped, link!.unlinkedTensors.map(({ name }) => name), tree!.unknowns], [[], [], unexplained, []]);
  const { graph, stopped } = await service.trace(analysis);
  assert.equal(stopped, null, stopped ? `stopped: ${stopped.reason} (${stopped.span?.file}:${(stopped.span?.startLine ?? -1) + 1})` : '');
  assert.equal(graph.inputs[0]!.shape[0], 'batch');
  const golden = await openCheckpoint(expectedFile);
  const stored = (wanted: string) => readTensor(golden, golden.tensors.find((tensor) => tensor.name === wanted)!);
  const made = await runGraph(graph, analysis.checkpoint!, [stored('in.0')]);
  assert.equal(made.length, golden.tensors.length - 1);
  made.forEach((value, i) => {
    const expected = stored(`out.${i}`);
    assert.deepEqual(value.shape, expected.shape);
    const error = relativeError(value.data, expected.data);
    assert.ok(error <= TOLERANCE, `output ${i} differs by ${error}`);
  });
}

for (const name of readdirSync(folder).sort()) {
  test(`${name} is read from its folder and equals transformers`, () => equals(path.join(folder, name), path.join(folder, name, 'expected.safetensors')));
}

test('other names in files are read as well: norms called gamma and beta, a body without its prefix, masks among the weights, a part of a larger model', async (t) => {
  const renamed = async (name: string, rename: (tensor: string) => string, more: readonly TestTensor[] = [], reword: (config: object) => object = (config) => config): Promise<void> => {
    const from = await openCheckpoint(path.join(folder, name, 'model.safetensors'));
    const file = await temporarySafetensors(t, [...from.tensors.map((info) => ({ name: rename(info.name), shape: info.shape, values: readTensor(from, info).data as Float32Array })), ...more]);
    const config = JSON.parse(readFileSync(path.join(folder, name, 'config.json'), 'utf8')) as object;
    writeFileSync(path.join(path.dirname(file), 'config.json'), JSON.stringify(reword(config)));
    await equals(path.dirname(file), path.join(folder, name, 'expected.safetensors'), more.map((tensor) => tensor.name).filter((own) => !own.startsWith('vision_tower')));
  };
  await renamed('bert', (tensor) => tensor.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta'));
  await renamed('gpt2', (tensor) => tensor.replace(/^transformer\./, ''), [{ name: 'h.0.attn.bias', shape: [1, 1, 4, 4], values: new Float32Array(16) }]);
  // The language model of one that also sees pictures, as both spellings of its checkpoints have it.
  const both = (text: object): object => ({ model_type: 'gemma3', architectures: ['Gemma3ForConditionalGeneration'], text_config: text, vision_config: {} });
  const tower = [{ name: 'vision_tower.head.weight', shape: [2, 2], values: new Float32Array(4) }];
  await renamed('gemma3', (tensor) => `language_model.${tensor}`, tower, both);
  await renamed('gemma3', (tensor) => tensor.replace(/^model\./, 'model.language_model.'), [], both);
});

test('every family has a golden, and its file every class that is promised', async () => {
  const types = new Set(readdirSync(folder).map((name) => (JSON.parse(readFileSync(path.join(folder, name, 'config.json'), 'utf8')) as { model_type: string }).model_type));
  for (const [type, { file, classes, alias }] of FAMILIES) {
    assert.ok(types.has(type) || alias, `${type} has no golden`);
    const text = readFileSync(path.join(sources, file), 'utf8');
    for (const cls of classes) assert.match(text, new RegExp(`^class ${cls}\\(`, 'm'));
  }
});

test('class names of a family that is another\'s under its own name lead to that one', async () => {
  const entry = await familyEntry(path.join(folder, 'xlm_roberta'));
  assert.deepEqual([path.basename(entry.source), entry.class], ['roberta.py', 'RobertaForTokenClassification']);
});
