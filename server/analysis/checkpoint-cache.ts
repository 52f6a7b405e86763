/** Opened checkpoints, kept while their files stay what they were. */
import { stat } from 'node:fs/promises';
import type { Checkpoint, FileIdentity } from '../../kernels/checkpoint/checkpoint';
import type { OpenCheckpoint } from './ports';

const MAX_OPEN = 16;

/** Text that identifies a checkpoint's contents: every file with device, inode, size and time. */
export function identityOf(checkpoint: Checkpoint): string {
  return checkpoint.files.map(({ path, identity: i }) => `${path}:${i.device}:${i.inode}:${i.size}:${i.mtimeMs}`).join('|');
}

async function unchanged(path: string, identity: FileIdentity): Promise<boolean> {
  try {
    const now = await stat(path);
    return now.ino === identity.inode && now.size === identity.size && now.mtimeMs === identity.mtimeMs && now.dev === identity.device;
  } catch {
    return false;
  }
}

export class CheckpointCache {
  private readonly opened = new Map<string, Checkpoint>();

  constructor(private readonly openCheckpoint: OpenCheckpoint) {}

  /** @throws CheckpointError when the file is refused; the signal's reason when aborted. */
  async open(path: string, signal?: AbortSignal): Promise<Checkpoint> {
    const known = this.opened.get(path);
    if (known && (await Promise.all(known.files.map((file) => unchanged(file.path, file.identity)))).every(Boolean)) {
      this.opened.delete(path);
      this.opened.set(path, known);
      return known;
    }
    this.opened.delete(path);
    const checkpoint = await this.openCheckpoint(path, signal ? { signal } : {});
    this.opened.set(path, checkpoint);
    if (this.opened.size > MAX_OPEN) this.opened.delete(this.opened.keys().next().value!);
    return checkpoint;
  }
}
