import assert from 'node:assert/strict';
import test from 'node:test';
import { chooseRoot } from '../../../server/analysis/root-choice';
import type { ModelValues } from '../../../server/analysis/model-values';
import { UserError } from '../../../server/analysis/user-error';
import { checkpoint, embedding, linear, node, parameter, span, tree, treeOf } from '../linking/build';
import { FakePython, type FakeClass } from './fakes';

const block = (path: string) => node(path, 'Block', 'user', [], [linear('fc1', 4, 4), linear('fc2', 4, 4)], { classSpan: span });
const net = treeOf(node('', 'Net', 'user', [], [block('a'), block('b'), linear('head', 4, 2)]));
const weights = checkpoint({
  'a.fc1.weight': [4, 4], 'a.fc1.bias': [4], 'a.fc2.weight': [4, 4], 'a.fc2.bias': [4], 'b.fc1.weight': [4, 4], 'b.fc1.bias': [4], 'b.fc2.weight': [4, 4], 'b.fc2.bias': [4],
  'head.weight': [2, 4], 'head.bias': [2],
});
const choose = (classes: Readonly<Record<string, FakeClass>>, bound: typeof weights | null = weights, extra: { only?: string; values?: ModelValues[]; args?: Record<string, unknown>; namedBy?: string } = {}) => {
  const python = new FakePython(classes);
  return chooseRoot({ python, file: span.file, candidates: python.rootCandidates(), checkpoint: bound, values: [], ...extra });
};

