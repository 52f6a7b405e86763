/** Checkpoints of a model that was built with other arguments than its defaults: what they were, or which do not count. */
import type { AdjustableParameter } from '../python/module-tree';
import { compareFit, fitsWholly, isAnotherSize, modulesOf, oddNames, rebuild, unknownOf, type Attempt, type RootQuery, type TreeBuilder } from './attempt';
import { settle } from './settle';
import { containerCounts, fieldOf, proposedSizes } from './sizes';

/** Options beyond this many are not tried one by one. */
const MAX_OPTIONS = 16;
/** Trees made for one candidate with defaults put in question. */
const MAX_BUILDS = 16;
/** Trees made to find the arguments of one candidate, and proposals tried one by one before others are asked for. */
const MAX_RESIZES = 16;
const MAX_SINGLE = 6;

/** Nobody gave it, as a whole or as a field of a configuration object. */
export const isOpen = (given: Readonly<Record<string, unknown>>, name: string): boolean => !Object.hasOwn(given, name) && fieldOf(given, name) === undefined;

/**
 * A checkpoint of the same model built with other arguments: other classes in the head, another width or depth, a flag the
 * other way. What the shapes propose is built, and taken when it leaves fewer tensors unexplained; where only a few do not
 * fit it must not trade one for another, so that a damaged tensor in a model whose arguments are right is still reported.
 */
export async function resize(query: RootQuery, builder: TreeBuilder, made: Attempt): Promise<Attempt> {
  const open = (made.candidate.adjustable ?? []).filter(({ name }) => isOpen(made.args ?? {}, name) && !made.loosened?.includes(name));
  if (!query.checkpoint || query.args || open.length === 0 || fitsWholly(made)) return made;
  let builds = 0;
  const make = async (resized: Readonly<Record<string, unknown>>): Promise<Attempt | null> => {
    builds += 1;
    const next = await rebuild(query, builder, made, { ...made.args, ...unknownOf(made), ...resized });
    return next && { ...next, resized };
  };
  let best = made;
  const improve = async (changes: readonly Readonly<Record<string, unknown>>[], named = false): Promise<boolean> => {
    const odd = new Set(oddNames(best));
    for (const change of changes) {
      if (builds >= MAX_RESIZES) return false;
      const next = await make({ ...best.resized, ...change });
      if (!next || next.fit.score < best.fit.score) continue;
      // What the source names itself may run other code, of which less is known; modules of unknown content must not take the tensors.
      if (named ? (next.link.absorbed ?? 0) > (best.link.absorbed ?? 0) : next.fit.vague > best.fit.vague) continue;
      const left = oddNames(next);
      if (left.length >= odd.size || (!isAnotherSize(made) && left.some((name) => !odd.has(name)))) continue;
      best = next;
      return true;
    }
    return false;
  };
  for (let changed = true; changed && !fitsWholly(best);) {
    const proposals = proposedSizes(best.tree, best.link, open, { ...best.resized });
    const first = Object.fromEntries([...proposals].reverse().map(({ name, value }) => [name, value]));
    const single = proposals.slice(0, MAX_SINGLE).map(({ name, value }) => ({ [name]: value }));
    changed = proposals.length > 0 && await improve(Object.keys(first).length > 1 ? [first, ...single] : single);
  }
  for (let changed = true; changed && !fitsWholly(best);) {
    const flags = open.filter(({ name, value }) => typeof value === 'boolean' && !Object.hasOwn(best.resized ?? {}, name));
    changed = flags.length <= MAX_OPTIONS && await improve(flags.map(({ name, value }) => ({ [name]: !(best.tree.root.args[name] ?? value) })));
  }
  for (const { name, choices = [] } of open) {
    // Each is tried: the first that explains more need not explain most.
    for (const choice of choices) if (!fitsWholly(best)) await improve([{ [name]: choice }], true);
  }
  // Several at a time: those that explain nothing are put back.
  for (const name of Object.keys(best.resized ?? {})) {
    const { [name]: _, ...others } = best.resized!;
    if (Object.keys(others).length === 0 || builds >= MAX_BUILDS + MAX_RESIZES) break;
    const without = await make(others);
    if (without && oddNames(without).length <= oddNames(best).length && compareFit(without.fit, best.fit) <= 0) best = without;
  }
  return best;
}

/**
 * A published checkpoint is often built with other sizes than the constructor's defaults, and only the checkpoint tells.
 * Where the defaults contradict it, they are taken as unknown: first the sizes, then flags and other options, of which
 * those that explain nothing are put back. The attempt as it stands remains when this explains no more.
 */
