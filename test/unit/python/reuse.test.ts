/** Results are kept across edits that they do not depend on, and are then what a fresh evaluation gives. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test, { before } from 'node:test';
import { Random } from '../../../kernels/numerics/random';
import { initParser } from '../../../server/python';
import { at, find, workspace } from './support';

before(initParser);

const MODEL = `import torch.nn as nn

class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc = nn.Linear(dim, dim)

    def forward(self, x):
        y = self.fc(x)
        return y

    def late(self):
        return 1

def make(dim=4):
    return Net(dim)

class Net(nn.Module):
    def __init__(self, dim=4):
        super().__init__()
        self.block = Block(dim)

    def forward(self, x):
        return self.block(x)
`;

/** Inserts `text` before the first occurrence of `mark`; both at once in the live workspace. */
function live(source: string) {
  const made = workspace({});
  let text = source;
  made.open(at('model.py'), text);
  const replace = (start: number, end: number, inserted: string): void => {
    const position = (offset: number) => { const lines = text.slice(0, offset).split('\n'); return { line: lines.length - 1, character: lines.at(-1)!.length }; };
    made.change(at('model.py'), [{ range: { start: position(start), end: position(end) }, text: inserted }]);
    text = text.slice(0, start) + inserted + text.slice(end);
  };
  return {
    made, replace, text: () => text,
    insert: (mark: string, inserted: string, behind = false): void => { const offset = text.indexOf(mark) + (behind ? mark.length : 0); replace(offset, offset, inserted); },
    all: (names: readonly string[]) => ({ trees: names.map((name) => made.buildTree(at('model.py'), name)), candidates: made.rootCandidates(at('model.py')) }),
  };
}
function fresh(text: string, names: readonly string[]) {
  const made = workspace({ 'model.py': text });
  const result = { trees: names.map((name) => made.buildTree(at('model.py'), name)), candidates: made.rootCandidates(at('model.py')) };
  made.dispose();
  return result;
}

const NAMES = ['Net', 'Block', 'make'];

test('typing inside forward gives the very same tree; typing a line there moves what is below and shares the rest', () => {
  const file = live(MODEL);
  const first = file.all(NAMES);
  file.insert('y = self.fc', 'z', false);
  assert.equal(file.all(NAMES).trees[0], first.trees[0]);
  assert.equal(file.all(NAMES).candidates, first.candidates);
  file.insert('        return y', '        y = y + 1\n');
  const second = file.all(NAMES);
  assert.deepEqual(second, fresh(file.text(), NAMES));
  assert.notEqual(second.trees[0], first.trees[0]);
  assert.equal(find(second.trees[0]!.root, 'block.fc'), find(first.trees[0]!.root, 'block.fc'), 'above the edit nothing moved');
});

test('what is read counts: a constructor, a default, a base, a name bound anew', () => {
  for (const [mark, inserted, behind] of [
    ['nn.Linear(dim, dim', ' + 1', true], ['dim=4):\n        super', '1', false], ['class Net(nn.Module', 'List', true],
    ['def make', 'Block = nn.Identity\n', false], ['        return y', '        return z\n    def __init__(self, dim):\n        pass\n', false],
  ] as const) {
    const file = live(MODEL);
    file.all(NAMES);
    file.insert(mark, inserted, behind);
    assert.deepEqual(file.all(NAMES), fresh(file.text(), NAMES), `${mark} ${inserted}`);
  }
});

test('a tree built from other files is kept when they change where it does not look', () => {
  const made = workspace({ 'model.py': 'import torch.nn as nn\nfrom parts import Part\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.part = Part()\n' });
  const part = 'import torch.nn as nn\nclass Part(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(2, 2)\n    def forward(self, x):\n        return x\n';
  made.open(at('parts.py'), part);
  const first = made.buildTree(at('model.py'), 'Net');
  made.change(at('parts.py'), part.replace('return x', 'return x + 1'));
  assert.equal(made.buildTree(at('model.py'), 'Net').root.children[0]!.children[0], first.root.children[0]!.children[0]);
  made.change(at('parts.py'), part.replace('nn.Linear(2, 2)', 'nn.Linear(2, 3)'));
  assert.deepEqual(made.buildTree(at('model.py'), 'Net').root.children[0]!.children[0]!.args.out_features, 3);
});

