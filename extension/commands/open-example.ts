/** Bitlens: Open Example. Copies the bundled workspace to a place that may be written to, and opens it. */
import * as vscode from 'vscode';
import type { Context } from '../context';
import { Refusal } from '../errors';
import { PROJECT_FILE } from '../project-file';
import { textOf, type Arguments } from '../ui/arguments';

const EXAMPLE = 'shakespeare-gpt';

/** Arguments: `{where?: 'file' | 'window'}`: the model file in this window, or the folder. Answers with the folder. */
export async function openExample(context: Context, args: Arguments): Promise<string | undefined> {
  const folder = await copyExample(context);
  const where = textOf(args, 'where') ?? await askWhere();
  if (where === undefined) return undefined;
  if (where === 'window') {
    await vscode.commands.executeCommand('vscode.openFolder', folder, { forceNewWindow: (vscode.workspace.workspaceFolders?.length ?? 0) > 0 });
    return folder.fsPath;
  }
  await vscode.window.showTextDocument(await modelFile(folder), { preview: false });
  return folder.fsPath;
}

async function askWhere(): Promise<string | undefined> {
  // An empty window stays: opening the folder would close a walkthrough that is being read.
  if (!vscode.workspace.workspaceFolders) return 'file';
  const items = [
    { label: vscode.l10n.t('Open the model file here'), value: 'file' },
    { label: vscode.l10n.t('Open the folder in a new window'), value: 'window' },
  ];
  return (await vscode.window.showQuickPick(items, { title: vscode.l10n.t('Open Example'), placeHolder: vscode.l10n.t('A small GPT with its trained weights') }))?.value;
}

/** The user's own copy. One that is there already is kept: it may hold a recipe or changes. */
async function copyExample(context: Context): Promise<vscode.Uri> {
  const bundled = context.file('examples', EXAMPLE);
  if (!(await exists(bundled))) throw new Refusal(vscode.l10n.t('The example is missing: the extension is not installed completely. Reinstall Bitlens.'));
  const copy = vscode.Uri.joinPath(context.extension.globalStorageUri, 'examples', EXAMPLE);
  if (await exists(copy)) return copy;
  // Copied under another name first: a copy that was interrupted must not be taken for a whole one.
  const temporary = copy.with({ path: `${copy.path}.${process.pid}.tmp` });
  await vscode.workspace.fs.createDirectory(vscode.Uri.joinPath(copy, '..'));
  await vscode.workspace.fs.copy(bundled, temporary, { overwrite: true });
  await vscode.workspace.fs.rename(temporary, copy);
  return copy;
}

/** The source that the example's own bitlens.json names. */
async function modelFile(folder: vscode.Uri): Promise<vscode.Uri> {
  const text = await vscode.workspace.fs.readFile(vscode.Uri.joinPath(folder, PROJECT_FILE)).then((bytes) => new TextDecoder().decode(bytes), () => '{}');
  const source = (JSON.parse(text) as { models?: { source?: unknown }[] }).models?.[0]?.source;
  return vscode.Uri.joinPath(folder, typeof source === 'string' ? source : 'model.py');
}

const exists = (uri: vscode.Uri): Thenable<boolean> => vscode.workspace.fs.stat(uri).then(() => true, () => false);
