/** The pure parts of the features: names in Markdown, comments as edits, recipes as edits, chains of names. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { suppressEdit } from '../../server/features/code-actions';
import { firstLineRange } from '../../server/features/document';
import { selfChainAt } from '../../server/features/layers-at';
import { cellCode, code, escapeText } from '../../server/features/markdown';
import { changedRecipe } from '../../server/features/recipe-edit';
import { suppressions } from '../../server/rules/registry';

/** What CommonMark reads as the code span that a text starts with. */
function codeSpan(markdown: string): { content: string; rest: string } | null {
  const fence = /^`+/.exec(markdown)?.[0];
  if (!fence) return null;
  for (const run of markdown.slice(fence.length).matchAll(/`+/g)) {
    if (run[0].length !== fence.length) continue;
    const end = fence.length + run.index;
    return { content: markdown.slice(fence.length, end), rest: markdown.slice(end + run[0].length) };
  }
  return null;
}

test('a name in a code span cannot get out of it', () => {
  const nasty = fc.array(fc.constantFrom('`', '``', ']', '(command:x)', '<img onerror=1>', '|', '\n', '\u202e', 'a', ' ', '\\', '$(zap)'), { maxLength: 12 }).map((parts) => parts.join(''));
  fc.assert(fc.property(nasty, (name) => {
    const span = codeSpan(code(name));
    assert.ok(span, code(name));
    assert.equal(span.rest, '', 'the whole name is inside');
    assert.doesNotMatch(span.content, /[\n\u202e]/);
    assert.equal(codeSpan(cellCode(name))?.rest, '');
    assert.doesNotMatch(cellCode(name).replace(/\\\|/g, ''), /\|/, 'no bar ends the cell');
  }), { seed: 3, numRuns: 2000 });
});

test('text outside code spans holds no markup', () => {
  assert.equal(escapeText('a <b> [x](command:y) `c` $(zap) *d*'), 'a \\<b\\> \\[x\\]\\(command\\:y\\) \\`c\\` \\$\\(zap\\) \\*d\\*');
});

test('suppression comments as edits: added, extended, and not where they would be something else', () => {
  const apply = (line: string) => {
    const edit = suppressEdit(line, 0, 'BL101');
    return edit && line.slice(0, edit.range.start.character) + edit.newText + line.slice(edit.range.end.character);
  };
  assert.equal(apply('x = nn.Linear(1, 2)   '), 'x = nn.Linear(1, 2)  # bitlens: ignore[BL101]');
  assert.equal(apply('x = nn.Linear(1, 2)  # noqa'), 'x = nn.Linear(1, 2)  # noqa  # bitlens: ignore[BL101]');
  assert.equal(apply('x = 1  # bitlens: ignore[BL103]'), 'x = 1  # bitlens: ignore[BL103, BL101]');
  assert.equal(apply('x = 1  # bitlens: ignore[]'), 'x = 1  # bitlens: ignore[BL101]');
  assert.equal(apply('x = nn.Sequential('), 'x = nn.Sequential(  # bitlens: ignore[BL101]');
  assert.equal(apply('x = 1 + \\'), null);
  assert.equal(apply('text = """one'), null);
  for (const line of ['x = 1', 'x = 1  # noqa', 'x = 1  # bitlens: ignore[BL103]']) assert.ok(suppressions(apply(line)!).isSuppressed('BL101', 0, 0), line);
});

test('a recipe is changed in place: names of any kind, indentation, line ends, stale provenance', () => {
  const recipe = '{\r\n    "version": 1,\r\n    "layers": { "a": { "weights": "int4", "method": "mse-clip" } },\r\n    "provenance": { "metric": "x" }\r\n}\r\n';
  const text = changedRecipe(recipe, [{ path: 'a', format: 'int8' }, { path: '__proto__', format: 'keep' }])!;
  assert.match(text, /^\{\r\n {4}"version"/);
  assert.ok(text.endsWith('}\r\n'));
  const layers = (JSON.parse(text) as { layers: object }).layers;
  assert.deepEqual(Object.entries(layers), [['a', { weights: 'int8', method: 'mse-clip' }], ['__proto__', { weights: 'keep' }]]);
  assert.equal('provenance' in (JSON.parse(text) as object), false);
  for (const broken of ['', '{', '[]', '{"layers": 3}', 'null']) assert.equal(changedRecipe(broken, [{ path: 'a', format: 'int8' }]), null);
});

test('the chain of names under the caret ends at the caret', () => {
  const line = '        x = self.blocks[0].attn.qkv(self.norm(x))';
  const at = (part: string) => selfChainAt(line, line.indexOf(part) + 1)?.names;
  assert.deepEqual(at('blocks'), ['blocks']);
  assert.deepEqual(at('attn'), ['blocks', '0', 'attn']);
  assert.deepEqual(at('qkv'), ['blocks', '0', 'attn', 'qkv']);
  assert.deepEqual(at('norm'), ['norm']);
  assert.equal(at('x ='), undefined);
  assert.deepEqual(selfChainAt('self.layers[i](x)', 7)?.names, ['layers']);
});

test('ranges are clamped to the text as it is now', () => {
  const span = { file: '/m.py', startLine: 9, startColumn: 4, endLine: 12, endColumn: 9 };
  assert.deepEqual(firstLineRange(span, ['one', 'two']), { start: { line: 1, character: 3 }, end: { line: 1, character: 3 } });
  assert.deepEqual(firstLineRange({ ...span, startLine: 0, startColumn: 2 }, ['  class A:   ']), { start: { line: 0, character: 2 }, end: { line: 0, character: 10 } });
});
