import assert from 'node:assert/strict';
import test from 'node:test';
import { link, weightLayers } from '../../../server/linking/link';
import { batchNorm, buffer, checkpoint, checkpointOf, conv, embedding, linear, node, parameter, tensor, tree, treeOf } from './build';

const mlp = tree(linear('fc1', 4, 8), linear('fc2', 8, 2));
const mlpShapes = { 'fc1.weight': [8, 4], 'fc1.bias': [8], 'fc2.weight': [2, 8], 'fc2.bias': [2] };
const prefixed = (prefix: string, shapes: Record<string, readonly number[]> = mlpShapes): Record<string, readonly number[]> =>
  Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [prefix + name, shape]));
const paths = (layers: readonly { path: string }[]): string[] => layers.map((layer) => layer.path);

test('plain names: every tensor explained, in source order', () => {
  const result = link(mlp, checkpoint(mlpShapes));
  assert.deepEqual(paths(result.layers), ['fc1', 'fc2']);
  assert.equal(result.explained, 1);
  assert.equal(result.prefix, '');
  assert.deepEqual([result.missing, result.misshaped, result.unlinkedTensors], [[], [], []]);
  assert.equal(result.layers[0]!.weight!.info!.name, 'fc1.weight');
});

for (const prefix of ['module.', 'model.', 'state_dict.', '_orig_mod.', 'net.', 'ema.', 'model_state_dict.', 'state_dict.module.', '_orig_mod.module.', 'module._orig_mod.', 'state_dict.model.net._orig_mod.', 'anything.at.all.']) {
  test(`prefix ${prefix} is taken off`, () => {
    const result = link(mlp, checkpoint(prefixed(prefix)));
    assert.equal(result.explained, 1);
    assert.equal(result.prefix, prefix);
    assert.deepEqual([result.missing, result.unlinkedTensors], [[], []]);
  });
}

test('_orig_mod and module in the middle of a name', () => {
  const shapes = { 'model._orig_mod.fc1.weight': [8, 4], 'model._orig_mod.fc1._orig_mod.bias': [8], 'model.fc2.module.weight': [2, 8], 'model.fc2.bias': [2] };
  const result = link(mlp, checkpoint(shapes));
  assert.equal(result.explained, 1);
  assert.deepEqual(result.missing, []);
});

test('a prefix that the source has itself stays', () => {
  const source = tree(node('model', 'Inner', 'user', [], [linear('fc1', 4, 8), linear('fc2', 8, 2)]));
  const result = link(source, checkpoint(prefixed('model.')));
  assert.equal(result.prefix, '');
  assert.deepEqual(paths(result.layers), ['model.fc1', 'model.fc2']);
  const module = tree(node('module', 'Inner', 'user', [], [linear('fc1', 4, 8), linear('fc2', 8, 2)]));
  assert.equal(link(module, checkpoint(prefixed('module.'))).prefix, '');
  assert.equal(link(module, checkpoint(prefixed('module.module.'))).prefix, 'module.');
});

test('a class that is a part of the checkpoint: the rest is noted, not unexpected', () => {
  const result = link(mlp, checkpoint({ ...prefixed('encoder.'), 'decoder.a.weight': [3, 3], 'decoder.a.bias': [3] }));
  assert.equal(result.prefix, 'encoder.');
  assert.deepEqual(result.unlinkedTensors, []);
  assert.deepEqual(result.elsewhere, [{ prefix: 'decoder.', tensors: 2 }]);
});

test('a checkpoint that is a part of the class is put where it fits', () => {
  const source = tree(node('backbone', 'Inner', 'user', [], [linear('fc1', 4, 8), linear('fc2', 8, 2)]), linear('head', 2, 10));
  const result = link(source, checkpoint(mlpShapes));
  assert.equal(result.subtree, 'backbone');
  assert.deepEqual(result.layers.filter((layer) => layer.linked).map((layer) => layer.path), ['backbone.fc1', 'backbone.fc2']);
  assert.deepEqual(result.missing.map(({ name }) => name), ['head.weight', 'head.bias']);
});

