import assert from 'node:assert/strict';
import { readdirSync, readFileSync, existsSync } from 'node:fs';
import path from 'node:path';
import test, { before } from 'node:test';
import { PythonWorkspace, initParser } from '../../../server/python';
import { at, names, rows, treeOf, workspace } from './support';

before(initParser);

const body = (lines: string): string => `import torch.nn as nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.first = nn.Linear(1, 1, bias=False)\n${lines.split('\n').map((line) => `        ${line}`).join('\n')}\n        self.last = nn.Linear(2, 2, bias=False)\n`;
const stops = (source: string): void => {
  const tree = treeOf(source);
  assert.ok(names(tree).includes('first.weight'), 'what was built before the end of the budget is kept');
  assert.ok(tree.unknowns.some(({ reason }) => reason.startsWith('evaluation budget')), JSON.stringify(tree.unknowns));
};

test('loops without end, huge ranges and endless recursion end at the budget', () => {
  stops(body('while True:\n    x = 1'));
  stops(body('for i in range(10**9):\n    x = i'));
  stops(body('x = [i for i in range(10**12)]'));
  stops(body('def f(n): return f(n + 1)\nf(0)'));
  stops(body('self.inner = Net()'));
  const sizes = treeOf(body('x = [0] * 10**9\ny = "a" * 10**12\nself.mid = nn.Linear(len(x), 3, bias=False)'));
  assert.deepEqual(rows(sizes.root).filter((row) => !row.startsWith('mid')), ['first.weight [1,1]', 'last.weight [2,2]']);
});

test('an exception in the constructor keeps what was registered before it', () => {
  const tree = treeOf(body('raise ValueError("no")'));
  assert.deepEqual(names(tree), ['first.weight']);
  assert.match(tree.root.unknown!.reason, /raises ValueError/);
});

test('a carriage return alone ends a line, as it does for Python', () => {
  const source = body('self.mid = nn.Linear(3, 3, bias=False)  # a comment ends here').replaceAll('\n', '\r');
  const tree = treeOf(source);
  assert.deepEqual(rows(tree.root), ['first.weight [1,1]', 'mid.weight [3,3]', 'last.weight [2,2]']);
  const made = workspace(source.replaceAll('\r', '\r\n'));
  // Deleting half of a line end leaves the other half: a line end still.
  made.change(at('model.py'), [{ range: { start: { line: 4, character: 48 }, end: { line: 5, character: 0 } }, text: '\r' }]);
  assert.ok(names(made.buildTree(at('model.py'), 'Net')).includes('mid.weight'));
  made.dispose();
});

test('modules that contain themselves and modules that import each other do not hang', () => {
  const tree = treeOf(body('self.me = self'));
  assert.ok(names(tree).includes('last.weight'));
  const made = workspace({ 'model.py': 'from b import *\nfrom b import Net\n', 'b.py': 'from model import *\nfrom model import Net\n' });
  assert.equal(made.buildTree(at('model.py'), 'Net').root.kind, 'unknown');
  made.dispose();
});

test('a name that is not there, a file that is not there', () => {
  const made = workspace('x = 1\n');
  assert.match(made.buildTree(at('model.py'), 'Nope').root.unknown!.reason, /not defined/);
  assert.match(made.buildTree(at('missing.py'), 'Nope').root.unknown!.reason, /cannot be read/);
  assert.match(made.buildTree(at('model.py'), 'x').root.unknown!.reason, /does not give a module/);
  assert.deepEqual(made.rootCandidates(at('missing.py')), []);
  made.dispose();
});

test('half-typed lines cost only themselves', () => {
  const whole = `import torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(1, 1, bias=False)
        @@
        self.c = nn.Linear(2, 2, bias=False)
    def forward(self, x):
        return self.c(x)
class Other(nn.Module):
    def __init__(self):
        super().__init__()
        self.o = nn.Linear(3, 3, bias=False)
`;
  for (const typed of ['self.b = nn.Linear(', 'self.b = nn.Linear(4, ', 'self.b = nn.', 'self.b =', 'self.b = nn.Linear(4, bias=', 'if self', 'self.b = [nn.Linear(1, 2), ', "self.b = nn.Linear('x", 'for i in range(3', 'self.']) {
    const made = workspace(whole.replace('@@', typed));
    const found = rows(made.buildTree(at('model.py'), 'Net').root);
    for (const row of ['a.weight [1,1]', 'c.weight [2,2]']) assert.ok(found.includes(row), `${typed}: ${JSON.stringify(found)}`);
    assert.deepEqual(rows(made.buildTree(at('model.py'), 'Other').root), ['o.weight [3,3]'], typed);
    made.dispose();
  }
});

