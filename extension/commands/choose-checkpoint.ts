/** Bitlens: Choose Checkpoint… Says in bitlens.json which checkpoint belongs to the model. */
import path from 'node:path';
import * as vscode from 'vscode';
import type { Context } from '../context';
import { CHECKPOINT_EXTENSIONS } from '../checkpoint-editor';
import { writeModelEntry } from '../project-file';
import { folderOf, requireTrust, targetOf, textOf, type Arguments } from '../ui/arguments';
import { offer } from './command';

const LISTED = 300;

/** Arguments: `{uri, root?, checkpoint?}`, or the Uri of a checkpoint. Answers with the checkpoint's path. */
export async function chooseCheckpoint(context: Context, args: Arguments): Promise<string | undefined> {
  requireTrust(vscode.l10n.t('Writing bitlens.json'));
  const target = targetOf(context, args);
  folderOf(target);
  const given = args.resource instanceof vscode.Uri ? args.resource.fsPath : textOf(args, 'checkpoint');
  const checkpoint = given ?? await pickCheckpoint(vscode.Uri.parse(target.uri), (await context.models.fetch(target)).checkpoint);
  if (!checkpoint) return undefined;
  const file = await writeModelEntry(target, { checkpoint });
  offer(vscode.l10n.t('{0} now belongs to {1} (written to {2}).', path.basename(checkpoint), path.basename(vscode.Uri.parse(target.uri).fsPath), vscode.workspace.asRelativePath(file)), [
    { title: vscode.l10n.t('Open {0}', path.basename(file.fsPath)), run: () => vscode.window.showTextDocument(file) },
  ]);
  return checkpoint;
}

async function pickCheckpoint(source: vscode.Uri, current: string | null): Promise<string | undefined> {
  const title = vscode.l10n.t('Choose Checkpoint');
  const found = await vscode.workspace.findFiles(`**/*.{${CHECKPOINT_EXTENSIONS.join(',')},index.json}`, '**/{node_modules,.git,.venv,venv,site-packages}/**', LISTED);
  const folder = path.dirname(source.fsPath);
  const near = (file: string): number => path.relative(folder, file).split(path.sep).length;
  const files = found.map((uri) => uri.fsPath).sort((left, right) => near(left) - near(right) || left.localeCompare(right));
  const items: (vscode.QuickPickItem & { value?: string })[] = files.map((file) => ({
    label: path.basename(file), value: file, description: vscode.workspace.asRelativePath(file), ...(file === current && { detail: vscode.l10n.t('in use now') }),
  }));
  if (items.length > 0) items.push({ label: '', kind: vscode.QuickPickItemKind.Separator });
  items.push({ label: vscode.l10n.t('Browse…'), alwaysShow: true });
  const chosen = await vscode.window.showQuickPick(items, { title, placeHolder: vscode.l10n.t('File with the weights of this model'), matchOnDescription: true });
  if (!chosen || chosen.value) return chosen?.value;
  const browsed = await vscode.window.showOpenDialog({ title, openLabel: vscode.l10n.t('Choose'), canSelectMany: false, defaultUri: vscode.Uri.joinPath(source, '..'),
    filters: { [vscode.l10n.t('Checkpoints')]: [...CHECKPOINT_EXTENSIONS, 'json'], [vscode.l10n.t('All files')]: ['*'] } });
  return browsed?.[0]?.fsPath;
}
