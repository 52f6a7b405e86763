/** TARGET: `file.py`, `file.py:Class`, an ONNX model, a bitlens.json, `bitlens.json:Class`, or the folder of a published model (`folder:Class`). */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { readConfig, type ModelEntry } from '../analysis/config';
import { modelFolder } from '../analysis/families';
import type { ModelAnalysis } from '../analysis/model-analysis';
import type { AnalyseOptions } from '../analysis/service';
import { didYouMean, UserError } from '../analysis/user-error';
import type { Flag } from './arguments';
import type { VerbContext } from './context';
import { plain, plural } from './output';
import { addProjectOf } from './project';

export const TARGET = { name: 'TARGET', help: 'model: file.py, file.py:Class, an ONNX file, a bitlens.json, or a folder with config.json and weights' } as const;
export const CHECKPOINT: Flag = { name: 'checkpoint', value: 'CKPT', help: 'weights; else bitlens.json, else found beside the source' };
export const FORMATS: Flag = { name: 'formats', value: 'LIST', help: 'format ids or families, separated by commas; "all" for every listed one', repeated: true };

const WHAT = 'TARGET is file.py, file.py:Class, an ONNX file, a bitlens.json, or a folder with config.json and weights';

/** True for a file of our own kind that somebody called config.json. */
const namesModels = async (file: string): Promise<boolean> => /"models"\s*:/.test(await readFile(file, 'utf8'));

export interface Target {
  readonly file: string;
  readonly root?: string;
  readonly entry?: { readonly model: ModelEntry; readonly configPath: string };
}

async function kindOf(file: string): Promise<'file' | 'folder' | null> {
  const facts = await stat(file).catch(() => null);
  return facts === null ? null : facts.isDirectory() ? 'folder' : 'file';
}

/** @throws UserError when there is no such file, or a configuration names several models. */
export async function readTarget(text: string): Promise<Target> {
  const whole = path.resolve(text);
  const split = /^(.+):([A-Za-z_][\w.]*)$/.exec(text);
  if (split && (await kindOf(whole)) === null && (await kindOf(path.resolve(split[1]!))) !== null) return resolveTarget(path.resolve(split[1]!), split[2]!, text);
  return resolveTarget(whole, undefined, text);
}

async function resolveTarget(file: string, root: string | undefined, text: string): Promise<Target> {
  addProjectOf(file);
  const kind = await kindOf(file);
  if (kind === null) throw new UserError(`${text}: there is no such file. ${WHAT}`);
  const published = await modelFolder(file);
  if (published !== null && !(kind === 'file' && await namesModels(file))) return { file: published, ...(root === undefined ? {} : { root }) };
  if (kind === 'folder') throw new UserError(`${text} is a folder without a config.json. ${WHAT}`);
  if (!file.toLowerCase().endsWith('.json')) {
    if (!/\.(?:pyi?|onnx)$/i.test(file)) throw new UserError(`${text} is neither Python source, an ONNX file nor a bitlens.json. ${WHAT}; the checkpoint goes to --checkpoint`);
    return { file, ...(root === undefined ? {} : { root }) };
  }
  const config = await readConfig(file);
  const names = config.models.map((model) => model.class ?? path.basename(model.source));
  const matching = root === undefined ? config.models : config.models.filter((model) => model.class === root);
  if (matching.length === 0) throw new UserError(`${file} has no model of class ${JSON.stringify(root)}.${didYouMean(root!, names)} There are: ${names.join(', ')}`);
  if (matching.length > 1) throw new UserError(`${file} names ${matching.length} models (${names.join(', ')}); say which: ${text}:${names[0]}`);
  const model = matching[0]!;
  if ((await kindOf(model.source)) !== 'file') throw new UserError(`${file}: models[${config.models.indexOf(model)}].source is ${model.source}, and there is no such file`);
  return { file: model.source, entry: { model, configPath: file } };
}

/** Options of an analysis from a target and the flags. */
export function analyseOptions(target: Target, context: VerbContext): AnalyseOptions {
  const checkpoint = context.args.text('checkpoint');
  const recipe = context.args.text('recipe');
  return {
    ...(target.root === undefined ? {} : { root: target.root }),
    ...(target.entry ? { entry: target.entry } : {}),
    ...(checkpoint === undefined ? {} : { checkpoint }),
    ...(recipe === undefined ? {} : { recipe }),
    signal: context.signal,
  };
}

/** Analyses the TARGET (a positional argument, the first unless said otherwise) and says on stderr what was chosen and what is noteworthy. */
export async function analyseTarget(context: VerbContext, position = 0): Promise<ModelAnalysis> {
  const target = await readTarget(context.args.positionals[position]!);
  const service = context.service();
  const analysis = await service.analyse(target.file, analyseOptions(target, context));
  for (const note of notesOf(analysis)) context.note(note);
  return analysis;
}

/** What a person should know about how the model was found. */
export function notesOf(analysis: ModelAnalysis): string[] {
  const { root, checkpointPath, checkpointReason, link, notes, tree } = analysis;
  const shown: string[] = [...(notes ?? [])];
  if (root) shown.push(`model: ${root.name} (${plain(root.reason, 400)})`);
  if (checkpointPath) shown.push(`checkpoint: ${checkpointPath} (${checkpointReason ?? 'given'})`);
  else if (checkpointReason) shown.push(`checkpoint: none, ${checkpointReason}`);
  for (const { prefix, tensors } of link?.elsewhere ?? []) shown.push(`${plural(tensors, 'tensor')} under ${JSON.stringify(plain(prefix))} ${tensors === 1 ? 'is' : 'are'} outside this model`);
  if (tree && tree.unknowns.length > 0) shown.push(`${plural(tree.unknowns.length, 'place')} in the source could not be evaluated; first: ${plain(tree.unknowns[0]!.reason)}`);
  return shown;
}
