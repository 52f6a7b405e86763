import assert from 'node:assert/strict';
import test, { before } from 'node:test';
import { initParser } from '../../../server/python';
import { at, find, names, rows, treeOf, workspace } from './support';
import { PythonWorkspace } from '../../../server/python';

before(initParser);

test('C3 order decides which constructor runs; super() follows it through mixins', () => {
  const tree = treeOf(`
import torch.nn as nn
class A(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(1, 1, bias=False)
class B(A):
    def __init__(self):
        super().__init__()
        self.b = nn.Linear(1, 2, bias=False)
class C(A):
    def __init__(self):
        super(C, self).__init__()
        self.c = nn.Linear(1, 3, bias=False)
class Net(B, C):
    pass
`);
  assert.deepEqual(names(tree), ['a.weight', 'c.weight', 'b.weight']);
});

test('a branch that is unknown keeps both, a class that depends on it is unknown, equal ones are not', () => {
  const tree = treeOf(`
import torch.nn as nn
class Net(nn.Module):
    def __init__(self, flag):
        super().__init__()
        self.norm = nn.BatchNorm1d(4, affine=False, track_running_stats=False) if flag else nn.LayerNorm(4)
        if flag:
            self.fc = nn.Linear(4, 8)
        else:
            self.fc = nn.Linear(4, 9)
        self.last = nn.Linear(1, 1)
        if not flag:
            return
        self.late = nn.Linear(2, 2)
`);
  assert.deepEqual(rows(tree.root), ['norm.weight [4] ?', 'norm.bias [4] ?', 'fc.weight [null,4]', 'fc.bias [null]', 'last.weight [1,1]', 'last.bias [1]', 'late.weight [2,2] ?', 'late.bias [2] ?']);
  assert.equal(find(tree.root, 'norm')?.kind, 'unknown');
  assert.equal(find(tree.root, 'fc')?.className, 'Linear');
  assert.equal(find(tree.root, 'late')?.optional, true);
});

test('what changes from round to round in a loop of unknown count is not taken from the first round', () => {
  const tree = treeOf(`
import torch.nn as nn
class Net(nn.Module):
    def __init__(self, n):
        super().__init__()
        layers, width = [nn.Linear(3, 8)], 8
        for i in range(n):
            layers.append(nn.Linear(width, width * 2))
            width = width * 2
        self.net = nn.Sequential(*layers)
        self.head = nn.Linear(width, 1)
`);
  assert.deepEqual(rows(tree.root), ['net.0.weight [8,3]', 'net.0.bias [8]', 'net.*.weight [null,null]', 'net.*.bias [null]', 'head.weight [1,null]', 'head.bias [1]']);
});

