import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { openCheckpoint, TensorReader, type TensorInfo } from '../../../kernels/checkpoint';
import { GGML_TYPES, ggmlTypeNamed } from '../../../kernels/checkpoint/ggml-types';
import { decodeFloats } from '../../../kernels/numerics/codecs';
import { blockDecoder } from '../../../kernels/numerics/ggml/decoders';
import { storedValues } from '../../../kernels/stored/registry';
import { dataPath, needsData } from '../../support/data';
import { gguf } from '../checkpoint/gguf-file';
import { randomFrom, writeScratch } from '../checkpoint/support';

interface ManifestType { name: string; quantised: string; dequantised: string; block: number; bytes_per_block: number }

const oracle = (name: string): Uint8Array => new Uint8Array(readFileSync(dataPath(`oracles/ggml-quants/${name}`)));
const floatsOf = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer);

/** Compares bit patterns: -0 and 0 differ. */
function assertSameBits(actual: Float32Array, expected: Float32Array, what: string): void {
  assert.equal(actual.length, expected.length, what);
  const [a, b] = [new Uint32Array(actual.buffer, actual.byteOffset, actual.length), new Uint32Array(expected.buffer, expected.byteOffset, expected.length)];
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) assert.fail(`${what}: value ${i} is ${actual[i]} (${a[i]}), expected ${expected[i]} (${b[i]})`);
}

function decoded(name: string, bytes: Uint8Array): Float32Array {
  const type = ggmlTypeNamed(name)!;
  const blocks = bytes.length / type.bytes;
  const out = new Float32Array(blocks * type.block);
  if (type.dtype) decodeFloats(type.dtype, bytes, blocks, out);
  else blockDecoder(type.name)(bytes, 0, blocks, out, 0);
  return out;
}

test('every type decodes to the bits that ggml gives: encoded rows with and without importance, and random bits', (t) => {
  if (!needsData(t, 'oracles/ggml-quants')) return;
  const { types } = JSON.parse(readFileSync(dataPath('oracles/ggml-quants/manifest.json'), 'utf8')) as { types: ManifestType[] };
  let values = 0;
  let files = 0;
  for (const { name, quantised, dequantised } of types) {
    const pairs = [[quantised, dequantised], ...(ggmlTypeNamed(name)!.dtype ? [] : [[`${name}.rnd.bin`, `${name}.rnd.f32`]])];
    for (const [stored, expected] of pairs) {
      const out = decoded(name, oracle(stored));
      assertSameBits(out, floatsOf(oracle(expected)), stored);
      values += out.length;
      files++;
    }
  }
  assert.equal(new Set(types.map(({ name }) => name)).size, 28);
  t.diagnostic(`${files} files, ${values} values, 0 ULP`);
});

test('a file of every type is read through the reader, in any ranges', async (t) => {
  if (!needsData(t, 'oracles/ggml-quants')) return;
  const checkpoint = await openCheckpoint(dataPath('oracles/ggml-quants/all-types.gguf'));
  const reader = TensorReader.open(checkpoint);
  const random = randomFrom(3);
  for (const tensor of checkpoint.tensors) {
    const name = tensor.name.slice(2);
    const type = GGML_TYPES.find((each) => each.name === name.toUpperCase())!;
    const bytes = new Uint8Array(tensor.bytes);
    reader.readStored(tensor, 0, bytes);
    const expected = decoded(name, bytes);
    if (type.dtype) continue;
    const values = storedValues(tensor, reader);
    const whole = new Float32Array(expected.length);
    values.read(0, whole.length, whole);
    assertSameBits(whole, expected, name);
    for (let run = 0; run < 40; run++) {
      const first = random(expected.length);
      const count = random(expected.length - first + 1);
      const part = new Float32Array(count + 1).fill(7);
      values.read(first, count, part);
      assertSameBits(part.subarray(0, count), expected.subarray(first, first + count), `${name} ${first}+${count}`);
      assert.equal(part[count], 7, 'nothing is written behind the range');
    }
    assert.throws(() => { values.read(1, expected.length, whole); }, RangeError);
  }
  reader.close();
});

test('rows that together are longer than what is decoded at once come out whole', async (t) => {
  const random = randomFrom(9);
  const type = ggmlTypeNamed('Q6_K')!;
  const blocks = 700;
  const data = Buffer.from(Array.from({ length: blocks * type.bytes }, () => random(256)));
  for (let b = 0; b < blocks; b++) data.writeUInt16LE(0x2c00 + random(0x400), b * type.bytes + 208);
  const checkpoint = await openCheckpoint(writeScratch(t, 'x.gguf', gguf({ tensors: [{ name: 'w', dims: [blocks * 256], type: type.id, data }] })));
  const reader = TensorReader.open(checkpoint);
  const out = new Float32Array(blocks * 256);
  storedValues(checkpoint.tensors[0], reader).read(0, out.length, out);
  reader.close();
  assertSameBits(out, decoded('Q6_K', data), 'Q6_K');
});

test('blocks of a big-endian file have the same values', async (t) => {
  const random = randomFrom(4);
  for (const type of GGML_TYPES.filter(({ halves }) => halves !== undefined)) {
    const data = Buffer.from(Array.from({ length: 4 * type.bytes }, () => random(256)));
    for (const field of type.halves!) for (let b = 0; b < 4; b++) data.writeUInt16LE(0x2c00 + random(0x400), b * type.bytes + field);
    const swapped = Buffer.from(data);
    for (const field of type.halves!) for (let b = 0; b < 4; b++) swapped.writeUInt16BE(data.readUInt16LE(b * type.bytes + field), b * type.bytes + field);
    const big = await openCheckpoint(writeScratch(t, 'b.gguf', gguf({ bigEndian: true, tensors: [{ name: 'w', dims: [2 * type.block, 2], type: type.id, data: swapped }] })));
    const reader = TensorReader.open(big);
    const out = new Float32Array(4 * type.block);
    storedValues(big.tensors[0] as TensorInfo, reader).read(0, out.length, out);
    reader.close();
    assertSameBits(out, decoded(type.name, data), type.name);
  }
});
