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
