/** The table against what PyTorch said about itself (test/fixtures/torch-table/generate.py), and its own rules. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import {
  torchModule, torchModules, torchReparametrization, type TorchArgs, type TorchModuleSpec, type TorchParameter, type TorchSignatureParameter,
} from '../../../server/python/torch/table';

interface Call { readonly class: string; readonly args: unknown[]; readonly kwargs: Record<string, unknown>; readonly state: [string, number[]][] }
interface Fixture {
  readonly signatures: Record<string, { module: string; parameters: { name: string; kind: string; default?: unknown }[] }>;
  readonly constructed: Call[];
  readonly reparametrized: (Call & { readonly function: string })[];
}
const fixture = JSON.parse(readFileSync(path.join(process.env.BITLENS_ROOT!, 'test/fixtures/torch-table/torch-modules.json'), 'utf8')) as Fixture;

const row = (name: string): TorchModuleSpec => {
  const found = torchModule(name);
  assert.ok(found, `${name} is in the table`);
  return found;
};

/** Python's binding of a call to a signature, defaults applied. */
function bind(signature: readonly TorchSignatureParameter[], args: readonly unknown[], kwargs: Record<string, unknown>): TorchArgs {
  const bound: Record<string, unknown> = {};
  const positional = signature.filter((parameter) => parameter.kind === undefined);
  const rest = signature.find((parameter) => parameter.kind === 'varargs');
  args.slice(0, positional.length).forEach((value, index) => { bound[positional[index]!.name] = value; });
  if (rest) bound[rest.name] = args.slice(positional.length);
  else assert.ok(args.length <= positional.length, 'too many positional arguments');
  for (const [name, value] of Object.entries(kwargs)) bound[name] = value;
  for (const parameter of signature) {
    if (!(parameter.name in bound) && 'default' in parameter) bound[parameter.name] = parameter.default;
  }
  return bound;
}

/** `$module` becomes a module of the table, `$tensor` a value whose shape is known. */
function resolve(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(resolve);
  if (typeof value !== 'object' || value === null) return value;
  if ('$tensor' in value) return { shape: value.$tensor };
  if ('$module' in value) {
    const [name, args, kwargs] = value.$module as [string, unknown[], Record<string, unknown>];
    const spec = row(`torch.nn.${name}`);
    return { spec: spec.qualifiedName, args: bind(spec.signature, args.map(resolve), resolveAll(kwargs)) };
  }
  return value;
}
const resolveAll = (record: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, resolve(value)]));

function expand(spec: TorchModuleSpec, args: TorchArgs, prefix = ''): (TorchParameter & { fullName: string })[] {
  const content = spec.build(args);
  return [
    ...content.parameters.filter((item) => item.persistent !== false).map((item) => ({ ...item, fullName: prefix + item.name })),
    ...content.children.flatMap((child) => {
      assert.ok('spec' in child, `child ${child.name} of ${spec.qualifiedName} is described by the table`);
      const next = row(child.spec);
      return expand(next, bind(next.signature, [], child.args), `${prefix}${child.name}.`);
    }),
  ];
}

const stateOf = (parameters: readonly (TorchParameter & { fullName?: string })[]): unknown[] => parameters.map((item) => {
  assert.ok(!item.optional, `${item.name} is certain when every argument is known`);
  return [item.fullName ?? item.name, item.shape];
});

const byClass = new Map<string, Call[]>();
for (const call of fixture.constructed) byClass.set(call.class, [...(byClass.get(call.class) ?? []), call]);
for (const [name, calls] of byClass) {
  test(`torch.nn.${name}: state_dict of ${calls.length} constructions`, () => {
    for (const call of calls) {
      const spec = row(`torch.nn.${name}`);
      const args = bind(spec.signature, call.args.map(resolve), resolveAll(call.kwargs));
      assert.deepEqual(stateOf(expand(spec, args)), call.state, JSON.stringify({ args: call.args, kwargs: call.kwargs }));
    }
  });
}

/** What later releases added to a signature of 1.13, or said more openly than `*args`. */
const later: Record<string, string[]> = {
  LayerNorm: ['bias'], TransformerEncoderLayer: ['bias'], TransformerDecoderLayer: ['bias'], Transformer: ['bias'], Embedding: ['_freeze'],
};
const opaque = new Set(['RNN', 'LSTM', 'GRU', 'Module']);

