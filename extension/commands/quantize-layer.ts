/** Bitlens: Quantize Layer… One layer, one format, one method: what is lost, and what to do with the result. */
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import * as vscode from 'vscode';
import type { ModelTarget, QuantizeLayerSummary, TrialSummary } from '../../server/protocol';
import type { Context } from '../context';
import { folderOf, requireTrust, targetOf, textOf, type Arguments } from '../ui/arguments';
import { pickFormat, pickLayer, pickMethod } from '../ui/picks';
import { formatBytes, formatJudged, formatSqnr, oneLine } from '../ui/text';
import { offer } from './command';
import { askExport, runTrial } from './run-trial';

/** Arguments: `{uri, root?, path?, format?, method?}`; what is missing is asked for. */
export async function quantizeLayer(context: Context, args: Arguments): Promise<QuantizeLayerSummary | undefined> {
  requireTrust(vscode.l10n.t('Quantizing a layer'));
  const target = targetOf(context, args);
  folderOf(target);
  const title = vscode.l10n.t('Quantize Layer');
  const layer = textOf(args, 'path') ?? await pickLayer(context, target, `${title} (1/3)`);
  if (layer === undefined) return undefined;
  const format = textOf(args, 'format') ?? await pickFormat(context, target, layer, `${title} ${oneLine(layer, 60)} (2/3)`);
  if (format === undefined) return undefined;
  const method = textOf(args, 'method') ?? await pickMethod(context, target, `${title} ${oneLine(layer, 60)} (3/3)`);
  if (method === undefined) return undefined;

  const result = await context.server.requestWithProgress(vscode.l10n.t('Quantizing {0} to {1}', oneLine(layer, 80), format),
    'bitlens/quantizeLayer', { ...target, path: layer, format, method });
  await context.trials.add({ target, recipe: null, summary: asTrial(result) });
  offer(resultText(result), [
    { title: vscode.l10n.t('Write to Recipe'), run: () => writeToRecipe(context, target, result) },
    { title: vscode.l10n.t('Export…'), run: () => exportLayer(context, target, result) },
    { title: vscode.l10n.t('Show Report'), run: () => vscode.commands.executeCommand('bitlens.showReport', { ...target, path: layer }) },
  ]);
  return result;
}

function resultText(result: QuantizeLayerSummary): string {
  const gain = result.method === 'rtn' ? formatSqnr(result.after)
    : vscode.l10n.t('{0} by rounding to nearest, {1} by {2}', formatSqnr(result.before), formatSqnr(result.after), result.method);
  return vscode.l10n.t('{0} in {1}: {2}; {3} instead of {4}. {5}', oneLine(result.path, 80), result.format, gain,
    formatBytes(result.after.bytes), formatBytes(result.bytesBefore), result.judged ? `${vscode.l10n.t('Of the model')}: ${formatJudged(result.judged)}. ${result.evidence}` : result.evidence);
}

/** A trial of one layer, so that the Trials view keeps what was tried. */
function asTrial(result: QuantizeLayerSummary): TrialSummary {
  return {
    id: randomUUID(), startedAt: new Date(Date.now() - result.seconds * 1000).toISOString(),
    title: `${result.path} · ${result.format} · ${result.method}`,
    layers: [{ path: result.path, format: result.format, method: result.method, before: result.before, after: result.after }],
    bytesBefore: result.bytesBefore, bytesAfter: result.after.bytes, averageBits: result.after.bitsPerWeight,
    seconds: result.seconds, evidence: result.evidence, export: null, ...(result.judged ? { judged: result.judged } : {}),
  };
}

async function writeToRecipe(context: Context, target: ModelTarget, result: QuantizeLayerSummary): Promise<void> {
  const { recipe } = await context.server.request('bitlens/writeRecipe', { ...target, path: result.path, format: result.format, method: result.method });
  await vscode.window.showTextDocument(vscode.Uri.file(recipe), { preview: false });
}

async function exportLayer(context: Context, target: ModelTarget, result: QuantizeLayerSummary): Promise<void> {
  const source = path.parse(vscode.Uri.parse(target.uri).fsPath);
  const name = `${source.name}.${result.path.replace(/[^\w.-]/g, '_').slice(0, 80)}.${result.format}.safetensors`;
  const destination = await askExport(context, target, name);
  if (destination) await runTrial(context, { ...target, layers: [result.path], format: result.format, method: result.method, ...destination });
}