test('random edits: after every one the results are those of a fresh evaluation, positions included', () => {
  const folder = path.join(process.env.BITLENS_ROOT!, 'test/corpus/module-trees');
  const texts = readdirSync(folder).map((name) => path.join(folder, name, 'model.py')).filter((file) => existsSync(file)).map((file) => readFileSync(file, 'utf8'));
  assert.ok(texts.length > 40);
  const random = new Random(20);
  const lines = ['        y = x + 1\n', '    # a comment\n', '# a comment\n', '\n', '        # inside\n', '        return x\n', '    def extra(self, x):\n        return x\n\n', '    pass\n', '\t\n'];
  const pieces = ['  # behind', ' ', 'a', '1', '(', '.', 'é😀', '; z = 1', '"'];
  let checked = 0;
  for (let round = 0; round < 60; round += 1) {
    const source = texts[random.integer(texts.length)]!;
    const names = [...source.matchAll(/^class (\w+)/gm)].map((match) => match[1]!).slice(0, 3);
    const file = live(source);
    file.all(names);
    for (let edit = 0; edit < 8; edit += 1) {
      const before = file.text();
      const starts = [...before.matchAll(/\n/g)].map((match) => match.index + 1);
      const start = starts[random.integer(starts.length)] ?? 0;
      const lineEnd = Math.max(start, before.indexOf('\n', start));
      const choice = random.integer(5);
      if (choice < 2) file.replace(start, start, lines[random.integer(lines.length)]!);
      else if (choice === 2) file.replace(lineEnd, lineEnd, pieces[random.integer(pieces.length)]!);
      else if (choice === 3) file.replace(start, Math.min(before.length, lineEnd + 1), '');
      else { const place = start + random.integer(lineEnd - start + 1); file.replace(place, place, pieces[random.integer(pieces.length)]!); }
      const expected = fresh(file.text(), names);
      if (expectedBroken(file.text())) { file.all(names); continue; }
      assert.deepEqual(file.all(names), expected, `round ${round}, edit ${edit}`);
      checked += 1;
    }
    file.made.dispose();
  }
  assert.ok(checked > 150, `${checked}`);
});

/** Text with errors is parsed differently with and without its history; only whole text is compared. */
function expectedBroken(text: string): boolean {
  const made = workspace({ 'model.py': text });
  try { return made.source(at('model.py'))!.source.hasError; } finally { made.dispose(); }
}

const REGISTRY = `import torch.nn as nn

class Head(nn.Module):
    def __init__(self, dim=2):
        super().__init__()
        self.out = nn.Linear(dim, dim)

HEADS = {'plain': Head}
WIDTHS = [4]

def register(kind):
    def add(cls):
        HEADS['head_' + kind] = cls
        return cls
    return add

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        WIDTHS.append(WIDTHS[-1] * 2)
        self.fc = nn.Linear(WIDTHS[-1], 1)

class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(WIDTHS[-1], len(WIDTHS))
        self.head = HEADS['head_deep']()

@register('deep')
class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
`;

test('evaluations share modules and leave them as they were; a table is filled by decorators that do not spell out its key', () => {
  const editor = live(REGISTRY);
  const shapes = (): unknown => editor.made.buildTree(at('model.py'), 'Wide').root.children.map((child) => [child.path, child.className, child.parameters[0]?.shape]);
  const wide = [['fc', 'Linear', [1, 4]], ['head', 'Deep', undefined]];
  editor.made.buildTree(at('model.py'), 'Small');
  assert.deepEqual(shapes(), wide);
  // Built again, in modules where everything has run.
  assert.deepEqual(editor.made.buildTree(at('model.py'), 'Small').root.children[0]!.parameters[0]!.shape, [1, 8]);
  editor.insert('WIDTHS = [4', ', 6', true);
  assert.deepEqual(shapes(), [['fc', 'Linear', [2, 6]], ['head', 'Deep', undefined]]);
  editor.insert('@register(', "'' + ", true);
  assert.deepEqual(editor.all(['Small', 'Wide', 'Deep']), fresh(editor.text(), ['Small', 'Wide', 'Deep']));
});

test('an edit of a statement that was searched and not run: it may now be the one that was looked for', () => {
  const editor = live(REGISTRY.replace("'head_' + kind", 'kind').replace("HEADS['head_deep']()", "HEADS.get('other', Head)()"));
  const head = (): string => editor.made.buildTree(at('model.py'), 'Wide').root.children[1]!.className;
  assert.equal(head(), 'Head');
  const start = editor.text().indexOf("'deep'");
  editor.replace(start, start + 6, "'other'");
  assert.equal(head(), 'Deep');
});