test('optimizer state and an EMA copy are noted once each', () => {
  const shapes = { ...prefixed('model.'), ...prefixed('ema.'), 'optimizer.state.0.exp_avg': [8, 4], 'optimizer.state.0.exp_avg_sq': [8, 4], 'optimizer.state.1.exp_avg': [8] };
  const result = link(mlp, checkpoint(shapes));
  assert.equal(result.prefix, 'model.');
  assert.equal(result.explained, 1);
  assert.deepEqual(result.unlinkedTensors, []);
  assert.deepEqual(result.elsewhere, [{ prefix: 'ema.', tensors: 4 }, { prefix: 'optimizer.', tensors: 3 }]);
});

test('the EMA copy is not chosen over the model even when it comes first', () => {
  assert.equal(link(mlp, checkpoint({ ...prefixed('ema_model.'), ...prefixed('model.') })).prefix, 'model.');
});

test('model at the top level beside optimizer state and a copy', () => {
  const result = link(mlp, checkpoint({ ...mlpShapes, ...prefixed('ema.'), 'optimizer.state.0.exp_avg': [8, 4], 'extra.weight': [2] }));
  assert.equal(result.prefix, '');
  assert.deepEqual(result.unlinkedTensors.map((info) => info.name), ['extra.weight']);
  assert.equal(result.elsewhere!.length, 2);
});

test('missing, unexpected and mis-shaped tensors', () => {
  const result = link(mlp, checkpoint({ 'fc1.weight': [8, 5], 'fc1.bias': [8], 'fc2.bias': [2], 'fc3.weight': [1, 1] }));
  assert.deepEqual(result.missing.map(({ name }) => name), ['fc2.weight']);
  assert.deepEqual(result.misshaped.map(({ name, expected, actual }) => ({ name, expected, actual })), [{ name: 'fc1.weight', expected: [8, 4], actual: [8, 5] }]);
  assert.deepEqual(result.unlinkedTensors.map((info) => info.name), ['fc3.weight']);
  assert.equal(result.layers[0]!.tensors[0]!.shapeMismatch, true);
});

test('num_batches_tracked, optional parameters and non-persistent buffers are not missing', () => {
  const source = treeOf(node('', 'Net', 'user', [buffer('mask', [4, 4], { persistent: false })], [
    batchNorm('bn', 4), node('fc', 'Linear', 'torch', [parameter('weight', [2, 4]), parameter('bias', [2], { optional: true })]),
  ]));
  const result = link(source, checkpoint({ 'bn.weight': [4], 'bn.bias': [4], 'bn.running_mean': [4], 'bn.running_var': [4], 'fc.weight': [2, 4] }));
  assert.deepEqual(result.missing, []);
  assert.deepEqual(link(source, checkpoint({ 'fc.weight': [2, 4] })).missing.map(({ name }) => name),
    ['bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var']);
});

test('an optional module that is absent is fine, and one that is present is held to its word', () => {
  const source = tree(linear('fc1', 4, 8), linear('aux', 8, 3, { optional: true }));
  assert.deepEqual(paths(link(source, checkpoint({ 'fc1.weight': [8, 4], 'fc1.bias': [8] })).layers), ['fc1']);
  const present = link(source, checkpoint({ 'fc1.weight': [8, 4], 'fc1.bias': [8], 'aux.weight': [3, 8] }));
  assert.deepEqual(paths(present.layers), ['fc1', 'aux']);
  assert.deepEqual(present.missing.map(({ name }) => name), ['aux.bias']);
});

test('of two modules at one path the one that fits is taken', () => {
  const source = tree(conv('stem', 3, 8, { optional: true }), node('stem', 'Sequential', 'torch', [], [conv('0', 3, 4), conv('1', 4, 8)], { optional: true }));
  const deep = link(source, checkpoint({ 'stem.0.weight': [4, 3, 3, 3], 'stem.1.weight': [8, 4, 3, 3] }));
  assert.deepEqual(paths(deep.layers), ['stem.0', 'stem.1']);
  const plain = link(source, checkpoint({ 'stem.weight': [8, 3, 3, 3] }));
  assert.deepEqual(paths(plain.layers), ['stem']);
  assert.deepEqual([deep.missing, plain.missing], [[], []]);
});

