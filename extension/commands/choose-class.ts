/** Bitlens: Choose Model Class… Says in bitlens.json which class is the root of the model. */
import * as vscode from 'vscode';
import type { Context } from '../context';
import { Refusal } from '../errors';
import { writeModelEntry } from '../project-file';
import { folderOf, requireTrust, targetOf, textOf, type Arguments } from '../ui/arguments';
import { oneLine } from '../ui/text';

/** Arguments: `{uri, class?}`. Answers with the class chosen. */
export async function chooseClass(context: Context, args: Arguments): Promise<string | undefined> {
  requireTrust(vscode.l10n.t('Writing bitlens.json'));
  const target = targetOf(context, args);
  folderOf(target);
  let name = textOf(args, 'class');
  if (name === undefined) {
    const summary = await context.models.fetch(target);
    if (summary.rootCandidates.length === 0) throw new Refusal(vscode.l10n.t('No class derived from nn.Module was found in this file.'));
    const items = summary.rootCandidates.map((candidate) => ({
      label: oneLine(candidate), value: candidate, ...(candidate === summary.root && { description: vscode.l10n.t('in use now'), detail: oneLine(summary.rootReason, 300) }),
    }));
    name = (await vscode.window.showQuickPick(items, { title: vscode.l10n.t('Choose Model Class'), placeHolder: vscode.l10n.t('Class that the checkpoint is a state_dict of') }))?.value;
  }
  if (name === undefined) return undefined;
  await writeModelEntry({ uri: target.uri }, { class: name });
  return name;
}
