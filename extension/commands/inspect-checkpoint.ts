/** Bitlens: Inspect Checkpoint… Opens the read-only table of a checkpoint. Reads, never executes: works in any workspace. */
import * as vscode from 'vscode';
import type { Context } from '../context';
import { CHECKPOINT_EXTENSIONS, viewTypeOf } from '../checkpoint-editor';
import { textOf, type Arguments } from '../ui/arguments';

/** Arguments: a Uri, or `{path}`; without, asks for a file, starting from the current model's checkpoint. */
export async function inspectCheckpoint(context: Context, args: Arguments): Promise<void> {
  const path = textOf(args, 'path');
  const uri = args.resource instanceof vscode.Uri ? args.resource : path ? vscode.Uri.file(path) : await ask(context);
  if (uri) await vscode.commands.executeCommand('vscode.openWith', uri, viewTypeOf(uri));
}

async function ask(context: Context): Promise<vscode.Uri | undefined> {
  const known = context.models.summary?.checkpoint;
  const defaultUri = known ? vscode.Uri.file(known) : vscode.workspace.workspaceFolders?.[0]?.uri;
  const chosen = await vscode.window.showOpenDialog({ title: vscode.l10n.t('Inspect Checkpoint'), openLabel: vscode.l10n.t('Inspect'), canSelectMany: false, defaultUri,
    filters: { [vscode.l10n.t('Checkpoints')]: [...CHECKPOINT_EXTENSIONS], [vscode.l10n.t('Shard index')]: ['json'], [vscode.l10n.t('All files')]: ['*'] } });
  return chosen?.[0];
}
