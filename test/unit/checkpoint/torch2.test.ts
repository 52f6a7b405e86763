import assert from 'node:assert/strict';
import test from 'node:test';
import { openCheckpoint, type Checkpoint, type TensorInfo } from '../../../kernels/checkpoint';
import { build, call, dict, float, floats, global, list, made, ordered, pickle, rawBytes, storage, tensorV2, torchLegacy, torchZip, tuple, withItems, type Py } from './pickles';
import { opened, refused, valuesOf, writeScratch } from './support';

/** Files as programs that are not installed here write them, built opcode by opcode after their sources. */
const names = (checkpoint: Checkpoint): string[] => checkpoint.tensors.map((tensor) => tensor.name);
const find = (checkpoint: Checkpoint, name: string): TensorInfo => checkpoint.tensors.find((tensor) => tensor.name === name) ?? assert.fail(`${name} is not among ${names(checkpoint).join(', ')}`);
const utils = (name: string): Py => global('torch._utils', name);
const module = (cls: string, parameters: [string, Py][], buffers: [string, Py][], modules: [string, Py][], more: [Py, Py][] = []): Py =>
  build(made(global('net', cls)), dict([['training', true], ['_parameters', ordered(parameters)], ['_buffers', ordered(buffers)], ['_modules', ordered(modules)], ...more]));
const f32 = (key: string, ...shape: number[]): Py => tensorV2(storage('FloatStorage', key, shape.reduce((a, b) => a * b, 1)), 0, shape);

test('PyTorch 2.x: format members, untyped storages, _rebuild_tensor_v3, fp8, unsigned integers', async (t) => {
  const v3 = (key: string, bytes: number, dtype: string, ...shape: number[]): Py =>
    call(utils('_rebuild_tensor_v3'), storage('UntypedStorage', key, bytes, 'torch.storage'), 0, tuple(...shape), tuple(...shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1))), false, ordered([]), global('torch', dtype));
  const bytes = torchZip(dict([
    ['a', v3('0', 4, 'float8_e4m3fn', 2, 2)], ['b', v3('1', 3, 'float8_e5m2', 3)], ['c', v3('2', 4, 'uint16', 2)], ['d', v3('3', 2, 'bfloat16', 1)], ['e', v3('4', 8, 'uint64', 1)], ['f', v3('5', 1, 'float8_e8m0fnu', 1)],
    ['p', call(utils('_rebuild_parameter_with_state'), f32('6', 2), true, ordered([]), dict([['tag', 'x']]))],
  ]), { 0: Buffer.from([1, 2, 3, 4]), 1: Buffer.alloc(3), 2: Buffer.alloc(4), 3: Buffer.alloc(2), 4: Buffer.alloc(8), 5: Buffer.alloc(1), 6: floats(5, 6) },
  [{ name: '.format_version', bytes: Buffer.from('1') }, { name: '.storage_alignment', bytes: Buffer.from('64') }, { name: 'byteorder', bytes: Buffer.from('little') }, { name: '.data/serialization_id', bytes: Buffer.from('0636067') }]);
  const checkpoint = await openCheckpoint(writeScratch(t, 'x.pt', bytes));
  assert.deepEqual(checkpoint.tensors.map((tensor) => [tensor.name, tensor.dtype]), [['a', 'F8_E4M3'], ['b', 'F8_E5M2'], ['c', 'U16'], ['d', 'BF16'], ['e', 'U64'], ['f', 'F8_E8M0'], ['p', 'F32']]);
  assert.deepEqual(valuesOf(checkpoint, find(checkpoint, 'a')), Buffer.from([1, 2, 3, 4]));
  assert.deepEqual(valuesOf(checkpoint, find(checkpoint, 'p')), floats(5, 6));
  assert.ok(checkpoint.metadata.some(([key, value]) => key === '.format_version' && value === '1'));
  assert.deepEqual(checkpoint.problems, []);
  // A view of an untyped storage counts elements of its own type.
  assert.match((await refused(torchZip(dict([['x', v3('0', 4, 'bfloat16', 3)]]), { 0: Buffer.alloc(4) }))).message, /element 2 of a storage of 2/);
});

