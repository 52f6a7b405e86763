/** Finds the model of a source file: its bitlens.json entry, checkpoint, root class and recipe, remembering what it chose. */
import path from 'node:path';
import type { Recipe } from '../../kernels/recipe/recipe';
import type { Settings } from '../protocol';
import { identityOf, type CheckpointCache } from './checkpoint-cache';
import type { ModelEntry } from './config';
import { configFiles, type ConfigFile } from './config-files';
import { argumentsFor, familyEntry, modelFolder } from './families';
import { discover, locateEntry, locateRecipe, openNamed, type OpenedCheckpoint } from './locate';
import type { ModelAnalysis } from './model-analysis';
import { modelValues } from './model-values';
import { rootsOf, type AnalysisHost, type PythonPort } from './ports';
import { isOnnx, onnxTitle } from './onnx-file';
import { onnxModel } from './onnx-model';
import { readRecipe } from './recipe-file';
import { chooseRoot, type ChosenRoot } from './root-choice';
import { UserError } from './user-error';
import { recipeVocabulary } from './vocabulary';

export interface AnalyseOptions {
  /** Class, function or instance of the file; chosen by what explains most when absent. */
  readonly root?: string;
  /** Path of the checkpoint, overriding bitlens.json and the setting. */
  readonly checkpoint?: string;
  /** An entry of a bitlens.json that the caller has read; otherwise the nearest bitlens.json is looked at. */
  readonly entry?: { readonly model: ModelEntry; readonly configPath?: string };
  /** Path of a recipe to show and check, overriding bitlens.json and the one found beside the source. */
  readonly recipe?: string;
  readonly signal?: AbortSignal;
}

/**
 * How long what discovery found is believed before folders are read again, in milliseconds. The language server is told of
 * new files and asks to forget; this bounds how stale an answer can be where nobody tells.
 */
const DISCOVERY_LIFETIME = 60_000;
const MAX_REMEMBERED = 64;

interface Remembered {
  readonly key: string;
  readonly at: number;
  readonly root: string | null;
  readonly found: OpenedCheckpoint;
}

export class ModelFinder {
  private readonly discovered = new Map<string, Remembered>();
  private readonly roots = new Map<string, { key: string; name: string; matched: number }>();

  /** `caller`: how names that the caller gives came here, for the reasons shown. */
  constructor(private readonly python: PythonPort, private readonly host: AnalysisHost, private readonly checkpoints: CheckpointCache, private readonly caller: string) {}

  forgetDiscovery(): void {
    this.discovered.clear();
  }

  /** The model of a source file, joined with its checkpoint; nothing measured. `source` is an absolute path. @throws UserError */
  async find(source: string, settings: Settings, options: AnalyseOptions): Promise<ModelAnalysis> {
    const { signal } = options;
    const { python, host } = this;
    const published = options.entry ? null : await modelFolder(source);
    if (published !== null) return this.findPublished(published, settings, options);
    const { entry, configPath, notes } = options.entry
      ? { entry: options.entry.model, configPath: options.entry.configPath ?? null, notes: [] }
      : await locateEntry(source, options.root, rootsOf(host));
    if (isOnnx(source)) return this.findOnnx(source, options, { entry, configPath, notes });
    const only = options.root ?? entry?.class;
    const namedBy = options.root !== undefined ? this.caller : entry?.folder === undefined ? 'in bitlens.json' : 'in config.json';
    const args = entry?.args && (only === undefined || only === entry.class || entry.class === undefined || entry.folder !== undefined) ? entry.args : undefined;
    const candidates = await python.rootCandidates(source);
    const query = { python, file: source, candidates, namedBy, ...(only === undefined ? {} : { only }), ...(args ? { args } : {}), ...(entry?.folder === undefined ? {} : { argsFrom: 'config.json' }), ...(signal ? { signal } : {}) };

    const opened = await this.checkpointFor(source, settings, options, entry, { ...query, cache: this.checkpoints });
    const chosen = opened.chosen ?? await this.root(entry?.folder === undefined || !opened.checkpoint ? query : { ...query, args: argumentsFor(args ?? {}, opened.checkpoint) }, opened);
    const recipe = chosen ? await this.recipeFor(source, chosen.choice.name, entry, options.recipe, notes) : null;
    return {
      source, root: chosen?.choice ?? null, tree: chosen?.attempt.tree ?? null,
      checkpointPath: opened.path, checkpoint: opened.checkpoint, checkpointError: opened.error,
      link: chosen?.attempt.link ?? null, measurements: { state: 'none', reason: opened.checkpoint ? 'not measured yet' : opened.reason },
      recipe: recipe?.recipe ?? null, recipePath: recipe?.path ?? null,
      checkpointReason: opened.reason,
      ...rootArguments(chosen),
      ...(configPath ? { configPath } : {}),
      ...(entry ? { entry } : {}),
      ...(notes.length > 0 ? { notes } : {}),
    };
  }

