/** Which class of a file is the model: the one whose names explain most of the checkpoint. */
import path from 'node:path';
import { modelTensors, type Checkpoint } from '../../kernels/checkpoint/checkpoint';
import { link } from '../linking/link';
import type { RootCandidate } from '../python/module-tree';
import { compareFit, fitOf, fitsWholly, isAlmost, isAnotherSize, modulesOf, TreeBuilder, type Attempt, type RootQuery } from './attempt';
import type { RootChoice } from './model-analysis';
import { argumentsOf } from './config-files';
import { argumentsFrom, CONFIG_PARAMETER, namedArchitecture, tiesEmbeddings } from './model-values';
import { fitArguments, loosen, resize } from './other-arguments';
import { untoldArguments } from './untold';
import { didYouMean, UserError } from './user-error';

/** Candidates beyond this many are not tried: generated files can define thousands of classes. */
const MAX_CANDIDATES = 256;

const KINDS: readonly RootCandidate['kind'][] = ['class', 'function', 'instance'];

function compareAttempts(a: Attempt, b: Attempt, inner: ReadonlySet<string>, bound: boolean, named: string | null): number {
  const other = (attempt: Attempt): number => (named === null || attempt.candidate.name === named ? 0 : 1);
  const used = (attempt: Attempt): number => (inner.has(attempt.candidate.name) ? 1 : 0);
  const needy = (attempt: Attempt): number => (attempt.argsFrom === null && attempt.candidate.missingArguments.length > 0 ? 1 : 0);
  return (bound && needy(a) !== needy(b) ? (needy(a) ? -tellsMore(b, a) : tellsMore(a, b)) : 0)
    || compareFit(a.fit, b.fit)
    || other(a) - other(b)
    || used(a) - used(b)
    || (bound ? 0 : b.fit.modules - a.fit.modules)
    || needy(a) - needy(b)
    || a.fit.vague - b.fit.vague
    || KINDS.indexOf(a.candidate.kind) - KINDS.indexOf(b.candidate.kind)
    || b.candidate.span.startLine - a.candidate.span.startLine;
}

/**
 * What is not known contradicts nothing: a class without its arguments fits a damaged tensor too. Where one that is known
 * explains as much and a few shapes do not fit it, these are findings - unless the class has a parameter that explains them.
 *
 * @returns -1 when `known` comes before `needy` for that, else 0.
 */
function tellsMore(known: Attempt, needy: Attempt): -1 | 0 {
  const damaged = known.fit.score === needy.fit.score && known.fit.vague === 0 && isAlmost(known);
  return damaged && Object.keys(needy.resized ?? {}).every((name) => Object.hasOwn(known.resized ?? {}, name)) ? -1 : 0;
}

/** The best way to build one candidate: as it stands, or with values found beside the weights. */
async function attempt(query: RootQuery, builder: TreeBuilder, candidate: RootCandidate): Promise<Attempt | null> {
  const options = { tieEmbeddings: tiesEmbeddings(query.values) };
  const make = async (args: Readonly<Record<string, unknown>> | null, argsFrom: string | null): Promise<Attempt | null> => {
    query.signal?.throwIfAborted();
    const tree = await builder.build(candidate.name, args);
    if (!tree) return null;
    const linked = link(tree, query.checkpoint, options);
    return { candidate, tree, link: linked, args, argsFrom, fit: fitOf(tree, linked) };
  };
  let best = await make(query.args ?? null, query.args ? query.argsFrom ?? 'bitlens.json' : null);
  if (query.args || !query.checkpoint) return best;
  const { fit } = best ?? { fit: null };
  const needy = candidate.missingArguments.length > 0;
  if (fit && !needy && fit.missing === 0 && fit.misshaped === 0 && fit.vague === 0 && best!.link.unlinkedTensors.length === 0) return best;
  const asItStands = best;
  for (const source of query.values) {
    const args = argumentsFrom(parametersOf(candidate, asItStands), source);
    const variant = args ? await make(args, source.from) : null;
    if (!variant) continue;
    // Values that contradict the weights are of another model. Where the names explain as much, known sizes beat unknown ones.
    const order = best ? compareFit(variant.fit, best.fit) : -1;
    if (order < 0 || (order === 0 && (variant.fit.vague < best!.fit.vague || (needy && best!.argsFrom === null && variant.fit.misshaped === 0)))) best = variant;
  }
  return best && query.configs && needsConfiguration(best) ? fromConfigurations(query.configs, best, make) : best;
}

