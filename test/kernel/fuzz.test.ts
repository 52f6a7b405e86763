import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import test from 'node:test';
import { deserialize, serialize } from 'node:v8';
import { encodeFrame, FrameDecoder, type FrameProblem } from '../../kernels/jobs/wire-stream';
import { ANSWER_FD, BUILD, PROTOCOL } from '../../kernels/jobs/wire';
import { testKernel, until } from './support/kernels';

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Chance = () => number;
const pick = <T>(chance: Chance, from: readonly T[]): T => from[Math.floor(chance() * from.length)]!;

function randomValue(chance: Chance, depth = 0): unknown {
  const kind = Math.floor(chance() * (depth > 3 ? 8 : 12));
  switch (kind) {
    case 0: return null;
    case 1: return undefined;
    case 2: return pick(chance, [NaN, -1, 0, 1, 1e308, 2 ** 53, Infinity]);
    case 3: return pick(chance, ['', 'initialize', 'job/run', '__proto__', 'x'.repeat(1000), '$/cancelRequest']);
    case 4: return chance() < 0.5;
    case 5: return BigInt(Math.floor(chance() * 1e9));
    case 6: return new Date(chance() * 1e12);
    case 7: return new Float32Array(Math.floor(chance() * 8));
    case 8: return new Map([[randomValue(chance, depth + 1), randomValue(chance, depth + 1)]]);
    case 9: return Array.from({ length: Math.floor(chance() * 4) }, () => randomValue(chance, depth + 1));
    default: return Object.fromEntries(Array.from({ length: Math.floor(chance() * 4) }, () => [pick(chance, ['id', 'method', 'params', 'result', 'error', 'code', 'job', 'kind', 'jsonrpc', 'a']), randomValue(chance, depth + 1)]));
  }
}

/** A message that is right in most places and wrong in some. */
function nearMessage(chance: Chance): unknown {
  const message: Record<string, unknown> = {
    jsonrpc: '2.0', id: Math.floor(chance() * 1e6),
    method: pick(chance, ['initialize', 'job/run', '$/cancelRequest', 'ping', 'job/progress', 'no/such', '$/setTrace', 'toString']),
    params: pick(chance, [
      { protocol: PROTOCOL, build: BUILD, threads: 1, memoryMb: 256, idleMs: 600_000 }, { job: 1, kind: 'echo', params: { a: 1 } },
      { job: 2, kind: 'no such job', params: {} }, { id: 3 }, { job: 1, kind: 'userError', params: {} },
    ]),
  };
  for (const key of Object.keys(message)) {
    if (chance() < 0.15) message[key] = randomValue(chance);
    else if (chance() < 0.1) delete message[key];
  }
  return message;
}

function randomFrame(chance: Chance): Buffer {
  const kind = chance();
  if (kind < 0.45) return encodeFrame(nearMessage(chance), 2 ** 24);
  if (kind < 0.75) return encodeFrame(randomValue(chance), 2 ** 24);
  const frame = encodeFrame(nearMessage(chance), 2 ** 24);
  if (kind < 0.97) {
    // Flipped bytes in the body; the header stays, so the stream keeps its place.
    for (let i = 0; i < 3; i++) frame[8 + Math.floor(chance() * (frame.length - 8))] = Math.floor(chance() * 256);
    return frame;
  }
  if (kind < 0.985) return Buffer.from(Array.from({ length: 64 }, () => Math.floor(chance() * 256)));
  const long = Buffer.alloc(8 + 17 * 2 ** 20);
  frame.copy(long, 0, 0, 4);
  long.writeUInt32LE(17 * 2 ** 20, 4);
  return long;
}

interface Raw { readonly child: ChildProcess; exit: { code: number | null; signal: string | null } | null; readonly answers: unknown[]; readonly problems: FrameProblem[]; stderr: string }

function startRaw(): Raw {
  const child = spawn(process.execPath, [testKernel()], { stdio: ['pipe', 'ignore', 'pipe', 'pipe'] });
  const raw: Raw = { child, exit: null, answers: [], problems: [], stderr: '' };
  child.on('exit', (code, signal) => { raw.exit = { code, signal }; });
  child.stdin!.on('error', () => undefined);
  child.stderr!.on('data', (chunk: Buffer) => { raw.stderr += chunk.toString(); });
  const decoder = new FrameDecoder(2 ** 28, (message) => raw.answers.push(message), (problem) => raw.problems.push(problem));
  (child.stdio[ANSWER_FD] as Readable).on('data', (chunk: Buffer) => decoder.push(chunk));
  return raw;
}