test('stars take the indices that the checkpoint has, nested, in number order', () => {
  const block = node('blocks.*', 'Block', 'user', [], [linear('attn', 4, 4), linear('experts.*', null, null)]);
  const shapes: Record<string, readonly number[]> = {};
  for (const index of [0, 2, 10, 1]) {
    shapes[`blocks.${index}.attn.weight`] = [4, 4];
    shapes[`blocks.${index}.attn.bias`] = [4];
    for (const expert of [1, 0]) {
      shapes[`blocks.${index}.experts.${expert}.weight`] = [3, 4];
      shapes[`blocks.${index}.experts.${expert}.bias`] = [3];
    }
  }
  delete shapes['blocks.2.attn.bias'];
  const result = link(tree(block), checkpoint(prefixed('module.', shapes)));
  assert.deepEqual(paths(result.layers), [0, 1, 2, 10].flatMap((index) => [`blocks.${index}.attn`, `blocks.${index}.experts.0`, `blocks.${index}.experts.1`]));
  assert.deepEqual(result.missing.map(({ name }) => name), ['blocks.2.attn.bias']);
  assert.deepEqual(result.unlinkedTensors, []);
});

test('a literal index wins over a star, and partial stars match by their text', () => {
  const source = tree(conv('features.0', 3, 4), node('features.*', 'BatchNorm2d', 'torch', [parameter('weight', [4]), parameter('bias', [4])]), linear('head_*', 4, null));
  const result = link(source, checkpoint({ 'features.0.weight': [4, 3, 3, 3], 'features.1.weight': [4], 'features.1.bias': [4], 'head_a.weight': [7, 4], 'head_a.bias': [7], 'tail.weight': [1, 1] }));
  assert.deepEqual(result.layers.map((layer) => [layer.path, layer.className]), [['features.0', 'Conv2d'], ['features.1', 'BatchNorm2d'], ['head_a', 'Linear']]);
  assert.deepEqual(result.unlinkedTensors.map((info) => info.name), ['tail.weight']);
});

test('weight tying by the source: the name that safetensors drops is not missing', () => {
  const head = node('lm_head', 'Linear', 'torch', [parameter('weight', [16, 4], { tiedTo: 'embed.weight' })]);
  const source = tree(embedding('embed', 16, 4), head);
  const result = link(source, checkpoint({ 'embed.weight': [16, 4] }));
  assert.deepEqual(result.missing, []);
  assert.deepEqual(result.tied, [['embed.weight', 'lm_head.weight']]);
  assert.equal(result.layers[1]!.tiedTo, 'embed');
  assert.equal(result.layers[1]!.weight!.info!.name, 'embed.weight');
  assert.deepEqual(paths(weightLayers(result)), ['embed']);
  // The other one dropped: what is stored carries the bytes.
  const other = link(source, checkpoint({ 'lm_head.weight': [16, 4] }));
  assert.deepEqual(other.missing, []);
  assert.deepEqual(paths(weightLayers(other)), ['lm_head']);
  assert.equal(other.layers[0]!.tiedTo, 'lm_head');
});

test('weight tying by shared storage in the checkpoint', () => {
  const source = tree(embedding('embed', 16, 4), node('lm_head', 'Linear', 'torch', [parameter('weight', [16, 4])]), node('other', 'Linear', 'torch', [parameter('weight', [2, 4])]));
  const shared = { storage: '0', offset: 64 };
  const result = link(source, checkpointOf([tensor('embed.weight', [16, 4], 'F32', shared), tensor('lm_head.weight', [16, 4], 'F32', shared),
    tensor('other.weight', [2, 4], 'F32', shared)]));
  assert.deepEqual(result.tied, [['embed.weight', 'lm_head.weight']], 'a view of another shape is not the same tensor');
  assert.equal(result.layers[1]!.tiedTo, 'embed');
});

