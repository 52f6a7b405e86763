/** The data a model is run on: named in bitlens.json, which is opened with a place to name it when it does not. */
import * as vscode from 'vscode';
import type { ModelTarget, NamedData } from '../../server/protocol';
import type { Context } from '../context';
import { Refusal } from '../errors';
import { folderOf, requireTrust, targetOf, type Arguments } from './arguments';

/** Enough to run the model: what its outputs are, and inputs. */
export const canRun = ({ task, calibration, evaluation }: NamedData): boolean => task !== null && (evaluation !== null || calibration !== null);

/**
 * The model that a command is to run on its data.
 * @throws Refusal in a workspace that is not trusted, without a model, or with a button that names data where there is none
 */
export async function requireRunnable(context: Context, args: Arguments, what: string): Promise<ModelTarget> {
  requireTrust(what);
  const target = targetOf(context, args);
  folderOf(target);
  const summary = await context.models.fetch(target);
  if (canRun(summary.data)) return target;
  const missing = summary.data.task === null && (summary.data.evaluation !== null || summary.data.calibration !== null)
    ? vscode.l10n.t('bitlens.json names data for this model, but not its task: classification, language-model, regression or features.')
    : vscode.l10n.t('bitlens.json names no data for this model.');
  throw new Refusal(`${vscode.l10n.t('{0} runs the model.', what)} ${missing}`, [{ title: vscode.l10n.t('Name Data…'), command: 'bitlens.nameData', args: [target] }]);
}
