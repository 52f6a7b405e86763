import { createHash } from 'node:crypto';
import { closeSync, constants, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { unfinishedName } from './unfinished';

/** The file operations of an atomic write, so that tests can make each of them fail. */
export interface FileOperations {
  openSync: (path: string, flags: number, mode: number) => number;
  writeSync: (descriptor: number, bytes: Uint8Array, offset: number, length: number) => number;
  fsyncSync: (descriptor: number) => void;
  closeSync: (descriptor: number) => void;
  renameSync: (from: string, to: string) => void;
  unlinkSync: (path: string) => void;
}

export const NODE_FILES: FileOperations = { openSync, writeSync, fsyncSync, closeSync, renameSync, unlinkSync };

/** Windows refuses a rename while a scanner holds the file; waited for so long between tries, in milliseconds. */
const RETRIES = [5, 10, 20, 40, 80, 160, 320, 640];

/**
 * A file that appears whole or not at all: written beside its destination under a temporary name, synced, renamed, and
 * the folder synced. Until {@link commit} the destination is untouched; {@link discard} removes the temporary file.
 */
export class AtomicFile {
  /** Where the bytes are until {@link commit}. */
  readonly temporary: string;
  private descriptor: number;
  private readonly hash = createHash('sha256');
  private settled = false;
  /** Bytes written so far. */
  bytes = 0;

  constructor(private readonly path: string, private readonly files: FileOperations = NODE_FILES) {
    this.temporary = unfinishedName(path);
    this.descriptor = files.openSync(this.temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o666);
  }

  write(chunk: Uint8Array): void {
    for (let done = 0; done < chunk.length;) {
      const wrote = this.files.writeSync(this.descriptor, chunk, done, chunk.length - done);
      if (wrote <= 0) throw new Error(`writing ${this.path} made no progress: the disk may be full`);
      done += wrote;
    }
    this.hash.update(chunk);
    this.bytes += chunk.length;
  }

  /** Puts everything written on the disk; it can be read at {@link temporary}, and nothing more can be written. */
  finish(): void {
    if (this.descriptor < 0) return;
    this.files.fsyncSync(this.descriptor);
    this.close();
  }

  /** @returns SHA-256 of what was written, in hexadecimal. */
  async commit(): Promise<string> {
    this.finish();
    for (let attempt = 0; ; attempt++) {
      try {
        this.files.renameSync(this.temporary, this.path);
        break;
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? '';
        if (attempt >= RETRIES.length || !['EPERM', 'EACCES', 'EBUSY'].includes(code)) throw error;
        await sleep(RETRIES[attempt]);
      }
    }
    this.settled = true;
    this.syncFolder();
    return this.hash.digest('hex');
  }

  /** Removes the temporary file; nothing to do after a commit. */
  discard(): void {
    if (this.settled) return;
    this.settled = true;
    try { this.close(); } catch { /* the descriptor is gone either way; what matters is the file */ }
    try { this.files.unlinkSync(this.temporary); } catch { /* nothing more can be done, and the first error is the one to show */ }
  }

  private close(): void {
    const { descriptor } = this;
    this.descriptor = -1;
    if (descriptor >= 0) this.files.closeSync(descriptor);
  }

  /** Makes the rename itself survive a crash. Windows and some network folders cannot sync a folder: the file is whole there too. */
  private syncFolder(): void {
    if (process.platform === 'win32') return;
    let folder = -1;
    try {
      folder = openSync(dirname(this.path), constants.O_RDONLY);
      fsyncSync(folder);
    } catch { /* see above */ } finally {
      if (folder >= 0) closeSync(folder);
    }
  }
}
