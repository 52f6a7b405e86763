/** Sources whose sizes only the checkpoint tells, from text to links: reading, root choice and linking together. */
import assert from 'node:assert/strict';
import test, { before } from 'node:test';
import { fitOf, TreeBuilder, type RootQuery } from '../../../server/analysis/attempt';
import { chooseRoot } from '../../../server/analysis/root-choice';
import { settle } from '../../../server/analysis/settle';
import { link } from '../../../server/linking/link';
import { initParser } from '../../../server/python';
import { checkpoint } from '../linking/build';
import { at, workspace } from '../python/support';

before(initParser);

type Shapes = Record<string, readonly number[]>;

async function choose(source: string, shapes: Shapes, only?: string) {
  const python = workspace(source);
  try {
    const file = at('model.py');
    const chosen = await chooseRoot({ python, file, candidates: python.rootCandidates(file), checkpoint: checkpoint(shapes), values: [], ...(only ? { only, namedBy: 'here' } : {}) });
    assert.ok(chosen);
    const { link } = chosen.attempt;
    return {
      root: chosen.choice.name, reason: chosen.choice.reason, loosened: chosen.attempt.loosened, resized: chosen.attempt.resized,
      classes: Object.fromEntries(link.layers.flatMap((layer) => layer.tensors.filter(({ info }) => info).map(({ name }) => [name, layer.className]))),
      lines: Object.fromEntries(link.layers.map((layer) => [layer.path, layer.span.startLine + 1])),
      unlinked: link.unlinkedTensors.map(({ name }) => name), missing: link.missing.map(({ name }) => name), misshaped: link.misshaped.map(({ name }) => name),
    };
  } finally { python.dispose(); }
}
const wholly = ({ unlinked, missing, misshaped }: Awaited<ReturnType<typeof choose>>): void =>
  assert.deepEqual({ unlinked, missing, misshaped }, { unlinked: [], missing: [], misshaped: [] });

const TOWER = `
import torch, torch.nn as nn
class Scale(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))
class Block(nn.Module):
    def __init__(self, dim, scale):
        super().__init__()
        self.fc = nn.Linear(dim, dim)
        self.ls = Scale(dim) if scale else nn.Identity()
class Tower(nn.Module):
    def __init__(self, dim=8, depth=4, classes=10, scale=None, final='norm', act=nn.GELU):
        super().__init__()
        self.blocks = nn.ModuleList([Block(dim, scale) for _ in range(depth)])
        if final == 'norm':
            self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)
def small(**kwargs):
    return Tower(dim=8, depth=2, **kwargs)
`;
const tower = (dim: number, depth: number, classes: number, scale: boolean): Shapes => Object.fromEntries([
  ...Array.from({ length: depth }, (_, i) => [[`blocks.${i}.fc.weight`, [dim, dim]], [`blocks.${i}.fc.bias`, [dim]], ...(scale ? [[`blocks.${i}.ls.gamma`, [dim]]] : [])]).flat(),
  ['norm.weight', [dim]], ['norm.bias', [dim]], ['head.weight', [classes, dim]], ['head.bias', [classes]],
] as [string, number[]][]);

test('defaults that fit are kept', async () => {
  const made = await choose(TOWER, tower(8, 4, 10, false));
  assert.equal(made.root, 'Tower');
  assert.equal(made.loosened, undefined);
  wholly(made);
});