test('Given 2,000 random frames, when the kernel gets them, then it answers with errors or ends cleanly, and still works', async (t) => {
  const chance = random(20_260_730);
  let raw = startRaw();
  let starts = 1;
  let answers = 0;
  const finish = (): void => {
    assert.equal(raw.exit?.signal, null, raw.stderr);
    assert.ok(raw.exit?.code === 0 || raw.exit?.code === 3, `exit ${raw.exit?.code}: ${raw.stderr}`);
    assert.equal(raw.stderr, '');
    assert.deepEqual(raw.problems, []);
    answers += raw.answers.length;
  };
  for (let sent = 0; sent < 2000; sent++) {
    const frame = randomFrame(chance);
    if (!raw.exit) {
      if (!raw.child.stdin!.write(frame)) await new Promise((resolve) => { raw.child.stdin!.once('drain', resolve); raw.child.once('exit', resolve); });
      if (frame.readUInt32LE(0) !== 0x314b4c42) assert.ok(await until(() => raw.exit !== null, 10_000), 'lost its place and went on');
    }
    if (raw.exit) {
      finish();
      raw = startRaw();
      starts++;
    }
  }
  raw.child.stdin!.write(encodeFrame({ jsonrpc: '2.0', id: 'last', method: 'no/such/method' }, 2 ** 20));
  const answered = (): boolean => raw.answers.some((answer) => (answer as { id?: unknown }).id === 'last');
  assert.ok(await until(() => answered() || raw.exit !== null, 10_000));
  assert.ok(answered(), 'the kernel answers after all of it');
  raw.child.stdin!.end();
  assert.ok(await until(() => raw.exit !== null, 5000));
  finish();
  t.diagnostic(`${starts} starts, ${answers} answers`);
  assert.ok(answers > 1000);
});

test('Given any bytes in any pieces, when they are decoded, then nothing throws and no more than the limit is kept', () => {
  const chance = random(7);
  for (let round = 0; round < 300; round++) {
    const decoder = new FrameDecoder(1000, () => undefined, () => undefined);
    const bytes = Buffer.concat(Array.from({ length: 5 }, () => {
      const frame = encodeFrame(nearMessage(chance), 2 ** 20);
      if (chance() < 0.5) frame[Math.floor(chance() * frame.length)] = Math.floor(chance() * 256);
      return frame;
    }));
    for (let at = 0; at < bytes.length;) {
      const length = 1 + Math.floor(chance() * 200);
      decoder.push(bytes.subarray(at, at + length));
      at += length;
    }
  }
});

test('Given messages cut at every byte, when they are decoded, then they arrive whole and in order', () => {
  const messages = [{ jsonrpc: '2.0', method: 'a' }, { jsonrpc: '2.0', id: 1, result: new Float32Array([1, 2]) }, { jsonrpc: '2.0', id: 2, error: { code: 1, message: 'x' } }];
  const bytes = Buffer.concat(messages.map((message) => encodeFrame(message, 1000)));
  for (let cut = 0; cut <= bytes.length; cut++) {
    const seen: unknown[] = [];
    const decoder = new FrameDecoder(1000, (message) => seen.push(message), ({ reason }) => assert.fail(reason));
    decoder.push(bytes.subarray(0, cut));
    decoder.push(bytes.subarray(cut));
    assert.deepEqual(seen, messages);
  }
});

test('Given a frame at the limit and one byte over, when they arrive, then the first is taken, the second skipped, and the next read', () => {
  const fitting = encodeFrame({ jsonrpc: '2.0', method: 'a' }, 1000);
  const limit = fitting.length - 8;
  const seen: unknown[] = [];
  const problems: string[] = [];
  const decoder = new FrameDecoder(limit, (message) => seen.push(message), ({ reason }) => problems.push(reason));
  decoder.push(fitting);
  decoder.push(encodeFrame({ jsonrpc: '2.0', method: 'ab' }, 1000));
  decoder.push(fitting);
  assert.equal(seen.length, 2);
  assert.deepEqual(problems, [`a message of ${limit + 1} bytes is longer than the ${limit} allowed`]);
  assert.throws(() => encodeFrame({ jsonrpc: '2.0', method: 'ab' }, limit), RangeError);
});

test('Given a message with a __proto__ key, when it is decoded, then no prototype changes', () => {
  const hostile = JSON.parse('{"jsonrpc":"2.0","method":"a","__proto__":{"polluted":1}}') as unknown;
  const back = deserialize(serialize(hostile)) as object;
  assert.equal(Object.getPrototypeOf(back), Object.prototype);
  assert.equal(({} as { polluted?: number }).polluted, undefined);
});
