/** The data a model is run on: named in bitlens.json, which is opened with a place to name it when it does not. */
import * as vscode from 'vscode';
import type { ModelSummary, ModelTarget, NamedData } from '../../server/protocol';
import { Refusal } from '../errors';

/** Enough to run the model: what its outputs are, and inputs. */
export const canRun = ({ task, calibration, evaluation }: NamedData): boolean => task !== null && (evaluation !== null || calibration !== null);

/** @throws Refusal with a button that opens bitlens.json where the data is to be named. */
export function requireData(summary: ModelSummary, target: ModelTarget, what: string): void {
  if (canRun(summary.data)) return;
  const missing = summary.data.task === null && (summary.data.evaluation !== null || summary.data.calibration !== null)
    ? vscode.l10n.t('bitlens.json names data for this model, but not its task: classification, language-model, regression or features.')
    : vscode.l10n.t('bitlens.json names no data for this model.');
  throw new Refusal(`${vscode.l10n.t('{0} runs the model.', what)} ${missing}`, [{ title: vscode.l10n.t('Name Data…'), command: 'bitlens.nameData', args: [target] }]);
}