test('a checkpoint of another depth and width: the arguments are read off its shapes, and the reason says so', async () => {
  const made = await choose(TOWER, tower(16, 3, 7, false));
  wholly(made);
  assert.equal(made.root, 'Tower');
  assert.deepEqual(made.resized, { dim: 16, depth: 3, classes: 7 });
  assert.equal(made.loosened, undefined);
  assert.match(made.reason, /; arguments told by the checkpoint's shapes: dim = 16, depth = 3, classes = 7$/);
  assert.equal(made.classes['blocks.2.fc.weight'], 'Linear');
});

test('another number of classes: the class or factory with that argument, and nothing is mis-shaped', async () => {
  const made = await choose(TOWER, tower(8, 2, 100, false));
  wholly(made);
  assert.deepEqual(made.resized, made.root === 'small' ? { classes: 100 } : { depth: 2, classes: 100 });
});

test('a truncated or transposed weight in a model whose arguments are right is damage, whatever its shape proposes', async () => {
  const shapes = tower(8, 4, 10, false);
  for (const broken of [{ 'head.weight': [9, 8] }, { 'head.weight': [8, 10] }, { 'blocks.1.fc.weight': [8, 7] }, { 'blocks.1.fc.bias': [10] }, { 'norm.weight': [16] }] as Shapes[]) {
    const made = await choose(TOWER, { ...shapes, ...broken });
    assert.deepEqual(made.misshaped, Object.keys(broken));
    assert.equal(made.resized, undefined);
  }
  // Beside another head, too.
  const both = await choose(TOWER, { ...tower(8, 4, 100, false), 'blocks.1.fc.weight': [8, 7] }, 'Tower');
  assert.deepEqual([both.resized, both.misshaped], [{ classes: 100 }, ['blocks.1.fc.weight']]);
});

test('a class without its arguments is not the model for fitting a damaged tensor; it is for a head that only it can give', async () => {
  const source = `
import torch.nn as nn
class Net(nn.Module):
    def __init__(self, width, depth, classes=10):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.head = nn.Linear(16, classes)
def net_small():
    return Net(16, 2)
`;
  const net = (classes: number): Shapes => ({ 'layers.0.weight': [16, 16], 'layers.0.bias': [16], 'layers.1.weight': [16, 16], 'layers.1.bias': [16], 'head.weight': [classes, 16], 'head.bias': [classes] });
  const damaged = await choose(source, { ...net(10), 'layers.1.weight': [15, 16] });
  assert.deepEqual([damaged.root, damaged.misshaped], ['net_small', ['layers.1.weight']]);
  const tuned = await choose(source, net(7));
  wholly(tuned);
  assert.deepEqual([tuned.root, tuned.resized], ['Net', { classes: 7, depth: 2 }]);
});

test('widths and depths in lists, a number that is a multiple, a flag the other way', async () => {
  const source = `
import torch.nn as nn
class Net(nn.Module):
    def __init__(self, depths=(2, 2, 3), dims=[8, 16, 24], ratio=4, bias=True, stem=8):
        super().__init__()
        self.stages = nn.ModuleList([nn.Sequential(*[nn.Linear(dim, dim, bias=bias) for _ in range(depth)]) for depth, dim in zip(depths, dims)])
        self.stem = nn.Linear(3, stem * ratio)
`;
  const net = (depths: number[], dims: number[], stem: number, bias: boolean): Shapes => Object.fromEntries([
    ...depths.flatMap((depth, i) => Array.from({ length: depth }, (_, j) => [[`stages.${i}.${j}.weight`, [dims[i]!, dims[i]!]], ...(bias ? [[`stages.${i}.${j}.bias`, [dims[i]!]]] : [])]).flat()),
    ['stem.weight', [stem, 3]], ['stem.bias', [stem]],
  ] as [string, number[]][]);
  const deeper = await choose(source, net([2, 4, 3], [8, 16, 24], 32, true));
  wholly(deeper);
  assert.deepEqual(deeper.resized, { depths: [2, 4, 3] });
  const wider = await choose(source, net([2, 2, 3], [8, 20, 40], 32, true));
  wholly(wider);
  assert.deepEqual(wider.resized, { dims: [8, 20, 40] });
  const flagged = await choose(source, net([2, 2, 3], [8, 16, 24], 48, false));
  wholly(flagged);
  assert.equal(flagged.resized!.bias, false);
});

test('an option that is off by default and on in the checkpoint; options that explain nothing stay', async () => {
  const made = await choose(TOWER, tower(8, 6, 10, true));
  wholly(made);
  assert.ok(made.loosened!.includes('scale') && !made.loosened!.includes('final'));
  assert.equal(made.classes['blocks.0.ls.gamma'], 'Scale');
});

test('what no constructor argument changes is still reported', async () => {
  const shapes = tower(8, 4, 10, false);
  const made = await choose(TOWER, { ...shapes, 'head.bias': [10, 1], 'other.weight': [3, 3] }, 'Tower');
  assert.deepEqual(made.unlinked, ['other.weight']);
  assert.deepEqual(made.misshaped, ['head.bias']);
  assert.equal(made.loosened, undefined);
});

test('a configuration class with all its defaults is one of them', async () => {
  const made = await choose(`
import torch.nn as nn
from dataclasses import dataclass
@dataclass
class Args:
    dim: int = 4096
    layers: int = 32
class Net(nn.Module):
    def __init__(self, params: Args):
        super().__init__()
        self.layers = nn.ModuleList()
        for _ in range(params.layers):
            self.layers.append(nn.Linear(params.dim, params.dim, bias=False))
`, { 'layers.0.weight': [4, 4], 'layers.1.weight': [4, 4] });
  wholly(made);
});

test('which of several modules stands at a place is told by the tensors there', async () => {
  const made = await choose(`
import torch.nn as nn
plans = {'a': [8, 'M', 16], 'b': [8, 8, 'M', 16, 'M']}
class Net(nn.Module):
    def __init__(self, plan):
        super().__init__()
        layers = []
        for width in plans[plan]:
            if width == 'M':
                layers += [nn.MaxPool2d(2)]
            else:
                layers += [nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU()]
        self.features = nn.Sequential(*layers)
`, {
    'features.0.weight': [8, 3, 3, 3], 'features.0.bias': [8],
    'features.1.weight': [8], 'features.1.bias': [8], 'features.1.running_mean': [8], 'features.1.running_var': [8], 'features.1.num_batches_tracked': [],
  });
  wholly(made);
  assert.equal(made.classes['features.0.weight'], 'Conv2d');
  assert.equal(made.classes['features.1.weight'], 'BatchNorm2d');
  assert.equal(made.lines['features.0'], 12);
});

test('a container filled from the front in a loop of unknown count', async () => {
  const made = await choose(`
import torch.nn as nn
class Decoder(nn.Module):
    def __init__(self, mults):
        super().__init__()
        self.up = nn.ModuleList()
        for i in reversed(range(len(mults))):
            block = nn.Module()
            block.conv = nn.Conv2d(mults[i], mults[i], 3)
            if i != 0:
                block.upsample = nn.Conv2d(mults[i], mults[i], 3)
            self.up.insert(0, block)
`, {
    'up.0.conv.weight': [4, 4, 3, 3], 'up.0.conv.bias': [4],
    'up.1.conv.weight': [8, 8, 3, 3], 'up.1.conv.bias': [8], 'up.1.upsample.weight': [8, 8, 3, 3], 'up.1.upsample.bias': [8],
    'up.2.conv.weight': [8, 8, 3, 3], 'up.2.conv.bias': [8], 'up.2.upsample.weight': [8, 8, 3, 3], 'up.2.upsample.bias': [8],
  });
  wholly(made);
});

test('a class of a package that is not there, with a forward_features of its own, can be the root', async () => {
  const made = await choose(`
import somewhere.vision_transformer
import torch.nn as nn
class Pooled(somewhere.vision_transformer.Backbone):
    def __init__(self, pool=False, **kwargs):
        super().__init__(**kwargs)
        self.fc_norm = nn.LayerNorm(4)
    def forward_features(self, x):
        return self.fc_norm(x)
`, { 'fc_norm.weight': [4], 'fc_norm.bias': [4], 'blocks.0.weight': [4, 4] });
  assert.equal(made.root, 'Pooled');
  assert.equal(made.classes['fc_norm.weight'], 'LayerNorm');
});

const CONFIGURED = `
import torch, torch.nn as nn
from dataclasses import dataclass
@dataclass
class Config:
    width: int = 32
    depth: int = 4
    hidden: int = None
    tail: bool = True
    vocab: int = -1
    def __post_init__(self):
        if self.hidden is None:
            self.hidden = 3 * self.width
class Layer(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)
class Model(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.embed = nn.Embedding(config.vocab, config.width)
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.depth)])
        if config.tail:
            self.tail = nn.LayerNorm(config.width)
class Reader(nn.Module):
    def __init__(self, model: Model, classes):
        super().__init__()
        self.model = model
        self.head = nn.Linear(7, classes)
`;
const configured = (width: number, depth: number, hidden: number, vocab: number, at = ''): Shapes => Object.fromEntries([
  [`${at}embed.weight`, [vocab, width]],
  ...Array.from({ length: depth }, (_, i) => [[`${at}layers.${i}.up.weight`, [hidden, width]], [`${at}layers.${i}.down.weight`, [width, hidden]]]).flat(),
] as [string, number[]][]);

test('fields of a configuration object are read off the checkpoint one by one', async () => {
  const made = await choose(CONFIGURED, configured(20, 2, 28, 50));
  wholly(made);
  assert.equal(made.root, 'Model');
  assert.deepEqual({ ...made.resized }, { 'config.width': 20, 'config.depth': 2, 'config.hidden': 28, 'config.tail': false });
  assert.equal(made.loosened, undefined);
  assert.equal(made.classes['layers.1.down.weight'], 'Linear');
});

test('a module that is handed in is as open as the model itself', async () => {
  const made = await choose(CONFIGURED, { ...configured(20, 2, 60, 50, 'model.'), 'model.tail.weight': [20], 'model.tail.bias': [20], 'head.weight': [3, 7], 'head.bias': [3] });
  wholly(made);
  assert.equal(made.root, 'Reader');
  assert.equal(made.resized?.['model.config.width'], 20);
});

test('values that came with the weights are those of the object: what they say is not traded for a damaged tensor', async () => {
  const python = workspace(CONFIGURED);
  try {
    const file = at('model.py');
    const values = [{ from: 'params.json', values: { width: 20, depth: 2, hidden: 28, tail: false, vocab: -1, unheard: 1 } }];
    const choose_ = (shapes: Shapes) => chooseRoot({ python, file, candidates: python.rootCandidates(file), checkpoint: checkpoint(shapes), values });
    const made = await choose_(configured(20, 2, 28, 50));
    assert.equal(made?.attempt.argsFrom, 'params.json');
    assert.equal(made?.attempt.resized, undefined);
    assert.deepEqual(made?.attempt.link.misshaped, []);
    const damaged = await choose_({ ...configured(20, 2, 28, 50), 'layers.1.up.weight': [29, 20] });
    assert.deepEqual(damaged?.attempt.link.misshaped.map(({ name }) => name), ['layers.1.up.weight']);
  } finally { python.dispose(); }
});

test('the count of a loop that nobody gave is the one the checkpoint has', async () => {
  const source = `
import torch.nn as nn
class Chain(nn.Module):
    def __init__(self, inputs, width, depth, drop):
        super().__init__()
        layers = [nn.Linear(inputs, width)]
        for _ in range(depth - 1):
            layers.extend([nn.ReLU(), nn.Dropout(drop), nn.Linear(width, width)])
        layers.extend([
            nn.ReLU(),
            nn.LayerNorm(width),
        ])
        self.net = nn.Sequential(*layers)
`;
  const shapes: Shapes = Object.fromEntries([
    ['net.0.weight', [5, 4]], ['net.0.bias', [5]],
    ...[3, 6, 9].flatMap((at) => [[`net.${at}.weight`, [5, 5]], [`net.${at}.bias`, [5]]]), ['net.11.weight', [5]], ['net.11.bias', [5]],
  ] as [string, number[]][]);
  const made = await choose(source, shapes);
  wholly(made);
  assert.deepEqual({ ...made.resized }, { depth: 4 });
  assert.match(made.reason, /arguments told by the checkpoint's shapes: depth = 4/);
  assert.equal(made.classes['net.11.weight'], 'LayerNorm');
  assert.equal(made.lines['net.11'], 11);
  // A checkpoint that no count explains keeps its places open.
  const odd = await choose(source, { ...shapes, 'net.13.weight': [5] });
  assert.equal(odd.resized, undefined);
});

const VARIANTS = `
import torch, torch.nn as nn
class Gated(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.w12 = nn.Linear(dim, 4 * dim)
        self.w3 = nn.Linear(2 * dim, dim)
class Plain(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc = nn.Linear(dim, dim)
class Net(nn.Module):
    def __init__(self, dim=8, side=32, patch=4, mixer='plain', classify=False, classes=None, speakers=0, head_kwargs={}):
        super().__init__()
        assert mixer in ('plain', 'gated', 'odd')
        self.pos = nn.Parameter(torch.zeros(1, (side // patch) ** 2 + 1, dim))
        if mixer == 'gated':
            self.mix = Gated(dim)
        else:
            self.mix = Plain(dim)
        if speakers > 1:
            self.speaker = nn.Embedding(speakers, dim)
        if classify and classes is not None:
            self.logits = nn.Linear(dim, classes)
        self.out = Out(dim, **head_kwargs)
class Out(nn.Module):
    def __init__(self, dim, depth=3):
        super().__init__()
        for i in range(depth):
            setattr(self, f'fc{i}', nn.Linear(dim, dim))
`;
const variant = (parts: Shapes): Shapes => ({ pos: [1, 65, 8], 'mix.fc.weight': [8, 8], 'mix.fc.bias': [8], ...Object.fromEntries([0, 1, 2].flatMap((i) => [[`out.fc${i}.weight`, [8, 8]], [`out.fc${i}.bias`, [8]]])), ...parts });
const lacking = (shapes: Shapes, ...names: readonly string[]): Shapes => Object.fromEntries(Object.entries(shapes).filter(([name]) => !names.some((start) => name.startsWith(start))));

test('a text option takes one of the values that the source compares it with', async () => {
  const made = await choose(VARIANTS, lacking(variant({ 'mix.w12.weight': [32, 8], 'mix.w12.bias': [32], 'mix.w3.weight': [8, 16], 'mix.w3.bias': [8] }), 'mix.fc'), 'Net');
  assert.deepEqual(made.resized, { mixer: 'gated' });
  assert.equal(made.classes['mix.w12.weight'], 'Linear');
  wholly(made);
});

const TAILS = `
import torch, torch.nn as nn
class Body(nn.Module):
    def __init__(self, dim, depth):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(dim, dim) for _ in range(depth)])
class Net(nn.Module):
    def __init__(self, dim=8, depth=150, tail=''):
        super().__init__()
        self.body = Body(dim, depth)
        if tail == 'up':
            self.up = nn.Sequential(nn.Linear(dim, 4 * dim))
        elif tail == 'slim':
            self.up = nn.Sequential(nn.Linear(dim, 12))
        else:
            self.last = nn.Linear(dim, 3)
`;

test('one option of a large model that fits otherwise: the value with which everything fits; unknown where none does', async () => {
  const body = Object.fromEntries(Array.from({ length: 150 }, (_, i) => [[`body.blocks.${i}.weight`, [8, 8]], [`body.blocks.${i}.bias`, [8]]]).flat());
  const made = await choose(TAILS, { ...body, 'up.0.weight': [12, 8], 'up.0.bias': [12] }, 'Net');
  assert.deepEqual(made.resized, { tail: 'slim' });
  wholly(made);
  const odd = await choose(TAILS, { ...body, 'up.0.weight': [13, 8], 'up.0.bias': [13] }, 'Net');
  assert.deepEqual([odd.resized, odd.loosened], [undefined, ['tail']]);
});

test('another image size squares into the positions', async () => {
  const made = await choose(VARIANTS, variant({ pos: [1, 257, 8] }), 'Net');
  assert.deepEqual(made.resized, { side: 64 });
  wholly(made);
});

test('parts that the defaults leave out are not unexpected; a foreign tensor is, and so is a lost one', async () => {
  const made = await choose(VARIANTS, variant({ 'logits.weight': [5, 8], 'logits.bias': [5], 'speaker.weight': [9, 8] }), 'Net');
  wholly(made);
  assert.equal(made.classes['logits.weight'], 'Linear');
  const foreign = await choose(VARIANTS, variant({ 'other.weight': [5, 8] }), 'Net');
  assert.deepEqual(foreign.unlinked, ['other.weight']);
  const lost = await choose(VARIANTS, lacking(variant({ 'speaker.weight': [9, 8] }), 'mix.fc.bias'), 'Net');
  assert.deepEqual([lost.unlinked, lost.missing], [[], ['mix.fc.bias']]);
});

test('what is off by default and called as the tensors that nothing explains is on in the checkpoint; the other defaults stay', async () => {
  const source = `
import torch, torch.nn as nn
class Adapted(nn.Module):
    def __init__(self, dim, rank, on):
        super().__init__()
        self.linear = nn.Linear(dim, dim, bias=False)
        if rank > 0 and on:
            self.lora_A = nn.Parameter(torch.empty(rank, dim))
            self.lora_B = nn.Parameter(torch.empty(dim, rank))
class Net(nn.Module):
    def __init__(self, dim=8, depth=4, final=False, lora_rank=0, lora_query=False, lora_head=False, dropout=0.0):
        super().__init__()
        self.blocks = nn.ModuleList([Adapted(dim, lora_rank, lora_query) for _ in range(depth)])
        self.head = Adapted(dim, lora_rank, lora_head)
        self.final = nn.LayerNorm(dim) if final else nn.Identity()
`;
  const made = await choose(source, Object.fromEntries([
    ...Array.from({ length: 4 }, (_, i) => [[`blocks.${i}.linear.weight`, [8, 8]], [`blocks.${i}.lora_A`, [2, 8]], [`blocks.${i}.lora_B`, [8, 2]]]).flat(),
    ['head.linear.weight', [8, 8]],
  ] as [string, number[]][]));
  wholly(made);
  assert.deepEqual(made.loosened, ['lora_rank', 'lora_query']);
});

test('a value read off the checkpoint that it refutes as often as it confirms is not known; one it mostly confirms shows the damage', async () => {
  const python = workspace(`
import torch, torch.nn as nn
class Net(nn.Module):
    def __init__(self, depth=1, head=4, heads=2):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, heads * head, bias=False) for _ in range(depth)])
        self.register_buffer('table', torch.zeros(16, head))
`);
  try {
    const file = at('model.py');
    const candidate = python.rootCandidates(file).find(({ name }) => name === 'Net')!;
    const builder = new TreeBuilder(python, file);
    const settled = async (shapes: Shapes, resized: Readonly<Record<string, unknown>>) => {
      const query: RootQuery = { python, file, candidates: [candidate], checkpoint: checkpoint(shapes), values: [] };
      const tree = (await builder.build('Net', resized))!;
      const linked = link(tree, query.checkpoint);
      const made = await settle(query, builder, { candidate, tree, link: linked, args: null, argsFrom: null, resized, fit: fitOf(tree, linked) });
      return { resized: made.resized, loosened: made.loosened, misshaped: made.link.misshaped.map(({ name }) => name) };
    };
    assert.deepEqual(await settled({ 'layers.0.weight': [24, 8], table: [16, 6] }, { head: 12 }), { resized: undefined, loosened: ['head'], misshaped: [] });
    const deep: Shapes = { 'layers.0.weight': [24, 8], 'layers.1.weight': [24, 8], 'layers.2.weight': [24, 8], table: [16, 11] };
    assert.deepEqual(await settled(deep, { depth: 3, head: 12 }), { resized: { depth: 3, head: 12 }, loosened: undefined, misshaped: ['table'] });
    const fits = { resized: { head: 12 }, loosened: undefined, misshaped: [] };
    assert.deepEqual(await settled({ 'layers.0.weight': [24, 8], table: [16, 12] }, { head: 12 }), fits);
  } finally { python.dispose(); }
});
