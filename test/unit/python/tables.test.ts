import assert from 'node:assert/strict';
import test, { before } from 'node:test';
import { initParser } from '../../../server/python';
import { names, rows, treeOf } from './support';

before(initParser);

const find = (tree: ReturnType<typeof treeOf>, row: string): void => assert.ok(rows(tree.root).includes(row), `${row} is not among\n${rows(tree.root).join('\n')}`);

test('a sinusoid table of nested comprehensions keeps its shape and does not use up the evaluation', () => {
  const tree = treeOf(`
import numpy as np
import torch, torch.nn as nn
class Positions(nn.Module):
    def __init__(self, width, count):
        super().__init__()
        def row(position):
            return [position / np.power(10000, 2 * (j // 2) / width) for j in range(width)]
        table = np.array([row(i) for i in range(count)])
        table[:, 0::2] = np.sin(table[:, 0::2])
        self.register_buffer('table', torch.FloatTensor(table).unsqueeze(0))
class Net(nn.Module):
    def __init__(self, width=512, count=2000):
        super().__init__()
        self.a = Positions(width, count)
        self.b = Positions(width, count)
        self.out = nn.Linear(width, 2)
`);
  find(tree, 'a.table [1,2000,512]');
  find(tree, 'b.table [1,2000,512]');
  assert.deepEqual(tree.unknowns.filter(({ reason }) => reason.startsWith('evaluation budget')), []);
});

test('long comprehensions of sizes and modules are evaluated one by one', () => {
  const tree = treeOf(`
import torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        widths = [i + 1 for i in range(100)]
        self.layers = nn.ModuleList([nn.Linear(w, w, bias=False) for w in widths])
`);
  assert.equal(names(tree).length, 100);
  find(tree, 'layers.99.weight [100,100]');
});

test('None among the indices of a tensor whose numbers are known adds a dimension', () => {
  const tree = treeOf(`
import torch, torch.nn as nn
class Net(nn.Module):
    def __init__(self, kernel=(1, 3, 3, 1)):
        super().__init__()
        k = torch.tensor(kernel, dtype=torch.float32)
        if k.ndim == 1:
            k = k[None, :] * k[:, None]
        k /= k.sum()
        self.register_buffer('kernel', k)
        self.scale = nn.Parameter(torch.FloatTensor(torch.randn(size=(8, 1, 1, 1)) * 1e-3))
`);
  find(tree, 'kernel [4,4]');
  find(tree, 'scale [8,1,1,1]');
});

test('a class chosen by an unknown option stays that choice in nested loops of unknown count', () => {
  const tree = treeOf(`
import torch.nn as nn
class A(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.a = nn.Linear(n, n)
class B(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.b = nn.Linear(n, n)
class Net(nn.Module):
    def __init__(self, kind, sizes, steps):
        super().__init__()
        block = A if kind == '1' else B
        self.blocks = nn.ModuleList()
        for i in range(len(steps)):
            for size in sizes:
                self.blocks.append(block(size))
`);
  assert.deepEqual(names(tree), ['blocks.*.a.weight', 'blocks.*.a.bias', 'blocks.*.b.weight', 'blocks.*.b.bias']);
});

test('modules handed to the constructor and called may be there; other arguments are not taken for modules', () => {
  const tree = treeOf(`
import torch.nn as nn
class Net(nn.Module):
    def __init__(self, encoder, decoder, width):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.width = width
        self.head = nn.Linear(width, 2)
    def forward(self, x):
        return self.head(self.decoder.step(self.encoder(x)) / self.width)
`);
  assert.deepEqual(tree.root.children.map(({ path, kind, optional }) => [path, kind, optional ?? false]), [['head', 'torch', false], ['encoder', 'unknown', true], ['decoder', 'unknown', true]]);
});

test('walking a partly unknown tree to initialise it does not use up the evaluation', () => {
  const tree = treeOf(`
import torch.nn as nn
def named_apply(fn, module, name='', depth_first=True, include_root=False):
    for child_name, child in module.named_children():
        child_name = '.'.join((name, child_name)) if name else child_name
        named_apply(fn=fn, module=child, name=child_name, depth_first=depth_first, include_root=True)
    if include_root:
        fn(module=module, name=name)
    return module
class Block(nn.Module):
    def __init__(self, dim, scale):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.mlp = nn.Linear(dim, dim)
        self.gate = nn.Linear(dim, 1) if scale else nn.Identity()
class Net(nn.Module):
    def __init__(self, dim, depth, scale, chunks):
        super().__init__()
        blocks = [Block(dim, scale) for _ in range(depth)]
        if chunks > 0:
            self.blocks = nn.ModuleList([nn.ModuleList(blocks[i:i + chunks]) for i in range(0, depth, chunks)])
        else:
            self.blocks = nn.ModuleList(blocks)
        named_apply(lambda module, name: None, self)
        self.head = nn.Linear(dim, 10)
`);
  assert.ok(names(tree).includes('head.weight'));
  assert.deepEqual(tree.unknowns.filter(({ reason }) => reason.startsWith('evaluation budget')), []);
});