  /** An ONNX file: graph and weights in one. Another checkpoint may stand in for its weights. */
  private async findOnnx(source: string, options: AnalyseOptions, { entry, configPath, notes }: { entry: ModelEntry | null; configPath: string | null; notes: string[] }): Promise<ModelAnalysis> {
    const title = onnxTitle(source);
    if (options.root !== undefined && options.root !== title && options.root !== entry?.class) throw new UserError(`${source} is an ONNX model, which has no classes to choose from; name it without ${JSON.stringify(options.root)}`);
    const { signal } = options;
    const named = options.checkpoint === undefined ? entry?.checkpoint : path.resolve(options.checkpoint);
    const weights = named === undefined || named === source ? null : await openNamed(this.checkpoints, named, options.checkpoint === undefined ? 'in bitlens.json' : this.caller, signal);
    const model = await onnxModel(this.checkpoints, source, weights, signal);
    const recipe = await this.recipeFor(source, title, entry, options.recipe, notes);
    const all = [...notes, ...(model.notes ?? [])];
    return {
      ...model, measurements: { state: 'none', reason: 'not measured yet' }, recipe: recipe?.recipe ?? null, recipePath: recipe?.path ?? null,
      ...(configPath ? { configPath } : {}), ...(entry ? { entry } : {}), notes: all,
    };
  }

  /** A published model: the entry of bitlens.json that names its folder, else what config.json says. */
  private async findPublished(folder: string, settings: Settings, options: AnalyseOptions): Promise<ModelAnalysis> {
    const { entry, configPath, notes } = await locateEntry(folder, options.root, rootsOf(this.host), true);
    const model = entry && (options.root === undefined || options.root === entry.class) ? entry : { ...entry, ...await familyEntry(folder, options.root), ...(entry?.checkpoint === undefined ? {} : { checkpoint: entry.checkpoint }) };
    const found = await this.find(model.source, settings, { ...options, entry: { model, ...(configPath === null ? {} : { configPath }) } });
    return notes.length > 0 ? { ...found, notes: [...notes, ...(found.notes ?? [])] } : found;
  }

  private async checkpointFor(source: string, settings: Settings, options: AnalyseOptions, entry: ModelEntry | null, query: Parameters<typeof discover>[0]): Promise<OpenedCheckpoint> {
    const { signal } = options;
    if (options.checkpoint !== undefined) return openNamed(this.checkpoints, path.resolve(options.checkpoint), this.caller, signal);
    if (entry?.checkpoint !== undefined) return openNamed(this.checkpoints, entry.checkpoint, entry.folder === undefined ? 'in bitlens.json' : 'by the folder of the model', signal);
    if (entry?.folder !== undefined) return { path: null, checkpoint: null, error: null, reason: `${entry.folder} holds no weights, or several files that could be meant; name one with --checkpoint or in bitlens.json` };
    const { checkpoint: setting } = settings;
    if (setting !== '') {
      const base = rootsOf(this.host).find((folder) => source.startsWith(folder + path.sep)) ?? path.dirname(source);
      return openNamed(this.checkpoints, path.resolve(base, setting), 'in the setting bitlens.checkpoint', signal);
    }
    if (query.candidates.length === 0) return { path: null, checkpoint: null, error: null, reason: 'the file has no module class' };
    const key = JSON.stringify([query.only ?? null, query.candidates.map((candidate) => candidate.name)]);
    const known = this.discovered.get(source);
    if (known && known.key === key && Date.now() - known.at < DISCOVERY_LIFETIME) {
      if (!known.found.path || known.found.error) return known.found;
      const again = await openNamed(this.checkpoints, known.found.path, '', signal);
      return { ...again, reason: known.found.reason };
    }
    const found = await discover(query);
    remember(this.discovered, source, { key, at: Date.now(), root: found.chosen?.choice.name ?? null, found: { ...found, chosen: undefined } });
    if (found.chosen) this.rememberRoot(source, query.candidates, found.checkpoint, found.chosen);
    return found;
  }

