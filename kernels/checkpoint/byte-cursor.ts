import type { ByteSource } from './byte-source';
import { counted, FETCH_AGAIN, IS, refuse } from './problems';

/**
 * Walks forward through a file, reading it in windows, so that a header of any length is met in bounded memory and a
 * long value costs nothing to pass over. Integers in the byte order that the caller sets.
 */
export class ByteCursor {
  bigEndian = false;
  private buffer: Buffer = Buffer.alloc(0);
  /** Offset in the file of the window's first byte. */
  private start = 0;
  private at = 0;

  constructor(private readonly source: ByteSource, private readonly window: number) {}

  /** Offset in the file. */
  get position(): number {
    return this.start + this.at;
  }

  /** Bytes from here to the end of the file. */
  get left(): number {
    return this.source.size - this.position;
  }

  u32(what: string): number {
    const at = this.take(4, what);
    return this.bigEndian ? this.buffer.readUInt32BE(at) : this.buffer.readUInt32LE(at);
  }

  u64(what: string): bigint {
    const at = this.take(8, what);
    return this.bigEndian ? this.buffer.readBigUInt64BE(at) : this.buffer.readBigUInt64LE(at);
  }

  /** A copy of the next `length` bytes; the caller has bounded it. */
  bytes(length: number, what: string): Buffer {
    if (length <= this.window) {
      const at = this.take(length, what);
      return Buffer.from(this.buffer.subarray(at, at + length));
    }
    this.need(length, what);
    const bytes = this.source.read(this.position, length);
    this.skip(length, what);
    return bytes;
  }

  /** A length of 64 bits that must fit in what is left of the file. */
  length(what: string): number {
    const at = this.position;
    const length = this.u64(`the length of ${what}`);
    if (length > BigInt(this.left)) {
      refuse(this.source.path, `${what} claims ${counted(length, 'byte')}, but ${counted(this.left, 'byte', IS)} left in the file`, FETCH_AGAIN, { offset: at });
    }
    return Number(length);
  }

  /** Passes over a length and as many bytes. */
  skipString(what: string): void {
    // The common case without integers of 64 bits: a tokenizer has a quarter of a million strings.
    if (!this.bigEndian && this.at + 8 <= this.buffer.length && this.buffer.readUInt32LE(this.at + 4) === 0) {
      const next = this.at + 8 + this.buffer.readUInt32LE(this.at);
      if (next <= this.buffer.length) {
        this.at = next;
        return;
      }
    }
    this.skip(this.length(what), what);
  }

  /** Passes over `length` bytes without reading more than it must. */
  skip(length: number, what: string): void {
    this.need(length, what);
    if (this.at + length <= this.buffer.length) this.at += length;
    else {
      this.start = this.position + length;
      this.at = 0;
      this.buffer = Buffer.alloc(0);
    }
  }

  /** Makes `length` bytes available and moves past them. @returns where they begin in the buffer */
  private take(length: number, what: string): number {
    if (this.at + length > this.buffer.length) {
      this.need(length, what);
      const from = this.position;
      this.buffer = this.source.read(from, Math.min(Math.max(this.window, length), this.source.size - from));
      this.start = from;
      this.at = 0;
    }
    const at = this.at;
    this.at += length;
    return at;
  }

  private need(length: number, what: string): void {
    const { left } = this;
    if (length > left) {
      refuse(this.source.path, `${what} needs ${counted(length, 'byte')}, but the file ends after ${left}: ${counted(length - left, 'byte', IS)} missing`, FETCH_AGAIN, { offset: this.position });
    }
  }
}
