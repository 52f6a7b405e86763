import assert from 'node:assert/strict';
import test from 'node:test';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { CheckpointError } from '../../../kernels/checkpoint';
import { InflateError, Inflater } from '../../../kernels/checkpoint/inflate';
import { PackedReader } from '../../../kernels/checkpoint/packed-stream';
import { randomFrom } from './support';

const from = (packed: Buffer): Inflater => new Inflater(packed.length, (into, at) => { into.set(packed.subarray(at, at + into.length)); });

/** Data of several kinds: noise, text-like repeats, long runs. */
function sample(random: (below: number) => number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length;) {
    const run = Math.min(length - at, 1 + random(3000));
    const kind = random(4);
    if (kind === 0) bytes.fill(random(256), at, at + run);
    else if (kind === 1 && at > 0) { const back = 1 + random(Math.min(at, 40_000)); for (let i = 0; i < run; i++) bytes[at + i] = bytes[at + i - back]; }
    else for (let i = 0; i < run; i++) bytes[at + i] = kind === 2 ? random(256) : 97 + random(6);
    at += run;
  }
  return bytes;
}

test('what zlib deflates is inflated, at every level and strategy, in pieces of any size (120 streams)', () => {
  const random = randomFrom(1);
  const strategies = [constants.Z_DEFAULT_STRATEGY, constants.Z_FILTERED, constants.Z_HUFFMAN_ONLY, constants.Z_RLE, constants.Z_FIXED];
  for (let run = 0; run < 120; run++) {
    const data = sample(random, [0, 1, 5, 300, 70_000, 400_000][random(6)]);
    const packed = deflateRawSync(data, { level: random(10), strategy: strategies[random(5)], memLevel: 1 + random(9) });
    const inflater = from(packed);
    const out = Buffer.alloc(data.length + 10);
    let at = 0;
    for (;;) {
      const piece = 1 + random(random(2) === 0 ? 50 : 100_000);
      const got = random(5) === 0 ? -inflater.skip(Math.min(piece, data.length - at)) : inflater.take(out.subarray(at, at + piece));
      if (got < 0) data.copy(out, at, at, at - got);
      at += Math.abs(got);
      assert.equal(inflater.position, at);
      if (got === 0 && at >= data.length) break;
    }
    assert.equal(at, data.length);
    assert.ok(out.subarray(0, at).equals(data));
  }
});

test('damaged streams are told, and never give more than zlib does (4,000 mutants)', () => {
  const random = randomFrom(2);
  let refused = 0;
  for (let run = 0; run < 4000; run++) {
    const data = sample(random, 20 + random(3000));
    const packed = Buffer.from(deflateRawSync(data, { level: random(10), strategy: random(5) }));
    for (let i = 0; i <= random(3); i++) packed[random(Math.min(packed.length, 120))] ^= 1 << random(8);
    const cut = random(6) === 0 ? packed.subarray(0, random(packed.length)) : packed;
    let expected: Buffer | null = null;
    try { expected = inflateRawSync(cut, { maxOutputLength: 2 ** 22 }); } catch { /* damaged, or too long */ }
    const out = Buffer.alloc(2 ** 18);
    let actual: Buffer | null = null;
    try {
      actual = out.subarray(0, from(cut).take(out));
    } catch (error) {
      assert.ok(error instanceof InflateError, String(error));
    }
    if (actual === null) refused++;
    if (actual === null || expected === null) {
      if (actual === null) assert.equal(expected, null, `run ${run}: zlib reads it`);
      else assert.ok(actual.length === out.length, `run ${run}: zlib refuses it`);
    } else assert.ok(actual.equals(expected.subarray(0, out.length)), `run ${run}`);
  }
  assert.ok(refused > 1000, String(refused));
});

test('a packed stream is read by position in any order, with memory that does not grow', () => {
  const random = randomFrom(3);
  for (const length of [200_000, 20 * 2 ** 20]) {
    const data = sample(random, length);
    const packed = deflateRawSync(data, { level: 1 });
    const file = Buffer.concat([Buffer.alloc(77, 9), packed, Buffer.alloc(50, 8)]);
    const reader = new PackedReader('/x', { method: 'deflate', start: 77, length: packed.length, size: length }, (into, at) => {
      assert.ok(at >= 77 && at + into.length <= 77 + packed.length, 'nothing outside the stream is read');
      into.set(file.subarray(at, at + into.length));
    });
    for (let run = 0; run < 40; run++) {
      const at = random(length);
      const piece = Buffer.alloc(Math.min(length - at, 1 + random(100_000)));
      reader.readInto(piece, at);
      assert.ok(piece.equals(data.subarray(at, at + piece.length)), `${piece.length} at ${at}`);
    }
    assert.ok(reader.held < 12 * 2 ** 20);
    // A size that lies in either direction is told when the end is reached.
    for (const lie of [-1, 1]) {
      const lying = new PackedReader('/x', { method: 'deflate', start: 0, length: packed.length, size: length + lie }, (into, at) => { into.set(packed.subarray(at, at + into.length)); });
      assert.throws(() => { lying.readInto(new Uint8Array(10), length + lie - 10); }, (error) => error instanceof CheckpointError && /cannot be unpacked to the \d+ bytes/.test(error.message));
    }
  }
});
