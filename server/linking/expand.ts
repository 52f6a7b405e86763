/** Walks the tree's pattern and the checkpoint's names side by side: every `*` becomes what the checkpoint holds. */
import type { TensorInfo } from '../../kernels/checkpoint/checkpoint';
import type { ModuleNode, ParameterNode } from '../python/module-tree';
import { companionsOf, replacementOf } from './companions';
import { lookUp, sortedSegments, unusedBelow, type NameNode } from './names';
import { globTest, isOpen, tensorAllows, type Pattern, type PatternNode } from './pattern';

/** A parameter of one module instance with what the checkpoint has for it. */
export interface BoundParameter {
  /** Own name, below the module. */
  readonly name: string;
  readonly parameter: ParameterNode | null;
  readonly tensor: TensorInfo | null;
  /** For a parameter stored in another form: the tensor that carries its values (null: none does). */
  readonly standsFor?: string;
  readonly carriesWeight?: boolean;
}

/** One module at one concrete path. */
export interface ModuleInstance {
  readonly path: string;
  readonly module: ModuleNode;
  readonly parameters: readonly BoundParameter[];
  /** Set for what lies inside a module that the source does not know. */
  readonly inferred?: string;
}

export interface Expansion {
  readonly instances: ModuleInstance[];
  readonly missing: { readonly name: string; readonly parameter: ParameterNode; readonly module: ModuleNode }[];
}

/** Names that PyTorch fills in itself when they are absent (BatchNorm's counter, since version 2 of its state). */
const FILLED_IN = new Set(['num_batches_tracked']);

/** How many tensors below `names` a pattern explains; misfits count half. Used to tell alternatives apart. */
function hits(pattern: PatternNode, names: NameNode | null | undefined, only?: (module: ModuleNode) => boolean): number {
  if (!names) return 0;
  let total = 0;
  if (names.tensor) {
    const leaves = pattern.leaves.filter((leaf) => !only || only(leaf.module));
    if (leaves.length > 0) total += leaves.some((leaf) => tensorAllows(leaf.parameter.shape, names.tensor!)) ? 1 : 0.5;
  }
  for (const [segment, child] of names.children) {
    const literal = pattern.literal.get(segment);
    let found = literal ? hits(literal, child, only) : 0;
    if (found === 0) for (const glob of pattern.globs) if (glob.matches(segment)) found = Math.max(found, hits(glob.node, child, only));
    total += found;
  }
  return total;
}

/** Is there anything at a module that its parameters have not taken? Companions need not be looked for otherwise. */
function holdsMore(names: NameNode): boolean {
  for (const child of names.children.values()) if ((child.tensor && !child.used) || child.children.size > 0) return true;
  return false;
}

/** Are the tensors at a place those of this module: every one it must have, of a shape it allows, and no other? */
function accountsFor(module: ModuleNode, names: NameNode): boolean {
  if (module.kind === 'unknown' || module.unknown) return false;
  const own = new Map(module.parameters.filter(({ persistent }) => persistent).map((parameter) => [parameter.name, parameter]));
  const inner = new Map(module.children.map((child) => [child.path.slice(child.path.lastIndexOf('.') + 1), child]));
  for (const [segment, child] of names.children) {
    if (child.tensor) {
      const parameter = own.get(segment);
      if (!parameter || !tensorAllows(parameter.shape, child.tensor)) return false;
    } else {
      const below = inner.get(segment) ?? inner.get('*');
      if (!below || (!isOpen(below) && !accountsFor(below, child))) return false;
    }
  }
  for (const [name, { optional }] of own) if (!optional && !names.children.has(name) && !FILLED_IN.has(name)) return false;
  return module.children.every((child) => child.optional || child.path.endsWith('*') || !mustHold(child) || names.children.has(child.path.slice(child.path.lastIndexOf('.') + 1)));
}
const mustHold = (module: ModuleNode): boolean => module.kind !== 'unknown' && !module.optional
  && (module.parameters.some(({ persistent, optional, name }) => persistent && !optional && !FILLED_IN.has(name)) || module.children.some((child) => !child.path.includes('*') && mustHold(child)));

/** How many sizes of its tensors the source says. */
const knownSizes = (module: ModuleNode): number => module.parameters.reduce((sum, { shape }) => sum + (shape?.filter((size) => size !== null).length ?? 0), 0)
  + module.children.reduce((sum, child) => sum + knownSizes(child), 0);

const hasTensors = (names: NameNode | null): boolean => names !== null && !unusedBelow(names).next().done;