export async function loosen(query: RootQuery, builder: TreeBuilder, asItStands: Attempt): Promise<Attempt> {
  const made = await resize(query, builder, asItStands);
  const told: Record<string, unknown> = { ...made.args, ...made.resized };
  const open = (made.candidate.adjustable ?? []).filter(({ name }) => isOpen(told, name));
  if (!query.checkpoint || query.args || open.length === 0) return made;
  if (!isAnotherSize(made)) return made.link.unlinkedTensors.length > 0 ? await choose(query, builder, made, open) ?? await admit(query, builder, made, told) : made;
  let builds = 0;
  const chosen: Record<string, unknown> = {};
  const make = async (names: readonly string[]): Promise<Attempt> => {
    builds += 1;
    const next = await rebuild(query, builder, made, { ...told, ...unknownOf({ loosened: names }), ...chosen });
    return next ? { ...next, loosened: names, ...(Object.keys(chosen).length > 0 ? { resized: { ...made.resized, ...chosen } } : {}) } : made;
  };
  const switched = switchedOff(made, open);
  const on = switched.length > 0 ? await make(switched) : made;
  if (compareFit(on.fit, made.fit) < 0 && fitsWholly(on)) {
    let kept = on;
    for (const name of switched.slice(0, MAX_BUILDS)) {
      const without = await make(kept.loosened!.filter((other) => other !== name));
      if (compareFit(without.fit, kept.fit) <= 0) kept = without;
    }
    return kept;
  }
  const sizes = open.filter(({ kind }) => kind === 'size').map(({ name }) => name);
  const others = open.filter(({ kind }) => kind === 'option').map(({ name }) => name);
  let best = made;
  if (sizes.length > 0) {
    const sized = await make(sizes);
    if (compareFit(sized.fit, best.fit) < 0) best = sized;
  }
  if (!fitsWholly(best) && best === made && sizes.length <= MAX_OPTIONS) {
    // Without any size the source may be too open to say much: then only those sizes that help.
    for (const name of sizes) {
      if (builds >= MAX_BUILDS) break;
      const sized = await make([...(best.loosened ?? []), name]);
      if (compareFit(sized.fit, best.fit) < 0) best = sized;
    }
  }
  const taken = best === made ? sizes : best.loosened!;
  // A text option whose values the source names is one of them: that says more than that it is not known.
  for (const { name, choices = [] } of open) {
    for (const choice of fitsWholly(best) ? [] : choices) {
      if (builds >= MAX_BUILDS) break;
      const before = chosen[name];
      chosen[name] = choice;
      const next = await make(taken);
      if (compareFit(next.fit, best.fit) < 0) { best = next; continue; }
      if (before === undefined) delete chosen[name]; else chosen[name] = before;
    }
  }
  for (const name of Object.keys(chosen)) others.splice(others.indexOf(name), 1);
  if (others.length === 0 || others.length > MAX_OPTIONS || fitsWholly(best)) return best;
  const all = await make([...taken, ...others]);
  if (compareFit(all.fit, best.fit) >= 0) return best;
  best = all;
  // A tree that was cut short is not worth making again and again.
  if (all.tree.unknowns.some(({ reason }) => reason.startsWith('evaluation budget'))) return best;
  for (const name of others) {
    if (builds >= MAX_BUILDS) break;
    const without = await make(best.loosened!.filter((other) => other !== name));
    if (compareFit(without.fit, best.fit) <= 0) best = without;
  }
  return best;
}

/** The model with one text option at another of the values that the source names, when that explains the checkpoint wholly; else null. */
async function choose(query: RootQuery, builder: TreeBuilder, made: Attempt, open: readonly AdjustableParameter[]): Promise<Attempt | null> {
  for (const [name, choice] of open.flatMap(({ name, choices = [] }) => choices.map((each) => [name, each] as const)).slice(0, MAX_BUILDS)) {
    const next = await rebuild(query, builder, made, { ...made.args, ...made.resized, [name]: choice });
    if (next && fitsWholly(next)) return { ...next, resized: { ...made.resized, [name]: choice } };
  }
  return null;
}

/**
 * Arguments that switch something off by default (`lora_r = 0`, `use_norm = False`) and are called as what the checkpoint has
 * beyond the source: a word of their name stands in the names of tensors that nothing explains, and in no others.
 */
function switchedOff({ link: { layers, unlinkedTensors } }: Attempt, open: readonly AdjustableParameter[]): string[] {
  if (unlinkedTensors.length === 0) return [];
  const explained = new Set(layers.flatMap(({ tensors }) => tensors.flatMap(({ info }) => (info ? wordsOf(info.name) : []))));
  const stray = new Set(unlinkedTensors.flatMap(({ name }) => wordsOf(name)).filter((word) => !explained.has(word)));
  return open.filter(({ name, value }) => (value === 0 || value === false || value === null) && wordsOf(name).some((word) => stray.has(word))).map(({ name }) => name);
}
const wordsOf = (name: string): string[] => name.replace(/([a-z])(?=[A-Z])/g, '$1_').toLowerCase().split(/[^a-z]+/).filter((word) => word.length > 2);

