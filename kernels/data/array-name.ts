/** Which array of which file: `file` or `file:array`. */
import type { TensorInfo } from '../checkpoint/checkpoint';

/** Names under which programs save the array that matters, in this order. */
const USUAL = ['inputs', 'input', 'x', 'images', 'data', 'input_ids', 'tokens', 'labels', 'y', 'targets', 'arr_0'];

export function splitName(name: string): { file: string; array: string | null } {
  const match = /^(.+\.[A-Za-z0-9]+):([^/\\:]+)$/.exec(name);
  return match ? { file: match[1]!, array: match[2]! } : { file: name, array: null };
}

/** @throws Error naming the arrays there are. */
export function chosenArray(tensors: readonly TensorInfo[], array: string | null, file: string): TensorInfo {
  const names = tensors.map(({ name }) => name);
  if (array !== null) {
    const found = tensors.find(({ name }) => name === array);
    if (!found) throw new Error(`${file} has no array ${JSON.stringify(array)}; it has ${names.slice(0, 8).map((name) => JSON.stringify(name)).join(', ') || 'none'}`);
    return found;
  }
  if (tensors.length === 1) return tensors[0]!;
  const usual = USUAL.map((name) => tensors.find((tensor) => tensor.name === name)).find((tensor) => tensor !== undefined);
  if (usual) return usual;
  throw new Error(tensors.length === 0 ? `${file} holds no array` : `${file} holds ${tensors.length} arrays (${names.slice(0, 8).join(', ')}); say which: ${file}:${names[0]}`);
}
