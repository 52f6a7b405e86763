/** The names a module tree can have in a state_dict, as a trie: literal segments first, then `*` segments. */
import type { TensorInfo } from '../../kernels/checkpoint/checkpoint';
import type { ModuleNode, ParameterNode } from '../python/module-tree';

/** One parameter or buffer that ends at a pattern node, with the module that owns it. */
export interface PatternLeaf {
  readonly parameter: ParameterNode;
  readonly module: ModuleNode;
}

export interface PatternNode {
  readonly literal: Map<string, PatternNode>;
  readonly globs: PatternGlob[];
  /** Modules constructed at this path. Several when the source has alternatives (`if flag: ... else: ...`). */
  readonly modules: ModuleNode[];
  readonly leaves: PatternLeaf[];
}

export interface PatternGlob {
  readonly pattern: string;
  readonly node: PatternNode;
  matches(segment: string): boolean;
}

export interface Pattern {
  readonly root: PatternNode;
  /** The module that contains a module, for telling alternatives' children apart. */
  readonly parents: ReadonlyMap<ModuleNode, ModuleNode>;
  /** Every literal segment anywhere in the tree. */
  readonly segments: ReadonlySet<string>;
}

const emptyNode = (): PatternNode => ({ literal: new Map(), globs: [], modules: [], leaves: [] });

/** A segment with `*` in it: `*` alone is any index or name, `layer*` any that starts so. */
export function globTest(pattern: string): (segment: string) => boolean {
  if (pattern === '*') return () => true;
  const pieces = pattern.split('*');
  const first = pieces[0]!;
  const last = pieces[pieces.length - 1]!;
  return (segment) => {
    if (segment.length < first.length + last.length || !segment.startsWith(first) || !segment.endsWith(last)) return false;
    let from = first.length;
    for (const piece of pieces.slice(1, -1)) {
      const at = segment.indexOf(piece, from);
      if (at < 0) return false;
      from = at + piece.length;
    }
    return from <= segment.length - last.length;
  };
}

function descend(from: PatternNode, segments: readonly string[], seen: Set<string>): PatternNode {
  let node = from;
  for (const segment of segments) {
    if (segment.includes('*')) {
      let glob = node.globs.find((candidate) => candidate.pattern === segment);
      if (!glob) {
        glob = { pattern: segment, node: emptyNode(), matches: globTest(segment) };
        node.globs.push(glob);
      }
      node = glob.node;
    } else {
      seen.add(segment);
      let next = node.literal.get(segment);
      if (!next) {
        next = emptyNode();
        node.literal.set(segment, next);
      }
      node = next;
    }
  }
  return node;
}

export const splitPath = (path: string): string[] => (path === '' ? [] : path.split('.'));

/** Builds the trie of a tree. Buffers that are not persistent have no name in a state_dict and are left out. */
export function buildPattern(tree: ModuleNode): Pattern {
  const root = emptyNode();
  const parents = new Map<ModuleNode, ModuleNode>();
  const segments = new Set<string>();
  const pending: ModuleNode[] = [tree];
  while (pending.length > 0) {
    const module = pending.pop()!;
    const node = descend(root, splitPath(module.path), segments);
    node.modules.push(module);
    for (const parameter of module.parameters) {
      if (!parameter.persistent) continue;
      descend(node, parameter.name.split('.'), segments).leaves.push({ parameter, module });
    }
    for (let index = module.children.length - 1; index >= 0; index -= 1) {
      parents.set(module.children[index]!, module);
      pending.push(module.children[index]!);
    }
  }
  return { root, parents, segments };
}

/** True when what is inside a module is not, or not fully, known from the source. */
export const isOpen = (module: ModuleNode): boolean => module.kind === 'unknown' || module.unknown !== undefined;

export type Match = { readonly kind: 'leaf'; readonly leaves: readonly PatternLeaf[] } | { readonly kind: 'open' } | null;

/**
 * Follows a name from `from`, starting at segment `start`. `open` means the name lies under a module whose inside the
 * source does not say; the root itself being open is not counted, for then everything would match.
 */
export function matchName(from: PatternNode, segments: readonly string[], start: number): Match {
  let open = false;
  const visit = (node: PatternNode, index: number): readonly PatternLeaf[] | null => {
    if (index === segments.length) return node.leaves.length > 0 ? node.leaves : null;
    if (index > start && !open && node.modules.some(isOpen)) open = true;
    const segment = segments[index]!;
    const literal = node.literal.get(segment);
    const found = literal ? visit(literal, index + 1) : null;
    if (found) return found;
    for (const glob of node.globs) {
      if (!glob.matches(segment)) continue;
      const deeper = visit(glob.node, index + 1);
      if (deeper) return deeper;
    }
    return null;
  };
  const leaves = visit(from, start);
  return leaves ? { kind: 'leaf', leaves } : open ? { kind: 'open' } : null;
}

/** True when a source shape, in which null is any size, allows a stored shape. */
export function shapeAllows(expected: readonly (number | null)[] | null, actual: readonly number[]): boolean {
  if (expected === null) return true;
  return expected.length === actual.length && expected.every((dim, index) => dim === null || dim === actual[index]);
}

/** The same for a stored tensor: a matrix whose file keeps it as [in, out] (ONNX's MatMul) is that of a layer with [out, in]. */
export function tensorAllows(expected: readonly (number | null)[] | null, { shape, outputAxis }: TensorInfo): boolean {
  return shapeAllows(expected, shape) || (outputAxis === 1 && shape.length === 2 && shapeAllows(expected, [shape[1]!, shape[0]!]));
}