/** Deterministic random numbers. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return Math.floor((state / 2 ** 32) * below); };
}
const corpus = path.join(process.env.BITLENS_ROOT!, 'test/corpus/module-trees');
function snippets(): string[] {
  return readdirSync(corpus).sort().map((name) => path.join(corpus, name, 'model.py')).filter((file) => existsSync(file)).map((file) => readFileSync(file, 'utf8'));
}

test('incremental edits give what a fresh parse of the same text gives', () => {
  const next = random(7);
  const texts = snippets();
  assert.ok(texts.length > 40);
  const pieces = ['\n', ' ', '(', ')', ':', 'self.x = nn.Linear(2, 3)\n        ', '# note\n', "'", '"""', '\n\nclass Extra(nn.Module):\n    pass\n\n', '3', 'é', '😀', '\t'];
  for (let round = 0; round < 60; round++) {
    let text = texts[next(texts.length)]!;
    const live = workspace({});
    live.open(at('model.py'), text);
    const name = /class (\w+)\(/.exec(text)?.[1] ?? 'Net';
    live.buildTree(at('model.py'), name);
    const undo: { start: number; removed: string; inserted: string }[] = [];
    const apply = (start: number, end: number, inserted: string): void => {
      const position = (offset: number) => { const lines = text.slice(0, offset).split('\n'); return { line: lines.length - 1, character: lines.at(-1)!.length }; };
      live.change(at('model.py'), [{ range: { start: position(start), end: position(end) }, text: inserted }]);
      text = text.slice(0, start) + inserted + text.slice(end);
    };
    const compare = (label: string): void => {
      const fresh = workspace({ 'model.py': text });
      const [a, b] = [live, fresh].map((made) => ({ tree: made.buildTree(at('model.py'), name), candidates: made.rootCandidates(at('model.py')) }));
      assert.deepEqual(a, b, label);
      fresh.dispose();
    };
    for (let edit = 0; edit < 6; edit++) {
      const start = next(text.length);
      const end = Math.min(text.length, start + next(3));
      const inserted = pieces[next(pieces.length)]!;
      undo.push({ start, removed: text.slice(start, end), inserted });
      apply(start, end, inserted);
      // Evaluating broken text must not throw, and must not disturb what comes after.
      live.buildTree(at('model.py'), name);
      live.rootCandidates(at('model.py'));
    }
    for (const { start, removed, inserted } of undo.reverse()) apply(start, start + inserted.length, removed);
    compare(`round ${round}`);
    live.dispose();
  }
});

test('valid edits: the tree of the edited document equals the tree of its text, spans included', () => {
  const next = random(11);
  for (const source of snippets().slice(0, 40)) {
    let text = source;
    const live = workspace({});
    live.open(at('model.py'), text);
    const name = /class (\w+)\(/.exec(text)?.[1] ?? 'Net';
    for (let edit = 0; edit < 4; edit++) {
      const lines = text.split('\n');
      const line = next(lines.length);
      // A comment line and a blank line are valid anywhere outside brackets and strings; a trailing comment-free space is everywhere.
      const change = lines[line] === '' ? { line, character: 0, text: `# edit ${edit}\n` } : { line: 0, character: 0, text: '\n' };
      live.change(at('model.py'), [{ range: { start: change, end: change }, text: change.text }]);
      lines.splice(change.line, 1, change.text + lines[change.line]!);
      text = lines.join('\n');
      const fresh = workspace({ 'model.py': text });
      assert.deepEqual(live.buildTree(at('model.py'), name), fresh.buildTree(at('model.py'), name));
      fresh.dispose();
    }
    live.dispose();
  }
});

test('results are reused until something they depend on changes', () => {
  const texts: Record<string, string> = { [at('model.py')]: 'from widths import N\nimport torch.nn as nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.a = nn.Linear(N, 1)\n', [at('widths.py')]: 'N = 2\n' };
  const made = new PythonWorkspace({ readFile: (file) => texts[file] ?? null, roots: () => [at('')] });
  const first = made.buildTree(at('model.py'), 'Net');
  assert.equal(made.buildTree(at('model.py'), 'Net'), first);
  texts[at('widths.py')] = 'N = 5\n';
  made.invalidate(at('widths.py'));
  assert.deepEqual(rows(made.buildTree(at('model.py'), 'Net').root), ['a.weight [1,5]', 'a.bias [1]']);
  made.open(at('widths.py'), 'N = 7\n');
  assert.deepEqual(rows(made.buildTree(at('model.py'), 'Net').root), ['a.weight [1,7]', 'a.bias [1]']);
  made.close(at('widths.py'));
  assert.deepEqual(rows(made.buildTree(at('model.py'), 'Net').root), ['a.weight [1,5]', 'a.bias [1]']);
  made.dispose();
});