test('values that PyTorch negates or conjugates as it reads them are not taken as they are stored', async () => {
  const lazy = (flag: string, value: boolean): Py => call(utils('_rebuild_tensor_v2'), storage('FloatStorage', '0', 2), 0, tuple(2), tuple(1), false, ordered([]), dict([[flag, value]]));
  const checkpoint = await opened(torchZip(dict([['neg', lazy('neg', true)], ['conj', lazy('conj', true)], ['plain', lazy('neg', false)]]), { 0: floats(1, 2) }));
  assert.deepEqual(checkpoint.tensors.map(({ name, data }) => [name, data !== null]), [['neg', false], ['conj', false], ['plain', true]]);
  assert.deepEqual(checkpoint.problems.map(({ message }) => /resolve_(neg|conj)\(\) before saving/.exec(message)?.[1]), ['neg', 'conj']);
});

test('a tensor of an element type that is not known is left out, and the others are read', async () => {
  const v3 = (dtype: string): Py => call(utils('_rebuild_tensor_v3'), storage('UntypedStorage', '0', 4, 'torch.storage'), 0, tuple(2), tuple(1), false, ordered([]), global('torch', dtype));
  const checkpoint = await opened(torchZip(dict([['new', v3('float99_new')], ['bits', v3('int4')], ['w', f32('1', 2)]]), { 0: Buffer.alloc(4), 1: floats(1, 2) }));
  assert.deepEqual(checkpoint.tensors.map(({ name, dtype }) => [name, dtype]), [['bits', 'I8'], ['w', 'F32']]);
  assert.match(checkpoint.problems[0]!.message, /new is left out: its element type torch\.float99_new is not known/);
});

test('OrderedDict with _metadata, a training checkpoint, and what is kept beside the tensors', async () => {
  const state = build(ordered([['module.conv.weight', f32('0', 2, 2)], ['module.bn.num_batches_tracked', tensorV2(storage('LongStorage', '1', 1), 0, [])]]),
    dict([['_metadata', ordered([['', dict([['version', 1]])], ['conv', dict([['version', 1]])]])]]));
  const namespace = build(made(global('argparse', 'Namespace')), dict([['lr', float(0.1)], ['arch', 'resnet20'], ['device', call(global('torch', 'device'), 'cuda', 0)]]));
  const bytes = torchZip(dict([
    ['state_dict', state], ['epoch', 12], ['best_acc', float(91.5)], ['nan', float(NaN)], ['args', namespace], ['size', call(global('torch', 'Size'), list(3, 4))],
    ['model_args', dict([['n_layer', 6], ['bias', false], ['dropout', float(0)], ['names', list('a', 'b')]])],
    ['optimizer', dict([['state', dict([[0, dict([['momentum_buffer', f32('2', 4)]])]])], ['param_groups', list(dict([['params', list(0, 1)]]))]])],
  ]), { 0: Buffer.alloc(16), 1: Buffer.alloc(8), 2: Buffer.alloc(16) });
  const checkpoint = await opened(bytes);
  assert.deepEqual(names(checkpoint), ['state_dict.module.conv.weight', 'state_dict.module.bn.num_batches_tracked', 'optimizer.state.0.momentum_buffer']);
  assert.deepEqual(JSON.parse(JSON.stringify(checkpoint.extra)), {
    epoch: 12, best_acc: 91.5, args: { lr: 0.1, arch: 'resnet20' }, size: [3, 4], model_args: { n_layer: 6, bias: false, dropout: 0, names: ['a', 'b'] }, optimizer: { param_groups: [{ params: [0, 1] }] },
  });
  assert.deepEqual(checkpoint.imports.filter((item) => item.kind !== 'tensor').map((item) => `${item.module}.${item.name}`), ['argparse.Namespace']);
});

test('a pickled module gives the names of its state_dict: tied weights twice, transient buffers not at all', async () => {
  const shared = f32('0', 2);
  const inner = module('Block', [['w', f32('1', 3)], ['bias', null]], [['mask', f32('2', 4)], ['mean', f32('3', 1)]], [], [['_non_persistent_buffers_set', call(global('builtins', 'set'), list('mask'))]]);
  const net = module('Net', [['tied', shared]], [], [['first', inner], ['second', inner], ['head', module('Head', [['weight', shared]], [], [])], ['none', null]], [['helper', f32('4', 1)]]);
  const checkpoint = await opened(torchZip(net, { 0: Buffer.alloc(8), 1: Buffer.alloc(12), 2: Buffer.alloc(16), 3: Buffer.alloc(4), 4: Buffer.alloc(4) }));
  assert.deepEqual(names(checkpoint), ['tied', 'first.w', 'first.mean', 'second.w', 'second.mean', 'head.weight']);
  assert.equal(find(checkpoint, 'tied').data!.storage, find(checkpoint, 'head.weight').data!.storage);
  assert.ok(checkpoint.problems.some((problem) => problem.code === 'BL407' && /net\.Net/.test(problem.message)));
});

