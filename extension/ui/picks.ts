/** Quick picks that several commands share. Each answers undefined when the user leaves it. */
import * as vscode from 'vscode';
import { EXPORT_LAYOUTS, type FormatError, type LayerRow, type LayoutId, type MethodEntry, type ModelTarget, type ReportData } from '../../server/protocol';
import type { Context } from '../context';
import { isCancellation, messageOf, Refusal } from '../errors';
import { formatBits, formatBytes, formatSqnr, oneLine } from './text';

interface Pick<Value> extends vscode.QuickPickItem { readonly value?: Value }

async function pick<Value>(title: string, placeHolder: string, items: readonly Pick<Value>[] | Thenable<readonly Pick<Value>[]>): Promise<Value | undefined> {
  const chosen = await vscode.window.showQuickPick(items as readonly Pick<Value>[], { title, placeHolder, matchOnDescription: true, matchOnDetail: true });
  return chosen?.value;
}

/** A layer with weights. Those of the line under the cursor stand first. */
export async function pickLayer(context: Context, target: ModelTarget, title: string): Promise<string | undefined> {
  const summary = await context.models.fetch(target);
  const rows = summary.layers.filter((row) => row.weight !== null && row.linked);
  if (rows.length === 0) {
    throw new Refusal(summary.checkpointMessage ?? (summary.layers.length === 0
      ? vscode.l10n.t('No PyTorch module was found in this file.')
      : vscode.l10n.t('No layer of this model has weights in a checkpoint yet.')),
    [{ title: vscode.l10n.t('Choose Checkpoint…'), command: 'bitlens.chooseCheckpoint', args: [target] }]);
  }
  const editor = vscode.window.activeTextEditor;
  const here = new Set((editor ? context.models.layersAt(editor.document.uri.toString(), editor.selection.active) : []).map((row) => row.path));
  const sorted = [...rows.filter((row) => here.has(row.path)), ...rows.filter((row) => !here.has(row.path))];
  return pick(title, vscode.l10n.t('Layer to quantize'), sorted.map((row) => layerItem(row, here.has(row.path))));
}

function layerItem(row: LayerRow, atCursor: boolean): Pick<string> {
  const weight = row.weight!;
  return {
    label: oneLine(row.path), value: row.path,
    description: [oneLine(row.className), atCursor ? vscode.l10n.t('at the cursor') : ''].filter(Boolean).join(' · '),
    detail: [`${weight.shape.join(' × ')} ${weight.dtype}`, formatBytes(row.bytes), row.format && row.sqnrDb !== null ? `${row.format}: ${row.sqnrDb.toFixed(1)} dB` : ''].filter(Boolean).join(' · '),
  };
}

/** A format id: those measured on the layer first, with what was measured; then all others; then any id by hand. */
export async function pickFormat(context: Context, target: ModelTarget, path: string | undefined, title: string): Promise<string | undefined> {
  const byHand = Symbol('by hand');
  const chosen = await pick<string | typeof byHand>(title, vscode.l10n.t('Number format'), formatItems(context, target, path, byHand));
  if (chosen !== byHand) return chosen as string | undefined;
  return vscode.window.showInputBox({
    title, prompt: vscode.l10n.t('Format id, for example int5-asym-g64 or int8-symr-channel'),
    validateInput: (value) => /^[a-z0-9]+(-[a-z0-9]+)*$/.test(value.trim()) ? undefined : vscode.l10n.t('Lower-case letters and digits, joined by hyphens.'),
  }).then((value) => value?.trim());
}

