import assert from 'node:assert/strict';
import test from 'node:test';
import { DEFAULT_LIMITS, type Limits } from '../../../kernels/checkpoint/limits';
import { ImportList, kindOfImport } from '../../../kernels/checkpoint/pickle-imports';
import { PickleMachine } from '../../../kernels/checkpoint/pickle-machine';
import { DictNode, FloatNode, ListNode, TupleNode } from '../../../kernels/checkpoint/pickle-nodes';
import { MemorySource, openBytes, opened, refused } from './support';
import { pickle, torchZip, dict, list, tuple, tensorV2, storage, floats, type Py } from './pickles';

function run(bytes: Buffer, limits: Partial<Limits> = {}): PickleMachine {
  const machine = new PickleMachine(0, new ImportList(100), { ...DEFAULT_LIMITS, ...limits });
  machine.run(bytes, true, 1e9);
  return machine;
}
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

test('LONG1 and LONG4 are two\'s complement, for both signs of every power of two up to 2^200', () => {
  for (let k = 0; k <= 200; k++) {
    for (const value of [2n ** BigInt(k), -(2n ** BigInt(k)), 2n ** BigInt(k) - 1n, -(2n ** BigInt(k)) - 1n]) {
      const wanted = value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
      const long1 = pickle(value);
      assert.equal(run(long1).result, wanted);
      // The same bytes behind LONG4, and one byte of sign more than needed.
      const digits = long1.subarray(4, long1.length - 1);
      const sign = Buffer.from([value < 0n ? 0xff : 0]);
      for (const body of [digits, Buffer.concat([digits, sign])]) {
        const length = Buffer.alloc(4);
        length.writeInt32LE(body.length);
        assert.equal(run(Buffer.concat([Buffer.from([0x8b]), length, body, latin1('.')])).result, wanted);
      }
      assert.equal(run(latin1(`L${value}L\n.`)).result, wanted);
    }
  }
  assert.equal(run(Buffer.from([0x8a, 0, 0x2e])).result, 0);
});

test('integers and floats stay apart', () => {
  assert.equal(run(latin1('I-7\n.')).result, -7);
  assert.equal(run(latin1('I01\n.')).result, true);
  assert.equal(run(latin1('I00\n.')).result, false);
  const machine = run(latin1('F3.0\n.'));
  assert.ok(machine.result instanceof FloatNode && machine.result.value === 3);
  assert.match(run(latin1('I0x10\n.')).broken!.message, /integer/);
});

test('text of protocol 0 is unescaped before it is a name', () => {
  assert.equal(run(latin1('V\\u006fs\\\\u0041\n.')).result, 'os\\\\u0041');
  assert.equal(run(latin1('S\'a\\x62\\\'c\\n\'\n.')).result, 'ab\'c\n');
  const machine = run(latin1('V\\u006f\\u0073\nVsystem\n\x93.'));
  assert.deepEqual(machine.imports.list().map(({ module, name, kind }) => [module, name, kind]), [['os', 'system', 'code']]);
});

test('names that are computed are listed as computed, never guessed', () => {
  const imports = (bytes: Buffer): string[] => run(bytes).imports.list().map(({ module, name, kind }) => `${module} ${name} ${kind}`);
  assert.deepEqual(imports(latin1('\x80\x04\x8c\x02osK\x01\x93.')), ['os <computed> code']);
  assert.deepEqual(imports(latin1('\x80\x04]\x8c\x06system\x93.')), ['<computed> system code']);
  assert.deepEqual(imports(latin1('\x80\x02\x82\x05.')), ['copyreg <extension 5> code']);
});

test('offsets of imports are those of their opcodes', () => {
  const bytes = latin1('\x80\x02N0cos\nsystem\n.');
  assert.deepEqual(run(bytes).imports.list().map((item) => item.offset), [4]);
});

