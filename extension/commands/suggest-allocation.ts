/** Bitlens: Suggest Bit Allocation… The least measured error under a budget, written as a recipe, beside the uniform baseline. */
import path from 'node:path';
import * as vscode from 'vscode';
import type { AllocationSummary, ModelSummary } from '../../server/protocol';
import type { Context } from '../context';
import { askWhereTo, folderOf, numberOf, requireTrust, targetOf, textOf, textsOf, type Arguments } from '../ui/arguments';
import { canRun } from '../ui/data';
import { formatAverageBits, formatBytes, formatCount, formatPercent, oneLine, parseSize } from '../ui/text';
import { offer } from './command';

/** No metric: the one that reads weights. */
const WEIGHTS = '';

type Budget = { readonly bits: number } | { readonly bytes: number } | { readonly bops: number } | { readonly latency: number };
type Kind = 'bits' | 'bytes' | 'bops' | 'latency';
const KINDS: readonly Kind[] = ['bits', 'bytes', 'bops', 'latency'];
const SUGGESTED_BITS = [2.5, 3, 3.5, 4, 4.5, 5, 6, 8];

/** Arguments: `{uri, root?, bits? | bytes?, bops?, latency?, couple?, metric?, samples?, out?}`; what is missing is asked for. */
export async function suggestAllocation(context: Context, args: Arguments): Promise<AllocationSummary | undefined> {
  requireTrust(vscode.l10n.t('Writing a recipe'));
  const target = targetOf(context, args);
  const folder = folderOf(target);
  const given = Object.fromEntries(KINDS.map((kind) => [kind, numberOf(args, kind)] as const).filter(([, value]) => value !== undefined));
  const couple = textsOf(args, 'couple');
  const summary = await context.models.fetch(target);
  const samples = numberOf(args, 'samples');
  const asked = Object.keys(given).length === 0;
  const budget = asked ? await pickBudget(summary) : given;
  if (!budget) return undefined;
  // Who names a budget and no metric means the fast one.
  const metric = textOf(args, 'metric') ?? (asked && canRun(summary.data) ? await pickEvidence(summary) : WEIGHTS);
  if (metric === undefined) return undefined;
  const name = `${path.parse(vscode.Uri.parse(target.uri).fsPath).name}.recipe.json`;
  const out = textOf(args, 'out') ?? (await askWhereTo(vscode.l10n.t('Write Recipe'), vscode.Uri.joinPath(folder, name), { JSON: ['json'] }))?.fsPath;
  if (!out) return undefined;
  const result = await context.server.requestWithProgress(vscode.l10n.t('Allocating bits'), 'bitlens/allocate', { ...target, ...budget, ...(couple ? { couple } : {}), ...(metric === WEIGHTS ? {} : { metric, ...(samples === undefined ? {} : { samples, calibrationSamples: samples }) }), out });
  const recipe = result.recipePath ?? out;
  await vscode.window.showTextDocument(vscode.Uri.file(recipe), { preview: false });
  offer(allocationText(result), [
    { title: vscode.l10n.t('Run PTQ Trial'), run: () => vscode.commands.executeCommand('bitlens.runTrial', { ...target, recipe }) },
    { title: vscode.l10n.t('Show Report'), run: () => vscode.commands.executeCommand('bitlens.showReport', target) },
  ]);
  return result;
}

/** One sentence with the uniform recipe of the same size beside it: an allocation alone says nothing. */
export function allocationText(result: AllocationSummary): string {
  const parts = [vscode.l10n.t('{0} bits on average, {1}{2}.', formatAverageBits(result.averageBits), formatBytes(result.bytes), result.optimal ? '' : ` (${vscode.l10n.t('not proven optimal')})`)];
  const { uniform } = result;
  if (!uniform) parts.push(vscode.l10n.t('No single format for all layers fits this budget.'));
  else if (uniform.objective > 0) {
    const less = (1 - result.objective / uniform.objective) * 100;
    parts.push(less >= 0.05
      ? vscode.l10n.t('{0} % less error than {1} for all layers ({2}).', less.toFixed(1), uniform.format, formatBytes(uniform.bytes))
      : vscode.l10n.t('No better than {0} for all layers ({1}).', uniform.format, formatBytes(uniform.bytes)));
  }
  for (const { id, unit, value, limit, estimated } of result.costs ?? []) {
    const what = id === 'latency' ? vscode.l10n.t('Latency') : vscode.l10n.t('Bit operations');
    const of = limit === null ? '' : ` ${vscode.l10n.t('of {0}', limit.toPrecision(3))}`;
    parts.push(`${what}: ${value.toPrecision(3)}${of} ${unit}${id === 'latency' ? ` (${estimated === 0 ? vscode.l10n.t('timed on this machine') : vscode.l10n.t('timed on this machine; {0} layers estimated', estimated)})` : ''}.`);
  }
  const [own, ...rivals] = result.judgement?.recipes ?? [];
  if (own) parts.push(vscode.l10n.t('On {0} samples of {1}: {2}.', formatCount(result.judgement!.samples), oneLine(result.judgement!.data, 80), [own, ...rivals].map((recipe) => `${oneLine(recipe.title, 40)} ${recipe.accuracy !== null ? `accuracy ${formatPercent(recipe.accuracy)}` : recipe.loss !== null ? `loss ${recipe.loss.toFixed(4)}` : `noise/signal ${recipe.nsr.toPrecision(3)}`}`).join(', ')));
  if (result.note) parts.push(result.note);
  return parts.join(' ');
}

