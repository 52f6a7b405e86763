/** Finding checkpoints beside a source file. Looks at names in a few folders, and at the first bytes of files whose names say little. */
import { open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';

const FOLDERS = ['', 'checkpoints', 'checkpoint', 'weights', 'ckpt', 'ckpts', 'out', 'pretrained'];
const EXTENSIONS = /\.(?:safetensors|gguf|pt|pth|th|ckpt|bin|pkl)$/i;
const INDEX = /\.(?:safetensors|bin)\.index\.json$/i;
/** Shards that an index names, and the parts of a GGUF model after its first. */
const SHARD = /-\d{5,6}-of-\d{5,6}\.(?:safetensors|bin)$|-(?!00001)\d{5}-of-\d{5}\.gguf$/i;
/** Files in checkpoint folders that are never a model's weights. */
const OTHERS = /^(?:optimizer|optim|scheduler|scaler|rng_state|training_args|random_states)/i;

const MAX_ENTRIES = 2000;
export const MAX_CANDIDATES = 16;

export interface FoundCheckpoint {
  readonly path: string;
  /** Position of its folder in the search: 0 is the source's own. */
  readonly folder: number;
  readonly modified: number;
}

/** Checkpoints in the source's folder and its usual subfolders, nearest folder first, newest first in a folder; bounded. */
export async function findCheckpoints(source: string): Promise<FoundCheckpoint[]> {
  const found: FoundCheckpoint[] = [];
  for (const [order, name] of FOLDERS.entries()) {
    const folder = path.join(path.dirname(source), name);
    let entries: string[];
    try {
      entries = (await readdir(folder)).slice(0, MAX_ENTRIES);
    } catch {
      continue;
    }
    const wanted = entries.filter((entry) => INDEX.test(entry) || (EXTENSIONS.test(entry) && !SHARD.test(entry) && !OTHERS.test(entry)));
    const here = await Promise.all(wanted.slice(0, 200).map(async (entry): Promise<FoundCheckpoint | null> => {
      const file = path.join(folder, entry);
      const facts = await stat(file).catch(() => null);
      return facts?.isFile() && facts.size > 0 && (!/\.bin$/i.test(entry) || await beginsLikeWeights(file)) ? { path: file, folder: order, modified: facts.mtimeMs } : null;
    }));
    found.push(...here.filter((entry) => entry !== null).sort((a, b) => b.modified - a.modified || (a.path < b.path ? -1 : 1)));
  }
  return found.slice(0, MAX_CANDIDATES);
}

/** Anything may be called .bin (a tokenizer, tokens of a text): weights are a PyTorch zip or pickle, safetensors or GGUF, or a pointer to a file that Git LFS keeps. */
async function beginsLikeWeights(file: string): Promise<boolean> {
  const handle = await open(file).catch(() => null);
  // What cannot be opened is reported when it is read.
  if (!handle) return true;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(9), 0, 9, 0);
    const head = buffer.subarray(0, bytesRead);
    return head[0] === 0x80 || ['PK', 'GGUF', 'version'].some((start) => head.toString('latin1').startsWith(start)) || head[8] === 0x7b;
  } finally { await handle.close(); }
}
