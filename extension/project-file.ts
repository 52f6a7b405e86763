/**
 * bitlens.json: where people say which class of a source file is the model and which checkpoint belongs to it.
 * Edited through a text document, so that unsaved changes are kept and the edit can be undone.
 */
import path from 'node:path';
import * as vscode from 'vscode';
import type { ModelTarget } from '../server/protocol';
import { Refusal } from './errors';
import { folderOf, isPublishedConfig } from './ui/arguments';

export const PROJECT_FILE = 'bitlens.json';

interface ModelEntry { source?: unknown; class?: unknown; [key: string]: unknown }

export interface ModelFields {
  readonly class?: string;
  readonly checkpoint?: string;
  readonly data?: { readonly task: string; readonly use: 'calibration' | 'evaluation'; readonly source: NamedSource };
}
/** Files of arrays, absolute; or the method that makes data up. */
export type NamedSource = { readonly inputs: string; readonly labels?: string } | { readonly synthetic: string };

/** Writes fields into the entry of a model; makes the entry, and the file, when there is none. Answers with the file. */
export async function writeModelEntry(target: ModelTarget, fields: ModelFields): Promise<vscode.Uri> {
  const source = vscode.Uri.parse(target.uri).fsPath;
  const file = (await findProjectFile(target)) ?? vscode.Uri.joinPath(folderOf(target), PROJECT_FILE);
  const folder = path.dirname(file.fsPath);
  const exists = await vscode.workspace.fs.stat(file).then(() => true, () => false);
  if (!exists) await vscode.workspace.fs.writeFile(file, new TextEncoder().encode('{}\n'));
  const document = await vscode.workspace.openTextDocument(file);
  const content = parse(document);
  const models: ModelEntry[] = Array.isArray(content.models) ? (content.models as ModelEntry[]) : [];
  const published = isPublishedConfig(vscode.Uri.parse(target.uri)) ? path.dirname(source) : null;
  // A published model has no source: its entry names its folder, or the weights in it.
  const isOurs = ({ source: named, checkpoint }: ModelEntry): boolean => (published === null
    ? typeof named === 'string' && path.resolve(folder, named) === path.resolve(source)
    : named === undefined && typeof checkpoint === 'string' && [path.resolve(folder, checkpoint), path.dirname(path.resolve(folder, checkpoint))].includes(published));
  const sameSource = models.filter((model) => isOurs(model ?? {}));
  let entry = sameSource.find((model) => target.root !== undefined && model.class === target.root) ?? sameSource[0];
  if (!entry) {
    entry = published === null ? { source: relative(folder, source) } : { checkpoint: relative(folder, published) || '.' };
    models.push(entry);
  }
  if (fields.class !== undefined && entry.class !== fields.class) {
    entry.class = fields.class;
    // Arguments were those of the other class.
    delete entry.args;
  }
  if (fields.checkpoint !== undefined) entry.checkpoint = relative(folder, fields.checkpoint);
  if (fields.data) {
    const { task, use, source: named } = fields.data;
    entry.task = task;
    const before = typeof entry.data === 'object' && entry.data !== null ? entry.data : {};
    entry.data = { ...before, [use]: 'synthetic' in named ? named : { inputs: relative(folder, named.inputs), ...(named.labels === undefined ? {} : { labels: relative(folder, named.labels) }) } };
  }
  const edit = new vscode.WorkspaceEdit();
  edit.replace(file, new vscode.Range(0, 0, document.lineCount, 0), `${JSON.stringify({ ...content, models }, null, 2)}\n`);
  if (!(await vscode.workspace.applyEdit(edit)) || !(await document.save())) throw new Refusal(vscode.l10n.t('{0} could not be written.', file.fsPath));
  return file;
}

/** The nearest bitlens.json from the source's folder up to its workspace folder. */
export async function findProjectFile(target: ModelTarget): Promise<vscode.Uri | undefined> {
  const top = vscode.workspace.getWorkspaceFolder(vscode.Uri.parse(target.uri))?.uri.fsPath;
  for (let folder = folderOf(target); ; folder = vscode.Uri.joinPath(folder, '..')) {
    const file = vscode.Uri.joinPath(folder, PROJECT_FILE);
    if (await vscode.workspace.fs.stat(file).then(() => true, () => false)) return file;
    if (top === undefined || folder.fsPath === top || path.dirname(folder.fsPath) === folder.fsPath) return undefined;
  }
}

function parse(document: vscode.TextDocument): Record<string, unknown> {
  try {
    const content: unknown = JSON.parse(document.getText().trim() || '{}');
    if (typeof content === 'object' && content !== null && !Array.isArray(content)) return content as Record<string, unknown>;
    throw new Error(vscode.l10n.t('an object is expected'));
  } catch (error) {
    throw new Refusal(vscode.l10n.t('{0} is not valid, so it was left as it is: {1}', PROJECT_FILE, error instanceof Error ? error.message : String(error)),
      [{ title: vscode.l10n.t('Open'), command: 'vscode.open', args: [document.uri] }]);
  }
}

/** Relative with forward slashes, so that the file means the same on every system; absolute on another drive. */
function relative(folder: string, file: string): string {
  const result = path.relative(folder, file);
  return path.isAbsolute(result) ? file : result.split(path.sep).join('/');
}