test('distributed, sparse, meta and unknown tensor subclasses: listed for what they are', async () => {
  const subclass = (size: number[], state: Py): Py => call(global('torch._tensor', '_rebuild_from_type_v2'), utils('_rebuild_wrapper_subclass'), global('torch.distributed.tensor', 'DTensor'),
    tuple(global('torch.distributed.tensor', 'DTensor'), global('torch', 'float32'), tuple(...size), tuple(1), 0, global('torch', 'strided'), call(global('torch', 'device'), 'cpu'), false), state);
  const checkpoint = await opened(torchZip(dict([
    ['whole', subclass([2], dict([['_local_tensor', f32('0', 2)], ['_spec', null]]))], ['part', subclass([8], dict([['_local_tensor', f32('0', 2)]]))], ['opaque', subclass([8], dict([]))],
    ['meta', call(utils('_rebuild_meta_tensor_no_storage'), global('torch', 'float16'), tuple(5, 5), tuple(5, 1), false)],
    ['plain', call(global('torch._tensor', '_rebuild_from_type_v2'), utils('_rebuild_tensor_v2'), global('mylib', 'MyTensor'), tuple(storage('FloatStorage', '0', 2), 0, tuple(2), tuple(1), false, ordered([])), dict([]))],
  ]), { 0: floats(1, 2) }));
  assert.deepEqual(checkpoint.tensors.map((tensor) => [tensor.name, tensor.shape, tensor.data !== null]),
    [['whole', [2], true], ['part', [2], true], ['opaque', [8], false], ['meta', [5, 5], false], ['plain', [2], true]]);
  assert.ok(checkpoint.problems.some((problem) => problem.tensor === 'part' && /one part of a distributed tensor of shape \[8\]/.test(problem.message)));
  assert.equal(find(checkpoint, 'meta').bytes, 50);
});

test('numpy arrays in plain pickles are tensors, in both orders and byte orders', async (t) => {
  const dtype = (code: string, order: string): Py => build(call(global('numpy', 'dtype'), code, 0, 1), tuple(3, order, null, null, null, -1, -1, 0));
  const array = (code: string, order: string, shape: number[], fortran: boolean, bytes: Buffer): Py =>
    build(call(global('numpy.core.multiarray', '_reconstruct'), global('numpy', 'ndarray'), tuple(0), rawBytes(Buffer.from('b'))), tuple(1, tuple(...shape), dtype(code, order), fortran, rawBytes(bytes)));
  const bytes = pickle(dict([['model', dict([
    ['conv_w', array('f4', '<', [2, 3], false, floats(0, 1, 2, 3, 4, 5))], ['t', array('f4', '<', [2, 3], true, floats(0, 3, 1, 4, 2, 5))], ['be', array('f4', '>', [2], false, floats(7, 8).swap32())],
  ])], ['__author__', 'x']]), 3);
  const checkpoint = await openCheckpoint(writeScratch(t, 'model_final.pkl', bytes));
  assert.equal(checkpoint.format, 'pickle');
  assert.deepEqual(names(checkpoint), ['model.conv_w', 'model.t', 'model.be']);
  assert.deepEqual(valuesOf(checkpoint, checkpoint.tensors[0]), floats(0, 1, 2, 3, 4, 5));
  assert.deepEqual(valuesOf(checkpoint, checkpoint.tensors[1]), floats(0, 1, 2, 3, 4, 5));
  assert.deepEqual(valuesOf(checkpoint, checkpoint.tensors[2]), floats(7, 8));
  const short = await opened(pickle(dict([['w', array('f4', '<', [3], false, floats(1, 2))]]), 3));
  assert.match(short.problems[0].message, /w cannot be read: its array holds 8 bytes/);
});

