import assert from 'node:assert/strict';
import test, { before } from 'node:test';
import { initParser } from '../../../server/python';
import { evaluateAll, rows, treeOf } from './support';

before(initParser);

/** Each pair is a Python expression and the whole number CPython gives for it. */
function check(pairs: readonly (readonly [string, number])[], prelude = ''): void {
  const values = evaluateAll(pairs.map(([expression]) => expression), prelude);
  assert.deepEqual(pairs.map(([expression], i) => [expression, values[i]]), pairs.map(([expression, value]) => [expression, value]));
}

test('arithmetic follows Python, not JavaScript', () => check([
  ['7 // 2', 3], ['-7 // 2', -4], ['7 // -2', -4], ['-7 % 3', 2], ['7 % -3', -2], ['2 ** 10', 1024], ['7 / 2 * 2', 7], ['10 // 2.5', 4], ['True + True', 2],
  ['0x10 + 0b11 + 0o7', 26], ['1_000', 1000], ['5 & 3 | 8', 9], ['1 << 4 >> 2', 4], ['~5', -6], ['-2 ** 2', -4], ['round(2.5)', 2], ['round(3.5)', 4], ['int(-2.7)', -2],
  ['divmod(17, 5)[1]', 2], ['abs(-3)', 3], ['max(3, 9, 4)', 9], ["min([5, 2], key=lambda x: -x)", 5], ['sum([1, 2, 3], 10)', 16], ['math.ceil(7 / 2)', 4], ['math.prod([2, 3, 4])', 24], ['int(math.log2(64))', 6],
  ['math.gcd(12, 18)', 6],
]));

test('comparisons, boolean operators and membership', () => check([
  ['1 < 2 < 3', 1], ['1 < 3 < 2', 0], ['0 or 5', 5], ['3 and 7', 7], ['not []', 1], ["'a' in 'cat'", 1], ['3 not in (1, 2)', 1], ['None is None', 1], ['(1, 2) == (1, 2)', 1], ['[1] == (1,)', 0],
  ['1 == 1.0', 1], ["{'a': 1} == {'a': 1}", 1], ['(1, 2) < (1, 3)', 1], ['any([0, 2])', 1], ['all([])', 1], ['1 if [] else 2', 2], ['isinstance(True, int)', 1], ["isinstance('a', (int, str))", 1], ['type(3) is int', 1],
]));

test('strings: formatting, methods, slices', () => check([
  ["int(f'{3}{4:02d}')", 304], ["len(f'{1.5:.3f}')", 5], ["int('{}{}'.format(1, 2))", 12], ["int('%d%s' % (4, 'x' and '2'))", 42], ["len('a-b-c'.split('-'))", 3], ["int('x12'.replace('x', ''))", 12],
  ["len('-'.join(['a', 'b']))", 3], ["'abc'[::-1] == 'cba'", 1], ["'Conv2d'.lower().startswith('conv')", 1], ["len('abc'[1:])", 2], ["int('7'.zfill(3)[2])", 7], ["f'{2!r}' == '2'", 1], ["str(1e-06) == '1e-06'", 1], ["str(2.0) == '2.0'", 1],
  ["len(r'\\n')", 2], ["len('\\n\\x41')", 2], ["len('ab' 'cd')", 4], ["len(f'{{}}{1=}')", 5],
]));

test('containers: slices, unpacking, methods, comprehensions', () => check([
  ['[1, 2, 3][-1]', 3], ['len([1, 2, 3, 4][::2])', 2], ['sum([4, 3, 2, 1][1:-1])', 5], ['[*range(3), 9][3]', 9], ["{**{'a': 1}, 'b': 2}['b']", 2], ['len({1, 1, 2})', 2], ["dict(a=5)['a']", 5], ["{'x': 3}.get('y', 8)", 8],
  ["{'x': None}.get('x', 8) is None", 1], ['sum(x * y for x in range(3) for y in range(3) if x != y)', 4], ['len([1] * 4 + [2])', 5], ["sum({k: v for k, v in zip('ab', (1, 2))}.values())", 3], ['len(list(zip([1, 2], [3])))', 1], ['sorted([3, 1, 2], reverse=True)[0]', 3],
  ['[i for i, x in enumerate("abc") if x == "b"][0]', 1], ['list(reversed([1, 2]))[0]', 2], ['list(map(lambda x: x * 2, [4]))[0]', 8], ['next(iter([6, 7]))', 6], ['next((x for x in [] if x), 5)', 5],
  ['list(itertools.chain([1], [2]))[1]', 2], ['len(list(itertools.product([1, 2], [3, 4])))', 4], ['list(itertools.accumulate([1, 2, 3]))[-1]', 6], ['functools.reduce(lambda a, b: a * b, [2, 3])', 6],
  ["collections.OrderedDict([('a', 4)])['a']", 4], ["collections.namedtuple('P', 'x y')(1, 2).y", 2], ['len(range(10, 0, -3))', 4], ['range(5)[-1]', 4], ["(lambda *a, **k: len(a) + k['z'])(1, 2, z=5)", 7], ['(y := 4) + y', 8],
]));

