/** What a trial does beside rounding weights: asked for in up to three quick picks, from the registry of methods. */
import * as vscode from 'vscode';
import type { MethodEntry, ModelTarget, TrialRequest } from '../../server/protocol';
import type { Context } from '../context';
import { Refusal } from '../errors';

export type Steps = Pick<TrialRequest, 'transforms' | 'corrections' | 'activations' | 'range'>;

/** Formats of activations that people use, with what is measured beforehand and what while the model runs. */
const ACTIVATIONS = ['int8-sym-tensor', 'int8-asym-tensor', 'int8-sym-channel', 'fp8-e4m3-tensor', 'int4-asym-tensor', 'int4-sym-channel'];

interface StepItem extends vscode.QuickPickItem { readonly method?: MethodEntry }

/** Undefined when the user leaves it. @throws Refusal without data: these change the model as a whole, which is judged by running it */
export async function pickSteps(context: Context, target: ModelTarget, title: string): Promise<Steps | undefined> {
  const { data } = await context.models.fetch(target);
  if (data.task === null || (data.calibration === null && data.evaluation === null)) {
    throw new Refusal(vscode.l10n.t('Transforms and corrections change the model as a whole, which is judged by running it on data, and none is named.'),
      [{ title: vscode.l10n.t('Name Data…'), command: 'bitlens.nameData', args: [target] }]);
  }
  const methods = await context.server.request('bitlens/methods', {});
  const item = (method: MethodEntry): StepItem => ({ label: method.id, description: method.title, method });
  const chosen = await vscode.window.showQuickPick<StepItem>([
    { label: vscode.l10n.t('Before: leaves what the model computes'), kind: vscode.QuickPickItemKind.Separator }, ...methods.filter(({ kind }) => kind === 'transform').map(item),
    { label: vscode.l10n.t('After: in what stays in floating point'), kind: vscode.QuickPickItemKind.Separator }, ...methods.filter(({ kind }) => kind === 'correction').map(item),
  ], { title, canPickMany: true, placeHolder: vscode.l10n.t('Transforms and corrections; none is a choice, too'), matchOnDescription: true });
  if (!chosen) return undefined;
  const named = (kind: string): string[] => chosen.flatMap(({ method }) => (method?.kind === kind ? [method.id] : []));
  const activations = await pickActivations(context, title);
  if (activations === undefined) return undefined;
  const rounded = activations === '' ? {} : { activations };
  // One scale for all values is found beforehand; others while the model runs.
  const range = activations.endsWith('-tensor') ? await pickRange(methods, title) : '';
  if (range === undefined) return undefined;
  return { transforms: named('transform'), corrections: named('correction'), ...rounded, ...(range === '' ? {} : { range }) };
}

/** '' for floating point. */
async function pickActivations(context: Context, title: string): Promise<string | undefined> {
  const formats = new Map((await context.server.request('bitlens/formats', {})).map((format) => [format.id, format.title]));
  const byHand = '\0by hand';
  const chosen = await vscode.window.showQuickPick<vscode.QuickPickItem & { value: string }>([
    { label: vscode.l10n.t('Floating point'), value: '', detail: vscode.l10n.t('Only weights are quantized.') },
    ...ACTIVATIONS.map((id) => ({ label: id, value: id, description: formats.get(id) ?? '', detail: id.endsWith('-tensor') ? vscode.l10n.t('One range for all inputs of a layer, found on calibration data.') : vscode.l10n.t('A range for each token (of pictures: each sample), found while the model runs.') })),
    { label: vscode.l10n.t('Another format…'), value: byHand, alwaysShow: true },
  ], { title, placeHolder: vscode.l10n.t('Format of what layers are applied to'), matchOnDescription: true });
  if (chosen?.value !== byHand) return chosen?.value;
  return (await vscode.window.showInputBox({ title, prompt: vscode.l10n.t('Format id, for example int8-sym-g32 or fp8-e5m2-channel') }))?.trim();
}

async function pickRange(methods: readonly MethodEntry[], title: string): Promise<string | undefined> {
  const ranges = methods.filter(({ kind }) => kind === 'range').map(({ id, title: description }) => ({ label: id, description }));
  // What is used when nobody says stands first.
  const sorted = [...ranges].sort((a, b) => Number(b.label === 'mse') - Number(a.label === 'mse'));
  return (await vscode.window.showQuickPick(sorted, { title, placeHolder: vscode.l10n.t('How ranges of activations are found'), matchOnDescription: true }))?.label;
}
