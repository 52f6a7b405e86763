/** The corpus of module trees, joined with checkpoints of exactly the names and shapes that PyTorch gave for them. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test, { before } from 'node:test';
import { chooseRoot } from '../../../server/analysis/root-choice';
import { link } from '../../../server/linking/link';
import { initParser, PythonWorkspace } from '../../../server/python';
import { repositoryRoot } from '../../support/data';
import { checkpoint } from './build';

interface Expected {
  readonly root: string;
  readonly file?: string;
  readonly args?: Record<string, unknown>;
  readonly byHand?: boolean;
  readonly parameters: readonly (readonly [string, readonly (number | null)[] | null])[];
}
const folder = path.join(repositoryRoot, 'test/corpus/module-trees');
const cases = readdirSync(folder).filter((name) => existsSync(path.join(folder, name, 'expected.json'))).sort()
  .map((name) => ({ name, directory: path.join(folder, name), expected: JSON.parse(readFileSync(path.join(folder, name, 'expected.json'), 'utf8')) as Expected }))
  .filter(({ expected }) => expected.parameters.every(([, shape]) => shape !== null && shape.every((dim) => dim !== null)) && expected.byHand !== true);

before(async () => { await initParser(); });

const workspaceOf = (directory: string): PythonWorkspace => new PythonWorkspace({
  readFile: (file) => (existsSync(file) ? readFileSync(file, 'utf8') : null), roots: () => [directory],
});
const PREFIXES = ['', 'module.', 'state_dict.', '_orig_mod.', 'model_state_dict.module.', 'net.'];

cases.forEach(({ name, directory, expected }, index) => {
  const shapes = (prefix: string): Record<string, readonly number[]> => Object.fromEntries(expected.parameters.map(([key, shape]) => [prefix + key, shape as number[]]));
  const file = path.join(directory, expected.file ?? 'model.py');

  test(`${name}: every tensor explained, nothing missing`, () => {
    const tree = workspaceOf(directory).buildTree(file, expected.root, expected.args);
    const prefix = PREFIXES[index % PREFIXES.length]!;
    const result = link(tree, checkpoint({ ...shapes(prefix), ...(prefix === '' ? {} : { 'optimizer.state.0.exp_avg': [3] }) }));
    assert.deepEqual(result.missing.map((entry) => entry.name), []);
    assert.deepEqual(result.misshaped.map((entry) => entry.name), []);
    assert.deepEqual(result.unlinkedTensors.map((tensor) => tensor.name), []);
    assert.equal(result.explained, 1);
    assert.equal(result.prefix, prefix);
  });

  test(`${name}: the root is found without being named`, async (t) => {
    if (expected.args) { t.skip('the case gives constructor arguments by hand'); return; }
    const python = workspaceOf(directory);
    const candidates = python.rootCandidates(file);
    if (!candidates.some((candidate) => candidate.name === expected.root)) { t.skip(`${expected.root} is not seen to return a module`); return; }
    const chosen = await chooseRoot({ python, file, candidates, checkpoint: checkpoint(shapes('')), values: [] });
    const { link: linked } = chosen!.attempt;
    assert.equal(linked.matched, expected.parameters.length, chosen!.choice.reason);
    assert.deepEqual([linked.missing.length, linked.misshaped.length], [0, 0], chosen!.choice.reason);
  });
});

test('the layer after a loop of unknown count is told from those of the loop by its sizes, however many may stand there', () => {
  const source = `
import torch.nn as nn
class Part(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width))
class Net(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        layers = [nn.Conv2d(3, width, 3)]
        for _ in range(depth):
            layers += [Part(width)]
        for _ in range(2):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)
`;
  const file = path.resolve('/project/model.py');
  const workspace = new PythonWorkspace({ readFile: (name) => (name === file ? source : null), roots: () => [path.resolve('/project')] });
  const made = workspace.buildTree(file, 'Net');
  workspace.dispose();
  const linked = link(made, checkpoint({
    'model.0.weight': [8, 3, 3, 3], 'model.0.bias': [8], 'model.1.inner.1.weight': [8, 8, 3, 3], 'model.1.inner.1.bias': [8],
    'model.3.weight': [8, 8, 3, 3], 'model.3.bias': [8], 'model.7.weight': [8, 8, 3, 3], 'model.7.bias': [8], 'model.11.weight': [3, 8, 7, 7], 'model.11.bias': [3],
  }));
  const lines = source.split('\n');
  const rows = linked.layers.map((layer) => [layer.path, layer.module.className, lines[layer.module.span.startLine]!.trim()]);
  assert.deepEqual(rows.map(([path, name]) => `${path} ${name}`), ['model.0 Conv2d', 'model.1.inner.1 Conv2d', 'model.3 Conv2d', 'model.7 Conv2d', 'model.11 Conv2d']);
  assert.ok(rows[4]![2]!.startsWith('layers += [nn.ReflectionPad2d'), rows[4]![2]);
  assert.ok(rows[2]![2]!.startsWith('layers += [nn.Upsample'), rows[2]![2]);
});