/** What decides: the weights alone, or the model's output on data. */
async function pickEvidence({ data }: ModelSummary): Promise<string | undefined> {
  const chosen = await vscode.window.showQuickPick([
    { label: vscode.l10n.t('The model\'s output'), value: data.metric, detail: vscode.l10n.t('Runs the model on {0} with one layer quantized at a time, and judges the recipe beside others of its size. Minutes.', data.calibration ?? data.evaluation ?? '') },
    { label: vscode.l10n.t('The weights alone'), value: WEIGHTS, detail: vscode.l10n.t('Error of each weight in each format. Seconds.') },
  ], { title: vscode.l10n.t('Suggest Bit Allocation'), placeHolder: vscode.l10n.t('What layers are judged by') });
  return chosen?.value;
}

async function pickBudget(summary: ModelSummary): Promise<Budget | undefined> {
  const title = vscode.l10n.t('Suggest Bit Allocation');
  const weights = summary.layers.reduce((sum, row) => sum + (row.weight?.shape.reduce((product, size) => product * size, 1) ?? 0), 0);
  const items = [
    ...SUGGESTED_BITS.map((bits) => ({
      label: vscode.l10n.t('{0} bits per weight', bits), value: bits as number | Kind,
      description: weights > 0 ? vscode.l10n.t('about {0} of weights', formatBytes(Math.round(weights * bits / 8))) : '',
    })),
    { label: vscode.l10n.t('Enter average bits…'), value: 'bits' as const, alwaysShow: true },
    { label: vscode.l10n.t('Enter a size…'), value: 'bytes' as const, alwaysShow: true },
    { label: vscode.l10n.t('Enter a latency…'), value: 'latency' as const, detail: vscode.l10n.t('Of one sample, by operators that are timed on this machine'), alwaysShow: true },
    { label: vscode.l10n.t('Enter bit operations…'), value: 'bops' as const, detail: vscode.l10n.t('Operations of one sample x bits of weights x bits of activations'), alwaysShow: true },
  ];
  const chosen = (await vscode.window.showQuickPick(items, { title, placeHolder: vscode.l10n.t('Budget, with the cost of the scales counted') }))?.value;
  if (chosen === undefined) return undefined;
  if (typeof chosen === 'number') return { bits: chosen };
  if (chosen === 'bits') {
    const text = await vscode.window.showInputBox({ title, prompt: vscode.l10n.t('Average bits per weight, for example 4.25'),
      validateInput: (value) => parseBits(value) === null ? vscode.l10n.t('A number between 1 and 32.') : undefined });
    return text === undefined ? undefined : { bits: parseBits(text)! };
  }
  if (chosen === 'latency' || chosen === 'bops') {
    const text = await vscode.window.showInputBox({ title, prompt: chosen === 'latency' ? vscode.l10n.t('Milliseconds of the quantized layers, for example 2.5') : vscode.l10n.t('Billions of bit operations of the quantized layers, for example 1.3'),
      validateInput: (value) => parsePositive(value) === null ? vscode.l10n.t('A number above 0.') : undefined });
    if (text === undefined) return undefined;
    return chosen === 'latency' ? { latency: parsePositive(text)! } : { bops: parsePositive(text)! * 1e9 };
  }
  const text = await vscode.window.showInputBox({ title, prompt: vscode.l10n.t('Size of all quantized weights, for example 1.5 MB'),
    validateInput: (value) => parseSize(value) === null ? vscode.l10n.t('A number with a unit: kB, MB or GB.') : undefined });
  return text === undefined ? undefined : { bytes: parseSize(text)! };
}

function parsePositive(text: string): number | null {
  const value = Number(text.trim().replace(',', '.'));
  return text.trim() !== '' && Number.isFinite(value) && value > 0 ? value : null;
}

function parseBits(text: string): number | null {
  const bits = Number(text.trim().replace(',', '.'));
  return text.trim() !== '' && bits >= 1 && bits <= 32 ? bits : null;
}
