import { lstatSync, realpathSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { refuse, shown } from './problems';

/** True for a name that is one plain segment of a path on every system. */
export function isPlainSegment(name: string): boolean {
  // eslint-disable-next-line no-control-regex
  return name !== '' && name !== '.' && name !== '..' && name.length <= 255 && !/[/\\:\u0000-\u001f]/.test(name);
}

/**
 * Path of a shard that an index names. The name must be one segment, and what it leads to must lie in the index's own
 * folder; links are followed only there, or into the `blobs` of the same model in a Hugging Face cache.
 *
 * @param index path of the index as the user opened it
 * @returns null when there is no such file
 * @throws CheckpointError when the name or the link leads elsewhere
 */
export function shardPath(index: string, name: string): string | null {
  if (!isPlainSegment(name)) {
    refuse(index, `the index names the shard ${shown(name)}, which is not a plain file name`, 'Do not use this index: its shards must lie beside it');
  }
  const folder = dirname(index);
  const path = join(folder, name);
  if (!lstatSync(path, { throwIfNoEntry: false })) return null;
  let real: string;
  try {
    real = realpathSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const realFolder = realpathSync(folder);
  if (real.startsWith(realFolder + sep) || inSameCache(realFolder, real)) return path;
  return refuse(index, `the shard ${shown(name)} is a link that leads out of the folder of the index`, 'Put the shard itself beside its index');
}

/**
 * Path of a file of values that a model names (ONNX external data): relative, each part one plain segment, and what it leads
 * to must lie in the model's own folder; links are followed only there, or into the `blobs` of the same model in a cache.
 * (The rules of ONNX's own checker, and one exception: a hub cache is made of links.)
 *
 * @param model path of the model as the user opened it
 * @returns null when there is no such file
 * @throws CheckpointError when the path or a link leads elsewhere
 */
export function externalPath(model: string, location: string): string | null {
  const refuseThis = (why: string, fix = 'Do not use this model: its values must lie in its own folder'): never => refuse(model, `the model keeps values in ${shown(location)}, ${why}`, fix);
  if (location === '') refuseThis('which is no path');
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(location)) refuseThis('which is a web address and not a path');
  if (/^[/\\]|^[a-z]:/i.test(location)) refuseThis('which is an absolute path');
  const segments = location.split('/').filter((segment) => segment !== '.');
  if (segments.includes('..')) refuseThis('which leaves the folder of the model');
  if (segments.length === 0 || !segments.every(isPlainSegment)) refuseThis('which is not a plain relative path');
  const folder = dirname(model);
  const path = join(folder, ...segments);
  let real: string;
  try {
    if (!lstatSync(path, { throwIfNoEntry: false })) return null;
    real = realpathSync(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
  const realFolder = realpathSync(folder);
  if (real.startsWith(realFolder + sep) || inSameCache(realFolder, real)) return path;
  return refuseThis('a link that leads out of the folder of the model', 'Put the file itself beside its model');
}

/** `.../models--x--y/snapshots/<revision>` links into `.../models--x--y/blobs`. */
function inSameCache(folder: string, target: string): boolean {
  const parts = folder.split(sep);
  const snapshots = parts.lastIndexOf('snapshots');
  if (snapshots < 1 || !/^(models|datasets|spaces)--/.test(parts[snapshots - 1])) return false;
  return target.startsWith([...parts.slice(0, snapshots), 'blobs', ''].join(sep));
}