async function formatItems<Hand>(context: Context, target: ModelTarget, path: string | undefined, byHand: Hand): Promise<Pick<string | Hand>[]> {
  const [formats, measured] = await Promise.all([context.server.request('bitlens/formats', {}), measurements(context, target, path)]);
  const shown = new Set(measured.map(({ id }) => id));
  const items: Pick<string | Hand>[] = [];
  if (measured.length > 0) items.push({ label: vscode.l10n.t('Measured on the weights of this layer'), kind: vscode.QuickPickItemKind.Separator });
  for (const { id, title, error } of measured) {
    items.push({ label: id, value: id, description: title, detail: `${formatSqnr(error)} · ${formatBits(error.bitsPerWeight)} bits per weight · ${formatBytes(error.bytes)}` });
  }
  items.push({ label: vscode.l10n.t('Other formats'), kind: vscode.QuickPickItemKind.Separator });
  for (const entry of formats) {
    if (!shown.has(entry.id)) items.push({ label: entry.id, value: entry.id, description: entry.title, detail: vscode.l10n.t('{0} bits per weight', formatBits(entry.bitsPerWeight)) });
  }
  items.push({ label: vscode.l10n.t('Enter a format id…'), value: byHand, alwaysShow: true });
  return items;
}

/** What is already measured on a layer. Nothing is measured just to fill a menu. */
async function measurements(context: Context, target: ModelTarget, path: string | undefined): Promise<{ id: string; title: string; error: FormatError }[]> {
  if (path === undefined) return [];
  try {
    const summary = await context.models.fetch(target);
    if (summary.measurements !== 'ready') return [];
    const report: ReportData = await context.server.request('bitlens/report', target);
    const layer = report.layers.find((row) => row.path === path);
    return report.formats.flatMap(({ id, title }, index) => {
      const error = layer?.errors[index];
      return error ? [{ id, title, error }] : [];
    });
  } catch (error) {
    if (!isCancellation(error)) context.log.warn(`Formats without measurements: ${messageOf(error)}`);
    return [];
  }
}

/** A post-training method from the registry; those that calibrate only where there is data to calibrate on. Does not ask when there is only one. */
export async function pickMethod(context: Context, target: ModelTarget, title: string): Promise<string | undefined> {
  const { data } = await context.models.fetch(target);
  const calibrates = data.task !== null && data.calibration !== null;
  const all = (await context.server.request('bitlens/methods', {})).filter((method) => method.kind === 'ptq');
  const methods: readonly MethodEntry[] = all.filter(({ needs }) => needs === 'weights' || calibrates);
  if (methods.length === 0) throw new Refusal(vscode.l10n.t('The server offers no post-training quantization method.'));
  if (methods.length === 1 && all.length === 1) return methods[0]!.id;
  const nameData = '\0name data';
  const chosen = await pick<string>(title, vscode.l10n.t('Quantization method'), [
    ...methods.map((method) => ({
      label: method.id, value: method.id, description: method.title,
      detail: method.needs === 'weights' ? vscode.l10n.t('Needs the weights only') : vscode.l10n.t('Calibrates on {0}', data.calibration ?? ''),
    })),
    ...(methods.length < all.length ? [{ label: vscode.l10n.t('Name data to calibrate on…'), value: nameData, alwaysShow: true,
      detail: vscode.l10n.t('For {0}', all.filter((method) => !methods.includes(method)).map(({ id }) => id).join(', ')) }] : []),
  ]);
  if (chosen !== nameData) return chosen;
  await vscode.commands.executeCommand('bitlens.nameData', { ...target, use: 'calibration' });
  return undefined;
}

/** A metric that runs the model. */
export async function pickMeasuredMetric(context: Context, title: string): Promise<string | undefined> {
  const metrics = (await context.server.request('bitlens/methods', {})).filter(({ kind, needs }) => kind === 'sensitivity' && needs !== 'weights');
  return pick(title, vscode.l10n.t('What is measured'), metrics.map(({ id, title: description }) => ({ label: id, value: id, description })));
}

export type Layout = LayoutId;

/** How an exported checkpoint stores its values. */
export async function pickLayout(title: string): Promise<Layout | undefined> {
  return pick<Layout>(title, vscode.l10n.t('How the values are stored'), EXPORT_LAYOUTS.map(({ id, title: label, detail }) => ({ label, value: id, detail })));
}
