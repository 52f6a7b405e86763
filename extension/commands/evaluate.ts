/** Bitlens: Evaluate Model on Data. What the model is worth before anything is quantized. */
import * as vscode from 'vscode';
import type { EvaluateResult } from '../../server/protocol';
import type { Context } from '../context';
import { numberOf, type Arguments } from '../ui/arguments';
import { requireRunnable } from '../ui/data';
import { formatCount, formatPercent, oneLine } from '../ui/text';
import { offer } from './command';

/** Arguments: `{uri, root?, samples?}`. */
export async function evaluate(context: Context, args: Arguments): Promise<EvaluateResult> {
  const what = vscode.l10n.t('An evaluation');
  const target = await requireRunnable(context, args, what);
  const samples = numberOf(args, 'samples');
  const result = await context.server.requestWithProgress(vscode.l10n.t('Evaluating the model'), 'bitlens/evaluate', { ...target, ...(samples === undefined ? {} : { samples }) });
  offer(evaluationText(result), [
    { title: vscode.l10n.t('Measure Sensitivity'), run: () => vscode.commands.executeCommand('bitlens.measureSensitivity', target) },
    { title: vscode.l10n.t('Run PTQ Trial'), run: () => vscode.commands.executeCommand('bitlens.runTrial', target) },
  ]);
  return result;
}

export function evaluationText({ metric, value, stderr, loss, samples, data, seconds }: EvaluateResult): string {
  const spread = (digits: number): string => (stderr === null ? '' : ` ± ${stderr.toFixed(digits)}`);
  const figure = metric === 'accuracy' ? vscode.l10n.t('Accuracy {0}, cross-entropy {1}', formatPercent(value), loss.toFixed(4))
    : metric === 'perplexity' ? vscode.l10n.t('Perplexity {0}{1}, {2} nats per token', value.toFixed(3), spread(3), loss.toFixed(4)) : vscode.l10n.t('Mean squared error {0}{1}', value.toPrecision(4), spread(4));
  return vscode.l10n.t('{0}, on {1} samples of {2} in {3} s.', figure, formatCount(samples), oneLine(data, 80), seconds.toFixed(1));
}
