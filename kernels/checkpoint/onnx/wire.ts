import type { ByteSource } from '../byte-source';

/** Bytes that are not protobuf, or protobuf that contradicts itself. */
export class WireError extends Error {
  /** @param offset byte of the file */
  constructor(message: string, readonly offset: number) { super(message); }
}

/** Messages within messages; protobuf's own limit in every runtime. */
export const MOST_MESSAGES_DEEP = 100;

const WHOLE = 2 ** 18;
const FIRST_WINDOW = 1024;
const MOST_WINDOW = 2 ** 16;

export const VARINT = 0, FIXED64 = 1, LENGTH = 2, GROUP = 3, END_GROUP = 4, FIXED32 = 5;

/**
 * Reads the wire format of protobuf (https://protobuf.dev/programming-guides/encoding) by position. Fields are passed over by
 * their length, so that weights of gigabytes are not read; a window grows while reading goes on in order.
 */
export class WireReader {
  private window: Buffer = Buffer.alloc(0);
  private from = 0;
  private step = FIRST_WINDOW;
  /** Of the field that {@link next} read. */
  field = 0;
  wire = 0;
  /** Where the value begins: after the length, for fields that have one. */
  start = 0;
  /** Where the value ends, and the next field begins. */
  end = 0;
  /** The value of a varint. */
  value: number | bigint = 0;

  constructor(readonly source: ByteSource) {}

  /**
   * Reads the field at a position: number, wire type, and where its value stands.
   * @param limit end of the message that it is in
   * @returns false at the end of the message.
   * @throws WireError for bytes that are no field, or a value that runs over the end of the message.
   */
  next(at: number, limit: number): boolean {
    if (at >= limit) return false;
    const tag = this.varint(at, limit);
    if (typeof tag === 'bigint' || tag >= 2 ** 32 || tag < 8) throw new WireError('no field of a message stands here', at);
    this.field = Math.floor(tag / 8);
    this.wire = tag & 7;
    this.start = this.end;
    switch (this.wire) {
      case VARINT:
        this.value = this.varint(this.start, limit);
        return true;
      case FIXED64: this.end = this.start + 8; break;
      case FIXED32: this.end = this.start + 4; break;
      case LENGTH: {
        const length = this.varint(this.start, limit);
        if (typeof length === 'bigint' || this.end + length > limit) throw new WireError(`field ${this.field} claims ${length} bytes, but ${limit - this.end} are left of what it is in`, at);
        this.start = this.end;
        this.end = this.start + length;
        return true;
      }
      case GROUP: this.end = this.groupEnd(this.start, limit, this.field); break;
      default: throw new WireError(`field ${this.field} has the wire type ${this.wire}, which does not occur`, at);
    }
    if (this.end > limit) throw new WireError(`field ${this.field} runs over the end of what it is in`, at);
    return true;
  }

  /** A varint as a number, or a bigint beyond 2^53; sets {@link end} behind it. Unsigned: see {@link signed}. */
  varint(at: number, limit: number): number | bigint {
    let low = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      if (at + i >= limit) throw new WireError('a number runs over the end of what it is in', at);
      const byte = this.byte(at + i);
      if (i < 7) {
        low += (byte & 0x7f) * scale;
        scale *= 128;
      }
      if (byte < 0x80) {
        this.end = at + i + 1;
        if (i < 7) return low;
        return this.long(at, i + 1);
      }
    }
    throw new WireError('a number is longer than ten bytes', at);
  }

  private long(at: number, length: number): number | bigint {
    let value = 0n;
    for (let i = 0; i < length; i++) value |= BigInt(this.byte(at + i) & 0x7f) << BigInt(7 * i);
    value &= 2n ** 64n - 1n;
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }

  byte(at: number): number {
    if (at < this.from || at >= this.from + this.window.length) this.fill(at, 1);
    return this.window[at - this.from];
  }

  /** A short range: text, a number. */
  bytes(start: number, length: number): Buffer {
    if (length > MOST_WINDOW) return this.source.read(start, length);
    if (start < this.from || start + length > this.from + this.window.length) this.fill(start, length);
    return this.window.subarray(start - this.from, start - this.from + length);
  }

  text(start: number, end: number, longest: number): string {
    return this.bytes(start, Math.min(longest, end - start)).toString('utf8');
  }

  private fill(at: number, least: number): void {
    const { size } = this.source;
    if (size <= WHOLE) {
      this.from = 0;
      this.window = this.source.read(0, size);
      if (at + least > size) throw new WireError('it ends in the middle', size);
      return;
    }
    // Reading on in order, or jumping over weights?
    this.step = at >= this.from && at <= this.from + this.window.length + 16 ? Math.min(MOST_WINDOW, this.step * 2) : FIRST_WINDOW;
    this.from = at;
    this.window = this.source.read(at, Math.min(size - at, Math.max(least, this.step)));
  }

  /** Groups are long out of use, but a message may hold unknown ones: passed over with a count instead of recursion. */
  private groupEnd(at: number, limit: number, number: number): number {
    const open = [number];
    let position = at;
    while (open.length > 0) {
      const tag = this.varint(position, limit);
      if (typeof tag === 'bigint' || tag < 8) throw new WireError('no field of a message stands here', position);
      const field = Math.floor(tag / 8);
      const after = this.end;
      switch (tag & 7) {
        case VARINT: this.varint(after, limit); position = this.end; break;
        case FIXED64: position = after + 8; break;
        case FIXED32: position = after + 4; break;
        case LENGTH: {
          const length = this.varint(after, limit);
          if (typeof length === 'bigint' || this.end + length > limit) throw new WireError(`field ${field} claims ${length} bytes, more than are left`, position);
          position = this.end + length;
          break;
        }
        case GROUP:
          open.push(field);
          if (open.length > MOST_MESSAGES_DEEP) throw new WireError(`groups are nested more than ${MOST_MESSAGES_DEEP} deep`, position);
          position = after;
          break;
        case END_GROUP:
          if (open.pop() !== field) throw new WireError('a group ends that is not open', position);
          position = after;
          break;
        default: throw new WireError(`field ${field} has the wire type ${tag & 7}, which does not occur`, position);
      }
    }
    return position;
  }
}

/** A varint as the signed 64-bit number that int32 and int64 fields hold. */
export function signed(value: number | bigint): number | bigint {
  return typeof value === 'bigint' && value >= 2n ** 63n ? small(value - 2n ** 64n) : value;
}

function small(value: bigint): number | bigint {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) ? Number(value) : value;
}