test('every cap holds at its limit and breaks one beyond it', () => {
  const at = (limits: Partial<Limits>, bytes: Buffer): boolean => run(bytes, limits).broken === null;
  const pushes = (count: number): Buffer => Buffer.concat([latin1('('), Buffer.alloc(count, 0x4e), latin1('t.')]);
  assert.ok(at({ pickleStack: 100 }, pushes(100)));
  assert.ok(!at({ pickleStack: 100 }, pushes(101)));
  const lists = (count: number): Buffer => Buffer.concat([latin1('('), Buffer.alloc(count, 0x5d), latin1('t.')]);
  assert.ok(at({ pickleNodes: 51 }, lists(50)));
  assert.ok(!at({ pickleNodes: 50 }, lists(50)));
  assert.ok(at({ pickleOps: 53 }, pushes(50)));
  assert.ok(!at({ pickleOps: 52 }, pushes(50)));
  const bytes = latin1('B\x10\0\0\0' + 'x'.repeat(16) + '.');
  assert.ok(at({ pickleBytes: 16 }, bytes));
  assert.ok(!at({ pickleBytes: 15 }, bytes));
  assert.equal(typeof run(latin1('X\x05\0\0\0abcde.'), { stringKept: 5 }).result, 'string');
  assert.notEqual(typeof run(latin1('X\x05\0\0\0abcde.'), { stringKept: 4 }).result, 'string');
});

test('nesting of a million never overflows the call stack', async () => {
  for (const opcode of [']', '}', ')\x85']) {
    const deep = Buffer.concat([Buffer.alloc(opcode.length * 900_000, opcode, 'latin1'), latin1(opcode === ']' ? 'a'.repeat(899_999) : ''), latin1('.')]);
    const result = await openBytes(Buffer.concat([latin1('\x80\x02cos\nsystem\n0'), deep]));
    assert.ok('checkpoint' in result);
  }
});

test('forty doublings of a shared list are walked in proportion to the file', async () => {
  // Each list holds the one before it twice: 2^40 paths to one tensor, in a few hundred bytes.
  let inner: Py = list(tensorV2(storage('FloatStorage', '0', 1), 0, [1]), 'x');
  for (let i = 0; i < 40; i++) inner = list(inner, inner);
  const checkpoint = await opened(torchZip(dict([['bomb', inner], ['w', tensorV2(storage('FloatStorage', '0', 1), 0, [1])]]), { 0: floats(1) }));
  assert.ok(checkpoint.tensors.length <= DEFAULT_LIMITS.sharedVisits + 100, String(checkpoint.tensors.length));
  assert.ok(checkpoint.tensors.some((tensor) => tensor.name === 'w'));
  assert.ok(checkpoint.problems.some((problem) => /shared in more than/.test(problem.message)));
  let tuples: Py = tuple('leaf');
  for (let i = 0; i < 200; i++) tuples = tuple(tuples, tuples);
  assert.equal((await opened(Buffer.concat([pickle(dict([['args', tuples]])), latin1('')]))).tensors.length, 0);
});

test('a dict that contains itself ends', async () => {
  // d = {}; d['d'] = d
  const result = await openBytes(latin1('\x80\x02}q\0X\x01\0\0\0dh\0s.'));
  assert.ok('checkpoint' in result);
});

test('keys of objects are never looked up: prototypes stay as they are', async () => {
  const checkpoint = await opened(pickle(dict([['__proto__', dict([['polluted', true]])], ['constructor', 1], ['10', 'a'], ['2', 'b']])));
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  assert.equal(Object.getPrototypeOf(checkpoint.extra!), null);
  assert.deepEqual(Object.keys(checkpoint.extra!).sort(), ['10', '2', '__proto__', 'constructor']);
});

test('a stream is read only as far as the pickle goes', async () => {
  const source = new MemorySource(Buffer.concat([pickle(list(1, 2)), Buffer.alloc(50 * 2 ** 20, 0xff)]));
  const result = await openBytes(source);
  assert.ok('checkpoint' in result);
  assert.ok(source.bytesRead < 200_000, String(source.bytesRead));
  assert.ok(result.checkpoint.problems.some((problem) => /no pickle follow/.test(problem.message)));
});

test('extra values are bounded as a whole', async () => {
  const many = dict(Array.from({ length: 5000 }, (_, i) => [`key${i}`, 'v'.repeat(50)] as const));
  const { extra } = await opened(pickle(dict([['small', 1], ['many', many], ['after', 'x']])));
  assert.deepEqual({ ...extra }, { small: 1, after: 'x' });
  assert.ok(JSON.stringify(extra).length <= DEFAULT_LIMITS.extraBytes);
});