test('functions: defaults, stars, closures, generators, decorators, nonlocal', () => check([
  ['f(1, 2, 3, k=4, z=5)', 15], ['counter()', 3], ['sum(gen(3))', 3], ['wrapped(4)', 9], ['early(5)', 50], ['early(-5)', -1], ['partial3(4)', 12], ['Kind.B.value', 2], ['Pt(3).double()', 6], ['Pt.make().x', 7], ['Cfg().heads', 8], ['Cfg(dim=10).half', 5],
  ['deep([1, [2, [3]]])', 6], ['caught()', 11], ['loop()', 7], ['tuples()', 6], ['classy()', 12], ['matched("b")', 2], ['matched([1, 2])', 3], ['matched(9)', 0],
], `
from dataclasses import dataclass, field
from enum import Enum
def f(a, b=10, *rest, k=0, **kw): return a + b + sum(rest) + k + kw.get('z', 0)
def counter():
    n = 0
    def up():
        nonlocal n
        n += 1
        return n
    up(); up()
    return up()
def gen(n):
    for i in range(n):
        yield i
def plus_one(fn):
    @functools.wraps(fn)
    def inner(*args, **kwargs):
        return fn(*args, **kwargs) + 1
    return inner
@plus_one
def wrapped(x): return x * 2
def early(x):
    if x < 0:
        return -1
    return x * 10
partial3 = functools.partial(lambda a, b: a * b, 3)
class Kind(Enum):
    A = 1
    B = 2
class Pt:
    factor = 2
    def __init__(self, x): self.x = x
    @property
    def twice(self): return self.x * self.factor
    def double(self): return self.twice
    @classmethod
    def make(cls): return cls(7)
@dataclass
class Base:
    dim: int = 4
@dataclass
class Cfg(Base):
    heads: int = 8
    layers: list = field(default_factory=lambda: [1])
    def __post_init__(self): self.half = self.dim // 2
def deep(x): return sum(deep(i) for i in x) if isinstance(x, list) else x
def caught():
    try:
        {}['missing']
    except KeyError:
        return 11
    finally:
        pass
def loop():
    total = 0
    for i in range(100):
        if i % 2: continue
        if i > 6: break
        total += 1
    else:
        total = -1
    while total < 7: total += 1
    return total
def tuples():
    (a, b), *c = (1, 2), 3
    x = y = 0
    x, y = y + a, x + b
    return x + y + c[0]
def classy():
    class Inner(Pt):
        factor = 4
    return Inner(3).twice
def matched(v):
    match v:
        case 'a' | 'b': return 2
        case [x, y]: return x + y
        case _: return 0
`));

test('what is not known stays unknown and is never guessed', () => {
  const tree = treeOf(`
import torch.nn as nn
from somewhere import width, Layer
class Net(nn.Module):
    def __init__(self, n, flag):
        super().__init__()
        self.a = nn.Linear(width(3), n)
        self.b = Layer(4)
        if flag:
            self.c = nn.Linear(1, 2)
        self.d = nn.ModuleList([nn.Linear(2, 2) for _ in range(n)])
        if n > 3:
            raise ValueError(n)
        self.e = nn.Linear(1, 1)
`);
  assert.deepEqual(rows(tree.root), ['a.weight [null,null]', 'a.bias [null]', 'c.weight [2,1] ?', 'c.bias [2] ?', 'd.*.weight [2,2]', 'd.*.bias [2]', 'e.weight [1,1]', 'e.bias [1]']);
  const unknown = tree.root.children.find((child) => child.path === 'b');
  assert.equal(unknown?.kind, 'unknown');
  assert.equal(unknown?.unknown?.reason, 'imported from somewhere, which is not in the workspace');
});
