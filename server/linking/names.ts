/** The checkpoint's side of linking: tensor names without wrappers, as a tree of segments. */
import type { TensorInfo } from '../../kernels/checkpoint/checkpoint';

/**
 * Segments that training wrappers put into names, anywhere: torch.compile, DistributedDataParallel and DataParallel,
 * FSDP, activation checkpointing, DeepSpeed, PEFT. Taken off unless the source itself has a child of that name.
 */
const WRAPPERS = ['_orig_mod', 'module', '_fsdp_wrapped_module', '_checkpoint_wrapped_module', '_forward_module', '_fpw_module', '_flat_param_wrapped_module', 'base_layer'];

/** Names with more segments than any real network has take no part in linking: their cost would be quadratic. */
const MAX_SEGMENTS = 64;

export interface StoredName {
  readonly tensor: TensorInfo;
  /** Segments without wrappers. */
  readonly segments: readonly string[];
  /** Name with wrappers taken off. */
  readonly key: string;
  /** How many of the segments lead to the state dict itself: keys of the training checkpoint it lies in. */
  readonly home: number;
}

/** Splitting is the same for every tree that has the same wrappers among its names: kept as long as the checkpoint is. */
const split = new WeakMap<readonly TensorInfo[], Map<string, { names: StoredName[]; odd: TensorInfo[] }>>();

/** Splits the names of a checkpoint; `known` are the segments of the source tree, which are never taken for wrappers. */
export function storedNames(tensors: readonly TensorInfo[], known: ReadonlySet<string>): { names: StoredName[]; odd: TensorInfo[] } {
  const wrappers = new Set(WRAPPERS.filter((wrapper) => !known.has(wrapper)));
  const key = [...wrappers].join('.');
  const kept = split.get(tensors)?.get(key);
  if (kept) return kept;
  const names: StoredName[] = [];
  const odd: TensorInfo[] = [];
  for (const tensor of tensors) {
    const all = tensor.name.split('.', MAX_SEGMENTS + 1);
    if (all.length > MAX_SEGMENTS) {
      odd.push(tensor);
      continue;
    }
    const segments = all.filter((segment, index) => index === all.length - 1 || !wrappers.has(segment));
    const home = tensor.container ? tensor.container.split('.').filter((segment) => !wrappers.has(segment)).length : 0;
    names.push({ tensor, segments, key: segments.join('.'), home: Math.min(home, segments.length - 1) });
  }
  const made = { names, odd };
  split.set(tensors, (split.get(tensors) ?? new Map()).set(key, made));
  return made;
}

/** Stored names as a tree. `used` marks tensors that a parameter of the source, or a module's companion, explains. */
export interface NameNode {
  readonly children: Map<string, NameNode>;
  tensor: TensorInfo | null;
  used: boolean;
}

export const nameNode = (): NameNode => ({ children: new Map(), tensor: null, used: false });

/** Adds a tensor; false when another one has the same name after wrappers and prefix were taken off. */
export function insertName(root: NameNode, segments: readonly string[], tensor: TensorInfo): boolean {
  let node = root;
  for (const segment of segments) {
    let next = node.children.get(segment);
    if (!next) {
      next = nameNode();
      node.children.set(segment, next);
    }
    node = next;
  }
  if (node.tensor) return false;
  node.tensor = tensor;
  return true;
}

export function lookUp(root: NameNode | null, name: string): NameNode | null {
  let node = root;
  for (const segment of name.split('.')) {
    if (!node) return null;
    node = node.children.get(segment) ?? null;
  }
  return node;
}

/** Every tensor at or below a node that nothing has explained yet, in file order of insertion. */
export function* unusedBelow(root: NameNode): Generator<{ readonly path: readonly string[]; readonly node: NameNode; readonly tensor: TensorInfo }> {
  const pending: { path: readonly string[]; node: NameNode }[] = [{ path: [], node: root }];
  while (pending.length > 0) {
    const { path, node } = pending.pop()!;
    if (node.tensor && !node.used) yield { path, node, tensor: node.tensor };
    for (const [segment, child] of [...node.children].reverse()) pending.push({ path: [...path, segment], node: child });
  }
}

/** Indices in number order, then names in the order the file has them. */
export function sortedSegments(segments: readonly string[]): string[] {
  const isIndex = (segment: string): boolean => /^(?:0|[1-9]\d{0,8})$/.test(segment);
  const indices = segments.filter(isIndex).sort((a, b) => Number(a) - Number(b));
  return [...indices, ...segments.filter((segment) => !isIndex(segment))];
}