test('every Module class that torch.nn exports is in the table, under each of its names', () => {
  for (const [name, { module }] of Object.entries(fixture.signatures)) {
    assert.equal(row(`torch.nn.${name}`).className, name);
    assert.equal(torchModule(`${module}.${name}`), torchModule(`torch.nn.${name}`), `${module}.${name}`);
  }
});

test('signatures have the names, order and defaults that inspect tells', () => {
  const kinds: Record<string, string | undefined> = { positional_or_keyword: undefined, keyword_only: 'keyword', var_positional: 'varargs', var_keyword: 'kwargs' };
  for (const [name, { parameters }] of Object.entries(fixture.signatures)) {
    if (opaque.has(name)) continue;
    const ours = row(`torch.nn.${name}`).signature.filter((parameter) => !later[name]?.includes(parameter.name));
    assert.deepEqual(ours.map((p) => [p.name, p.kind]), parameters.map((p) => [p.name, kinds[p.kind]]), name);
    for (const [index, theirs] of parameters.entries()) {
      assert.equal('default' in ours[index]!, 'default' in theirs, `${name}.${theirs.name} has a default`);
      const value = ours[index]!.default;
      // A default that is a function is compared by its last name: F.relu is relu.
      const seen = typeof value === 'object' && value !== null && 'python' in value ? { python: String(value.python).split('.').pop() } : value;
      assert.deepEqual(seen, theirs.default, `${name}.${theirs.name}`);
    }
  }
});

test('reparametrized weights have the tensors that PyTorch leaves', () => {
  for (const call of fixture.reparametrized) {
    const spec = row(`torch.nn.${call.class}`);
    const own = spec.build(bind(spec.signature, call.args, {})).parameters;
    const change = torchReparametrization(call.function);
    assert.ok(change, call.function);
    const after = change.apply(bind(change.signature, [null], call.kwargs), own, spec);
    assert.ok(after);
    assert.deepEqual(stateOf(after), call.state, `${call.function}(${call.class}) ${JSON.stringify(call.kwargs)}`);
  }
});

test('removing a weight norm gives the weight back', () => {
  const spec = row('torch.nn.Conv1d');
  const own = spec.build(bind(spec.signature, [4, 6, 3], {})).parameters;
  const normed = torchReparametrization('torch.nn.utils.weight_norm')!.apply({ name: 'weight', dim: 0 }, own, spec)!;
  const back = torchReparametrization('torch.nn.utils.remove_weight_norm')!.apply({ name: 'weight' }, normed, spec)!;
  assert.deepEqual(back.map((item) => [item.name, item.shape]), [['bias', [6]], ['weight', [6, 4, 3]]]);
  assert.equal(torchReparametrization('torch.nn.utils.weight_norm')!.apply({ name: 'kernel', dim: 0 }, own, spec), undefined);
});

test('no row throws or promises anything when nothing is known about its arguments', () => {
  for (const spec of torchModules()) {
    const nothing = Object.fromEntries(spec.signature.map((parameter) => [parameter.name, undefined]));
    const content = spec.build(nothing);
    for (const tensor of content.parameters) {
      const known = (tensor.shape ?? []).filter((size) => size !== null && size !== 1);
      assert.deepEqual(known, [], `${spec.qualifiedName}.${tensor.name} with nothing known`);
    }
  }
});

test('rubbish arguments are unknown, not numbers', () => {
  for (const spec of torchModules()) {
    for (const rubbish of [-1, 1.5, 'text', [], [null], {}, Number.NaN, Number.POSITIVE_INFINITY]) {
      const content = spec.build(Object.fromEntries(spec.signature.map((parameter) => [parameter.name, rubbish])));
      for (const tensor of content.parameters) {
        assert.ok((tensor.shape ?? []).every((size) => size === null || (Number.isInteger(size) && size >= 0)), `${spec.qualifiedName}.${tensor.name}`);
      }
    }
  }
});

test('an unknown flag makes a tensor optional, an unknown size leaves the rank', () => {
  const conv = row('torch.nn.Conv2d');
  const args = bind(conv.signature, [undefined, 8, undefined], { bias: undefined });
  assert.deepEqual(conv.build(args).parameters, [
    { name: 'weight', kind: 'parameter', shape: [8, null, null, null] },
    { name: 'bias', kind: 'parameter', shape: [8], optional: true },
  ]);
  const norm = row('torch.nn.LayerNorm');
  assert.equal(norm.build(bind(norm.signature, [undefined], {})).parameters[0]!.shape, null);
});

