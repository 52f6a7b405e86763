/** Files that are there whole or not at all. */
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { removeUnfinished, unfinishedName } from '../../kernels/checkpoint';
import { messageOf, UserError } from './user-error';

/**
 * Writes text beside the target, flushes it and renames it over the target.
 *
 * @throws UserError naming the path when the folder cannot be written; nothing is left behind.
 */
export async function writeFileAtomic(target: string, text: string, signal?: AbortSignal): Promise<number> {
  const facts = await stat(target).catch(() => null);
  // A rename would put a file in the place of a device.
  if (facts && !facts.isFile()) throw new UserError(`cannot write ${target}: it is ${facts.isDirectory() ? 'a folder' : 'a device or a pipe'}. Name a file`);
  const temporary = unfinishedName(target);
  const bytes = Buffer.from(text, 'utf8');
  try {
    await mkdir(path.dirname(target), { recursive: true });
    await removeUnfinished(path.dirname(target));
    signal?.throwIfAborted();
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(bytes, signal ? { signal } : {});
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined); // the first error is the one to show
    if (signal?.aborted) throw error;
    throw new UserError(`cannot write ${target}: ${messageOf(error)}. Choose a path in a folder that can be written`);
  }
  return bytes.length;
}
