/** Which part of a checkpoint is this model: the prefix of its names that explains most. */
import { isOpen, matchName, tensorAllows, splitPath, type Pattern, type PatternNode } from './pattern';
import type { StoredName } from './names';

export interface PrefixChoice {
  /** Segments taken off the names, wrappers not counted. */
  readonly prefix: readonly string[];
  /** Path in the tree that the names are put under ('' nearly always). */
  readonly subtree: string;
  /** Other prefixes under which the same model lies again: EMA copies, teachers, first moments. */
  readonly copies: readonly (readonly string[])[];
}

interface Votes {
  readonly prefix: readonly string[];
  matched: number;
  misshaped: number;
  open: number;
  /** Names of which the prefix is just the way to the state dict. */
  home: number;
}

/** Top-level entries of a training checkpoint that never hold the model's own tensors. */
const TRAINING_STATE = /^(?:optim(?:izer)?s?(?:_state(?:_dict|s)?)?|optimizer_\w+|\w+_optimizer|opt_state|lr_schedulers?|schedulers?\w*|(?:grad_)?scaler\w*|amp\w*|loops|callbacks|hyper_parameters|hparams|rng_states?\w*|\w+_rng_state\w*|exp_avg\w*|train_state|trainer\w*)$/i;
/** Prefixes taken only when nothing else explains as much. */
const SECONDARY = /^(?:.*ema.*|shadow.*|averaged?|swa.*|teacher.*|target.*|momentum.*|exp_avg.*|optim.*|prev.*|old.*|best.*)$/i;

/** `optimizer_states[0]` is an entry of a list. */
export const isTrainingState = (segment: string): boolean => TRAINING_STATE.test(segment.replace(/\[.*$/, ''));

function vote(from: PatternNode, names: readonly StoredName[]): Map<string, Votes> {
  const votes = new Map<string, Votes>();
  for (const name of names) {
    for (let start = 0; start < name.segments.length; start += 1) {
      // Nearly every start fails on its first segment: seen here without setting up a walk.
      if (from.globs.length === 0 && !from.literal.has(name.segments[start]!)) continue;
      const match = matchName(from, name.segments, start);
      if (!match) continue;
      const prefix = name.segments.slice(0, start);
      const key = prefix.join('.');
      let entry = votes.get(key);
      if (!entry) {
        entry = { prefix, matched: 0, misshaped: 0, open: 0, home: 0 };
        votes.set(key, entry);
      }
      if (start === name.home) entry.home += 1;
      if (match.kind === 'open') entry.open += 1;
      else if (match.leaves.some((leaf) => tensorAllows(leaf.parameter.shape, name.tensor))) entry.matched += 1;
      else entry.misshaped += 1;
    }
  }
  return votes;
}

const score = (votes: Votes): number => votes.matched + 0.5 * votes.misshaped + 0.3 * votes.open;

function better(a: Votes, b: Votes): boolean {
  const [scoreA, scoreB] = [score(a), score(b)];
  if (scoreA !== scoreB) return scoreA > scoreB;
  const secondary = (votes: Votes): number => (votes.prefix.some((segment) => SECONDARY.test(segment)) ? 1 : 0);
  if (secondary(a) !== secondary(b)) return secondary(a) < secondary(b);
  // A module of unknown content takes every name below it: then what the file itself says to be the state dict counts.
  if (a.home !== b.home) return a.home > b.home;
  return a.prefix.length < b.prefix.length;
}

function best(votes: Map<string, Votes>): Votes | null {
  let winner: Votes | null = null;
  for (const entry of votes.values()) if (!winner || better(entry, winner)) winner = entry;
  return winner;
}

/** The entry that holds most of the names, for a model of which nothing is known. */
function commonHome(names: readonly StoredName[]): readonly string[] {
  const homes = new Map<string, { prefix: readonly string[]; count: number }>();
  for (const { segments, home } of names) {
    if (home > 0 && isTrainingState(segments[0]!)) continue;
    const prefix = segments.slice(0, home);
    const known = homes.get(prefix.join('.'));
    if (known) known.count += 1; else homes.set(prefix.join('.'), { prefix, count: 1 });
  }
  return [...homes.values()].sort((a, b) => b.count - a.count)[0]?.prefix ?? [];
}

/** Paths of inner modules that could be a checkpoint by themselves: user classes one or two levels down. */
function innerModules(pattern: Pattern): { path: string; node: PatternNode }[] {
  const root = pattern.root.modules[0];
  if (!root) return [];
  const inner = root.children.flatMap((child) => [child, ...child.children])
    .filter((module) => module.kind === 'user' && module.path !== '' && !module.path.includes('*')).slice(0, 64);
  return inner.flatMap((module) => {
    let node: PatternNode | undefined = pattern.root;
    for (const segment of splitPath(module.path)) node = node?.literal.get(segment);
    return node ? [{ path: module.path, node }] : [];
  });
}

/**
 * Chooses the prefix under which most names match the tree. Every suffix of every name is tried against the tree, so any
 * combination (`state_dict.model.module.`) and a tree that is only a part of the checkpoint (`encoder.`) come out of the
 * same count. A prefix that the source has itself wins as '' because the whole name matches.
 */
export function choosePrefix(pattern: Pattern, names: readonly StoredName[]): PrefixChoice {
  const votes = vote(pattern.root, names);
  let winner = best(votes);
  let subtree = '';
  if (names.length > 0 && (winner?.matched ?? 0) < names.length / 2) {
    for (const inner of innerModules(pattern)) {
      const candidate = best(vote(inner.node, names));
      if (candidate && candidate.matched > 1 && score(candidate) > 2 * (winner ? score(winner) : 0)) {
        winner = candidate;
        subtree = inner.path;
      }
    }
  }
  if (!winner) return { prefix: pattern.root.modules.some(isOpen) ? commonHome(names) : [], subtree: '', copies: [] };
  const chosen = winner;
  const copies = [...votes.values()]
    .filter((entry) => entry !== chosen && entry.prefix.length > 0 && entry.matched > 1 && entry.matched >= chosen.matched / 2)
    .map((entry) => entry.prefix);
  return { prefix: chosen.prefix, subtree, copies };
}

export const startsWith = (segments: readonly string[], prefix: readonly string[]): boolean =>
  segments.length >= prefix.length && prefix.every((segment, index) => segments[index] === segment);