/** Files tried for one candidate. */
const MAX_CONFIGS = 10;

/** True when what is not known of the model may stand in a file, and enough of its names are in the checkpoint to ask. */
function needsConfiguration(made: Attempt): boolean {
  const { candidate: { missingArguments, adjustable = [] }, link: { matched = 0, absorbed = 0, considered = 0 }, fit } = made;
  const mayTakeOne = missingArguments.length > 0 || adjustable.some(({ value, name }) => (typeof value === 'string' && /\.\w{3,4}$/.test(value)) || (value === null && CONFIG_PARAMETER.test(name)));
  return mayTakeOne && (fit.vague > 0 || !fitsWholly(made)) && matched + absorbed >= HARDLY * considered;
}

/** The candidate built from the project's own configuration files: the first that leaves nothing open, else it stays as it is. */
async function fromConfigurations(configs: NonNullable<RootQuery['configs']>, made: Attempt, make: (args: Readonly<Record<string, unknown>>, from: string) => Promise<Attempt | null>): Promise<Attempt> {
  let builds = 0;
  let best = made;
  for (const file of await configs()) {
    for (const args of argumentsOf(made.candidate, file)) {
      if (builds++ >= MAX_CONFIGS) return best;
      const variant = await make({ ...made.args, ...args }, path.basename(file.path));
      if (!variant || variant.link.unlinkedTensors.length > best.link.unlinkedTensors.length || isAnotherSize(variant)) continue;
      if (fitsWholly(variant) && compareFit(variant.fit, best.fit) <= 0 && (variant.fit.vague < best.fit.vague || !fitsWholly(best))) best = variant;
      if (best === variant && (best.link.absorbed ?? 0) === 0) return best;
    }
  }
  return best;
}

/** Candidates whose defaults are put in question when none fits as it stands. */
const MAX_LOOSENED = 4;
/** Candidates that fit almost and get other arguments at once: where those of a few do not help, the next hundred do not either. */
const MAX_RESIZED = 4;

/** Below this share of the checkpoint a fit is chance. */
const HARDLY = 0.1;
const hardlyExplains = ({ fit, link: { considered = 0 } }: Attempt): boolean => fit.score < HARDLY * considered;

/** Parameters worth filling: every one the candidate lists, else those without a value and those built from defaults. */
function parametersOf(candidate: RootCandidate, made: Attempt | null): readonly string[] {
  if (candidate.parameters) return candidate.parameters;
  const assumed = made?.tree.assumptions.flatMap(({ text }) => /^(\w+) = \w+\(\) with all defaults$/.exec(text)?.[1] ?? []) ?? [];
  return [...new Set([...candidate.missingArguments, ...assumed])];
}

/**
 * Classes and instances first, then factory functions: those whose name the checkpoint's file name has (`vit_small_in21k.pth`)
 * before the others.
 */
function inOrder(candidates: readonly RootCandidate[], checkpoint: Checkpoint | null): RootCandidate[] {
  const file = checkpoint ? path.basename(checkpoint.path).toLowerCase().replace(/[^a-z0-9]+/g, '') : '';
  const named = ({ name }: RootCandidate): number => {
    const plain = name.toLowerCase().replace(/[^a-z0-9]+/g, '');
    return plain.length > 2 && file.includes(plain) ? plain.length : 0;
  };
  const functions = candidates.filter(({ kind }) => kind === 'function');
  return [...candidates.filter(({ kind }) => kind !== 'function'), ...functions.sort((a, b) => named(b) - named(a))];
}