test('later signatures: LayerNorm(bias=False), RMSNorm, a lazy layer whose input is unknown', () => {
  const layer = row('torch.nn.LayerNorm');
  assert.deepEqual(expand(layer, bind(layer.signature, [4], { bias: false })).map((item) => item.fullName), ['weight']);
  const rms = row('torch.nn.RMSNorm');
  assert.deepEqual(stateOf(expand(rms, bind(rms.signature, [[2, 3]], {}))), [['weight', [2, 3]]]);
  const lazy = row('torch.nn.LazyConv2d');
  assert.deepEqual(stateOf(expand(lazy, bind(lazy.signature, [8, 3], {}))), [['weight', [8, null, 3, 3]], ['bias', [8]]]);
});

test('third-party classes are found where they are imported from', () => {
  const places: Record<string, string> = {
    'timm.models.layers.DropPath': 'DropPath', 'timm.layers.drop.DropPath': 'DropPath', 'timm.models.vision_transformer.Block': 'Block',
    'timm.layers.norm.LayerNorm2d': 'LayerNorm2d', 'torchvision.ops.misc.FrozenBatchNorm2d': 'FrozenBatchNorm2d', 'torch.quantization.QuantStub': 'QuantStub',
    'torch.nn.parallel.DataParallel': 'DataParallel', 'torchmetrics.classification.Accuracy': 'Accuracy', 'torch.nn.qat.Linear': 'Linear',
    'bitsandbytes.nn.modules.Linear8bitLt': 'Linear8bitLt', 'apex.normalization.fused_layer_norm.FusedLayerNorm': 'FusedLayerNorm',
  };
  for (const [name, className] of Object.entries(places)) assert.equal(row(name).className, className);
  for (const name of ['torch.nn.Liner', 'timm.models.resnet.ResNet', 'torch.nn.functional.linear', 'somewhere.Linear', '']) {
    assert.equal(torchModule(name), undefined, name);
  }
});

test('the content of third-party rows', () => {
  const mlp = row('torchvision.ops.MLP');
  assert.deepEqual(stateOf(expand(mlp, bind(mlp.signature, [4, [8, 2]], { norm_layer: { python: 'nn.LayerNorm' } }))), [
    ['0.weight', [8, 4]], ['0.bias', [8]], ['1.weight', [8]], ['1.bias', [8]], ['4.weight', [2, 8]], ['4.bias', [2]]]);
  const conv = row('transformers.pytorch_utils.Conv1D');
  assert.equal(conv.outputAxis, 1);
  assert.deepEqual(stateOf(expand(conv, bind(conv.signature, [12, 4], {}))), [['weight', [4, 12]], ['bias', [12]]]);
  const norm = row('torchvision.ops.misc.Conv2dNormActivation');
  assert.deepEqual(expand(norm, bind(norm.signature, [3, 8], {})).map((item) => item.fullName),
    ['0.weight', '1.weight', '1.bias', '1.running_mean', '1.running_var', '1.num_batches_tracked']);
  const block = row('timm.models.vision_transformer.Block');
  assert.deepEqual(stateOf(expand(block, bind(block.signature, [6, 2], { qkv_bias: true, mlp_ratio: 2 }))).slice(2, 6), [
    ['attn.qkv.weight', [18, 6]], ['attn.qkv.bias', [18]], ['attn.proj.weight', [6, 6]], ['attn.proj.bias', [6]]]);
});

test('attributes of an instance that are not its arguments', () => {
  const conv = row('torch.nn.Conv2d');
  assert.deepEqual(conv.attributes!(bind(conv.signature, [3, 8, 3], { padding: 'same', stride: undefined })),
    { kernel_size: [3, 3], stride: undefined, padding: 'same', dilation: [1, 1] });
  const patches = row('timm.models.vision_transformer.PatchEmbed');
  assert.equal(patches.attributes!(bind(patches.signature, [32, 8], {})).num_patches, 16);
  assert.equal(patches.attributes!(bind(patches.signature, [undefined, 8], {})).num_patches, undefined);
});
