import type { ByteSource } from '../byte-source';

/** Bytes that are not HDF5, or HDF5 that contradicts itself. */
export class Hdf5Error extends Error {
  /** @param offset byte of the file */
  constructor(message: string, readonly offset: number) { super(message); }
}

/** A part of the format that is not read: the tensor is listed without values. */
export class Hdf5Unsupported extends Error {}

const SIGNATURE = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1');
const WINDOW = 4096;

/** Where an HDF5 file begins: at byte 0, or behind a block of the user's own of 512 bytes or that doubled (MATLAB); -1 when it is none. */
export function hdf5Start(head: Uint8Array): number {
  return [0, 512, 1024, 2048].find((at) => head.length >= at + 8 && SIGNATURE.equals(head.subarray(at, at + 8))) ?? -1;
}

/**
 * The bytes of an HDF5 file (https://docs.hdfgroup.org/hdf5/develop/_f_m_t3.html): addresses of the file's own width, each
 * checked against the end of the file before it is used.
 */
export class H5File {
  private window: Buffer = Buffer.alloc(0);
  private from = 0;
  /** Bytes of an address and of a length. */
  readonly addressSize: number;
  readonly lengthSize: number;
  /** Added to every address. */
  readonly base: number;
  readonly root: number;
  readonly version: number;

  /** @param start of the HDF5 file within the source, @param end of it */
  constructor(readonly source: ByteSource, readonly start: number, readonly end: number) {
    this.base = start;
    this.addressSize = this.lengthSize = 8;
    if (!SIGNATURE.equals(this.bytes(start, 8))) throw new Hdf5Error('the signature is missing', start);
    this.version = this.u8(start + 8);
    const old = this.version < 2;
    if (this.version > 3) throw new Hdf5Error(`the superblock has version ${this.version}, and 0 to 3 are known`, start + 8);
    this.addressSize = this.u8(start + (old ? 13 : 9));
    this.lengthSize = this.u8(start + (old ? 14 : 10));
    if (![2, 4, 8].includes(this.addressSize) || ![2, 4, 8].includes(this.lengthSize)) throw new Hdf5Error(`addresses of ${this.addressSize} and lengths of ${this.lengthSize} bytes do not occur`, start + 9);
    const first = start + (old ? (this.version === 1 ? 28 : 24) : 12);
    // The base address that is stored counts less than where the superblock stands: the library corrects it as well.
    this.base = start;
    const root = old ? this.address(first + 5 * this.addressSize) : this.address(first + 3 * this.addressSize);
    if (root === null) throw new Hdf5Error('there is no root group', first);
    this.root = root;
    // The end counts the user's block with it, and is moved as the base is.
    const declared = this.number(first + 2 * this.addressSize, this.addressSize);
    const last = declared === null ? 0 : declared + start - (this.number(first, this.addressSize) ?? 0);
    if (last > end) throw new Hdf5Error(`the file should end at byte ${last}, but ends at ${end}: ${last - end} ${last - end === 1 ? 'byte is' : 'bytes are'} missing`, end);
  }

  bytes(at: number, length: number): Buffer {
    if (!Number.isSafeInteger(at) || at < this.start || length < 0 || at + length > this.end) throw new Hdf5Error(`${length} bytes are wanted beyond the end of the file`, Math.max(0, Math.min(at, this.end)));
    if (length > WINDOW) return this.source.read(at, length);
    if (at < this.from || at + length > this.from + this.window.length) {
      this.from = at;
      this.window = this.source.read(at, Math.min(WINDOW, this.end - at));
    }
    return this.window.subarray(at - this.from, at - this.from + length);
  }

  u8(at: number): number { return this.bytes(at, 1)[0]; }
  u16(at: number): number { return this.bytes(at, 2).readUInt16LE(0); }
  u32(at: number): number { return this.bytes(at, 4).readUInt32LE(0); }

  /** An unsigned number of any width; null when every bit is set (undefined). @throws Hdf5Error beyond 2^53 */
  number(at: number, width: number): number | null {
    const bytes = this.bytes(at, width);
    if (bytes.every((byte) => byte === 0xff)) return null;
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + bytes[i];
    if (value > Number.MAX_SAFE_INTEGER) throw new Hdf5Error('a number is beyond 2^53', at);
    return value;
  }

  length(at: number): number {
    const value = this.number(at, this.lengthSize);
    if (value === null) throw new Hdf5Error('a length is undefined', at);
    return value;
  }

  /** An address as a position in the source; null when undefined. */
  address(at: number): number | null {
    const value = this.number(at, this.addressSize);
    if (value === null) return null;
    const position = this.base + value;
    if (position < this.start || position >= this.end) throw new Hdf5Error(`an address leads to byte ${position}, but the file ends at ${this.end}`, at);
    return position;
  }

  /** Checks the four letters that every structure begins with. */
  expect(at: number, mark: string): void {
    if (this.bytes(at, 4).toString('latin1') !== mark) throw new Hdf5Error(`"${mark}" is expected`, at);
  }
}
