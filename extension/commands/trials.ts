/** Commands of the Trials view's items. */
import * as vscode from 'vscode';
import type { Context } from '../context';
import type { StoredTrial } from '../trial-store';
import { Refusal } from '../errors';
import { textOf, type Arguments } from '../ui/arguments';
import { trialUri } from '../views/trial-document';

function trialOf(context: Context, args: Arguments): StoredTrial {
  const trial = context.trials.find(textOf(args, 'id') ?? '');
  if (!trial) throw new Refusal(vscode.l10n.t('This trial is no longer in the list.'));
  return trial;
}

export async function showTrial(context: Context, args: Arguments): Promise<void> {
  await vscode.commands.executeCommand('markdown.showPreview', trialUri(trialOf(context, args)));
}

export async function revealTrialExport(context: Context, args: Arguments): Promise<void> {
  const written = trialOf(context, args).summary.export;
  if (!written) throw new Refusal(vscode.l10n.t('This trial wrote no checkpoint.'));
  await vscode.commands.executeCommand('bitlens.inspectCheckpoint', vscode.Uri.file(written.path));
}

export async function deleteTrial(context: Context, args: Arguments): Promise<void> {
  await context.trials.remove(trialOf(context, args).summary.id);
}
