import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs';
import type { FileIdentity } from './checkpoint';
import { counted, FETCH_AGAIN, IS, refuse } from './problems';

/**
 * The bytes of one file, read by position. Reads are synchronous and short (the caller pauses between them), because a
 * checkpoint of many tensors needs tens of thousands of tiny reads.
 */
export interface ByteSource {
  /** Absolute path, for messages. */
  readonly path: string;
  readonly identity: FileIdentity;
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`.
   * @throws CheckpointError when the range is not wholly in the file, or the file turns out shorter than it was.
   */
  read(offset: number, length: number): Buffer;
  /** Like {@link read}, into a buffer that is there already: a long range in pieces takes its own length and no more. */
  readInto(target: Uint8Array, offset: number): void;
  close(): void;
}

export function identityOf(stats: Stats): FileIdentity {
  return { device: stats.dev, inode: stats.ino, size: stats.size, mtimeMs: stats.mtimeMs };
}

export function sameIdentity(a: FileIdentity, b: FileIdentity): boolean {
  return a.device === b.device && a.inode === b.inode && a.size === b.size && a.mtimeMs === b.mtimeMs;
}

/** Fills `target` from `offset`; true when every byte was there. Each system call asks for at most `piece` bytes. */
export function readFully(descriptor: number, target: Uint8Array, offset: number, piece: number): boolean {
  let done = 0;
  while (done < target.length) {
    const got = readSync(descriptor, target, done, Math.min(piece, target.length - done), offset + done);
    if (got === 0) return false;
    done += got;
  }
  return true;
}

/**
 * Opens a regular file. A device, pipe or folder is refused before it is opened, so that nothing can hang, and what
 * was opened is compared with what was looked at.
 */
export function openRegularFile(path: string): { descriptor: number; identity: FileIdentity } {
  const before = statSync(path);
  if (!before.isFile()) refuse(path, `${path} is not a regular file`, 'Name a checkpoint file, an index of shards, or a folder that holds one');
  const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile() || stats.dev !== before.dev || stats.ino !== before.ino) {
      refuse(path, `${path} was replaced while it was being opened`, 'Open it again when nothing is writing it');
    }
    return { descriptor, identity: identityOf(stats) };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

export class FileSource implements ByteSource {
  readonly identity: FileIdentity;
  private readonly descriptor: number;
  private open = true;

  constructor(readonly path: string, private readonly piece: number) {
    const opened = openRegularFile(path);
    this.descriptor = opened.descriptor;
    this.identity = opened.identity;
  }

  get size(): number {
    return this.identity.size;
  }

  read(offset: number, length: number): Buffer {
    checkRange(this, offset, length);
    const bytes = Buffer.allocUnsafe(length);
    this.readInto(bytes, offset);
    return bytes;
  }

  readInto(target: Uint8Array, offset: number): void {
    checkRange(this, offset, target.length);
    if (!readFully(this.descriptor, target, offset, this.piece)) refuseShort(this.path, offset, target.length);
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    closeSync(this.descriptor);
  }
}

/** Refuses a range that is not wholly inside the source. */
export function checkRange(source: { path: string; size: number }, offset: number, length: number): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0 || offset + length > source.size) {
    refuse(source.path, `${counted(length, 'byte', IS)} wanted at byte ${offset}, but the file ends at ${source.size}`, FETCH_AGAIN, { offset: Math.max(0, offset) });
  }
}

export function refuseShort(path: string, offset: number, length: number): never {
  return refuse(path, `the file became shorter while it was read: ${counted(length, 'byte', ['was', 'were'])} expected at byte ${offset}`,
    'Open it again when nothing is writing it', { offset });
}
