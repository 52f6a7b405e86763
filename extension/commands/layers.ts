/** Commands of the Layers view's items. */
import * as vscode from 'vscode';
import type { Context } from '../context';
import { Refusal } from '../errors';
import { isOnnxModel, targetOf, textOf, type Arguments } from '../ui/arguments';
import { oneLine } from '../ui/text';

/** Arguments: `{uri, root?, path}`. Shows the source line that creates the layer. */
export async function revealLayer(context: Context, args: Arguments): Promise<void> {
  const target = targetOf(context, args);
  const path = textOf(args, 'path') ?? '';
  const row = (await context.models.fetch(target)).layers.find((layer) => layer.path === path);
  if (!row) throw new Refusal(vscode.l10n.t('{0} is no longer a layer of this model.', oneLine(path, 80)));
  const place = vscode.Uri.parse(row.uri);
  // A layer of an ONNX model has no line; its tensors are in the table.
  if (isOnnxModel(place)) { await vscode.commands.executeCommand('bitlens.inspectCheckpoint', place); return; }
  const { start, end } = row.range;
  await vscode.window.showTextDocument(place, { selection: new vscode.Range(start.line, start.character, end.line, end.character), preserveFocus: false });
}

export async function copyLayerPath(_context: Context, args: Arguments): Promise<void> {
  await vscode.env.clipboard.writeText(textOf(args, 'path') ?? '');
}