test('tie_word_embeddings of the configuration ties the head that has no tensor', () => {
  const source = tree(embedding('embed', 16, 4), node('lm_head', 'Linear', 'torch', [parameter('weight', [16, 4])]));
  const weights = checkpoint({ 'embed.weight': [16, 4] });
  assert.deepEqual(link(source, weights).missing.map(({ name }) => name), ['lm_head.weight']);
  assert.deepEqual(link(source, weights, { tieEmbeddings: true }).missing, []);
});

test('ties that a class declares, by name and by pattern, and a head of unknown width that is not the vocabulary', () => {
  const decoder = (path: string) => node(path, 'Decoder', 'user', [parameter('bias', [16])], [linear('out', 4, 16)], { ties: [['out.bias', 'bias']] });
  const blocks = node('blocks', 'Blocks', 'user', [], [linear('0', 4, 4), linear('1', 4, 4)]);
  const copies = node('copies', 'Blocks', 'user', [], [linear('0', 4, 4), linear('1', 4, 4)]);
  const root = node('', 'Net', 'user', [], [embedding('table', 16, 4), decoder('decoder'), blocks, copies, linear('classes', 4, null)], {
    ties: [['decoder.out.weight', 'table.weight'], ['copies\\.(\\d+)\\.weight', '^blocks.(\\d+).weight$'], ['copies.0.bias', 'absent'], ['(a+)+$', 'table.weight']] });
  const stored = { 'table.weight': [16, 4], 'decoder.bias': [16], 'blocks.0.weight': [4, 4], 'blocks.0.bias': [4], 'blocks.1.weight': [4, 4], 'blocks.1.bias': [4], 'copies.0.bias': [4], 'copies.1.bias': [4] };
  const result = link(treeOf(root), checkpoint(stored), { tieEmbeddings: true });
  assert.deepEqual(result.missing.map(({ name }) => name), ['classes.weight', 'classes.bias']);
  assert.deepEqual(result.tied, [['table.weight', 'decoder.out.weight'], ['decoder.bias', 'decoder.out.bias'], ['blocks.0.weight', 'copies.0.weight'], ['blocks.1.weight', 'copies.1.weight']]);
  assert.equal(link(treeOf(root), checkpoint(stored)).missing.length, 6);
});

test('weight_norm, parametrizations, spectral_norm and pruning stand for the weight', () => {
  const source = tree(conv('a', 2, 4), conv('b', 2, 4), conv('c', 2, 4), conv('d', 2, 4));
  const result = link(source, checkpoint({
    'a.weight_g': [4, 1, 1, 1], 'a.weight_v': [4, 2, 3, 3],
    'b.parametrizations.weight.original0': [4, 1, 1, 1], 'b.parametrizations.weight.original1': [4, 2, 3, 3],
    'c.weight_orig': [4, 2, 3, 3], 'c.weight_u': [4], 'c.weight_v': [18],
    'd.weight_orig': [4, 2, 3, 3], 'd.weight_mask': [4, 2, 3, 3],
  }));
  assert.deepEqual([result.missing, result.unlinkedTensors], [[], []]);
  assert.deepEqual(result.layers.map((layer) => layer.weight?.info?.name), ['a.weight_v', 'b.parametrizations.weight.original1', 'c.weight_orig', 'd.weight_orig']);
});

test('checkpoints that are quantized already: linked, nothing to quantize, nothing missing', () => {
  const source = tree(node('a', 'Linear', 'torch', [parameter('weight', [8, 16])]), node('b', 'Linear', 'torch', [parameter('weight', [8, 16])]), node('c', 'Linear', 'torch', [parameter('weight', [8, 16])]));
  const result = link(source, checkpointOf([
    tensor('a.weight_packed', [8, 2], 'I32'), tensor('a.weight_scale', [8, 1]), tensor('a.weight_shape', [2], 'I64'),
    tensor('b.qweight', [2, 8], 'I32'), tensor('b.qzeros', [1, 1], 'I32'), tensor('b.scales', [1, 8], 'F16'), tensor('b.g_idx', [16], 'I32'),
    tensor('c.weight', [8, 16], 'I8'), tensor('c.SCB', [8]), tensor('c.weight_format', [], 'U8'),
  ]));
  assert.deepEqual([result.missing, result.unlinkedTensors], [[], []]);
  assert.ok(result.layers.every((layer) => layer.linked && layer.weight === null));
});

