/** Restart Kernel, Restart Server, Show Logs. */
import * as vscode from 'vscode';
import type { Context } from '../context';
import { ServerDown } from '../errors';

export async function restartKernel(context: Context): Promise<void> {
  await context.server.request('bitlens/restartKernel', {});
  vscode.window.setStatusBarMessage(vscode.l10n.t('The Bitlens kernel was restarted.'), 5000);
}

export async function restartServer(context: Context): Promise<void> {
  await context.server.restart();
  if (context.server.state !== 'running') throw new ServerDown(context.server.downReason || vscode.l10n.t('The Bitlens server did not start. Its log says why.'));
  vscode.window.setStatusBarMessage(vscode.l10n.t('The Bitlens server was restarted.'), 5000);
}

export async function showLogs(context: Context): Promise<void> {
  context.log.show(true);
}

/** Asks the server for the current model again. */
export async function refreshLayers(context: Context): Promise<void> {
  if (context.server.state === 'stopped') throw new ServerDown(context.server.downReason || vscode.l10n.t('The Bitlens server is not running.'));
  await context.models.refresh();
}
