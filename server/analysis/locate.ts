/** From a source file to its model: the entry of bitlens.json, the checkpoint, the root class, the recipe. */
import path from 'node:path';
import { CheckpointError, type Checkpoint, type CheckpointProblem } from '../../kernels/checkpoint/checkpoint';
import type { Recipe } from '../../kernels/recipe/recipe';
import type { RootCandidate } from '../python/module-tree';
import { TreeBuilder } from './attempt';
import type { CheckpointCache } from './checkpoint-cache';
import { configFor, type ModelEntry } from './config';
import { findCheckpoints } from './discovery';
import { modelValues } from './model-values';
import type { PythonPort } from './ports';
import { readRecipe, recipesBeside, type RecipeVocabulary } from './recipe-file';
import { chooseRoot, type ChosenRoot } from './root-choice';
import { messageOf, UserError } from './user-error';

export interface Located {
  readonly entry: ModelEntry | null;
  readonly configPath: string | null;
  readonly notes: string[];
}

/** The entry of the nearest bitlens.json that names this file (and class). A broken file is a note: the editor goes on. */
export async function locateEntry(file: string, root: string | undefined, roots: readonly string[], isFolder = false): Promise<Located> {
  try {
    const found = await configFor(file, roots, isFolder);
    if (!found) return { entry: null, configPath: null, notes: [] };
    const entry = root === undefined ? found.entries[0]! : found.entries.find((candidate) => candidate.class === root) ?? found.entries.find((candidate) => candidate.class === undefined) ?? null;
    return { entry, configPath: entry ? found.config.path : null, notes: [] };
  } catch (error) {
    if (error instanceof UserError) return { entry: null, configPath: null, notes: [error.message] };
    throw error;
  }
}

export interface OpenedCheckpoint {
  readonly path: string | null;
  readonly checkpoint: Checkpoint | null;
  readonly error: CheckpointProblem | null;
  readonly reason: string;
  /** The root that discovery found best, so that it is not searched twice. */
  readonly chosen?: ChosenRoot | null;
}

/** Opens a checkpoint somebody named. A refused one is data (it becomes a finding), not an exception. */
export async function openNamed(cache: CheckpointCache, file: string, namedBy: string, signal?: AbortSignal): Promise<OpenedCheckpoint> {
  try {
    return { path: file, checkpoint: await cache.open(file, signal), error: null, reason: `named ${namedBy}` };
  } catch (error) {
    if (signal?.aborted || !(error instanceof CheckpointError)) throw error;
    return { path: file, checkpoint: null, error: error.problem, reason: `named ${namedBy}, and refused` };
  }
}

export interface DiscoveryQuery {
  readonly cache: CheckpointCache;
  readonly python: PythonPort;
  readonly file: string;
  readonly candidates: readonly RootCandidate[];
  readonly only?: string;
  readonly args?: Readonly<Record<string, unknown>>;
  readonly namedBy?: string;
  readonly signal?: AbortSignal;
}

/** A checkpoint that explains less than this share of the model's parameters is somebody else's. */
const LEAST_SHARE = 0.25;

/** Looks for checkpoints beside the source and takes the one that the file's classes explain best. */
export async function discover(query: DiscoveryQuery): Promise<OpenedCheckpoint> {
  const found = await findCheckpoints(query.file);
  const none = (reason: string): OpenedCheckpoint => ({ path: null, checkpoint: null, error: null, reason });
  if (found.length === 0) return none('no checkpoint beside the source; name one in bitlens.json or in the setting bitlens.checkpoint');
  const builder = new TreeBuilder(query.python, query.file);
  let best: { path: string; checkpoint: Checkpoint; chosen: ChosenRoot; score: number; share: number } | null = null;
  let refused: { path: string; problem: CheckpointProblem } | null = null;
  for (const { path: file } of found) {
    query.signal?.throwIfAborted();
    let checkpoint: Checkpoint;
    try {
      checkpoint = await query.cache.open(file, query.signal);
    } catch (error) {
      if (query.signal?.aborted || !(error instanceof CheckpointError)) throw error;
      refused ??= { path: file, problem: error.problem };
      continue;
    }
    const chosen = await chooseRoot({ ...query, checkpoint, values: await modelValues(checkpoint) }, builder);
    if (!chosen) continue;
    const { fit, link } = chosen.attempt;
    const parameters = link.layers.reduce((sum, layer) => sum + layer.tensors.length, 0);
    const share = parameters > 0 ? ((link.matched ?? 0) + (link.absorbed ?? 0)) / parameters : 0;
    // Of a checkpoint that the defaults fit and one of another size, the first is this model's.
    const score = fit.score - fit.missing - fit.misshaped - (chosen.attempt.loosened || chosen.attempt.resized ? 0.5 : 0);
    if (share >= LEAST_SHARE && fit.score > 0 && (!best || score > best.score)) best = { path: file, checkpoint, chosen, score, share };
  }
  if (best) {
    const others = found.length > 1 ? `, chosen of ${found.length} beside the source` : ' beside the source';
    return { path: best.path, checkpoint: best.checkpoint, error: null, chosen: best.chosen, reason: `found${others}` };
  }
  // One file that is clearly meant and cannot be read is worth a message; an unrelated one is not.
  if (refused && found.length === 1) return { path: refused.path, checkpoint: null, error: refused.problem, reason: 'found beside the source, and refused' };
  return none(`${found.length === 1 ? 'the checkpoint' : `none of the ${found.length} checkpoints`} beside the source ${found.length === 1 ? 'does not fit' : 'fits'} a class of this file; name one in bitlens.json or in the setting bitlens.checkpoint`);
}

/** The recipe of a model: the one bitlens.json names, else the first beside the source that names this class of this file. */
export async function locateRecipe(file: string, root: string, entry: ModelEntry | null, vocabulary: RecipeVocabulary, notes: string[]): Promise<{ recipe: Recipe; path: string } | null> {
  const named = entry?.recipe;
  const place = entry?.folder ?? file;
  for (const candidate of named ? [named] : await recipesBeside(entry?.folder === undefined ? file : path.join(place, path.basename(place)))) {
    try {
      const recipe = await readRecipe(candidate, vocabulary);
      const source = path.resolve(path.dirname(candidate), recipe.model.source);
      if (named || (source === place && recipe.model.class === root)) return { recipe, path: candidate };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      notes.push(messageOf(error));
    }
  }
  return null;
}

