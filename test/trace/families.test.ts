/**
 * Built-in families against PyTorch: each folder of families/ is a tiny published model (generate_families.py). It is read as a user
 * reads one, from its folder alone, traced, run in onnxruntime, and gives what transformers gave.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test, { after } from 'node:test';
import { createAnalysis } from '../../server/analysis/create';
import { FAMILIES, familyEntry } from '../../server/analysis/families';
import { DEFAULT_SETTINGS } from '../../server/protocol';
import { repositoryRoot } from '../support/data';
import { openCheckpoint, readTensor, relativeError, runGraph } from '../support/run-graph';

const folder = path.join(repositoryRoot, 'test/trace/families');
const sources = path.join(repositoryRoot, 'server/families');
const TOLERANCE = 1e-4;
const { service, dispose } = createAnalysis({ settings: DEFAULT_SETTINGS, roots: () => [], log: () => undefined });
after(() => dispose());

for (const name of readdirSync(folder).sort()) {
  test(`${name} is read from its folder and equals transformers`, async () => {
    const place = path.join(folder, name);
    const analysis = await service.analyse(place);
    const { link, tree } = analysis;
    assert.deepEqual([link!.missing, link!.misshaped, link!.unlinkedTensors, tree!.unknowns], [[], [], [], []]);
    const { graph, stopped } = await service.trace(analysis);
    assert.equal(stopped, null, stopped ? `stopped: ${stopped.reason} (${stopped.span?.file}:${(stopped.span?.startLine ?? -1) + 1})` : '');
    assert.equal(graph.inputs[0]!.shape[0], 'batch');
    const golden = await openCheckpoint(path.join(place, 'expected.safetensors'));
    const stored = (wanted: string) => readTensor(golden, golden.tensors.find((tensor) => tensor.name === wanted)!);
    const made = await runGraph(graph, analysis.checkpoint!, [stored('in.0')]);
    assert.equal(made.length, golden.tensors.length - 1);
    made.forEach((value, i) => {
      const expected = stored(`out.${i}`);
      assert.deepEqual(value.shape, expected.shape);
      const error = relativeError(value.data, expected.data);
      assert.ok(error <= TOLERANCE, `output ${i} differs by ${error}`);
    });
  });
}

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
