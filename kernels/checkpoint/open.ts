import { resolve } from 'node:path';
import { FileSource, type ByteSource } from './byte-source';
import { CheckpointError, type Checkpoint } from './checkpoint';
import { chooseInFolder } from './folder';
import { DEFAULT_LIMITS, type Limits } from './limits';
import { withDerived } from './layouts/registry';
import { refuseFamiliarStrangers, refuseUnknown } from './not-a-checkpoint';
import { refuse } from './problems';
import type { ReaderContext } from './reader';
import { READERS } from './readers';

export interface OpenOptions {
  readonly signal?: AbortSignal;
  readonly limits?: Partial<Limits>;
}

/** Bytes a reader sees before it decides; enough for the tar mark at 257 and a few text opcodes. */
const HEAD = 4096;

/**
 * Opens a checkpoint: a file of any known format, an index of shards, or a folder that holds one. Reads headers only,
 * executes nothing, and recognises formats by their bytes, never by their names.
 *
 * @throws CheckpointError with one message (what is wrong, at which byte, what to do) for anything that is not a sound checkpoint.
 * @throws the signal's reason when it is aborted.
 */
export async function openCheckpoint(path: string, options: OpenOptions = {}): Promise<Checkpoint> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  options.signal?.throwIfAborted();
  return guarded(path, async () => {
    const file = chooseInFolder(resolve(path));
    return withDerived(await openFile(file, context(limits, options.signal, 0)));
  });
}

/** Opens what `source` holds; the caller closes it. Tests use it with sources that fail. */
export async function openSource(source: ByteSource, readerContext: ReaderContext): Promise<Checkpoint> {
  const head = source.read(0, Math.min(HEAD, source.size));
  refuseFamiliarStrangers(head, source);
  for (const reader of READERS) {
    if (reader.match(head, source)) return reader.open(source, readerContext);
  }
  return refuseUnknown(head, source);
}

/** A context whose parts are files. An index may name checkpoints, but not another index. */
export function context(limits: Limits, signal: AbortSignal | undefined, depth: number, within = ''): ReaderContext {
  return {
    limits, signal, isPart: depth > 0,
    openPart: (part) => {
      if (depth > 0) refuse(within, 'it is an index itself, and an index names only files of weights', 'Open the inner index itself');
      return openFile(part, context(limits, signal, depth + 1, part));
    },
  };
}

async function openFile(path: string, readerContext: ReaderContext): Promise<Checkpoint> {
  const source = new FileSource(path, readerContext.limits.readBytes);
  try {
    return await openSource(source, readerContext);
  } finally {
    source.close();
  }
}

/** Turns what the file system says into a CheckpointError, so that callers meet one kind of error. */
async function guarded(path: string, work: () => Promise<Checkpoint>): Promise<Checkpoint> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const at = (error as NodeJS.ErrnoException).path ?? path;
    if (code === 'ENOENT' || code === 'ENOTDIR') return refuse(at, `${at} does not exist`, 'Check the path of the checkpoint');
    if (code === 'EACCES' || code === 'EPERM') return refuse(at, `${at} may not be read`, 'Give yourself permission to read it');
    if (code === 'ELOOP') return refuse(at, `${at} is a link that leads back to itself`, 'Repair the link');
    if (code === 'ENAMETOOLONG' || code === 'ERR_INVALID_ARG_VALUE') return refuse(path, 'the path of the checkpoint is not a valid path', 'Check the path of the checkpoint');
    if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) return refuse(at, `${at} cannot be read (${code})`, 'Check the disk and try again');
    throw error;
  }
}
