/**
 * Sizes that a checkpoint was built with, where those of the constructor do not fit it: read off its shapes and names. They
 * are proposals only, to be proved by building the model again: a size that one tensor alone has changes others too.
 */
import type { LinkResult } from '../linking/layer';
import type { AdjustableParameter, ModuleNode, ModuleTree } from '../python/module-tree';

export interface Proposal {
  readonly name: string;
  readonly value: unknown;
  /** How many tensors speak for it. */
  readonly support: number;
}

/** For a number of the source, the numbers of the checkpoint that stand in its place, each with how often. */
type Votes = Map<number, Map<number, number>>;

/** A parameter with two values that are as good gives both. */
const PER_PARAMETER = 2;
/** A size that is a multiple of the parameter says less than the parameter's own number. */
const MULTIPLE = 0.25;

/** Proposals for the parameters whose value would have to be another one, those that most speaks for first. */
export function proposedSizes(tree: ModuleTree, link: LinkResult, parameters: readonly AdjustableParameter[], given: Readonly<Record<string, unknown>>): Proposal[] {
  const votes: Votes = new Map();
  const vote = (source: number, stored: number, weight = 1): void => {
    const known = votes.get(source) ?? new Map<number, number>();
    known.set(stored, (known.get(stored) ?? 0) + weight);
    votes.set(source, known);
  };
  for (const { expected, actual } of link.misshaped) {
    if (expected.length !== actual.length) continue;
    expected.forEach((dim, axis) => { if (dim !== null && dim !== actual[axis]) vote(dim, actual[axis]!); });
  }
  const counts = containerCounts(tree.root, link);
  for (const { source, stored } of counts) if (source !== stored) vote(source, stored);
  if (votes.size === 0) return [];
  return parameters.flatMap((parameter) => {
    if (parameter.kind !== 'size') return [];
    const { name } = parameter;
    const value = given[name] ?? tree.root.args[name] ?? parameter.value;
    return (typeof value === 'number' ? numbers(value, votes) : Array.isArray(value) ? lists(value, votes, counts) : [])
      .slice(0, PER_PARAMETER).map((proposal) => ({ name, ...proposal }));
  }).sort((a, b) => b.support - a.support);
}

/** `config.n_layer`: what the values that came with the weights have there. */
export function fieldOf(args: Readonly<Record<string, unknown>>, name: string): unknown {
  const dot = name.indexOf('.');
  const whole = dot > 0 ? args[name.slice(0, dot)] : undefined;
  const field = name.slice(dot + 1);
  return typeof whole === 'object' && whole !== null && Object.hasOwn(whole, field) ? (whole as Record<string, unknown>)[field] : undefined;
}

type Found = Pick<Proposal, 'value' | 'support'>;

/** `multiple` weighs what speaks for another number than the value itself: a product with it, or a part of it. */
function numbers(value: number, votes: Votes, multiple = MULTIPLE): Found[] {
  const found = new Map<number, number>();
  const add = (proposed: number, support: number): void => {
    if (Number.isInteger(proposed) && proposed > 0 && proposed !== value) found.set(proposed, (found.get(proposed) ?? 0) + support);
  };
  for (const [source, seen] of votes) {
    for (const [other, support] of seen) {
      if (source === value) add(other, support);
      else if (multiple > 0 && value > 1 && source > 1) {
        if (source % value === 0 || value % source === 0) add((value * other) / source, multiple * support);
        // Positions of an image grow with the square of its side; a class token may be one more.
        for (const extra of [0, 1]) {
          const [side, stored] = [Math.sqrt(source - extra), Math.sqrt(other - extra)];
          if (side > 1 && stored > 1 && Number.isInteger(side) && Number.isInteger(stored) && value % side === 0) add((value / side) * stored, multiple * support);
        }
      }
    }
  }
  return [...found].map(([proposed, support]) => ({ value: proposed, support })).sort((a, b) => b.support - a.support);
}

function lists(value: readonly unknown[], votes: Votes, counts: readonly Count[]): Found[] {
  if (value.length === 0 || !value.every((item) => typeof item === 'number')) return [];
  const items = value as readonly number[];
  const found: Found[] = [];
  // Numbers of blocks in stages: as many containers in a row as the list has items, each of its length.
  for (let from = 0; from + items.length <= counts.length; from++) {
    const stages = counts.slice(from, from + items.length);
    if (stages.every(({ source }, i) => source === items[i]) && stages.some(({ source, stored }) => source !== stored)) {
      found.push({ value: stages.map(({ stored }) => stored), support: items.length });
      break;
    }
  }
  const each = items.map((item) => numbers(item, votes, 0)[0]);
  if (each.some((item) => item !== undefined)) found.push({ value: items.map((item, i) => each[i]?.value ?? item), support: each.reduce((sum, item) => sum + (item?.support ?? 0), 0) });
  return found;
}

interface Count { readonly path: string; readonly source: number; readonly stored: number }

/** For every container of numbered modules in the order of the source: how many it has there, and in the checkpoint. */
export function containerCounts(root: ModuleNode, link: LinkResult): Count[] {
  const stored = new Map<string, number>();
  const names = [...link.layers.flatMap(({ tensors }) => tensors.flatMap(({ info }) => (info ? [info.name] : []))), ...link.unlinkedTensors.map(({ name }) => name)];
  for (const name of names) {
    const segments = (name.startsWith(link.prefix) ? name.slice(link.prefix.length) : name).split('.');
    segments.forEach((segment, i) => {
      if (!/^\d{1,6}$/.test(segment)) return;
      const path = segments.slice(0, i).join('.');
      stored.set(path, Math.max(stored.get(path) ?? 0, Number(segment) + 1));
    });
  }
  const found: Count[] = [];
  const visit = (node: ModuleNode): void => {
    const numbered = node.children.map((child) => ({ child, at: /(?:^|\.)(\d+)$/.exec(child.path)?.[1] })).filter(({ at }) => at !== undefined);
    const there = stored.get(node.path);
    if (numbered.length > 0 && there !== undefined) {
      const all = Math.max(...numbered.map(({ at }) => Number(at) + 1));
      // What stands last may hold no tensor, and then has no name in the checkpoint.
      const held = Math.max(0, ...numbered.filter(({ child }) => holds(child)).map(({ at }) => Number(at) + 1));
      if (held > 0) found.push({ path: node.path, source: all, stored: all + there - held });
    }
    node.children.forEach(visit);
  };
  visit(root);
  return found;
}

const holds = (node: ModuleNode): boolean => node.parameters.some(({ persistent }) => persistent) || node.kind === 'unknown' || node.children.some(holds);