test('kinds of imports follow the allow-list of weights_only, and unknown is never tensor', () => {
  const kinds: Record<string, [string, string][]> = {
    tensor: [['torch._utils', '_rebuild_tensor_v2'], ['collections', 'OrderedDict'], ['torch', 'FloatStorage'], ['torch', 'float8_e4m3fn'], ['torch.nn.parameter', 'Parameter'], ['torch', 'Size'], ['torch.storage', 'UntypedStorage'], ['__builtin__', 'set'], ['_codecs', 'encode'], ['torch.cuda', 'HalfStorage']],
    code: [['os', 'system'], ['builtins', 'eval'], ['__builtin__', 'getattr'], ['torch.hub', 'load'], ['torch', 'load'], ['subprocess', 'Popen'], ['a.b', 'C.d'], ['torch', 'os.system'], ['pathlib', 'os'], ['numpy.testing._private.utils', 'runstring'], ['torch._dynamo.x', 'y'], ['builtins', 'unheard_of']],
    other: [['argparse', 'Namespace'], ['torch.nn.modules.linear', 'Linear'], ['numpy', 'ndarray'], ['mymodel', 'Net'], ['builtins', 'list'], ['pathlib', 'PosixPath'], ['copy_reg', '_reconstructor'], ['model', 'Net.Config']],
  };
  for (const [kind, names] of Object.entries(kinds)) for (const [module, name] of names) assert.equal(kindOfImport(module, name), kind, `${module}.${name}`);
});

test('containers come out as they are', () => {
  const machine = run(latin1('(I1\nI2\ntp0\n(lp1\nI3\na(dp2\nS\'k\'\nI4\ns0g0\n.'));
  assert.ok(machine.result instanceof TupleNode);
  assert.ok(run(latin1('(I1\nl.')).result instanceof ListNode);
  assert.ok(run(latin1('(S\'a\'\nI1\nd.')).result instanceof DictNode);
});

test('a text file is not taken for a pickle', async () => {
  for (const text of ['checkpoint\nfoo\nbar and more\n', 'col1,col2\n1,2\n3,4\n', 'Not a checkpoint at all', 'import torch\nprint(1)\n', 'class A:\n    pass\n', 'K'.repeat(100)]) {
    assert.match((await refused(latin1(text))).message, /text and no checkpoint|breaks/, text);
  }
});

test('a frame that claims more bytes than follow is a finding, as Python refuses it; what stands behind it is read all the same', async () => {
  const frame = (length: bigint): Buffer => { const bytes = Buffer.alloc(9, 0x95); bytes.writeBigUInt64LE(length, 1); return bytes; };
  const body = latin1('cos\nsystem\n.');
  const framed = (length: bigint): Buffer => Buffer.concat([latin1('\x80\x04'), frame(length), body]);
  const told = async (bytes: Buffer, limits: Partial<Limits> = {}): Promise<string[]> => {
    const { problems, imports } = await opened(bytes, limits);
    assert.deepEqual(imports.map(({ module, name }) => `${module}.${name}`), ['os.system']);
    return problems.filter(({ code }) => code === 'BL406').map(({ grade, message, offset }) => `${grade} ${offset} ${message}`);
  };
  const outcome = (claimed: bigint): string[] => [`questionable 2 a frame claims ${claimed} bytes, but ${body.length} bytes follow: the pickle is cut or altered, and Python refuses to load it`];
  assert.deepEqual(await told(framed(BigInt(body.length))), []);
  for (const length of [BigInt(body.length) + 1n, 2n ** 31n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]) assert.deepEqual(await told(framed(length)), outcome(length));
  // A second pickle behind the first counts as what follows, as it does for Python; a frame of the second has its own place.
  assert.deepEqual(await told(Buffer.concat([framed(BigInt(body.length) + 2n), latin1('N.')])), []);
  assert.match((await told(Buffer.concat([latin1('N.'), framed(99n)])))[0]!, /^questionable 4 a frame claims 99 bytes/);
  // More of a large file is read before a frame is called too long.
  const large = Buffer.concat([latin1('\x80\x04'), frame(200_000n), Buffer.concat([latin1('B'), (() => { const n = Buffer.alloc(4); n.writeUInt32LE(199_000); return n; })(), Buffer.alloc(199_000)]), latin1('0'), body, Buffer.alloc(2000, 0x4e)]);
  assert.deepEqual((await told(large)).filter((line) => line.includes('frame')), []);
});
