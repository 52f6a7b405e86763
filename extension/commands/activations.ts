/** Bitlens: Gather Activation Statistics on Data. Findings BL2xx appear on the lines they are about. */
import * as vscode from 'vscode';
import type { ActivationsSummary } from '../../server/protocol';
import type { Context } from '../context';
import { numberOf, type Arguments } from '../ui/arguments';
import { requireRunnable } from '../ui/data';
import { formatCount, oneLine } from '../ui/text';
import { offer } from './command';

/** Ranges settle early; waiting does not. */
const SAMPLES = 64;

/** Arguments: `{uri, root?, samples?}`. */
export async function activations(context: Context, args: Arguments): Promise<ActivationsSummary> {
  const what = vscode.l10n.t('Gathering activation statistics');
  const target = await requireRunnable(context, args, what);
  const result = await context.server.requestWithProgress(what, 'bitlens/activations', { ...target, samples: numberOf(args, 'samples') ?? SAMPLES });
  offer(vscode.l10n.t('{0} values on {1} samples of {2} in {3} s: {4} findings about activations.', formatCount(result.places), formatCount(result.samples), oneLine(result.data, 80), result.seconds.toFixed(1), formatCount(result.findings)), [
    { title: vscode.l10n.t('Show Problems'), run: () => vscode.commands.executeCommand('workbench.actions.view.problems') },
  ]);
  return result;
}
