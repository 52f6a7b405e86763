/** What the rules share: names on a line, suppression comments, the generated page. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { repositoryRoot } from '../../support/data';
import { findingsPage } from '../../../server/rules/docs';
import { compressPaths } from '../../../server/rules/layer-names';
import { ruleCodes, rules, suppressions } from '../../../server/rules/registry';
import { withoutSuppressed } from '../../../server/rules/suppressions';
import { bytesText, plain } from '../../../server/rules/text';

/** The paths that a pattern stands for. */
function expand(pattern: string): string[] {
  let paths = [''];
  for (const segment of pattern.replace(/(\d)\.\.(\d)/g, '$1~$2').split('.')) {
    const numbered = /^([a-z]*)([\d~,]+)$/.exec(segment);
    const choices = numbered
      ? numbered[2]!.split(',').flatMap((part) => {
        const [from, to = from] = part.split('~').map(Number);
        return Array.from({ length: to! - from! + 1 }, (_, index) => `${numbered[1]}${from! + index}`);
      })
      : [segment];
    paths = paths.flatMap((head) => choices.map((choice) => (head === '' ? choice : `${head}.${choice}`)));
  }
  return paths;
}

test('many paths become short patterns', () => {
  const paths = [0, 1, 2, 3].flatMap((i) => [0, 1].map((j) => `layers.${i}.heads.${j}.qkv`));
  assert.deepEqual(compressPaths(paths), ['layers.0..3.heads.0..1.qkv']);
  assert.deepEqual(compressPaths(['a.0.w', 'a.2.w', 'a.3.w', 'b.w']), ['a.0,2..3.w', 'b.w']);
  assert.deepEqual(compressPaths(['layer1.0.conv', 'layer2.0.conv', 'layer2.1.conv']), ['layer1.0.conv', 'layer2.0..1.conv']);
  assert.deepEqual(compressPaths(['layer1.0.conv1', 'layer1.1.conv1', 'layer2.0.conv1', 'layer2.1.conv1']), ['layer1..2.0..1.conv1']);
  assert.deepEqual(compressPaths(['a.01', 'a.1']), ['a.01', 'a.1']);
  assert.deepEqual(compressPaths(['']), ['']);
});

test('patterns stand for exactly the paths they were made from', () => {
  const path = fc.tuple(fc.constantFrom('a', 'b'), fc.nat({ max: 3 }), fc.constantFrom('x', 'y', 'x1', 'x2', 'conv12'), fc.nat({ max: 2 })).map((parts) => parts.join('.'));
  fc.assert(fc.property(fc.uniqueArray(path, { minLength: 1, maxLength: 12 }), (paths) => {
    assert.deepEqual(compressPaths(paths).flatMap(expand).sort(), [...paths].sort());
  }), { seed: 7, numRuns: 500 });
});

test('suppression comments: one code, several, all, the whole file', () => {
  const text = ['import torch', 'a = 1  # bitlens: ignore[BL101]', 'b = 2  # noqa  # bitlens: ignore[bl101, BL103]', 'c = 3 # bitlens: ignore', '# bitlens: ignore-file[BL404]', 'd = 4 # bitlens: ignore[]'].join('\r\n');
  const found = suppressions(text);
  assert.ok(found.isSuppressed('BL101', 1, 1));
  assert.ok(!found.isSuppressed('BL102', 1, 1));
  assert.ok(found.isSuppressed('BL103', 2, 2));
  assert.ok(found.isSuppressed('BL105', 3, 3));
  assert.ok(found.isSuppressed('BL404', 0, 0), 'the whole file');
  assert.ok(!found.isSuppressed('BL101', 5, 5), 'empty brackets name nothing');
  assert.ok(found.isSuppressed('BL101', 0, 2), 'any line of a construction over several lines');
  assert.ok(!found.isSuppressed('BL101', 0, 500), 'a class is not a construction');
  assert.deepEqual(found.unknown, []);
});

test('an unknown code in a suppression is found with its place', () => {
  assert.deepEqual(suppressions('x = 1  # bitlens: ignore[BL101, BL999]').unknown, [{ line: 0, start: 32, end: 37, code: 'BL999' }]);
});

test('findings about the checkpoint as a whole are silenced on the line of the class', () => {
  const finding = { code: 'BL405', severity: 'error', message: '', span: null, evidence: '' } as const;
  const text = 'import torch\nclass Net(nn.Module):  # bitlens: ignore[BL405]\n';
  assert.deepEqual(withoutSuppressed([finding], suppressions(text), 1), []);
  assert.deepEqual(withoutSuppressed([finding], suppressions(text), 0), [finding]);
});

test('names are printable on one line whatever they hold', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (name) => {
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(plain(name), /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/);
  }), { seed: 11, numRuns: 500 });
  assert.equal(bytesText(999), '999 B');
  assert.equal(bytesText(3_277_824), '3.28 MB');
});

test('every rule is documented, numbered and named once', () => {
  assert.equal(ruleCodes.size, rules.length);
  assert.equal(new Set(rules.map(({ name }) => name)).size, rules.length);
  for (const rule of rules) {
    assert.match(rule.code, /^BL\d{3}$/);
    assert.match(rule.name, /^[a-z0-9]+(-[a-z0-9]+)*$/);
    assert.ok(rule.explanation.trim().length > 200, `${rule.code} is explained`);
  }
});

test('docs/findings.md is what the registry says (npm run docs)', () => {
  assert.equal(readFileSync(path.join(repositoryRoot, 'docs/findings.md'), 'utf8'), findingsPage());
});
