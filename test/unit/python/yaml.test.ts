import assert from 'node:assert/strict';
import test from 'node:test';
import { parseConfiguration, parseYaml, YamlFloat, type Yaml } from '../../../server/python/library/yaml';

const plain = (value: Yaml | undefined): unknown => (value instanceof Map ? Object.fromEntries([...value].map(([k, v]) => [String(k), plain(v)])) : Array.isArray(value) ? value.map(plain) : value);
const read = (text: string): unknown => plain(parseYaml(text));

test('scalars as YAML 1.1 resolves them', () => {
  assert.deepEqual(read('a: 1\nb: 1.0\nc: 1e-5\nd: 1.0e-05\ne: yes\nf: ~\ng: "1"\nh: it\'s\ni: 0x10\nj:\nk: 12_000\n'), {
    a: 1, b: new YamlFloat(1), c: '1e-5', d: new YamlFloat(1e-5), e: true, f: null, g: '1', h: "it's", i: 16, j: null, k: 12000,
  });
});

test('collections, one inside the other', () => {
  assert.deepEqual(read('---\nmodel:\n  target: a.b.C # a comment\n  params:\n    mult:\n    - 1\n    - 2\n    empty: []\n    pairs: [[1, 2], {a: 1, "b c": x}]\n'), {
    model: { target: 'a.b.C', params: { mult: [1, 2], empty: [], pairs: [[1, 2], { a: 1, 'b c': 'x' }] } },
  });
  assert.deepEqual(read('- a: 1\n  b: 2\n- - 1\n  - 2\n-\n  c: 3\n'), [{ a: 1, b: 2 }, [1, 2], { c: 3 }]);
  assert.deepEqual(read('a: &x {w: 1}\nb:\n  <<: *x\n  v: 2\nc: *x\n'), { a: { w: 1 }, b: { w: 1, v: 2 }, c: { w: 1 } });
  assert.deepEqual(read('a:\n  [\n    [-1, 1, Conv, [64, 3]], # 0\n    [-1, 1, C3, [64]],\n  ]\n'), { a: [[-1, 1, 'Conv', [64, 3]], [-1, 1, 'C3', [64]]] });
  assert.deepEqual(read('a: |\n  one\n  two\nb: 1\n'), { a: 'one\ntwo', b: 1 });
});

test('what is not read is not guessed', () => {
  for (const text of ['a: !!python/object:x.Y {}\n', 'a: *missing\n', 'a: [1, 2\nb: 3\n', 'a: 1\n b: 2\n', '\ta: 1\n', 'a: 1\n---\nb: 2\n', 'a: {b: 1\n', 'a: "open\n', `${'['.repeat(60)}${']'.repeat(60)}`]) {
    assert.equal(parseYaml(text), undefined, text);
  }
  assert.equal(parseConfiguration('x.yaml', '- 1\n'), null);
  assert.equal(parseConfiguration('x.json', '{'), null);
  assert.deepEqual(Object.entries(parseConfiguration('x.yaml', '__proto__: 1\n')!), [['__proto__', 1]]);
});
