/** bitlens.json: which class of which file belongs to which checkpoint, and which data it is judged on. */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { DataSource, Preprocess, Task } from '../../kernels/data/data';
import { CONFIG_JSON, familyEntry, modelFolder } from './families';
import { JsonValue, readJsonFile } from './json-reader';
import { isOnnx } from './onnx-file';
import { UserError } from './user-error';
import { syntheticNames } from './vocabulary';

export const CONFIG_NAME = 'bitlens.json';
export const TASKS = ['classification', 'language-model', 'regression', 'features'] as const satisfies readonly Task[];
export type { DataSource, Preprocess, Task };

/** One entry of `models`, paths made absolute. */
export interface ModelEntry {
  /** The Python source; of a model without one, the built-in source of its family. */
  readonly source: string;
  /** Folder of a published model (config.json and weights) whose family is built in. */
  readonly folder?: string;
  readonly class?: string;
  /** Constructor arguments by name. */
  readonly args?: Readonly<Record<string, unknown>>;
  readonly checkpoint?: string;
  readonly recipe?: string;
  readonly task?: Task;
  readonly data?: { readonly calibration?: DataSource; readonly evaluation?: DataSource; readonly preprocess?: Preprocess };
}

/** An entry as it stands in the file. Without a source, the checkpoint is a published model: its folder, or the weights in it. */
export type WrittenEntry = Omit<ModelEntry, 'source'> & ({ readonly source: string } | { readonly source?: undefined; readonly checkpoint: string });

export interface Config {
  readonly path: string;
  readonly models: readonly ModelEntry[];
}

/**
 * Reads a bitlens.json.
 *
 * @throws UserError naming the JSON path of what is wrong.
 */
export async function readConfig(file: string): Promise<Config> {
  const { models } = parseConfig(await readJsonFile(file, 'configuration'), file);
  return { path: file, models: await Promise.all(models.map((model, index) => entryOf(model, `${file}: models[${index}]`))) };
}

/** A source may also be a published model: its folder, or its config.json. */
async function entryOf(entry: WrittenEntry, at: string): Promise<ModelEntry> {
  if (entry.source === undefined) return published(entry, at);
  if (await modelFolder(entry.source) === null) return entry as ModelEntry;
  const { source, ...rest } = entry;
  return published({ ...rest, checkpoint: entry.checkpoint ?? source }, at, source);
}

/** An entry without a source, with that of its family. What the entry says goes before what config.json says. */
async function published(entry: WrittenEntry & { readonly source?: undefined }, at: string, place = entry.checkpoint): Promise<ModelEntry> {
  const { checkpoint } = entry;
  if (isOnnx(checkpoint)) return { ...entry, source: checkpoint };
  const folder = await modelFolder(place) ?? await modelFolder(path.dirname(place));
  if (folder === null) throw new UserError(`${at} names no "source", and its checkpoint ${checkpoint} is no published model: neither it nor its folder holds a config.json. Name the Python file that defines the model`);
  const made = await familyEntry(folder, entry.class);
  const isWeights = (await stat(checkpoint).catch(() => null))?.isFile() === true && path.basename(checkpoint) !== CONFIG_JSON;
  return { ...made, ...entry, source: made.source, args: { ...made.args, ...entry.args }, ...(isWeights ? {} : { checkpoint: made.checkpoint }) } as ModelEntry;
}

export function parseConfig(value: unknown, file: string): { readonly path: string; readonly models: readonly WrittenEntry[] } {
  const folder = path.dirname(file);
  const members = new JsonValue(value, '', file).object(['models'], ['$schema']);
  const models = members.get('models')!.items();
  if (models.length === 0) members.get('models')!.fail('must name at least one model');
  return { path: file, models: models.map((model) => readModel(model, folder)) };
}

const readPath = (value: JsonValue, folder: string): string => path.resolve(folder, value.string());

function readModel(model: JsonValue, folder: string): WrittenEntry {
  const m = model.object([], ['source', 'class', 'args', 'checkpoint', 'recipe', 'task', 'data']);
  if (!m.has('source') && !m.has('checkpoint')) model.fail('needs the property "source", or a "checkpoint" that is a published model with its config.json');
  const args = m.get('args');
  if (args) args.members();
  const data = m.get('data')?.object([], ['calibration', 'evaluation', 'preprocess']);
  const source = (name: 'calibration' | 'evaluation'): DataSource | undefined => { const value = data?.get(name); return value && readSource(value, folder); };
  const [calibration, evaluation] = [source('calibration'), source('evaluation')];
  const preprocess = data?.get('preprocess');
  const optional = <K extends string, T>(key: K, made: T | undefined): { [P in K]?: T } => (made === undefined ? {} : { [key]: made } as { [P in K]: T });
  const checkpoint = optional('checkpoint', m.has('checkpoint') ? readPath(m.get('checkpoint')!, folder) : undefined);
  return {
    ...(m.has('source') ? { source: readPath(m.get('source')!, folder) } : {}),
    ...optional('class', m.get('class')?.string()),
    ...optional('args', args?.value as Record<string, unknown> | undefined),
    ...checkpoint,
    ...optional('recipe', m.has('recipe') ? readPath(m.get('recipe')!, folder) : undefined),
    ...optional('task', m.get('task')?.oneOf(TASKS)),
    ...(data ? { data: { ...optional('calibration', calibration), ...optional('evaluation', evaluation), ...optional('preprocess', preprocess && readPreprocess(preprocess)) } } : {}),
  } as WrittenEntry;
}

