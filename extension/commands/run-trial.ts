/** Bitlens: Run PTQ Trial. Quantizes every layer by a recipe, or by one format, and keeps the result in the Trials view. */
import path from 'node:path';
import * as vscode from 'vscode';
import { EXPORT_LAYOUTS, type ModelTarget, type Recipe, type TrialRequest, type TrialSummary } from '../../server/protocol';
import type { Context } from '../context';
import { Refusal } from '../errors';
import { askWhereTo, folderOf, isOnnxModel, requireTrust, targetOf, textOf, textsOf, type Arguments } from '../ui/arguments';
import { pickFormat, pickLayout, pickMethod, type Layout } from '../ui/picks';
import { pickSteps, type Steps } from '../ui/pick-steps';
import { evidenceInShort, formatAverageBits, formatBytes, formatCount, formatJudged, oneLine } from '../ui/text';
import { offer } from './command';

type Plan = Pick<TrialRequest, 'recipe' | 'format' | 'method'> & Steps;

/**
 * Arguments: `{uri, root?, recipe?, format?, method?, transforms?, activations?, range?, corrections?, out?, layout?, ask?}`, or the Uri of a recipe file.
 * Without recipe and format, asks for one; without `out`, asks whether to export unless `ask` is false.
 */
export async function runTrialCommand(context: Context, args: Arguments): Promise<TrialSummary | undefined> {
  requireTrust(vscode.l10n.t('A trial'));
  const resource = args.resource instanceof vscode.Uri && !isOnnxModel(args.resource) ? args.resource : undefined;
  const target = resource ? await targetOfRecipe(context, resource) : targetOf(context, args);
  folderOf(target);
  const given = textOf(args, 'recipe') ?? resource?.fsPath;
  const format = textOf(args, 'format');
  const method = textOf(args, 'method');
  const plan: Plan | undefined = given ? { recipe: given } : format ? { format, ...(method && { method }), ...stepsOf(args) } : await pickPlan(context, target);
  if (!plan) return undefined;
  let destination: { out: string; layout?: Layout } | undefined;
  const out = textOf(args, 'out');
  const layout = EXPORT_LAYOUTS.find(({ id }) => id === args.layout)?.id;
  if (out) destination = { out, ...(layout && { layout }) };
  else if (args.ask !== false) {
    const wanted = await askWhetherToExport();
    if (wanted === undefined) return undefined;
    if (wanted) {
      destination = await askExport(context, target, `${path.parse(vscode.Uri.parse(target.uri).fsPath).name}.${plan.format ?? 'quantized'}.safetensors`);
      if (!destination) return undefined;
    }
  }
  return runTrial(context, { ...target, ...plan, ...destination });
}

/** Runs a trial with progress, keeps it in the Trials view and shows what came out. */
export async function runTrial(context: Context, request: TrialRequest): Promise<TrialSummary> {
  if (request.recipe) await saveIfDirty(request.recipe);
  const title = request.recipe ? vscode.l10n.t('PTQ trial of {0}', path.basename(request.recipe)) : vscode.l10n.t('PTQ trial in {0}', request.format ?? '');
  const summary = await context.server.requestWithProgress(title, 'bitlens/trial', request);
  await context.trials.add({ target: { uri: request.uri, ...(request.root && { root: request.root }) }, recipe: request.recipe ?? null, summary });
  const written = summary.export;
  offer(vscode.l10n.t('{0}: {1} layers at {2} bits on average, {3} instead of {4}.{5}{6} {7}', oneLine(summary.title, 140), formatCount(summary.layers.length),
    formatAverageBits(summary.averageBits), formatBytes(summary.bytesAfter), formatBytes(summary.bytesBefore),
    summary.judged ? ` ${vscode.l10n.t('The model: {0}.', oneLine(formatJudged(summary.judged)))}` : '', written ? ` ${vscode.l10n.t('Wrote {0}, verified {1} tensors.', path.basename(written.path), formatCount(written.verifiedTensors))}` : '', evidenceInShort(summary.evidence)), [
    { title: vscode.l10n.t('Show Trial'), run: () => vscode.commands.executeCommand('bitlens.showTrial', { id: summary.id }) },
    ...(written ? [{ title: vscode.l10n.t('Inspect Checkpoint'), run: () => vscode.commands.executeCommand('bitlens.inspectCheckpoint', vscode.Uri.file(written.path)) }] : []),
  ]);
  return summary;
}

