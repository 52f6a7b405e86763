/** Bitlens: Measure Layer Sensitivity on Data… The model runs with one layer quantized at a time; hovers and the report show what it did. */
import * as vscode from 'vscode';
import type { SensitivityResult } from '../../server/protocol';
import type { Context } from '../context';
import { numberOf, textOf, type Arguments } from '../ui/arguments';
import { requireRunnable } from '../ui/data';
import { pickMeasuredMetric } from '../ui/picks';
import { formatCount, oneLine } from '../ui/text';
import { offer } from './command';

/** Enough for an order of the layers, little enough to wait for. */
const SAMPLES = 128;

/** Arguments: `{uri, root?, metric?, samples?}`; without a metric, asks for one. */
export async function measureSensitivity(context: Context, args: Arguments): Promise<SensitivityResult | undefined> {
  const what = vscode.l10n.t('Measuring sensitivity');
  const target = await requireRunnable(context, args, what);
  const metric = textOf(args, 'metric') ?? await pickMeasuredMetric(context, what);
  if (metric === undefined) return undefined;
  const result = await context.server.requestWithProgress(vscode.l10n.t('Measuring sensitivity ({0})', metric), 'bitlens/sensitivity', { ...target, metric, samples: numberOf(args, 'samples') ?? SAMPLES });
  offer(sensitivityText(result), [
    { title: vscode.l10n.t('Show Report'), run: () => vscode.commands.executeCommand('bitlens.showReport', target) },
    { title: vscode.l10n.t('Suggest Bits…'), run: () => vscode.commands.executeCommand('bitlens.suggestAllocation', target) },
  ]);
  return result;
}

/** The layers that matter most in the smallest format that was measured. */
function sensitivityText({ layers, metric, samples, data, seconds }: SensitivityResult): string {
  const format = Object.keys(layers[0]?.formats ?? {})[0] ?? '';
  const worst = [...layers].sort((a, b) => (b.formats[format]?.value ?? 0) - (a.formats[format]?.value ?? 0)).slice(0, 3);
  return vscode.l10n.t('{0} of {1} layers on {2} samples of {3} in {4} s. Most sensitive in {5}: {6}.', metric, formatCount(layers.length), formatCount(samples), oneLine(data, 80), seconds.toFixed(1),
    format, worst.map(({ key, formats }) => `${oneLine(key, 60)} (${formats[format]!.value.toPrecision(2)})`).join(', '));
}