export function expand(pattern: Pattern, root: NameNode, bound: boolean): Expansion {
  const result: Expansion = { instances: [], missing: [] };

  /** Is `inner` the module itself or inside it? */
  const inside = (inner: ModuleNode, outer: ModuleNode): boolean => {
    for (let at: ModuleNode | undefined = inner; at; at = pattern.parents.get(at)) if (at === outer) return true;
    return false;
  };

  /** Of several modules constructed at one path, the one that explains most of what is there. */
  const choose = (node: PatternNode, names: NameNode | null, within: ModuleNode | null): ModuleNode | null => {
    const possible = node.modules.filter((module) => within === null || (pattern.parents.get(module) ?? null) === within);
    if (possible.length <= 1) return possible[0] ?? null;
    let winner = possible[0]!;
    let most = -1;
    for (const module of possible) {
      const found = hits(node, names, (owner) => inside(owner, module));
      if (found > most || (found === most && winner.optional && !module.optional)) { winner = module; most = found; }
    }
    return winner;
  };

  /**
   * Of the modules one may stand for, the only one whose names and shapes are what the checkpoint has there; else itself.
   * Of several of one class it is the one whose known sizes are most, for they all came true.
   */
  const settle = (module: ModuleNode, names: NameNode | null): ModuleNode => {
    if (!bound || !module.alternatives || !names) return module;
    const fitting = module.alternatives.filter((option) => accountsFor(option, names));
    const [first] = fitting;
    if (!first || fitting.some((option) => option.qualifiedName !== first.qualifiedName)) return module;
    const { optional: _, ...settled } = fitting.reduce((best, option) => (knownSizes(option) > knownSizes(best) ? option : best), first);
    return { ...settled, path: module.path, children: module.children };
  };

  const bindParameters = (module: ModuleNode, path: readonly string[], names: NameNode | null): BoundParameter[] => {
    const found: BoundParameter[] = [];
    const present: { parameter: ParameterNode; name: string }[] = [];
    // `weight_ih_l*_reverse` says more than `weight_ih_l*`: what both match is the former's.
    const globs = module.parameters.filter(({ name }) => name.includes('*')).map((parameter) => ({ parameter, matches: globTest(parameter.name) }))
      .sort((a, b) => b.parameter.name.length - a.parameter.name.length);
    for (const parameter of module.parameters) {
      if (!parameter.persistent) continue;
      if (parameter.name.includes('*')) {
        for (const [segment, child] of names?.children ?? []) {
          if (!child.tensor || child.used || module.parameters.some((other) => other.name === segment)) continue;
          if (globs.find(({ matches }) => matches(segment))?.parameter !== parameter) continue;
          child.used = true;
          found.push({ name: segment, parameter, tensor: child.tensor });
        }
        continue;
      }
      const node = lookUp(names, parameter.name);
      if (node?.tensor && !node.used) {
        node.used = true;
        found.push({ name: parameter.name, parameter, tensor: node.tensor });
        present.push({ parameter, name: parameter.name });
        continue;
      }
      const replacement = names && holdsMore(names) ? replacementOf(names, parameter.name) : null;
      if (replacement) {
        for (const entry of replacement.tensors) {
          entry.node.used = true;
          found.push({ name: entry.name, parameter: null, tensor: entry.tensor, standsFor: parameter.name, carriesWeight: entry.name === replacement.weight });
        }
        continue;
      }
      if (parameter.optional && bound) continue;
      found.push({ name: parameter.name, parameter, tensor: null });
      if (bound && !FILLED_IN.has(parameter.name)) result.missing.push({ name: [...path, parameter.name].join('.'), parameter, module });
    }
    if (names && module.kind !== 'user' && holdsMore(names)) {
      for (const { name } of present.filter(({ parameter }) => parameter.kind === 'parameter' && !/bias/.test(parameter.name))) {
        for (const entry of companionsOf(names, name)) {
          entry.node.used = true;
          found.push({ name: entry.name, parameter: null, tensor: entry.tensor, standsFor: name });
        }
      }
    }
    return found;
  };

  /** What nothing explained below a module whose inside is not known: layers by name, one per group of tensors. */
  const absorb = (module: ModuleNode, path: readonly string[], names: NameNode): void => {
    const groups = new Map<string, BoundParameter[]>();
    for (const { path: below, node, tensor } of unusedBelow(names)) {
      node.used = true;
      const owner = [...path, ...below.slice(0, -1)].join('.');
      const entry: BoundParameter = { name: below[below.length - 1] ?? '', parameter: null, tensor };
      const group = groups.get(owner);
      if (group) group.push(entry);
      else groups.set(owner, [entry]);
    }
    for (const [owner, parameters] of groups) {
      result.instances.push({ path: owner, module, parameters, inferred: module.unknown?.reason ?? 'the class of this module is not known' });
    }
  };

  const visit = (node: PatternNode, names: NameNode | null, path: readonly string[], within: ModuleNode | null): void => {
    const chosen = choose(node, names, within);
    if (node.modules.length > 0 && !chosen) return;
    if (chosen && bound && chosen.optional && !hasTensors(names)) return;
    const owner = chosen ?? within;
    const module = chosen ? settle(chosen, names) : null;
    if (module) {
      const parameters = bindParameters(module, path, names);
      if (parameters.length > 0) result.instances.push({ path: path.join('.'), module, parameters });
    }
    for (const [segment, child] of node.literal) {
      if (child.modules.length === 0 && child.leaves.length > 0 && child.literal.size === 0 && child.globs.length === 0) continue;
      visit(child, names?.children.get(segment) ?? null, [...path, segment], owner);
    }
    if (node.globs.length > 0) visitGlobs(node, names, path, owner);
    if (module && names && isOpen(module)) absorb(module, path, names);
  };

  const visitGlobs = (node: PatternNode, names: NameNode | null, path: readonly string[], owner: ModuleNode | null): void => {
    const modules = node.globs.filter((glob) => glob.node.modules.length > 0 || glob.node.literal.size > 0 || glob.node.globs.length > 0);
    if (!bound) {
      for (const glob of modules) visit(glob.node, null, [...path, glob.pattern], owner);
      return;
    }
    for (const segment of sortedSegments([...(names?.children.keys() ?? [])])) {
      const child = names!.children.get(segment)!;
      if (node.literal.has(segment) || child.children.size === 0) continue;
      let winner: PatternNode | null = null;
      let most = 0;
      for (const glob of modules) {
        if (!glob.matches(segment)) continue;
        const found = hits(glob.node, child) + (glob.node.modules.some(isOpen) ? 0.25 : 0);
        if (found > most) { winner = glob.node; most = found; }
      }
      if (winner) visit(winner, child, [...path, segment], owner);
    }
  };

  visit(pattern.root, root, [], null);
  return result;
}

