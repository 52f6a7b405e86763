import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { ByteSource } from '../../../kernels/checkpoint/byte-source';
import { checkRange } from '../../../kernels/checkpoint/byte-source';
import { CheckpointError, type Checkpoint, type TensorInfo } from '../../../kernels/checkpoint/checkpoint';
import { DEFAULT_LIMITS, type Limits } from '../../../kernels/checkpoint/limits';
import { context, openSource } from '../../../kernels/checkpoint/open';
import { TensorReader } from '../../../kernels/checkpoint/tensor-reader';

/** A file in memory that counts what is read of it. */
export class MemorySource implements ByteSource {
  readonly identity;
  bytesRead = 0;
  reads = 0;
  constructor(readonly bytes: Buffer, readonly path = '/memory/file') {
    this.identity = { device: 0, inode: 0, size: bytes.length, mtimeMs: 0 };
  }
  get size(): number { return this.bytes.length; }
  read(offset: number, length: number): Buffer {
    checkRange(this, offset, length);
    this.bytesRead += length;
    this.reads++;
    return Buffer.from(this.bytes.subarray(offset, offset + length));
  }
  readInto(target: Uint8Array, offset: number): void {
    target.set(this.read(offset, target.length));
  }
  close(): void { /* nothing is held */ }
}

export type Opened = { checkpoint: Checkpoint } | { error: CheckpointError };

/** Opens bytes; a CheckpointError is a result, any other error fails the test. */
export async function openBytes(bytes: Buffer | MemorySource, limits: Partial<Limits> = {}): Promise<Opened> {
  const source = bytes instanceof MemorySource ? bytes : new MemorySource(bytes);
  try {
    return { checkpoint: await openSource(source, context({ ...DEFAULT_LIMITS, ...limits }, undefined, 0)) };
  } catch (error) {
    if (error instanceof CheckpointError) return { error };
    throw error;
  }
}

export async function opened(bytes: Buffer, limits: Partial<Limits> = {}): Promise<Checkpoint> {
  const result = await openBytes(bytes, limits);
  assert.ok('checkpoint' in result, 'error' in result ? result.error.message : '');
  return result.checkpoint;
}

export async function refused(bytes: Buffer, limits: Partial<Limits> = {}): Promise<CheckpointError> {
  const result = await openBytes(bytes, limits);
  assert.ok('error' in result, 'it was opened');
  return result.error;
}

/** A folder of its own for one test, removed afterwards. */
export function scratch(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'bitlens-checkpoint-'));
  t.after(() => { rmSync(folder, { recursive: true, force: true }); });
  return folder;
}

export function writeScratch(t: TestContext, name: string, bytes: Uint8Array): string {
  const file = path.join(scratch(t), name);
  writeFileSync(file, bytes);
  return file;
}

/** All bytes of a tensor, read in pieces of `step` elements. */
export function valuesOf(checkpoint: Checkpoint, tensor: TensorInfo, step = Infinity, piece?: number): Buffer {
  const reader = TensorReader.open(checkpoint, piece);
  try {
    const total = tensor.shape.reduce((product, dim) => product * dim, 1);
    const parts: Buffer[] = [];
    for (let at = 0; at < total; at += step) {
      const count = Math.min(step, total - at);
      const part = Buffer.alloc(count * tensor.bytes / total, 0xaa);
      reader.readInto(tensor, at, count, part);
      parts.push(part);
    }
    return Buffer.concat(parts);
  } finally {
    reader.close();
  }
}

/** A safetensors file of the given header object and data. */
export function safetensors(header: unknown, data: Buffer = Buffer.alloc(0)): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([prefix, json, data]);
}

/** Deterministic random numbers (mulberry32): integers in [0, below). */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * below);
  };
}
