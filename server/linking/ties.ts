/** Tied weights: names that are one tensor, by the source's own word or by sharing bytes in the checkpoint. */
import type { TensorInfo } from '../../kernels/checkpoint/checkpoint';
import type { ParameterNode } from '../python/module-tree';

export interface TieEntry {
  /** Full name in state_dict. */
  readonly name: string;
  readonly parameter: ParameterNode | null;
  readonly tensor: TensorInfo | null;
}

/** Identity of the bytes of a tensor: the same place in the same file, seen with the same shape. */
function place(tensor: TensorInfo): string | null {
  if (!tensor.data || tensor.bytes === 0) return null;
  const { file, offset, storage, strides } = tensor.data;
  return `${file}|${offset}|${tensor.dtype}|${tensor.shape.join(',')}|${strides?.join(',') ?? ''}|${storage ?? ''}`;
}

/** Sets of two or more names that are one tensor, in the order of their first member. */
export function tiedSets(entries: readonly TieEntry[], extra: readonly (readonly [string, string])[] = []): string[][] {
  const parent = new Map<string, string>(entries.map(({ name }) => [name, name]));
  const find = (name: string): string => {
    let root = name;
    while (parent.get(root) !== root) root = parent.get(root)!;
    for (let at = name; at !== root;) {
      const next = parent.get(at)!;
      parent.set(at, root);
      at = next;
    }
    return root;
  };
  const join = (a: string, b: string): void => {
    if (!parent.has(a) || !parent.has(b)) return;
    const [rootA, rootB] = [find(a), find(b)];
    if (rootA !== rootB) parent.set(rootB, rootA);
  };
  const places = new Map<string, string>();
  for (const { name, parameter, tensor } of entries) {
    if (parameter?.tiedTo !== undefined) join(parameter.tiedTo, name);
    const key = tensor && place(tensor);
    if (!key) continue;
    const first = places.get(key);
    if (first === undefined) places.set(key, name);
    else join(first, name);
  }
  for (const [a, b] of extra) join(a, b);
  const sets = new Map<string, string[]>();
  for (const { name } of entries) {
    const root = find(name);
    const set = sets.get(root);
    if (set) set.push(name);
    else sets.set(root, [name]);
  }
  return [...sets.values()].filter((set) => set.length > 1);
}
