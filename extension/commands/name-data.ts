/** Bitlens: Name Data… Asks what the model is run on and writes it to bitlens.json, which is then open to be completed. */
import path from 'node:path';
import * as vscode from 'vscode';
import type { Context } from '../context';
import { writeModelEntry, type NamedSource } from '../project-file';
import { folderOf, requireTrust, targetOf, textOf, type Arguments } from '../ui/arguments';

const TASKS = ['classification', 'language-model', 'regression', 'features'] as const;
type Task = (typeof TASKS)[number];

/** Arguments: `{uri, root?, use?, task?, inputs? | synthetic?, labels?}`; what is missing is asked for. Answers with the path of bitlens.json. */
export async function nameData(context: Context, args: Arguments): Promise<string | undefined> {
  requireTrust(vscode.l10n.t('Writing bitlens.json'));
  const target = targetOf(context, args);
  const folder = folderOf(target);
  const use = args.use === 'calibration' || args.use === 'evaluation' ? args.use : await pickUse();
  if (!use) return undefined;
  const given = textOf(args, 'task');
  const task = TASKS.find((each) => each === given) ?? await pickTask();
  if (!task) return undefined;
  const source = await sourceOf(args, folder, use, task);
  if (!source) return undefined;
  const file = await writeModelEntry(target, { data: { task, use, source } });
  await vscode.window.showTextDocument(file, { preview: false });
  return file.fsPath;
}

/** Files, or data that is made up where there are none. */
async function sourceOf(args: Arguments, folder: vscode.Uri, use: 'calibration' | 'evaluation', task: Task): Promise<NamedSource | undefined> {
  const [named, synthetic] = [textOf(args, 'inputs'), textOf(args, 'synthetic')];
  const kind = named !== undefined ? 'files' : synthetic !== undefined ? 'synthetic' : await pickSource(use);
  if (!kind) return undefined;
  if (kind === 'synthetic') return { synthetic: synthetic ?? 'auto' };
  const inputs = named ?? await pickFile(folder, vscode.l10n.t('Inputs: an array of samples, a stream of tokens, or a text'));
  if (!inputs) return undefined;
  const needsLabels = use === 'evaluation' && (task === 'classification' || task === 'regression');
  const labels = textOf(args, 'labels') ?? (needsLabels && named === undefined ? await pickFile(folder, vscode.l10n.t('Labels, one per sample (Escape when there are none)')) : undefined);
  return { inputs, ...(labels ? { labels } : {}) };
}

async function pickSource(use: 'calibration' | 'evaluation'): Promise<'files' | 'synthetic' | undefined> {
  const chosen = await vscode.window.showQuickPick([
    { label: vscode.l10n.t('Data in a file…'), detail: vscode.l10n.t('An array of samples, a stream of tokens, or a text. A folder of images is named in bitlens.json.'), from: 'files' as const },
    { label: vscode.l10n.t('Synthetic data'), from: 'synthetic' as const, detail: use === 'calibration'
      ? vscode.l10n.t('There is none: samples are made up, matched to batch-norm statistics, or written by the language model itself.')
      : vscode.l10n.t('There is none: the quantized model is compared with the unquantized one on made-up samples. Accuracy cannot be measured.') },
  ], { title: vscode.l10n.t('Name Data'), placeHolder: vscode.l10n.t('Where the samples come from') });
  return chosen?.from;
}

async function pickUse(): Promise<'calibration' | 'evaluation' | undefined> {
  const chosen = await vscode.window.showQuickPick([
    { label: vscode.l10n.t('To judge the model'), detail: vscode.l10n.t('Held-out samples that evaluations and trials are judged on.'), use: 'evaluation' as const },
    { label: vscode.l10n.t('To calibrate on'), detail: vscode.l10n.t('Samples that methods such as GPTQ learn from, and that sensitivities are measured on.'), use: 'calibration' as const },
  ], { title: vscode.l10n.t('Name Data'), placeHolder: vscode.l10n.t('What the samples are for') });
  return chosen?.use;
}

async function pickTask(): Promise<Task | undefined> {
  const details: Record<Task, string> = {
    classification: vscode.l10n.t('Scores of classes; labels are whole numbers. Accuracy and cross-entropy.'),
    'language-model': vscode.l10n.t('Scores of the next token; the tokens themselves are the labels. Perplexity.'),
    regression: vscode.l10n.t('Values; labels are values of the same shape. Mean squared error.'),
    features: vscode.l10n.t('Anything else: the quantized output is compared with the unquantized one.'),
  };
  const chosen = await vscode.window.showQuickPick(TASKS.map((task) => ({ label: task, detail: details[task] })), { title: vscode.l10n.t('Name Data'), placeHolder: vscode.l10n.t('What the outputs of the model are') });
  return TASKS.find((task) => task === chosen?.label);
}

async function pickFile(folder: vscode.Uri, title: string): Promise<string | undefined> {
  const chosen = await vscode.window.showOpenDialog({ title, openLabel: vscode.l10n.t('Choose'), canSelectMany: false, defaultUri: folder, filters: { [vscode.l10n.t('Data')]: ['npy', 'npz', 'safetensors', 'bin', 'txt', 'jsonl'], [vscode.l10n.t('All files')]: ['*'] } });
  return chosen?.[0] && path.resolve(chosen[0].fsPath);
}