const contained = (made: Attempt, attempts: readonly Attempt[], file: string): boolean => innerClasses(attempts, file).has(made.candidate.name);

/** Names of classes of this file that another candidate's tree contains. */
function innerClasses(attempts: readonly Attempt[], file: string): Set<string> {
  const names = new Set<string>();
  for (const { tree, candidate } of attempts) {
    for (const node of modulesOf(tree.root)) {
      if (node === tree.root || node.kind !== 'user') continue;
      if (node.classSpan && node.classSpan.file !== file) continue;
      if (node.className !== candidate.name) names.add(node.className);
    }
  }
  return names;
}

export interface ChosenRoot {
  readonly attempt: Attempt;
  /** Arguments that are taken for their defaults though the checkpoint is of other sizes. */
  readonly untold: readonly string[];
  readonly choice: RootChoice;
}

/**
 * Chooses the root.
 *
 * @returns null when no candidate can be built.
 * @throws UserError when the class the user named is not in the file.
 */
export async function chooseRoot(query: RootQuery, builder = new TreeBuilder(query.python, query.file)): Promise<ChosenRoot | null> {
  const { candidates, only } = query;
  if (only !== undefined) {
    const named = candidates.find((candidate) => candidate.name === only);
    const made = await attempt(query, builder, named ?? strayCandidate(query.file, only));
    if (!made || (!named && made.tree.root.kind === 'unknown')) throw noSuchClass(query.file, only, candidates);
    const fitted = await fitArguments(query, builder, await loosen(query, builder, made));
    return { attempt: fitted, untold: await untoldArguments(query, builder, fitted), choice: choiceOf(fitted, `named ${query.namedBy ?? 'by the caller'}${fitText(fitted, query.checkpoint)}`, candidates) };
  }
  const attempts: Attempt[] = [];
  const settled = (made: Attempt): boolean => made.fit.score > 0 && made.fit.vague === 0 && fitsWholly(made) && made.link.matched === made.link.considered;
  let resized = 0;
  for (const candidate of inOrder(candidates, query.checkpoint).slice(0, MAX_CANDIDATES)) {
    // A function that builds what is there is as good as the next one: files of models have hundreds of them.
    if (candidate.kind === 'function' && attempts.some((made) => settled(made) && !contained(made, attempts, query.file))) break;
    const made = await attempt(query, builder, candidate);
    if (made) attempts.push(isAlmost(made) && resized++ < MAX_RESIZED ? await resize(query, builder, made) : made);
  }
  if (attempts.length === 0) return null;
  const inner = innerClasses(attempts, query.file);
  const bound = query.checkpoint !== null && attempts.some(({ fit }) => fit.score > 0);
  const named = namedArchitecture(query.values);
  let ranked = [...attempts].sort((a, b) => compareAttempts(a, b, inner, bound, named));
  // Where a part fits better than its whole, the whole may be of another size.
  if (bound && !fitsWholly(ranked[0]!) && (isAnotherSize(ranked[0]!) || inner.has(ranked[0]!.candidate.name))) {
    const questioned = [ranked[0]!, ...ranked.slice(1).filter(({ candidate }) => !inner.has(candidate.name) && candidate.adjustable?.some(({ kind }) => kind === 'size'))].slice(0, MAX_LOOSENED);
    const others = ranked.filter((made) => !questioned.includes(made));
    for (const made of questioned) others.push(await loosen(query, builder, made));
    ranked = others.sort((a, b) => compareAttempts(a, b, inner, bound, named));
  } else if (bound && !fitsWholly(ranked[0]!) && !hardlyExplains(ranked[0]!)) {
    ranked = [await loosen(query, builder, ranked[0]!), ...ranked.slice(1)];
  }
  if (bound && hardlyExplains(ranked[0]!) && inner.has(ranked[0]!.candidate.name)) {
    // A part that shares a name or two with a foreign checkpoint is not the model: the whole is, and what is missing gets said.
    const outer = ranked.filter(({ candidate }) => !inner.has(candidate.name)).sort((a, b) => b.fit.modules - a.fit.modules);
    ranked = [...outer, ...ranked.filter((made) => !outer.includes(made))];
  }
  if (bound) ranked = [await fitArguments(query, builder, ranked[0]!), ...ranked.slice(1)];
  const winner = ranked[0]!;
  return { attempt: winner, untold: bound ? await untoldArguments(query, builder, winner) : [], choice: choiceOf(winner, reasonOf(ranked, inner, query.checkpoint, bound, named), candidates) };
}