/** The candidate with the arguments that the checkpoint tells; those it contradicts are unknown, and what that opens is looked at once more. */
export async function fitArguments(query: RootQuery, builder: TreeBuilder, made: Attempt): Promise<Attempt> {
  const settled = await settle(query, builder, made);
  return fillCounts(query, builder, settled === made ? made : await settle(query, builder, await resize(query, builder, settled)));
}

/** Required arguments tried, and values of each. */
const MAX_MISSING = 8;
const MAX_VALUES = 3;
/** What a required argument is tried with first: a count that small costs nothing to build. */
const PROBE = 2;

const stars = ({ tree }: Attempt): number => [...modulesOf(tree.root)].filter(({ path }) => path.split('.').includes('*')).length;

/**
 * Where modules are made in a loop whose count is an argument that nobody gave (`depth`), the checkpoint has the count: each
 * such argument is tried with a number, and what then differs tells the right one. It is kept when the tree built with it says
 * what stands at every place and explains as much as before.
 */
async function fillCounts(query: RootQuery, builder: TreeBuilder, made: Attempt): Promise<Attempt> {
  if (!query.checkpoint || query.args || made.fit.score === 0 || stars(made) === 0) return made;
  let best = made;
  for (const name of made.candidate.missingArguments.filter((one) => !Object.hasOwn(made.args ?? {}, one)).slice(0, MAX_MISSING)) {
    const make = (value: number): Promise<Attempt | null> => rebuild(query, builder, best, { ...best.args, ...best.resized, [name]: value, ...unknownOf(best) });
    const probe = await make(PROBE);
    // A constructor that such a number stops tells nothing, nor does an argument that counts no modules.
    if (!probe || probe.tree.root.unknown || stars(probe) >= stars(best)) continue;
    const more = await make(PROBE + 1);
    const proposed = more ? countsTold(probe, more) : [];
    for (const value of [PROBE, ...proposed.slice(0, MAX_VALUES)]) {
      const next = value === PROBE ? probe : await make(value);
      if (!next || stars(next) >= stars(best) || compareFit(next.fit, best.fit) > 0 || oddNames(next).length > oddNames(best).length) continue;
      best = { ...next, resized: { ...best.resized, [name]: value } };
      break;
    }
    if (stars(best) === 0) break;
  }
  return best;
}

/** The counts with which each container would get as many modules as the checkpoint has: it grows by a step for each of them. */
function countsTold(probe: Attempt, more: Attempt): number[] {
  const larger = new Map(containerCounts(more.tree.root, more.link).map(({ path, source }) => [path, source]));
  const told = containerCounts(probe.tree.root, probe.link).flatMap(({ path, source, stored }) => {
    const step = (larger.get(path) ?? source) - source;
    const value = step === 0 ? 0 : PROBE + (stored - source) / step;
    return Number.isInteger(value) && value > 0 ? [value] : [];
  });
  return [...new Set(told)].filter((value) => value !== PROBE);
}

/**
 * The model with a part that its defaults leave out: a head behind `classify=False`, a second parameter that is None. Tensors
 * that the source has no name for as it stands, and has one for when options count as unknown, are not unexpected. What the
 * defaults miss or contradict stays a finding: an unknown option may take no tensor away.
 */
async function admit(query: RootQuery, builder: TreeBuilder, made: Attempt, told: Readonly<Record<string, unknown>>): Promise<Attempt> {
  const options = (made.candidate.adjustable ?? []).filter(({ name, value }) => isOpen(told, name) && (value === null || value === false || value === 0)).map(({ name }) => name);
  if (options.length === 0 || options.length > MAX_OPTIONS) return made;
  let builds = 0;
  const odd = new Set(oddNames(made));
  const make = async (names: readonly string[]): Promise<Attempt | null> => {
    builds += 1;
    const next = await rebuild(query, builder, made, { ...told, ...unknownOf({ loosened: names }) });
    if (!next || next.link.missing.length !== made.link.missing.length || next.link.misshaped.length !== made.link.misshaped.length) return null;
    return oddNames(next).length < odd.size && oddNames(next).every((name) => odd.has(name)) ? { ...next, loosened: names } : null;
  };
  let best = await make(options);
  if (!best) return made;
  for (const name of options) {
    if (builds >= MAX_BUILDS) break;
    const without = await make(best.loosened!.filter((other) => other !== name));
    if (without && without.link.unlinkedTensors.length <= best.link.unlinkedTensors.length) best = without;
  }
  return best;
}
