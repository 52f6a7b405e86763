import type { ByteSource } from '../byte-source';

/** Bytes that are not the flatbuffer they claim to be. */
export class FlatbufferError extends Error {
  /** @param offset byte of the file */
  constructor(message: string, readonly offset: number) { super(message); }
}

const WHOLE = 2 ** 18;
const WINDOW = 16_384;

/** A vector: where its first element is, and how many there are. */
export interface Vector { readonly start: number; readonly count: number }

/**
 * Tables, vectors and strings of a flatbuffer (https://flatbuffers.dev/internals/), each checked against the end of the file
 * before it is used. Offsets are followed one at a time: nothing is read that is not asked for.
 */
export class Flatbuffer {
  private window: Buffer = Buffer.alloc(0);
  private from = 0;

  constructor(readonly source: ByteSource) {}

  private bytes(at: number, length: number): Buffer {
    if (!Number.isSafeInteger(at) || at < 0 || at + length > this.source.size) throw new FlatbufferError(`${length} bytes are wanted at byte ${at}, but the file ends at ${this.source.size}`, Math.min(Math.max(0, at), this.source.size));
    if (at < this.from || at + length > this.from + this.window.length) {
      this.from = this.source.size <= WHOLE ? 0 : at;
      this.window = this.source.read(this.from, this.source.size <= WHOLE ? this.source.size : Math.min(Math.max(length, WINDOW), this.source.size - at));
    }
    return this.window.subarray(at - this.from, at - this.from + length);
  }

  u8(at: number): number { return this.bytes(at, 1)[0]; }
  u16(at: number): number { return this.bytes(at, 2).readUInt16LE(0); }
  u32(at: number): number { return this.bytes(at, 4).readUInt32LE(0); }
  i32(at: number): number { return this.bytes(at, 4).readInt32LE(0); }
  u64(at: number): number {
    const value = this.bytes(at, 8).readBigUInt64LE(0);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new FlatbufferError(`a number is beyond 2^53`, at);
    return Number(value);
  }

  /** The table that the offset at a position leads to. */
  table(at: number): Table {
    const start = at + this.u32(at);
    const vtable = start - this.i32(start);
    if (vtable < 0) throw new FlatbufferError('a table has its layout outside the file', start);
    const size = this.u16(vtable);
    const inline = this.u16(vtable + 2);
    if (size < 4 || size % 2 !== 0 || inline < 4) throw new FlatbufferError('a table has an impossible layout', vtable);
    this.bytes(start, inline);
    return new Table(this, start, vtable, size, inline);
  }

  /** The vector that the offset at a position leads to. @param width bytes of an element */
  vector(at: number, width: number): Vector {
    const start = at + this.u32(at);
    const count = this.u32(start);
    if (start + 4 + count * width > this.source.size) {
      const missing = start + 4 + count * width - this.source.size;
      throw new FlatbufferError(`${count} elements of ${width} bytes follow, but the file ends before: ${missing} ${missing === 1 ? 'byte is' : 'bytes are'} missing`, start);
    }
    return { start: start + 4, count };
  }

  text(at: number, longest: number): string {
    const { start, count } = this.vector(at, 1);
    return this.bytes(start, Math.min(count, longest)).toString('utf8');
  }
}

export class Table {
  constructor(private readonly buffer: Flatbuffer, readonly start: number, private readonly vtable: number, private readonly size: number, private readonly inline: number) {}

  /** Position of a field; null when it is absent. @param width bytes that it takes in the table */
  field(index: number, width: number): number | null {
    const entry = 4 + 2 * index;
    if (entry + 2 > this.size) return null;
    const offset = this.buffer.u16(this.vtable + entry);
    if (offset === 0) return null;
    if (offset + width > this.inline) throw new FlatbufferError(`field ${index} of a table lies outside it`, this.start);
    return this.start + offset;
  }

  u8(index: number): number { const at = this.field(index, 1); return at === null ? 0 : this.buffer.u8(at); }
  u32(index: number): number { const at = this.field(index, 4); return at === null ? 0 : this.buffer.u32(at); }
  i32(index: number): number { const at = this.field(index, 4); return at === null ? 0 : this.buffer.i32(at); }
  u64(index: number): number { const at = this.field(index, 8); return at === null ? 0 : this.buffer.u64(at); }
  table(index: number): Table | null { const at = this.field(index, 4); return at === null ? null : this.buffer.table(at); }
  vector(index: number, width: number): Vector | null { const at = this.field(index, 4); return at === null ? null : this.buffer.vector(at, width); }
  text(index: number, longest: number): string { const at = this.field(index, 4); return at === null ? '' : this.buffer.text(at, longest); }
}
