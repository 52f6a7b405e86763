/** How a command becomes a VS Code command: every one works or says why it cannot. */
import * as vscode from 'vscode';
import type { Context } from '../context';
import { isCancellation, isConnectionLost, messageOf, Refusal } from '../errors';
import { asArguments, type Arguments } from '../ui/arguments';

export type Run = (context: Context, args: Arguments) => Promise<unknown>;

/**
 * Registers a command. It answers with what `run` answers; with undefined when it was cancelled or refused, after telling
 * the user. Programs (tests, the API) that want the error itself pass `{ throws: true }`.
 */
export function registerCommand(context: Context, id: string, run: Run): vscode.Disposable {
  return vscode.commands.registerCommand(id, async (raw?: unknown, selection?: unknown) => {
    const args = asArguments(raw, selection);
    try {
      return await run(context, args);
    } catch (error) {
      if (args.throws === true) throw error;
      await explain(context, id, error);
      return undefined;
    }
  });
}

async function explain(context: Context, id: string, error: unknown): Promise<void> {
  if (isCancellation(error)) return;
  const message = messageOf(error);
  context.log.error(`${id}: ${message}`);
  const actions = error instanceof Refusal ? [...error.actions] : [];
  if (isConnectionLost(error)) actions.push({ title: vscode.l10n.t('Restart Server'), command: 'bitlens.restartServer' });
  if (!(error instanceof Refusal)) actions.push({ title: vscode.l10n.t('Show Logs'), command: 'bitlens.showLogs' });
  const show = error instanceof Refusal ? vscode.window.showWarningMessage : vscode.window.showErrorMessage;
  // Not awaited by the command: a message that nobody answers must not keep it open.
  void show(message, ...actions.map((action) => action.title)).then((choice) => {
    const action = actions.find(({ title }) => title === choice);
    if (action) void vscode.commands.executeCommand(action.command, ...(action.args ?? []));
  });
}

/** Shows a result with buttons and runs the one chosen, without waiting for the answer. */
export function offer(message: string, buttons: readonly { readonly title: string; readonly run: () => unknown }[]): void {
  void vscode.window.showInformationMessage(message, ...buttons.map(({ title }) => title)).then((choice) => {
    return buttons.find(({ title }) => title === choice)?.run();
  }).then(undefined, (error: unknown) => vscode.window.showErrorMessage(messageOf(error)));
}