/** A class that the file does not list as a candidate may still be buildable (imported into it, or not seen as a module). */
const strayCandidate = (file: string, name: string): RootCandidate => ({
  name, kind: 'class', span: { file, startLine: 0, startColumn: 0, endLine: 0, endColumn: 0 }, missingArguments: [],
});

function noSuchClass(file: string, name: string, candidates: readonly RootCandidate[]): UserError {
  const names = candidates.map((candidate) => candidate.name);
  const there = names.length > 0 ? ` There are: ${names.slice(0, 12).join(', ')}${names.length > 12 ? ', …' : ''}` : ' It defines no nn.Module';
  return new UserError(`${file} has no module class ${JSON.stringify(name)}.${didYouMean(name, names)}${there}`);
}

function choiceOf(made: Attempt, reason: string, candidates: readonly RootCandidate[]): RootChoice {
  const given = made.argsFrom === null ? '' : `; constructor arguments from ${made.argsFrom}`;
  const told = made.resized ? `; arguments told by the checkpoint's shapes: ${shortList(Object.entries(made.resized).map(([name, value]) => `${name} = ${JSON.stringify(value)}`))}` : '';
  const built = made.loosened ? `${given}${told}; the defaults of ${shortList(made.loosened)} do not fit it and count as unknown` : `${given}${told}`;
  return {
    name: made.candidate.name,
    span: made.tree.root.classSpan ?? made.candidate.span,
    reason: `${reason}${built}`,
    alternatives: candidates.filter((candidate) => candidate.name !== made.candidate.name),
  };
}

const shortList = (names: readonly string[]): string => (names.length > 4 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', '));

function fitText(made: Attempt, checkpoint: Checkpoint | null): string {
  if (!checkpoint) return '';
  const { matched = 0, absorbed = 0, considered = modelTensors(checkpoint).length, prefix } = made.link;
  const open = absorbed > 0 ? ` (${absorbed} more lie under modules whose class is unknown)` : '';
  const off = prefix ? ` after taking off "${prefix}"` : '';
  const rest = modelTensors(checkpoint).length - considered;
  const others = rest > 0 ? ` (${rest} more are optimizer state or copies)` : '';
  return `; its names explain ${matched} of the checkpoint's ${considered} tensors${off}${open}${others}`;
}

function reasonOf(ranked: readonly Attempt[], inner: ReadonlySet<string>, checkpoint: Checkpoint | null, bound: boolean, named: string | null): string {
  const [winner, second] = ranked as [Attempt, Attempt | undefined];
  if (!checkpoint || !bound) {
    const why = checkpoint ? 'no class explains a tensor of the checkpoint' : 'there is no checkpoint';
    if (!second) return `the only module of the file${checkpoint ? `; ${why}` : ''}`;
    return `${why}: the largest module that no other one of the file contains`;
  }
  const explains = fitText(winner, checkpoint).slice(2);
  if (!second) return `the only module of the file; ${explains}`;
  if (winner.fit.score !== second.fit.score) return `${explains}; next is ${second.candidate.name} with ${second.link.matched ?? 0}`;
  if (compareFit(winner.fit, second.fit) !== 0) return `${explains}; ${second.candidate.name} explains as many, but misses or contradicts more`;
  if (winner.candidate.name === named) return `${explains}, as do those of ${second.candidate.name}; config.json names ${named}`;
  if (inner.has(second.candidate.name) && !inner.has(winner.candidate.name)) return `${explains}; ${second.candidate.name} explains as many, but is used inside another module`;
  return `${explains}, as do those of ${second.candidate.name}; name the class to choose the other`;
}
