/** Inputs that made the kernel die. Two crashes on the same one and it is left alone until it changes. */
import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { serialize } from 'node:v8';

const CRASHES = 2;
/** Files looked at to tell whether a folder of shards changed. */
const MAX_FILES = 10_000;
const MAX_INPUTS = 1000;

/** What a job works on: the crumb that says whom to blame when the kernel dies. */
export interface JobInput {
  /** For the message: a path, or "this request". */
  readonly title: string;
  readonly key: string;
  /** Changes when the input does. */
  readonly identity: string;
}

/** The checkpoint a job names, by path, size and time; else the parameters themselves. Taken before the job starts. */
export async function inputOf(kind: string, params: unknown): Promise<JobInput> {
  const file = (params as { readonly checkpoint?: unknown } | null)?.checkpoint;
  if (typeof file === 'string') return { title: file, key: `file:${path.resolve(file)}`, identity: await fileIdentity(file) };
  return { title: 'this request', key: `params:${kind}:${digest(serialize(params))}`, identity: '' };
}

async function fileIdentity(file: string): Promise<string> {
  try {
    const info = await stat(file, { bigint: true });
    const own = `${info.dev}:${info.ino}:${info.size}:${info.mtimeNs}`;
    // An index speaks for the shards beside it, a folder for what is in it.
    const folder = info.isDirectory() ? file : file.endsWith('.index.json') ? path.dirname(file) : null;
    if (folder === null) return own;
    const names = (await readdir(folder)).sort().slice(0, MAX_FILES);
    const parts = await Promise.all(names.map(async (name) => {
      const entry = await stat(path.join(folder, name), { bigint: true }).catch(() => null);
      return `${name}:${entry?.size}:${entry?.mtimeNs}`;
    }));
    return `${own}:${digest(Buffer.from(parts.join('\n')))}`;
  } catch {
    return 'unreadable';
  }
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export class Quarantine {
  private readonly blamed = new Map<string, { readonly identity: string; readonly crashes: number; readonly reason: string }>();

  /** Why the input may not be tried, or null. An input that changed is forgiven. */
  refusal(input: JobInput): string | null {
    const entry = this.blamed.get(input.key);
    if (!entry) return null;
    if (entry.identity !== input.identity) {
      this.blamed.delete(input.key);
      return null;
    }
    if (entry.crashes < CRASHES) return null;
    return `${input.title} made the kernel crash ${entry.crashes} times (${entry.reason}), so it is not tried again until ${input.identity === '' ? 'it changes' : 'the file changes'}; "Restart Kernel" lifts this`;
  }

  blame(input: JobInput, reason: string): void {
    const entry = this.blamed.get(input.key);
    const crashes = entry?.identity === input.identity ? entry.crashes + 1 : 1;
    this.blamed.delete(input.key);
    this.blamed.set(input.key, { identity: input.identity, crashes, reason });
    if (this.blamed.size > MAX_INPUTS) this.blamed.delete(this.blamed.keys().next().value!);
  }

  /** A job that ended well, or with the user's own error, clears its input. */
  clear(input: JobInput): void {
    this.blamed.delete(input.key);
  }

  reset(): void {
    this.blamed.clear();
  }
}
