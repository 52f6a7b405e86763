import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { argumentsOf, configFiles } from '../../../server/analysis/config-files';
import { chooseRoot } from '../../../server/analysis/root-choice';
import type { RootCandidate } from '../../../server/python/module-tree';
import { checkpoint, linear, node, span, tree, treeOf } from '../linking/build';
import { FakePython } from './fakes';

async function project(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'bitlens-configs-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
  return folder;
}

test('configurations named like the checkpoint come first; what is none is passed over', async (t) => {
  const folder = await project(t, {
    'models/net.py': '', 'models/large.yaml': 'width: 2\n', 'cfg/small.yaml': 'width: 1\n', 'cfg/blocks.cfg': '[net]\n', 'package.json': '{}', 'broken.yaml': 'a: [\n', 'node_modules/x/a.json': '{"a": 1}', '.git/c.yaml': 'a: 1',
  });
  const found = await configFiles(path.join(folder, 'models/net.py'), [folder], '/weights/small-best.pt');
  assert.deepEqual(found.map((file) => path.relative(folder, file.path)), ['cfg/small.yaml', 'models/large.yaml', 'broken.yaml', 'cfg/blocks.cfg']);
  assert.deepEqual(found.map((file) => file.values && { ...file.values }), [{ width: 1 }, { width: 2 }, null, null]);
});

const candidate = (missing: readonly string[], adjustable: RootCandidate['adjustable'] = []): RootCandidate => ({ name: 'Net', kind: 'class', span, missingArguments: missing, parameters: [...missing, ...adjustable.map(({ name }) => name)], adjustable });

test('a configuration fills parameters by path, by name at any depth, or as a whole', () => {
  const file = { path: '/p/a.json', values: { train: { lr: 1 }, net: { width: 4, depth: 2, other: 0 } } };
  assert.deepEqual(argumentsOf(candidate(['width', 'depth']), file), [{ width: 4, depth: 2 }]);
  assert.deepEqual(argumentsOf(candidate(['config_path']), file), [{ config_path: '/p/a.json' }]);
  assert.deepEqual(argumentsOf(candidate([], [{ name: 'cfg', kind: 'option', value: 'default.yaml' }]), file), [{ cfg: '/p/a.json' }]);
  assert.deepEqual(argumentsOf(candidate(['h']), file)[0], { h: file.values });
  assert.deepEqual(argumentsOf(candidate([], [{ name: 'width', kind: 'size', value: 8 }]), file), []);
});

test('only a configuration that explains the whole checkpoint is taken, and it is said', async () => {
  const open = treeOf(node('', 'Net', 'user', [], [node('*', 'Linear', 'torch', linear('*', null, null).parameters)]));
  const sized = (args: Readonly<Record<string, unknown>> | undefined) => (typeof args?.width === 'number' ? tree(linear('0', 4, args.width)) : open);
  const python = new FakePython({ Net: { tree: sized, missing: ['width'] } });
  const stored = checkpoint({ '0.weight': [6, 4], '0.bias': [6] });
  const configs = (widths: readonly number[]) => () => Promise.resolve(widths.map((width) => ({ path: `/p/w${width}.yaml`, values: { width } })));
  const choose = (widths: readonly number[]) => chooseRoot({ python, file: span.file, candidates: python.rootCandidates(), checkpoint: stored, values: [], configs: configs(widths) });
  assert.match((await choose([5, 6]))!.choice.reason, /constructor arguments from w6\.yaml$/);
  assert.equal((await choose([5, 7]))!.attempt.argsFrom, null);
});
