/** Bitlens: Compare Checkpoints… Two files, tensor by tensor, in a page of their own. Reads, never executes: works in any workspace. */
import path from 'node:path';
import * as vscode from 'vscode';
import type { CheckpointDiff, DiffMessageIn } from '../../server/protocol';
import { CHECKPOINT_EXTENSIONS } from '../checkpoint-editor';
import type { Context } from '../context';
import { Refusal } from '../errors';
import { textOf, type Arguments } from '../ui/arguments';
import { shellHtml, webviewOptions } from '../webview-shell';

export const DIFF_VIEW = 'bitlens.diff';

/** Arguments: `{path, other}`, the Uris selected in the explorer, or one of them; asks for what is missing. Answers with the comparison. */
export async function compareCheckpoints(context: Context, args: Arguments): Promise<CheckpointDiff | undefined> {
  const selected = Array.isArray(args.selection) ? args.selection.filter((each): each is vscode.Uri => each instanceof vscode.Uri) : [];
  const clicked = args.resource instanceof vscode.Uri ? [args.resource] : [];
  const given = [textOf(args, 'path'), textOf(args, 'other')].filter((each) => each !== undefined).map((file) => vscode.Uri.file(file));
  const uris = [...(selected.length >= 2 ? selected.slice(0, 2) : [...given, ...clicked])];
  if (uris.length < 1) uris.push(...await ask(context, vscode.l10n.t('First Checkpoint'), undefined));
  if (uris.length === 1) uris.push(...await ask(context, vscode.l10n.t('Compare {0} With', path.basename(uris[0]!.fsPath)), uris[0]));
  const [a, b] = uris;
  if (!a || !b) return undefined;
  for (const uri of [a, b]) if (uri.scheme !== 'file') throw new Refusal(vscode.l10n.t('Checkpoints can only be read from files on disk, not from {0}:.', uri.scheme));
  const title = vscode.l10n.t('Comparing {0} with {1}', path.basename(a.fsPath), path.basename(b.fsPath));
  const diff = await context.server.requestWithProgress(title, 'bitlens/diff', { path: a.fsPath, other: b.fsPath });
  show(context, diff, `${path.basename(a.fsPath)} ↔ ${path.basename(b.fsPath)}`);
  return diff;
}

async function ask(context: Context, title: string, beside: vscode.Uri | undefined): Promise<vscode.Uri[]> {
  const known = context.models.summary?.checkpoint;
  const defaultUri = beside ? vscode.Uri.joinPath(beside, '..') : known ? vscode.Uri.file(known) : vscode.workspace.workspaceFolders?.[0]?.uri;
  return await vscode.window.showOpenDialog({ title, openLabel: vscode.l10n.t('Compare'), canSelectMany: false, ...(defaultUri ? { defaultUri } : {}),
    filters: { [vscode.l10n.t('Checkpoints')]: [...CHECKPOINT_EXTENSIONS, 'json'], [vscode.l10n.t('All files')]: ['*'] } }) ?? [];
}

function show(context: Context, diff: CheckpointDiff, title: string): void {
  const { extensionUri } = context.extension;
  const panel = vscode.window.createWebviewPanel(DIFF_VIEW, title, vscode.ViewColumn.Active, { ...webviewOptions(extensionUri), retainContextWhenHidden: false });
  panel.webview.onDidReceiveMessage((message: unknown) => {
    // The page asks each time it is made, also when it comes back after being hidden.
    const ready = typeof message === 'object' && message !== null && (message as { type?: unknown }).type === 'ready';
    if (ready) void panel.webview.postMessage({ type: 'data', diff } satisfies DiffMessageIn);
    else context.log.warn('The comparison page sent a message that is not understood');
  });
  panel.webview.html = shellHtml(panel.webview, extensionUri, 'diff', title);
}
