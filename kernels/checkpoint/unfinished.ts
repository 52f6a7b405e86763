/** Names of files that are still being written, and how those of dead processes are taken away again. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { opendir, stat, unlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** Characters of the destination's name that are kept: the whole must stay below the 255 bytes that file systems allow. */
const KEPT = 40;
/** A file of a machine that cannot be asked is taken for abandoned after this long. */
const ABANDONED_MS = 24 * 3600 * 1000;
/** Entries of a folder looked at. */
const MOST = 100_000;

/** `.NAME.bitlens-MACHINE-PID-RANDOM.tmp` */
const PATTERN = /^\..*\.bitlens-([0-9a-f]{8})-(\d{1,10})-[0-9a-f]{12}\.tmp$/s;

/** Where process ids mean the same: this machine, and in it this container. */
const machine = createHash('sha256').update(`${os.hostname()}\0${processNamespace()}`).digest('hex').slice(0, 8);

function processNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

/** A name beside `target`, of a file that this process is about to write. */
export function unfinishedName(target: string): string {
  const start = path.basename(target).slice(0, KEPT);
  return path.join(path.dirname(target), `.${start}.bitlens-${machine}-${process.pid}-${randomBytes(6).toString('hex')}.tmp`);
}

/**
 * Removes unfinished files that nobody writes any more: those of processes that are gone, and with `own` those of this
 * process. What cannot be read or removed stays; it is never an error.
 */
export async function removeUnfinished(folder: string, own: 'own too' | 'others only' = 'others only'): Promise<void> {
  try {
    let seen = 0;
    for await (const { name } of await opendir(folder)) {
      if (++seen > MOST) return;
      const match = PATTERN.exec(name);
      if (!match) continue;
      const file = path.join(folder, name);
      const pid = Number(match[2]);
      const abandoned = match[1] !== machine ? Date.now() - (await stat(file)).mtimeMs > ABANDONED_MS : pid === process.pid ? own === 'own too' : !isRunning(pid);
      if (abandoned) await unlink(file).catch(() => undefined);
    }
  } catch { /* there is no such folder, or it may not be read: then there is nothing to do */ }
}

/** A process that was killed keeps its id until its parent asks after it; under some init processes that takes long. Linux only. */
function isZombie(pid: number): boolean {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return /^\) [ZX]/.test(line.slice(line.lastIndexOf(')')));
  } catch {
    return false;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    // Not ours to signal is running all the same.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