test('own parameters are layers of their own when they are matrices; tokens and scales are not', () => {
  const source = treeOf(node('', 'ViT', 'user', [parameter('cls_token', [1, 1, 8]), parameter('pos_embed', [1, 5, 8])], [
    node('block', 'Block', 'user', [parameter('gamma', [8]), parameter('table', [9, 2])], [linear('fc', 8, 8)]),
    node('custom', 'MyLinear', 'user', [parameter('weight', [8, 8]), parameter('bias', [8])]),
  ]));
  const result = link(source, null);
  assert.deepEqual(result.layers.map((layer) => [layer.path, layer.modulePath ?? null, layer.weight?.name ?? null, layer.outputAxis]), [
    ['pos_embed', '', 'pos_embed', 1],
    ['', null, null, 0],
    ['block.table', 'block', 'block.table', 0],
    ['block', null, null, 0],
    ['block.fc', null, 'block.fc.weight', 0],
    ['custom', null, 'custom.weight', 0],
  ]);
  assert.deepEqual(result.missing, []);
});

test('recurrent layers have one layer per weight', () => {
  const lstm = node('lstm', 'LSTM', 'torch', [parameter('weight_ih_l0', [16, 4]), parameter('weight_hh_l0', [16, 4]), parameter('bias_ih_l0', [16]), parameter('bias_hh_l0', [16])]);
  const result = link(tree(lstm), checkpoint({ 'lstm.weight_ih_l0': [16, 4], 'lstm.weight_hh_l0': [16, 4], 'lstm.bias_ih_l0': [16], 'lstm.bias_hh_l0': [16] }));
  assert.deepEqual(paths(result.layers), ['lstm.weight_ih_l0', 'lstm.weight_hh_l0', 'lstm']);
  assert.ok(result.layers.slice(0, 2).every((layer) => layer.modulePath === 'lstm' && layer.className === 'LSTM'));
});

test('transposed convolutions have their output channels on dimension 1; norms are never weights', () => {
  const source = tree(node('up', 'ConvTranspose2d', 'torch', [parameter('weight', [8, 4, 2, 2])]), node('ln', 'LayerNorm', 'torch', [parameter('weight', [4, 4]), parameter('bias', [4, 4])]));
  const result = link(source, checkpoint({ 'up.weight': [8, 4, 2, 2], 'ln.weight': [4, 4], 'ln.bias': [4, 4] }));
  assert.equal(result.layers[0]!.outputAxis, 1);
  assert.equal(result.layers[1]!.weight, null);
});

test('what lies in an unknown module is a layer by name, with the reason, and not unexpected', () => {
  const unknown = node('backbone', 'create_model', 'unknown', [], [], { unknown: { reason: 'timm is not in the workspace' } });
  const result = link(tree(unknown, linear('head', 8, 2)), checkpoint({
    'backbone.blocks.0.qkv.weight': [24, 8], 'backbone.blocks.0.qkv.bias': [24], 'backbone.norm.weight': [8], 'head.weight': [2, 8], 'head.bias': [2],
  }));
  assert.deepEqual([result.missing, result.unlinkedTensors], [[], []]);
  assert.deepEqual(result.layers.map((layer) => [layer.path, layer.inferred ?? null, layer.weight?.name ?? null]), [
    ['backbone.blocks.0.qkv', 'timm is not in the workspace', 'backbone.blocks.0.qkv.weight'],
    ['backbone.norm', 'timm is not in the workspace', null],
    ['head', null, 'head.weight'],
  ]);
  assert.equal(result.matched, 2);
  assert.equal(result.absorbed, 3);
});