test('the class whose names explain most', async () => {
  const chosen = await choose({ Block: { tree: treeOf(block('').children.length ? { ...block(''), children: [linear('fc1', 4, 4), linear('fc2', 4, 4)] } : block('')) }, Net: { tree: net } });
  assert.equal(chosen!.choice.name, 'Net');
  assert.match(chosen!.choice.reason, /explain 10 of the checkpoint's 10 tensors; next is Block with 4/);
  assert.deepEqual(chosen!.choice.alternatives.map(({ name }) => name), ['Block']);
});

test('of two that explain as many, the one that misses less, then the one that no other contains', async () => {
  const larger = tree(...net.root.children, linear('extra', 3, 3));
  assert.equal((await choose({ Larger: { tree: larger }, Net: { tree: net } }))!.choice.name, 'Net');
  // A wrapper that holds Net under no name of its own explains as many: Net is used inside it.
  const wrapped = tree(node('net', 'Net', 'user', [], net.root.children, { classSpan: span }));
  const renamed = checkpoint(Object.fromEntries(weights.tensors.map(({ name, shape }) => [`net.${name}`, shape])));
  const chosen = await choose({ Net: { tree: net }, Wrapper: { tree: wrapped } }, renamed);
  assert.equal(chosen!.choice.name, 'Wrapper');
  assert.match(chosen!.choice.reason, /Net explains as many, but is used inside another module/);
});

test('a checkpoint of the inner class, without the wrapper\'s prefix: the inner class', async () => {
  const wrapped = tree(node('net', 'Net', 'user', [], net.root.children, { classSpan: span }));
  assert.equal((await choose({ Wrapper: { tree: wrapped }, Net: { tree: net } }))!.choice.name, 'Net');
});

test('a factory that gives the class its arguments wins over the class that lacks them; otherwise the class wins', async () => {
  const vague = tree(node('*', 'Block', 'user', [], [linear('fc1', null, null), linear('fc2', null, null)]), linear('head', null, 2));
  assert.equal((await choose({ Net: { tree: vague, missing: ['blocks'] }, net20: { tree: net, kind: 'function' } }))!.choice.name, 'net20');
  assert.equal((await choose({ model: { tree: net, kind: 'instance' }, build: { tree: net, kind: 'function' }, Net: { tree: net } }))!.choice.name, 'Net');
});

test('the class the user names is taken, with arguments; a wrong name is answered with the nearest', async () => {
  const chosen = await choose({ Block: { tree: tree(linear('fc1', 4, 4)) }, Net: { tree: net } }, weights, { only: 'Block', namedBy: 'in bitlens.json' });
  assert.equal(chosen!.choice.name, 'Block');
  assert.match(chosen!.choice.reason, /^named in bitlens\.json; its names explain/);
  const built = await choose({ Net: { tree: net } }, weights, { only: 'Net', namedBy: 'in bitlens.json', args: { width: 4 } });
  assert.match(built!.choice.reason, /; constructor arguments from bitlens\.json$/);
  await assert.rejects(choose({ Net: { tree: net } }, weights, { only: 'Nett' }), (error: unknown) => error instanceof UserError && /Did you mean Net\? There are: Net/.test(error.message));
});

test('values beside the checkpoint fill the constructor when they explain more', async () => {
  const sized = (args: Readonly<Record<string, unknown>> | undefined) => {
    const config = args?.config as { vocab_size?: number } | undefined;
    return tree(embedding('wte', config?.vocab_size ?? 10, 4), linear('head', 4, 2));
  };
  const stored = checkpoint({ 'wte.weight': [50, 4], 'head.weight': [2, 4], 'head.bias': [2] });
  const chosen = await choose({ GPT: { tree: sized, missing: ['config'] } }, stored, { values: [{ from: 'config.json', values: { vocab_size: 50 } }] });
  assert.equal(chosen!.attempt.link.misshaped.length, 0);
  assert.match(chosen!.choice.reason, /constructor arguments from config\.json$/);
  const unhelpful = await choose({ GPT: { tree: sized, missing: ['config'] } }, stored, { values: [{ from: 'config.json', values: { vocab_size: 7 } }] });
  assert.equal(unhelpful!.attempt.argsFrom, null);
  const byName = await choose({ GPT: { tree: (args) => tree(embedding('wte', (args?.vocab_size as number) ?? null, 4), linear('head', 4, 2)), missing: ['vocab_size'] } }, stored,
    { values: [{ from: 'model_args of ckpt.pt', values: { vocab_size: 50, other: 1 } }] });
  assert.equal(byName!.attempt.tree.root.children[0]!.parameters[0]!.shape![0], 50);
});

test('without a checkpoint: the largest that no other contains', async () => {
  const chosen = await choose({ Head: { tree: tree(linear('fc', 4, 2)) }, Net: { tree: net }, Block: { tree: tree(linear('fc1', 4, 4), linear('fc2', 4, 4)) } }, null);
  assert.equal(chosen!.choice.name, 'Net');
  assert.match(chosen!.choice.reason, /there is no checkpoint/);
});

test('nothing explains anything, nothing to choose from', async () => {
  const chosen = await choose({ Net: { tree: net } }, checkpoint({ x: [1] }));
  assert.match(chosen!.choice.reason, /no class explains a tensor of the checkpoint/);
  assert.equal(await choose({}), null);
});

test('modules inside unknown ones count less than those that are known', async () => {
  const open = tree(node('a', 'create_model', 'unknown', [], [], { unknown: { reason: 'not in the workspace' } }), node('b', 'create_model', 'unknown', [], [], { unknown: { reason: 'x' } }), linear('head', 4, 2));
  assert.equal((await choose({ Open: { tree: open }, Net: { tree: net } }))!.choice.name, 'Net');
  assert.equal((await choose({ Open: { tree: open }, Small: { tree: treeOf(node('', 'Small', 'user', [parameter('unrelated', [1])])) } }))!.choice.name, 'Open');
});

test('of hundreds of factories the first that builds what is there is taken; the one the file is named after comes first', async () => {
  const other = tree(linear('head', 9, 9));
  const python = new FakePython({ Net: { tree: other }, first: { tree: other, kind: 'function' }, net_b: { tree: net, kind: 'function' }, net_c: { tree: net, kind: 'function' } });
  const query = { python, file: span.file, candidates: python.rootCandidates(), values: [] };
  assert.equal((await chooseRoot({ ...query, checkpoint: weights }))!.choice.name, 'net_b');
  assert.equal(python.built, 3);
  assert.equal((await chooseRoot({ ...query, checkpoint: { ...weights, path: '/weights/net_c-in1k.pth' } as typeof weights }))!.choice.name, 'net_c');
  assert.equal(python.built, 5);
});

test('of classes that fit alike, config.json\'s `architectures` names the one', async () => {
  const values: ModelValues[] = [{ from: 'config.json', values: { architectures: ['NetForB'] } }];
  const classes = { NetForA: { tree: net }, NetForB: { tree: net } };
  const chosen = await choose(classes, weights, { values });
  assert.equal(chosen!.choice.name, 'NetForB');
  assert.match(chosen!.choice.reason, /as do those of NetForA; config\.json names NetForB/);
  assert.equal((await choose({ Block: { tree: tree(linear('fc1', 4, 4)) }, Net: { tree: net } }, weights, { values: [{ from: 'config.json', values: { architectures: ['Block'] } }] }))!.choice.name, 'Net');
});