function readSource(value: JsonValue, folder: string): DataSource {
  const whole = (entry: JsonValue | undefined, what: string): number | undefined => {
    const count = entry?.number();
    if (count !== undefined && !(Number.isInteger(count) && count > 0)) entry!.fail(`must be a whole number of ${what} above 0`);
    return count;
  };
  const optional = <K extends string, T>(key: K, made: T | undefined): { [P in K]?: T } => (made === undefined ? {} : { [key]: made } as { [P in K]: T });
  if (value.members().has('synthetic')) {
    const entry = value.object(['synthetic'], ['samples', 'sequence']);
    return { synthetic: entry.get('synthetic')!.oneOf(syntheticNames()), ...optional('samples', whole(entry.get('samples'), 'samples')), ...optional('sequence', whole(entry.get('sequence'), 'tokens')) };
  }
  const entry = value.object(['inputs'], ['labels', 'sequence', 'tokenizer']);
  const [labels, tokenizer] = ['labels', 'tokenizer'].map((key) => entry.get(key));
  return {
    inputs: readPath(entry.get('inputs')!, folder), ...(labels ? { labels: readPath(labels, folder) } : {}),
    ...(tokenizer ? { tokenizer: readPath(tokenizer, folder) } : {}), ...optional('sequence', whole(entry.get('sequence'), 'tokens')),
  };
}

function readPreprocess(value: JsonValue): Preprocess {
  const m = value.object([], ['scale', 'mean', 'std', 'layout', 'resize', 'crop']);
  const numbers = (name: string): number[] | undefined => m.get(name)?.items().map((item) => item.number());
  const [mean, std] = [numbers('mean'), numbers('std')];
  if (mean && std && mean.length !== std.length) m.get('std')!.fail(`has ${std.length} values and mean has ${mean.length}: one of each per channel`);
  std?.forEach((deviation, index) => { if (deviation <= 0) m.get('std')!.items()[index]!.fail('must be larger than 0'); });
  const scale = m.get('scale')?.number();
  const layout = m.get('layout')?.oneOf(['NCHW', 'NHWC'] as const);
  const pixels = (item: JsonValue): number => { const count = item.number(); if (!(Number.isInteger(count) && count > 0 && count <= 8192)) item.fail('must be a whole number of pixels from 1 to 8192'); return count; };
  const crop = m.get('crop')?.items().map(pixels);
  if (crop && crop.length !== 2) m.get('crop')!.fail('must be height and width: [224, 224]');
  const resize = m.has('resize') ? pixels(m.get('resize')!) : undefined;
  return { ...(crop ? { crop: [crop[0]!, crop[1]!] as const } : {}), ...(resize === undefined ? {} : { resize }), ...(scale === undefined ? {} : { scale }), ...(mean ? { mean } : {}), ...(std ? { std } : {}), ...(layout ? { layout } : {}) };
}

/** Folders from the file's own upwards, as far as the workspace root that holds it (at most eight without one). */
function foldersAbove(file: string, roots: readonly string[]): string[] {
  const folders: string[] = [];
  const root = roots.find((candidate) => isInside(file, candidate));
  for (let folder = path.dirname(file); folders.length < (root ? 64 : 8); folder = path.dirname(folder)) {
    folders.push(folder);
    if (folder === root || folder === path.dirname(folder)) break;
  }
  return folders;
}

export const isInside = (file: string, folder: string): boolean => {
  const relative = path.relative(folder, file);
  return relative !== '' && !relative.startsWith('..') && !path.isAbsolute(relative);
};

/** The nearest bitlens.json at or above a source file (or the folder of a published model) that names it; null when there is none. */
export async function configFor(file: string, roots: readonly string[], isFolder = false): Promise<{ config: Config; entries: readonly ModelEntry[] } | null> {
  for (const folder of foldersAbove(isFolder ? path.join(file, CONFIG_NAME) : file, roots)) {
    const candidate = path.join(folder, CONFIG_NAME);
    if (!existsSync(candidate)) continue;
    const config = await readConfig(candidate);
    const entries = config.models.filter((model) => (isFolder ? model.folder : model.source) === file);
    if (entries.length > 0) return { config, entries };
  }
  return null;
}
