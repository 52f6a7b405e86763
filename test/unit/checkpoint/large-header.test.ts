import assert from 'node:assert/strict';
import test from 'node:test';
import { NameTable } from '../../../kernels/checkpoint/name-table';
import { jsonPieces } from '../../../server/cli/output';
import { openBytes, opened, randomFrom, refused } from './support';

const file = (json: string, data = 0): Buffer => {
  const header = Buffer.from(json);
  const bytes = Buffer.alloc(8 + header.length + data);
  bytes.writeBigUInt64LE(BigInt(header.length));
  header.copy(bytes, 8);
  return bytes;
};

test('the table of names finds what a Map finds, also when every name collides', () => {
  for (const hash of [undefined, (): number => 7, (name: string): number => name.length]) {
    const random = randomFrom(5);
    const names = Array.from({ length: 6000 }, () => `layer.${random(5000)}.${'x'.repeat(random(3))}`);
    const table = hash ? new NameTable((index) => names[index]!, hash) : new NameTable((index) => names[index]!);
    const map = new Map<string, number>();
    names.forEach((name, index) => {
      assert.equal(table.add(name, index), map.get(name) ?? -1, name);
      map.set(name, index);
    });
  }
});

test('a header of many tensors: file order, shared shapes, and a name given three times', async () => {
  const count = 30_000;
  const entry = (name: string, shape: string, at: number, bytes: number): string => `"${name}":{"dtype":"U8","shape":[${shape}],"data_offsets":[${at},${at + bytes}]}`;
  const entries = Array.from({ length: count }, (_, i) => entry(`t${i}`, i % 2 ? '2,1' : '1,2', 2 * i, 2));
  const checkpoint = await opened(file(`{${entries.join(',')}}`, 2 * count));
  assert.equal(checkpoint.tensors.length, count);
  assert.deepEqual(checkpoint.tensors.slice(-2).map(({ name, shape, bytes }) => [name, shape, bytes]), [['t29998', [1, 2], 2], ['t29999', [2, 1], 2]]);
  // Equal shapes are one array: a million tensors are not a million arrays.
  assert.equal(new Set(checkpoint.tensors.map(({ shape }) => shape)).size, 2);
  const repeated = await opened(file(`{${[entry('a', '0', 0, 0), entry('b', '3', 0, 3), entry('c', '1', 0, 1), entry('b', '0', 0, 0), entry('c', '2', 0, 2), entry('c', '1', 0, 1)].join(',')}}`, 1));
  assert.deepEqual(repeated.tensors.map(({ name, shape }) => [name, shape]), [['a', [0]], ['b', [0]], ['c', [1]]]);
  assert.equal(repeated.problems.filter(({ message }) => message.includes('is given twice')).length, 3);
});

test('a limit on tensors holds at the limit and not beyond it', async () => {
  const of = (count: number): Buffer => file(`{${Array.from({ length: count }, (_, i) => `"t${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`).join(',')}}`);
  assert.ok('checkpoint' in await openBytes(of(5), { tensors: 5 }));
  assert.match((await refused(of(6), { tensors: 5 })).message, /more than 5 tensors/);
});

test('an element type that the format does not have is not called damage', async () => {
  const { message } = await refused(file('{"w":{"dtype":"F2_E1M0","shape":[4],"data_offsets":[0,1]}}', 1));
  assert.match(message, /the dtype F2_E1M0 of w is not one of the format \(byte \d+\)\. Update Bitlens/);
  assert.doesNotMatch(message, /damaged/);
});

test('a JSON answer in pieces is the JSON answer', () => {
  function* many(): Generator<{ i: number }> { for (let i = 0; i < 4500; i += 1) yield { i }; }
  const rest = { format: 'x', none: undefined, nothing: null, empty: [], object: { a: [1] }, two: [1, 'b'] };
  assert.equal([...jsonPieces({ ...rest, many: many() })].join(''), JSON.stringify({ ...rest, many: [...many()] }));
  assert.equal([...jsonPieces({})].join(''), '{}');
});