test('a tensor that pickle.dump wrote is reported for what it is', async () => {
  const stored = call(global('torch.storage', '_load_from_bytes'), rawBytes(Buffer.from('...')));
  const checkpoint = await opened(pickle(dict([['w', tensorV2(stored, 0, [2])], ['epoch', 1]]), 3));
  assert.deepEqual(checkpoint.tensors, []);
  assert.match(checkpoint.problems[0].message, /w cannot be read: .*pickle\.dump/);
  assert.deepEqual({ ...checkpoint.extra }, { epoch: 1 });
});

test('a module pickled the old way is a module, not a plain value', async () => {
  const net = build(call(global('copy_reg', '_reconstructor'), global('net', 'Net'), global('__builtin__', 'object'), null),
    dict([['_parameters', ordered([['w', f32('0', 2)]])], ['_buffers', ordered([])], ['_modules', ordered([])], ['hidden', 4]]));
  const checkpoint = await opened(torchZip(dict([['model', net], ['epoch', 1]]), { 0: floats(1, 2) }));
  assert.deepEqual(names(checkpoint), ['model.w']);
  assert.deepEqual({ ...checkpoint.extra }, { epoch: 1 });
  assert.ok(checkpoint.imports.every((item) => item.kind !== 'code'));
});

test('legacy: views of one storage, module ids, and counts that must agree', async (t) => {
  const view = (offset: number, size: number): Py => storage('FloatStorage', '7', 6, 'torch', tuple('v', offset, size));
  const object = dict([['a', tensorV2(storage('FloatStorage', '7', 6), 0, [6])], ['b', tensorV2(view(2, 3), 1, [2])]]);
  const bytes = torchLegacy(object, [['7', 6, floats(0, 1, 2, 3, 4, 5)]]);
  const checkpoint = await openCheckpoint(writeScratch(t, 'x.pth', bytes));
  assert.deepEqual(valuesOf(checkpoint, find(checkpoint, 'b')), floats(3, 4));
  assert.match((await refused(torchLegacy(object, [['7', 5, floats(0, 1, 2, 3, 4)]]))).message, /has 5 elements, but the pickle says 6/);
  assert.match((await refused(torchLegacy(object, [['7', 6, floats(0, 1, 2)]]))).message, /cut short.*12 are missing/);
  assert.match((await refused(torchLegacy(object, []))).message, /not in the file/);
  assert.match((await refused(torchLegacy(object, [['7', 6, floats(0, 1, 2, 3, 4, 5)], ['8', 1, floats(1)]]))).message, /nothing says of what type/);
  assert.match((await refused(torchLegacy(dict([['x', tensorV2(view(5, 3), 0, [1])]]), [['7', 6, floats(0, 1, 2, 3, 4, 5)]]))).message, /view of its storage lies outside/);
  const padded = await opened(Buffer.concat([bytes, Buffer.from('tail')]));
  assert.match(padded.problems[0].message, /4 bytes follow the last storage/);
});

test('names that meet are told; awkward keys still give a name', async () => {
  const checkpoint = await opened(torchZip(dict([['a', dict([['b', f32('0', 1)]])], ['a.b', f32('1', 1)], [tuple(1, 2), f32('0', 1)], [true, f32('0', 1)], [5, f32('0', 1)]]), { 0: floats(1), 1: floats(2) }));
  assert.deepEqual(names(checkpoint), ['a.b', '<key 2>', 'True', '5']);
  assert.match(checkpoint.problems[0].message, /two tensors have the name a\.b/);
});

test('a set of items on an object of any class, and defaultdict, are dicts', async () => {
  const checkpoint = await opened(torchZip(withItems(call(global('collections', 'defaultdict'), global('builtins', 'list')), [['k', list(f32('0', 1), withItems(made(global('easydict', 'EasyDict')), [['w', f32('0', 1)]]))]]), { 0: floats(1) }));
  assert.deepEqual(names(checkpoint), ['k[0]', 'k[1].w']);
});

test('a hostile state dict lists its imports even when its tensors are impossible', async () => {
  const checkpoint = await opened(torchZip(dict([['x', tensorV2(storage('FloatStorage', '0', 1), 0, [100])], ['y', call(global('os', 'system'), 'ls')]]), { 0: floats(1) }));
  assert.deepEqual(checkpoint.tensors, []);
  assert.ok(checkpoint.imports.some((item) => item.module === 'os' && item.kind === 'code'));
  assert.ok(checkpoint.problems.some((problem) => /no tensors are listed/.test(problem.message)));
});
