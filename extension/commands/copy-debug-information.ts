/** Bitlens: Copy Debug Information. Versions, states and counts for a bug report; no names of layers, files or people. */
import os from 'node:os';
import * as vscode from 'vscode';
import type { Context } from '../context';
import { readSettings } from '../config';
import { DEFAULT_SETTINGS } from '../../server/protocol';

export function debugInformation(context: Context): string {
  const { server, models, trials } = context;
  const version = (context.extension.extension.packageJSON as { version?: string }).version ?? 'unknown';
  const model = models.summary;
  const settings = readSettings();
  const changed = (Object.keys(DEFAULT_SETTINGS) as (keyof typeof DEFAULT_SETTINGS)[])
    .filter((key) => JSON.stringify(settings[key]) !== JSON.stringify(DEFAULT_SETTINGS[key]))
    .map((key) => key === 'checkpoint' ? 'checkpoint (set)' : `${key}=${JSON.stringify(settings[key])}`);
  const lines: [string, string][] = [
    ['Bitlens', version],
    ['VS Code', `${vscode.version} (${vscode.env.appHost}${vscode.env.remoteName ? `, ${vscode.env.remoteName}` : ''})`],
    ['System', `${os.platform()} ${os.release()} ${os.arch()}, ${os.cpus().length} cores, ${Math.round(os.totalmem() / 1e9)} GB`],
    ['Node', process.versions.node],
    ['Workspace', `${vscode.workspace.workspaceFolders?.length ?? 0} folders, ${vscode.workspace.isTrusted ? 'trusted' : 'restricted mode'}`],
    ['Server', `${server.state}${server.pid === undefined ? '' : ` (process ${server.pid})`}`],
    ['Kernel', server.lastStatus?.kernel ?? 'unknown'],
    ['Model', model ? `${model.layers.length} layers, ${model.layers.filter((row) => row.linked).length} linked, measurements ${model.measurements}, `
      + `checkpoint ${model.checkpoint ? 'found' : 'none'}, recipe ${model.recipe ? 'found' : 'none'}` : models.error ? 'error' : 'none'],
    ['Trials', String(trials.all.length)],
    ['Changed settings', changed.join(', ') || 'none'],
  ];
  return lines.map(([key, value]) => `${key}: ${value}`).join('\n') + '\n';
}

export async function copyDebugInformation(context: Context): Promise<string> {
  const text = debugInformation(context);
  await vscode.env.clipboard.writeText(text);
  vscode.window.setStatusBarMessage(vscode.l10n.t('Debug information was copied.'), 5000);
  return text;
}