/** Asks for a file and a layout. The checkpoint that the values come from is never overwritten. */
export async function askExport(context: Context, target: ModelTarget, name: string): Promise<{ out: string; layout: Layout } | undefined> {
  const layout = await pickLayout(vscode.l10n.t('Export'));
  if (!layout) return undefined;
  const files: readonly string[] = EXPORT_LAYOUTS.find(({ id }) => id === layout)!.files;
  // The usual kind of file first: that of the model.
  const asModel = files.includes('onnx') && (!files.includes('safetensors') || isOnnxModel(vscode.Uri.parse(target.uri)));
  const uri = await askWhereTo(vscode.l10n.t('Export Quantized Checkpoint'), vscode.Uri.joinPath(folderOf(target), asModel ? name.replace(/safetensors$/, 'onnx') : name),
    { ...(asModel ? { ONNX: ['onnx'] } : {}), ...(files.includes('safetensors') ? { Safetensors: ['safetensors'] } : {}), ...(!asModel && files.includes('onnx') ? { ONNX: ['onnx'] } : {}) });
  if (!uri) return undefined;
  const checkpoint = (await context.models.fetch(target)).checkpoint;
  if (checkpoint && path.resolve(checkpoint) === path.resolve(uri.fsPath)) {
    throw new Refusal(vscode.l10n.t('{0} is the checkpoint that the weights come from. Choose another file.', path.basename(checkpoint)));
  }
  return { out: uri.fsPath, layout };
}

/** Steps that a caller names. */
function stepsOf(args: Arguments): Steps {
  const [transforms, corrections, activations, range] = [textsOf(args, 'transforms'), textsOf(args, 'corrections'), textOf(args, 'activations'), textOf(args, 'range')];
  return { ...(transforms && { transforms }), ...(corrections && { corrections }), ...(activations && { activations }), ...(range && { range }) };
}

async function askWhetherToExport(): Promise<boolean | undefined> {
  const chosen = await vscode.window.showQuickPick([
    { label: vscode.l10n.t('Measure only'), detail: vscode.l10n.t('Nothing is written.'), value: false },
    { label: vscode.l10n.t('Measure and export a checkpoint…'), detail: vscode.l10n.t('Written, read back, and compared value by value with what was measured.'), value: true },
  ], { title: vscode.l10n.t('Run PTQ Trial'), placeHolder: vscode.l10n.t('What to do with the quantized weights') });
  return chosen?.value;
}

async function pickPlan(context: Context, target: ModelTarget): Promise<Plan | undefined> {
  const title = vscode.l10n.t('Run PTQ Trial');
  const known = (await context.models.fetch(target)).recipe;
  const found = (await vscode.workspace.findFiles('**/*.recipe.json', '**/node_modules/**', 100)).map((uri) => uri.fsPath);
  const recipes = [...new Set([...(known ? [known] : []), ...found.sort()])];
  const items: (vscode.QuickPickItem & { value?: string | { next: 'format' | 'steps' | 'allocate' } })[] = recipes.map((recipe) => ({
    label: path.basename(recipe), value: recipe, description: vscode.workspace.asRelativePath(recipe),
    ...(recipe === known && { detail: vscode.l10n.t('The recipe of this model') }),
  }));
  if (items.length > 0) items.push({ label: '', kind: vscode.QuickPickItemKind.Separator });
  items.push(
    { label: vscode.l10n.t('One format for all layers…'), value: { next: 'format' } },
    { label: vscode.l10n.t('Transforms and activations, too…'), detail: vscode.l10n.t('Rewrites the model first, rounds what layers are applied to, corrects what is left.'), value: { next: 'steps' } },
    { label: vscode.l10n.t('Suggest a bit allocation first…'), value: { next: 'allocate' } },
  );
  const chosen = (await vscode.window.showQuickPick(items, { title, placeHolder: vscode.l10n.t('Recipe to try') }))?.value;
  if (chosen === undefined || typeof chosen === 'string') return chosen === undefined ? undefined : { recipe: chosen };
  if (chosen.next === 'allocate') {
    await vscode.commands.executeCommand('bitlens.suggestAllocation', target);
    return undefined;
  }
  const format = await pickFormat(context, target, undefined, title);
  const method = format && await pickMethod(context, target, title);
  if (!format || !method) return undefined;
  const steps = chosen.next === 'steps' ? await pickSteps(context, target, title) : {};
  return steps && { format, method, ...steps };
}

/** The model that a recipe file names; the current one when it names none. */
async function targetOfRecipe(context: Context, recipe: vscode.Uri): Promise<ModelTarget> {
  let source: unknown;
  let root: unknown;
  try {
    const document = await vscode.workspace.openTextDocument(recipe);
    const model = (JSON.parse(document.getText()) as Partial<Recipe> | null)?.model;
    source = model?.source;
    root = model?.class;
  } catch (error) {
    throw new Refusal(vscode.l10n.t('{0} cannot be read as a recipe: {1}', path.basename(recipe.fsPath), error instanceof Error ? error.message : String(error)),
      [{ title: vscode.l10n.t('Open Recipe'), command: 'vscode.open', args: [recipe] }]);
  }
  if (typeof source !== 'string' || source === '') return targetOf(context, {});
  const uri = vscode.Uri.file(path.resolve(path.dirname(recipe.fsPath), source)).toString();
  return typeof root === 'string' && root !== '' ? { uri, root } : { uri };
}

/** The server reads recipes from disk: what is on screen must be what is tried. */
async function saveIfDirty(file: string): Promise<void> {
  const open = vscode.workspace.textDocuments.find((document) => document.isDirty && document.uri.scheme === 'file' && document.uri.fsPath === path.resolve(file));
  if (open && !(await open.save())) throw new Refusal(vscode.l10n.t('{0} has changes that could not be saved.', path.basename(file)));
}
