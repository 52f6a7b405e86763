/** Tied weights: names that are one tensor, by the source's own word or by sharing bytes in the checkpoint. */
import { locationKey, type TensorInfo } from '../../kernels/checkpoint/checkpoint';
import type { ModuleNode, ParameterNode } from '../python/module-tree';
import type { BoundParameter, ModuleInstance } from './expand';
import { tensorAllows } from './pattern';

export const joinPath = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

export interface TieEntry {
  /** Full name in state_dict. */
  readonly name: string;
  readonly parameter: ParameterNode | null;
  readonly tensor: TensorInfo | null;
}

/** Identity of the bytes of a tensor: the same place in the same file, seen with the same shape. */
function place(tensor: TensorInfo): string | null {
  if (!tensor.data || tensor.bytes === 0) return null;
  return `${locationKey(tensor.data)}|${tensor.dtype}|${tensor.shape.join(',')}`;
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

/** What classes declare (`_tied_weights_keys`): pairs of the stored name and the one that holds no tensor of its own. */
export function declaredTies(root: ModuleNode, entries: readonly TieEntry[]): (readonly [string, string])[] {
  const names = entries.map(({ name }) => name);
  const absent = new Set(entries.filter(({ tensor }) => !tensor).map(({ name }) => name));
  if (absent.size === 0) return [];
  const found: (readonly [string, string])[] = [];
  const pending = [root];
  while (pending.length > 0) {
    const node = pending.pop()!;
    pending.push(...node.children);
    if (!node.ties || node.path.includes('*')) continue;
    for (const [target, source] of node.ties) {
      const targets = namesLike(target, node.path, names);
      const sources = namesLike(source, node.path, names);
      targets.forEach((name, i) => {
        const stored = sources.length === 1 ? sources[0] : sources[i];
        if (stored !== undefined && absent.has(name)) found.push([stored, name]);
      });
    }
  }
  return found;
}

/** Longer ones are not names. */
const MAX_PATTERN = 200;

/** The names below a module that a declared name or pattern means. Patterns are only those of plain names and numbers. */
function namesLike(declared: string, path: string, names: readonly string[]): string[] {
  const exact = joinPath(path, declared);
  if (names.includes(exact)) return [exact];
  const plain = declared.replace(/^\^/, '').replace(/\$$/, '');
  if (plain.length > MAX_PATTERN || !/^(?:[\w.]|\\\.|\((?:\?:)?\\d\+\)|\\d\+|\(\?:\[\d|-]+\)|\[\d-]+)+$/.test(plain)) return [];
  const pattern = new RegExp(`^${plain.replace(/(?<!\\)\./g, '\\.')}$`);
  const prefix = path === '' ? '' : `${path}.`;
  return names.filter((name) => name.startsWith(prefix) && pattern.test(name.slice(prefix.length)));
}

/** `tie_word_embeddings`: the one output projection without a tensor of its own, and the embedding of its shape. */
export function impliedEmbeddingTies(instances: readonly ModuleInstance[]): (readonly [string, string])[] {
  const weights = (className: RegExp): { name: string; entry: BoundParameter }[] => instances
    .filter((instance) => className.test(instance.module.className))
    .flatMap((instance) => instance.parameters.filter((entry) => entry.name === 'weight').map((entry) => ({ name: joinPath(instance.path, entry.name), entry })));
  const heads = weights(/^Linear$/).filter(({ entry }) => !entry.tensor && entry.parameter);
  const tables = weights(/Embedding$/).filter(({ entry }) => entry.tensor);
  // A head of unknown width may be one of classes: it is not the vocabulary.
  if (heads.length !== 1 || heads[0]!.entry.parameter!.shape?.[0] === null) return [];
  const fitting = tables.filter(({ entry }) => tensorAllows(heads[0]!.entry.parameter!.shape, entry.tensor!));
  // Several tables of that size (tokens and positions alike): the first in the source is the token table by convention.
  return fitting.length > 0 ? [[fitting[0]!.name, heads[0]!.name]] : [];
}
