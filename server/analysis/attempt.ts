/** One candidate built one way and joined with the checkpoint, and how well that fits. */
import type { Checkpoint } from '../../kernels/checkpoint/checkpoint';
import type { LinkResult } from '../linking/layer';
import { link } from '../linking/link';
import { UNKNOWN_ARGUMENT, type ModuleNode, type ModuleTree, type RootCandidate } from '../python/module-tree';
import { breathe } from './breathe';
import { tiesEmbeddings, type ModelValues } from './model-values';
import type { ConfigFile } from './config-files';
import type { PythonPort } from './ports';

/** One class built one way and joined with the checkpoint. */
export interface Attempt {
  readonly candidate: RootCandidate;
  readonly tree: ModuleTree;
  readonly link: LinkResult;
  readonly args: Readonly<Record<string, unknown>> | null;
  /** Where the arguments come from; null when the class was built as it stands. */
  readonly argsFrom: string | null;
  /** Arguments that the checkpoint's shapes tell and a tree built with them proves, in place of the defaults. */
  readonly resized?: Readonly<Record<string, unknown>>;
  /** Parameters whose defaults contradict the checkpoint and were taken as unknown. */
  readonly loosened?: readonly string[];
  readonly fit: Fit;
}

export interface Fit {
  /** Tensors explained; those under unknown modules count little. */
  readonly score: number;
  readonly missing: number;
  readonly misshaped: number;
  /** Unknown places, stars and open modules in the tree. */
  readonly vague: number;
  readonly modules: number;
}

export interface RootQuery {
  readonly python: PythonPort;
  readonly file: string;
  readonly candidates: readonly RootCandidate[];
  readonly checkpoint: Checkpoint | null;
  readonly values: readonly ModelValues[];
  /** Configuration files of the project, looked for when no other way of building a candidate fits. */
  readonly configs?: () => Promise<readonly ConfigFile[]>;
  /** The user's own choice of class and arguments. */
  readonly only?: string;
  readonly namedBy?: string;
  readonly args?: Readonly<Record<string, unknown>>;
  /** Where `args` are from, for people; bitlens.json when absent. */
  readonly argsFrom?: string;
  readonly signal?: AbortSignal;
}

/** Builds trees once per class and arguments, however many checkpoints they are tried against. */
export class TreeBuilder {
  private readonly trees = new Map<string, ModuleTree | null>();
  constructor(private readonly python: PythonPort, private readonly file: string) {}

  async build(name: string, args: Readonly<Record<string, unknown>> | null): Promise<ModuleTree | null> {
    const key = `${name}\0${args ? JSON.stringify(args) : ''}`;
    if (this.trees.has(key)) return this.trees.get(key)!;
    // A file of many large models takes seconds the first time: hovers and edits must not wait for all of them.
    await breathe();
    const tree = await this.python.buildTree(this.file, name, args ?? undefined);
    this.trees.set(key, tree);
    return tree;
  }
}

export function* modulesOf(root: ModuleNode): Generator<ModuleNode> {
  const pending = [root];
  while (pending.length > 0) {
    const node = pending.pop()!;
    yield node;
    pending.push(...node.children);
  }
}

export function fitOf(tree: ModuleTree, linked: LinkResult): Fit {
  let modules = 0;
  let vague = tree.unknowns.length;
  for (const node of modulesOf(tree.root)) {
    modules += 1;
    if (node.path.includes('*') || node.kind === 'unknown' || node.unknown) vague += 1;
  }
  return {
    score: (linked.matched ?? 0) + (tree.root.unknown ? 0.05 : 0.3) * (linked.absorbed ?? 0) - (linked.subtree ? 0.5 : 0),
    missing: linked.missing.length, misshaped: linked.misshaped.length, vague, modules,
  };
}

/** Negative when `a` fits better. Without a checkpoint scores are all zero, and the larger class that nothing contains wins. */
export function compareFit(a: Fit, b: Fit): number {
  return b.score - a.score || a.missing - b.missing || a.misshaped - b.misshaped;
}

export const fitsWholly = ({ fit, link: linked }: Attempt): boolean => fit.missing === 0 && fit.misshaped === 0 && linked.unlinkedTensors.length === 0;

/** Up to this many tensors that do not fit are damage to report, not another size of the model. */
export const FEW = 4;
/** Another size of the model contradicts at least this share of the tensors. */
export const WIDESPREAD = 0.05;

/** True when so much does not fit that the model was built another way; a few tensors that do not fit are findings. */
export function isAnotherSize({ fit, link: { matched = 0, unlinkedTensors } }: Attempt): boolean {
  const odd = fit.missing + fit.misshaped + unlinkedTensors.length;
  return odd > FEW && odd >= WIDESPREAD * (matched + odd);
}

/** All names are there and only a few shapes are others: likely the model with another head. */
export const isAlmost = ({ fit, link: linked }: Attempt): boolean => fit.score > 0 && fit.missing === 0 && linked.unlinkedTensors.length === 0 && fit.misshaped > 0 && fit.misshaped <= FEW;

export const oddNames = ({ link: { missing, misshaped, unlinkedTensors } }: Attempt): string[] => [...missing, ...misshaped, ...unlinkedTensors].map(({ name }) => name);

/** Builds the candidate with these arguments and joins it with the checkpoint; what else the attempt says stays. */
export async function rebuild(query: RootQuery, builder: TreeBuilder, made: Attempt, args: Readonly<Record<string, unknown>>): Promise<Attempt | null> {
  query.signal?.throwIfAborted();
  const tree = await builder.build(made.candidate.name, args);
  if (!tree) return null;
  const linked = link(tree, query.checkpoint, { tieEmbeddings: tiesEmbeddings(query.values) });
  return { ...made, tree, link: linked, fit: fitOf(tree, linked) };
}

/** The arguments that count as unknown, as arguments. */
export const unknownOf = ({ loosened = [] }: Pick<Attempt, 'loosened'>): Record<string, unknown> => Object.fromEntries(loosened.map((name) => [name, UNKNOWN_ARGUMENT]));