  /**
   * The root by names explained. While somebody types, the last choice is tried first and kept when it explains as much
   * as it did: trying every class of a large file again on each key would cost more than it tells.
   */
  private async root(query: Omit<Parameters<typeof chooseRoot>[0], 'checkpoint' | 'values'>, opened: OpenedCheckpoint): Promise<ChosenRoot | null> {
    if (query.candidates.length === 0 && query.only === undefined) return null;
    const full = { ...query, checkpoint: opened.checkpoint, values: opened.checkpoint ? await modelValues(opened.checkpoint) : [], configs: this.configsFor(query.file, opened.checkpoint?.path) };
    if (query.only !== undefined) return chooseRoot(full);
    const key = rootKey(query.candidates, opened.checkpoint);
    const last = this.roots.get(query.file);
    if (last && last.key === key && last.matched > 0) {
      const again = await chooseRoot({ ...full, candidates: query.candidates.filter((candidate) => candidate.name === last.name) });
      if (again && (again.attempt.link.matched ?? 0) >= last.matched) {
        return { ...again, choice: { ...again.choice, alternatives: query.candidates.filter((candidate) => candidate.name !== last.name) } };
      }
    }
    const chosen = await chooseRoot(full);
    if (chosen) this.rememberRoot(query.file, query.candidates, opened.checkpoint, chosen);
    return chosen;
  }

  /** Looked for once, when somebody asks. */
  private configsFor(source: string, checkpoint: string | undefined): () => Promise<readonly ConfigFile[]> {
    let found: Promise<readonly ConfigFile[]> | null = null;
    return () => (found ??= checkpoint === undefined ? Promise.resolve([]) : configFiles(source, rootsOf(this.host), checkpoint));
  }

  private rememberRoot(file: string, candidates: Parameters<typeof rootKey>[0], checkpoint: ModelAnalysis['checkpoint'], chosen: ChosenRoot): void {
    remember(this.roots, file, { key: rootKey(candidates, checkpoint), name: chosen.choice.name, matched: chosen.attempt.link.matched ?? 0 });
  }

  private async recipeFor(source: string, root: string, entry: Parameters<typeof locateRecipe>[2], named: string | undefined, notes: string[]): Promise<{ recipe: Recipe; path: string } | null> {
    const vocabulary = recipeVocabulary();
    if (named !== undefined) return { recipe: await readRecipe(path.resolve(named), vocabulary), path: path.resolve(named) };
    return locateRecipe(source, root, entry, vocabulary, notes);
  }
}

/** What the root was built with besides its defaults. */
function rootArguments(chosen: ChosenRoot | null): Pick<ModelAnalysis, 'rootArguments' | 'untoldArguments'> {
  const untold = chosen?.untold.length ? { untoldArguments: chosen.untold } : {};
  const { args = null, argsFrom = null, resized = null } = chosen?.attempt ?? {};
  if (!args && !resized) return untold;
  const from = [...(argsFrom === null ? [] : [argsFrom]), ...(resized ? ["the checkpoint's shapes"] : [])].join(' and ');
  return { ...untold, rootArguments: { values: { ...args, ...resized }, from } };
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_REMEMBERED) map.delete(map.keys().next().value!);
}

const rootKey = (candidates: readonly { readonly name: string }[], checkpoint: ModelAnalysis['checkpoint']): string =>
  JSON.stringify([candidates.map((candidate) => candidate.name), checkpoint ? identityOf(checkpoint) : null]);