test('without a checkpoint every layer is listed unlinked, stars as they stand', () => {
  const result = link(tree(linear('layers.*', 4, 4), linear('aux', 1, 1, { optional: true })), null);
  assert.deepEqual(result.layers.map((layer) => [layer.path, layer.linked]), [['layers.*', false], ['aux', false]]);
  assert.equal(result.explained, 0);
});

test('hostile names: prototypes, empty segments, thousands of segments, collisions', () => {
  const deep = Array.from({ length: 5000 }, () => 'a').join('.');
  const result = link(tree(linear('__proto__', 4, 4), linear('constructor', 2, 2)), checkpointOf([
    tensor('__proto__.weight', [4, 4]), tensor('__proto__.bias', [4]), tensor('constructor.weight', [2, 2]), tensor('constructor.bias', [2]),
    tensor(deep, [1]), tensor('..', [1]), tensor('', [1]), tensor('_orig_mod.__proto__.bias', [4]),
  ]));
  assert.deepEqual(paths(result.layers), ['__proto__', 'constructor']);
  assert.ok(result.layers.every((layer) => layer.linked));
  assert.deepEqual(result.missing, []);
  assert.deepEqual(result.unlinkedTensors.map((info) => info.name.length), [deep, '..', '', '_orig_mod.__proto__.bias'].map((name) => name.length));
});

test('nothing in common: everything missing and unexpected, nothing explained', () => {
  const result = link(mlp, checkpoint({ 'a.b': [1], 'c.d': [2, 2] }));
  assert.equal(result.explained, 0);
  assert.equal(result.missing.length, 4);
  assert.equal(result.unlinkedTensors.length, 2);
  assert.equal(result.prefix, '');
});

test('20,000 tensors in 1,000 blocks link without quadratic work', () => {
  const shapes: Record<string, readonly number[]> = {};
  for (let block = 0; block < 1000; block += 1) {
    for (let index = 0; index < 10; index += 1) {
      shapes[`module.layers.${block}.fc${index}.weight`] = [4, 4];
      shapes[`module.layers.${block}.fc${index}.bias`] = [4];
    }
  }
  const block = node('layers.*', 'Block', 'user', [], Array.from({ length: 10 }, (_, index) => linear(`fc${index}`, 4, 4)));
  const result = link(tree(block), checkpoint(shapes));
  assert.equal(result.layers.length, 10_000);
  assert.equal(result.explained, 1);
});

test('a recurrent network of unknown depth: each tensor takes the parameter whose name fits it most closely', () => {
  const optional = { optional: true };
  const rnn = node('rnn', 'LSTM', 'torch', [
    parameter('weight_ih_l0', [null, null]), parameter('bias_ih_l0', [null]),
    parameter('weight_ih_l*', [null, null], optional), parameter('bias_ih_l*', [null], optional),
    parameter('weight_ih_l*_reverse', [8, null], optional),
  ]);
  const result = link(tree(rnn), checkpoint({
    'rnn.weight_ih_l0': [96, 16], 'rnn.bias_ih_l0': [96], 'rnn.weight_ih_l1': [96, 24], 'rnn.bias_ih_l1': [96], 'rnn.weight_ih_l1_reverse': [9, 24],
  }));
  assert.deepEqual(result.unlinkedTensors, []);
  assert.deepEqual(result.misshaped.map(({ name }) => name), ['rnn.weight_ih_l1_reverse']);
});

test('under modules of unknown content, the keys that lead to the state dict are no part of the names', () => {
  const stored = checkpointOf(['model.model.0.weight', 'model.model.1.weight'].map((name) => ({ ...tensor(name, [2, 2]), container: 'model' })));
  const open = node('model', 'Inner', 'unknown', [], [], { unknown: { reason: 'not known' } });
  assert.equal(link(tree(open), stored).prefix, 'model.');
  const unknownRoot = treeOf(node('', 'Net', 'unknown', [], [], { unknown: { reason: 'not known' } }));
  assert.deepEqual(paths(link(unknownRoot, stored).layers), ['model.0', 'model.1']);
  const plain = checkpointOf([tensor('model.0.weight', [2, 2])]);
  assert.deepEqual(paths(link(tree(open), plain).layers), ['model.0']);
});
