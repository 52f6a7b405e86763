/**
 * What a command was called with. Lenses and code actions send `{uri, root?, path?, ...}`, tree items carry the same fields,
 * the explorer sends a Uri, the palette nothing. Everything is checked: keybindings and other extensions may send anything.
 */
import * as vscode from 'vscode';
import type { ModelTarget } from '../../server/protocol';
import type { Context } from '../context';
import { Refusal } from '../errors';

export type Arguments = Readonly<Record<string, unknown>>;

/** @param selection what the explorer sends beside the file that was clicked: all that are selected */
export function asArguments(raw: unknown, selection?: unknown): Arguments {
  if (raw instanceof vscode.Uri) return { resource: raw, ...(Array.isArray(selection) ? { selection } : {}) };
  return typeof raw === 'object' && raw !== null ? (raw as Arguments) : {};
}

export function textOf(args: Arguments, key: string): string | undefined {
  const value = args[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function numberOf(args: Arguments, key: string): number | undefined {
  const value = args[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

export function textsOf(args: Arguments, key: string): readonly string[] | undefined {
  const value = args[key];
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string') ? value as string[] : undefined;
}

/**
 * The model that a command is about: the one it was called with (of the explorer, a config.json or an ONNX model), else the one of the editor used last.
 * @throws Refusal when there is none.
 */
export function targetOf(context: Context, args: Arguments): ModelTarget {
  const uri = textOf(args, 'uri');
  if (uri !== undefined) {
    const root = textOf(args, 'root');
    return root === undefined ? { uri } : { uri, root };
  }
  if (args.resource instanceof vscode.Uri && (isPublishedConfig(args.resource) || isOnnxModel(args.resource))) return { uri: args.resource.toString() };
  const target = context.models.currentTarget;
  if (!target) {
    throw new Refusal(vscode.l10n.t('Open a Python file that defines a PyTorch model first.'),
      [{ title: vscode.l10n.t('Open Example'), command: 'bitlens.openExample' }]);
  }
  return target;
}

/** The file that stands for a model published without code: its folder holds the weights. */
export const isPublishedConfig = (uri: vscode.Uri): boolean => uri.scheme === 'file' && uri.path.endsWith('/config.json');

/** An ONNX model says itself what it computes: the file is a model without source. */
export const isOnnxModel = (uri: vscode.Uri): boolean => uri.scheme === 'file' && /\.onnx$/i.test(uri.path);

/** Refuses what writes files or starts long work in a workspace that the user has not said to trust. */
export function requireTrust(what: string): void {
  if (vscode.workspace.isTrusted) return;
  throw new Refusal(vscode.l10n.t('{0} needs a trusted workspace. Findings, hovers and the checkpoint viewer work without.', what),
    [{ title: vscode.l10n.t('Manage Workspace Trust'), command: 'workbench.trust.manage' }]);
}

/**
 * Folder of the model's source, for files written beside it.
 * @throws Refusal for unsaved and virtual documents, which have no place on disk.
 */
export function folderOf(target: ModelTarget): vscode.Uri {
  const uri = vscode.Uri.parse(target.uri);
  if (uri.scheme !== 'file') throw new Refusal(vscode.l10n.t('Save the model file to disk first: checkpoints and recipes are found from its folder.'));
  return vscode.Uri.joinPath(uri, '..');
}

/** Asks where to write; undefined when the user changed their mind. */
export async function askWhereTo(title: string, suggestion: vscode.Uri, filters: Record<string, string[]>): Promise<vscode.Uri | undefined> {
  const uri = await vscode.window.showSaveDialog({ title, defaultUri: suggestion, filters, saveLabel: vscode.l10n.t('Write') });
  if (uri && uri.scheme !== 'file') throw new Refusal(vscode.l10n.t('Bitlens can only write to files on disk.'));
  return uri;
}