test('a span is the construction call, wherever it stands', () => {
  const source = `import torch.nn as nn
def block(n):
    return nn.Sequential(
        nn.Linear(n, n),
    )
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([block(i + 1) for i in range(2)])
        self.attn = nn.MultiheadAttention(4, 2)
`;
  const tree = treeOf(source);
  const text = (path: string): string => {
    const span = find(tree.root, path)!.span;
    const lines = source.split('\n').slice(span.startLine, span.endLine + 1);
    lines[lines.length - 1] = lines.at(-1)!.slice(0, span.endColumn);
    lines[0] = lines[0]!.slice(span.startColumn);
    return lines.join('\n');
  };
  assert.equal(text('layers'), 'nn.ModuleList([block(i + 1) for i in range(2)])');
  assert.equal(text('layers.0.0'), 'nn.Linear(n, n)');
  assert.equal(text('layers.1.0'), 'nn.Linear(n, n)');
  assert.match(text('layers.1'), /^nn\.Sequential\(\n/);
  assert.equal(text('attn.out_proj'), 'nn.MultiheadAttention(4, 2)');
  assert.equal(find(tree.root, 'attn')!.args.num_heads, 2);
});

test('the same module under two names and tied weights say what they are tied to', () => {
  const tree = treeOf(`
import torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(10, 4)
        self.lm_head = nn.Linear(4, 10, bias=False)
        self.lm_head.weight = self.wte.weight
        self.again = self.wte
`);
  assert.deepEqual(names(tree), ['wte.weight', 'lm_head.weight', 'again.weight']);
  assert.equal(find(tree.root, 'lm_head')!.parameters[0]!.tiedTo, 'wte.weight');
  assert.equal(find(tree.root, 'again')!.parameters[0]!.tiedTo, 'wte.weight');
});

test('imports: relative, re-exported, aliased, starred, cyclic, optional packages', () => {
  const made = workspace({
    'pkg/__init__.py': 'from .model import Net as Exported\n',
    'pkg/model.py': `
import torch.nn as nn
from . import layers as L
from .layers.block import Block
from .config import *
from .cycle import helper
try:
    from apex.normalization import FusedLayerNorm as Norm
except ImportError:
    from torch.nn import LayerNorm as Norm
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Block(WIDTH)
        self.b = L.make(WIDTH)
        self.c = helper()
        self.n = Norm(WIDTH)
def size(): return 5
`,
    'pkg/config.py': 'WIDTH = 6\n_HIDDEN = 1\n',
    'pkg/cycle.py': 'import torch.nn as nn\nfrom .model import size\ndef helper(): return nn.Linear(size(), 1)\n',
    'pkg/layers/__init__.py': 'from .block import make_block as make\n',
    'pkg/layers/block.py': 'from torch import nn\nclass Block(nn.Linear):\n    def __init__(self, n):\n        super().__init__(n, n, bias=False)\ndef make_block(n): return Block(n + 1)\n',
    'train.py': 'from pkg import Exported\nimport pkg.layers.block as blk\nmodel = Exported()\nother = blk.Block(2)\n',
  });
  const tree = made.buildTree(at('train.py'), 'model');
  assert.deepEqual(rows(tree.root), ['a.weight [6,6]', 'b.weight [7,7]', 'c.weight [1,5]', 'c.bias [1]', 'n.weight [6]', 'n.bias [6]']);
  assert.equal(find(tree.root, 'a')!.qualifiedName, 'pkg.layers.block.Block');
  assert.ok(tree.files.includes(at('pkg/config.py')));
  assert.deepEqual(made.rootCandidates(at('train.py')).map((candidate) => [candidate.kind, candidate.name]), [['instance', 'model'], ['instance', 'other']]);
  made.dispose();
});

test('root candidates: classes, factories, instances; configurations are assumed and said to be', () => {
  const made = workspace(`
import torch.nn as nn
from dataclasses import dataclass
@dataclass
class GPTConfig:
    n: int = 3
class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.fc = nn.Linear(config.n, 1)
class Other(nn.Module):
    def __init__(self, width, depth=2):
        super().__init__()
def gpt_small(pretrained=False):
    model = GPT(GPTConfig())
    return model.eval()
def helper(x):
    return x + 1
`);
  assert.deepEqual(made.rootCandidates(at('model.py')).map(({ kind, name, missingArguments }) => [kind, name, ...missingArguments]),
    [['class', 'GPT'], ['class', 'Other', 'width'], ['function', 'gpt_small']]);
  const tree = made.buildTree(at('model.py'), 'GPT');
  assert.deepEqual(rows(tree.root), ['fc.weight [1,3]', 'fc.bias [1]']);
  assert.deepEqual(tree.assumptions.map(({ text }) => text), ['config = GPTConfig() with all defaults']);
  assert.deepEqual(rows(made.buildTree(at('model.py'), 'GPT', { config: { n: 8 } }).root), ['fc.weight [1,8]', 'fc.bias [1]']);
  assert.equal(made.classAt(at('model.py'), 8)?.name, 'GPT');
  made.dispose();
});

test('a registry filled by decorators in another file is found when something is missing from it', () => {
  const made = workspace({
    'model.py': 'from registry import MODELS\nimport zoo\ndef build(): return MODELS.get("net")(3)\n',
    'registry.py': 'class Registry:\n    def __init__(self):\n        self._m = {}\n    def register(self, name=None):\n        def deco(cls):\n            self._m[name or cls.__name__] = cls\n            return cls\n        return deco\n    def get(self, name): return self._m[name]\nMODELS = Registry()\n',
    'zoo.py': 'import torch.nn as nn\nfrom registry import MODELS\n@MODELS.register("net")\nclass Net(nn.Module):\n    def __init__(self, n):\n        super().__init__()\n        self.fc = nn.Linear(n, n, bias=False)\n',
  });
  assert.deepEqual(rows(made.buildTree(at('model.py'), 'build').root), ['fc.weight [3,3]']);
  made.dispose();
});

test('candidates name the parameters that can be given by keyword', () => {
  const made = workspace(`
import torch.nn as nn
from dataclasses import dataclass
class Net(nn.Module):
    def __init__(self, width, /, depth, *rest, heads=4, **other):
        super().__init__()
class Child(Net):
    pass
@dataclass
class Fields(nn.Module):
    rank: int
    scale: float = 1.0
def net(num_classes=10, **kwargs):
    return Net(3, num_classes, **kwargs)
model = net()
`);
  const found = new Map(made.rootCandidates(at('model.py')).map(({ name, parameters }) => [name, parameters]));
  assert.deepEqual(found.get('Net'), ['depth', 'heads']);
  assert.deepEqual(found.get('Child'), ['depth', 'heads']);
  assert.deepEqual(found.get('Fields'), ['rank', 'scale']);
  assert.deepEqual(found.get('net'), ['num_classes']);
  assert.equal(found.get('model'), undefined);
});

test('factories: through decorators that wrap, builders that are handed the class, and keywords that go on to it', () => {
  const made = workspace(`
import functools
import torch.nn as nn
class Base(nn.Module):
    def __init__(self, width=8, classes=10):
        super().__init__()
        self.head = nn.Linear(width, classes)
class Net(Base):
    def __init__(self, *args, bias=True, **kwargs):
        super().__init__(*args, **kwargs)
    @classmethod
    def named(cls, name, **kwargs):
        return cls(**kwargs)
def legacy(builder):
    @functools.wraps(builder)
    def inner(*args, **kwargs):
        return builder(*args, **kwargs)
    return inner
def build(model_cls, name, strict=True, **kwargs):
    model = model_cls(**kwargs)
    return model
@legacy
def wrapped(*, weights=None, **kwargs):
    return build(Net, 'wrapped', width=4, **kwargs)
def chosen(small=False, **kwargs):
    cls = Base if small else Net
    return build(cls, 'chosen', **dict(kwargs))
def called(name='x'):
    return Net.named(name)
def other(**kwargs):
    return build(len, 'other', **kwargs)
`);
  const found = new Map(made.rootCandidates(at('model.py')).map((candidate) => [candidate.name, candidate.adjustable?.map(({ name, value }) => `${name}=${JSON.stringify(value)}`)]));
  assert.deepEqual([...found.keys()], ['Base', 'Net', 'wrapped', 'chosen', 'called']);
  assert.deepEqual(found.get('Net'), ['bias=true', 'width=8', 'classes=10']);
  assert.deepEqual(found.get('wrapped'), ['weights=null', 'bias=true', 'width=8', 'classes=10']);
  assert.deepEqual(found.get('chosen'), ['small=false', 'width=8', 'classes=10']);
  assert.deepEqual(found.get('called'), ['name="x"']);
  assert.deepEqual(rows(made.buildTree(at('model.py'), 'wrapped', { classes: 3 }).root), ['head.weight [3,4]', 'head.bias [3]']);
  made.dispose();
});

test('a root inside a package: relative and absolute imports go up to where the outermost package lies', () => {
  const files: Record<string, string> = {
    '/lib/zoo/__init__.py': '', '/lib/zoo/ops.py': 'import torch.nn as nn\nclass Op(nn.Linear):\n    pass\n',
    '/lib/zoo/models/__init__.py': '', '/lib/zoo/models/net.py': 'import sys\nimport torch.nn as nn\nfrom ..ops import Op\nfrom zoo.ops import Op as Same\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.a = Op(2, 2)\n        self.b = sys.modules[Net.__module__].Same(2, 2)\n',
  };
  const made = new PythonWorkspace({ readFile: (file) => files[file] ?? null, roots: () => ['/lib/zoo/models'] });
  assert.deepEqual(rows(made.buildTree('/lib/zoo/models/net.py', 'Net').root), ['a.weight [2,2]', 'a.bias [2]', 'b.weight [2,2]', 'b.bias [2]']);
  made.dispose();
});

test('environment variables count as not set, and that is said', () => {
  const tree = treeOf("import os\nimport torch.nn as nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(int(os.environ.get('WIDTH', '3')), 1 if os.getenv('FAST') is None else 2)\n");
  assert.deepEqual(rows(tree.root), ['fc.weight [1,3]', 'fc.bias [1]']);
  assert.deepEqual(tree.assumptions.map(({ text }) => text), ['the environment variable WIDTH is not set', 'the environment variable FAST is not set']);
});

test('an installed package: its neighbours are not read, one costly table does not use up the budget, and transformers machinery is known without its source', () => {
  const files: Record<string, string> = {
    '/lib/beside.py': 'WIDTH = 7\n',
    '/lib/transformers/__init__.py': '', '/lib/transformers/models/__init__.py': '', '/lib/transformers/models/own/__init__.py': '',
    '/lib/transformers/modeling_utils.py': 'class PreTrainedModel:\n    def __init__(self, config):\n        raise TypeError("not for us")\n',
    '/lib/transformers/tables.py': 'def fill():\n    total = 0\n    while total < 10 ** 9:\n        total += 1\n    return total\nTABLE = fill()\nWIDTH = 5\n',
    '/lib/transformers/models/own/modeling_own.py': `
import torch.nn as nn
from beside import WIDTH as BESIDE
from ...modeling_utils import PreTrainedModel
from ...tables import TABLE, WIDTH
class Own(PreTrainedModel):
    def __init__(self, config=None):
        super().__init__(config)
        self.a = nn.Linear(WIDTH, BESIDE)
        self.b = nn.Linear(WIDTH, TABLE)
class Last(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(1, TABLE)
`,
  };
  const made = new PythonWorkspace({ readFile: (file) => files[file] ?? null, roots: () => ['/lib/transformers/models/own'] });
  const file = '/lib/transformers/models/own/modeling_own.py';
  assert.deepEqual(made.rootCandidates(file).map(({ name }) => name), ['Own', 'Last']);
  assert.deepEqual(rows(made.buildTree(file, 'Own').root), ['a.weight [null,5]', 'a.bias [null]', 'b.weight [null,5]', 'b.bias [null]']);
  made.dispose();
});

test('a search that may return from a loop of unknown count gives both results; endless recursion over the unknown ends', () => {
  const tree = treeOf(`
import torch.nn as nn
def width_of(table, wanted):
    for name in table:
        if name == wanted:
            return 8
    return 4
def first_leaf(node):
    if hasattr(node, 'inner'):
        return first_leaf(node.inner)
    return first_leaf(node.outer)
class Net(nn.Module):
    def __init__(self, table, node):
        super().__init__()
        self.search = nn.Linear(3, width_of(table, 'x'), bias=False)
        self.leaf = first_leaf(node)
        self.last = nn.Linear(2, 2, bias=False)
`);
  assert.deepEqual(rows(tree.root), ['search.weight [null,3]', 'last.weight [2,2]']);
});

test('faster layers that the source can do without are read as absent; a decorated subclass takes the name it is given', () => {
  const tree = treeOf(`
import torch.nn as nn
try:
    from apex.normalization import FusedLayerNorm as Norm
except ImportError:
    class Norm(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.scale = nn.Linear(width, 1, bias=False)
def counted(cls):
    class Counted(cls):
        def __init__(self, *args):
            super().__init__(*args)
    Counted.__name__ = cls.__name__
    return Counted
@counted
class Head(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, 2, bias=False)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = Norm(4)
        self.head = Head(4)
`);
  assert.deepEqual(rows(tree.root), ['norm.scale.weight [1,4]', 'head.fc.weight [2,4]']);
  assert.equal(find(tree.root, 'head')?.className, 'Head');
});

test('a class that makes its instances through a base that is not in the workspace is still constructed', () => {
  const tree = treeOf(`
import torch.nn as nn
from elsewhere import Base
class Part(Base, nn.Module):
    def __new__(cls, *args, **kwargs):
        made = super().__new__(cls)
        return made
    def __init__(self, width):
        nn.Module.__init__(self)
        self.fc = nn.Linear(width, 2, bias=False)
class Net(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.part = Part(4)
        if size == 7:
            raise ValueError(f'size {3 + 4} is not for this')
`, 'Net', { size: 7 });
  assert.deepEqual(rows(tree.root), ['part.fc.weight [2,4]']);
  assert.ok(tree.unknowns.some(({ reason }) => reason.includes('size 7 is not for this')), JSON.stringify(tree.unknowns));
});

test('what __getattr__ does not find is not there: hasattr, and a default of getattr, say so', () => {
  const tree = treeOf(`
import torch.nn as nn
class Configured:
    def remember(self, **values):
        kept = values if not hasattr(self, '_kept') else {**self._kept, **values}
        self._kept = kept
    def __getattr__(self, name):
        if '_kept' in self.__dict__ and name in self.__dict__['_kept']:
            return self.__dict__['_kept'][name]
        raise AttributeError(f'no {name}')
class Net(Configured, nn.Module):
    def __init__(self, width=5):
        super().__init__()
        self.remember(width=width)
        self.fc = nn.Linear(self.width, getattr(self, 'height', 3), bias=False)
`);
  assert.deepEqual(rows(tree.root), ['fc.weight [3,5]']);
});

test('a store of layers with __getattr__, documentation and registration by decorator gives the layer that is asked for', () => {
  const tree = treeOf(`
import enum
from collections.abc import Hashable
import torch.nn as nn
class Store:
    def __init__(self, name):
        self.known = {}
        self.__doc__ = f'{name}: {self.__doc__}'
    def __getattr__(self, name):
        return name if name in self.known else self.__getattribute__(name)
class Factory(Store):
    def __init__(self, name):
        super().__init__(name)
        self.__doc__ = self.__doc__.strip()
    def named(self, name):
        def keep(function):
            self.known[name.upper()] = function
            return function
        return keep
    def __getattr__(self, key):
        return key if key in self.known else super().__getattribute__(key)
    def __getitem__(self, args):
        name, *rest = args
        if not isinstance(name, Hashable) or isinstance(self.known, enum.EnumMeta) or not isinstance(Kind, enum.EnumMeta):
            raise ValueError(name)
        return self.known[name.upper()](*rest)
class Kind(enum.Enum):
    A = 'a'
Layers = Factory('layers')
@Layers.named('conv')
def conv(dim):
    return (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dim - 1]
class Net(nn.Module):
    def __init__(self, kind='conv'):
        super().__init__()
        self.a = Layers[kind, 3](1, 2, 3, bias=False)
        self.b = nn.Linear(1, 5 if hasattr(Layers, 'other') else 6, bias=False)
`);
  assert.deepEqual(rows(tree.root), ['a.weight [2,1,3,3,3]', 'b.weight [6,1]']);
});

test('a plain value is of no class of a package that is not here; what such a package configures is no layer', () => {
  const tree = treeOf(`
import torch.nn as nn
from omegaconf.listconfig import ListConfig
from othermodels.vision import _cfg
from ultralytics.utils.ops import make_divisible
class Net(nn.Module):
    def __init__(self, context_dim=6):
        super().__init__()
        if type(context_dim) == ListConfig:
            context_dim = list(context_dim)
        self.default_cfg = _cfg()
        self.to_k = nn.Linear(context_dim, make_divisible(31 * 0.5, 8), bias=False)
`);
  assert.deepEqual(rows(tree.root), ['to_k.weight [16,6]']);
  assert.deepEqual(tree.root.children.map(({ path }) => path), ['to_k']);
});

test('a class method may be the root, and a namedtuple may be given its defaults later', () => {
  const tree = treeOf(`
import collections
from torch import nn
Params = collections.namedtuple('Params', ['width', 'depth', 'top'])
Params.__new__.__defaults__ = (None,) * len(Params._fields)
class Net(nn.Module):
    def __init__(self, params, inputs):
        super().__init__()
        self.fc = nn.Linear(inputs, params.width, bias=params.top is not None)
    @classmethod
    def from_name(cls, name='small', inputs=3):
        return cls(Params(width=8)._replace(depth=2), inputs)
`, 'Net.from_name');
  assert.deepEqual(rows(tree.root), ['fc.weight [8,3]']);
});

test('versions are compared by number', () => {
  const tree = treeOf(`
import torch
from torch import nn
from packaging import version
from distutils.version import LooseVersion
import pkg_resources as pkg
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(1, 2 if version.parse(torch.__version__) >= version.parse('1.10') else 3, bias=False)
        self.b = nn.Linear(1, 2 if LooseVersion('1.9.1+cu111') < LooseVersion('1.10') else 3, bias=False)
        self.c = nn.Linear(1, 2 if pkg.parse_version('2.0') == pkg.parse_version('2.0.0') else 3, bias=False)
        self.d = nn.Linear(1, version.Version('12.4').major, bias=False)
`);
  assert.deepEqual(rows(tree.root), ['a.weight [2,1]', 'b.weight [2,1]', 'c.weight [2,1]', 'd.weight [12,1]']);
});
