/** The standard requests: diagnostics, hover, hints, lenses and actions, from the pure features to the protocol's types. */
import { readFile } from 'node:fs/promises';
import {
  DocumentDiagnosticReportKind, InlayHintKind, LSPErrorCodes, MarkupKind, ResponseError,
  type CancellationToken, type CodeAction, type CodeLens, type Connection, type Diagnostic, type DocumentDiagnosticReport, type Hover, type InlayHint, type WorkspaceEdit,
} from 'vscode-languageserver/node';
import { codeActions, type FileEdit, type FindingAction } from '../features/code-actions';
import { codeLenses } from '../features/code-lens';
import { diagnosticsOf, resultIdOf } from '../features/diagnostics';
import type { DocumentView } from '../features/document';
import { hoverAt } from '../features/hover';
import type { Position } from '../features/layers-at';
import { shapeAt } from '../features/shape-hover';
import { inlayHints } from '../features/inlay-hints';
import { recipePathOf } from '../features/recipe-edit';
import type { Client } from './client';
import { isCancellation } from './errors';
import type { Session } from './session';

/** A recipe larger than this was not written by people or by us; no action offers to change it. */
const LARGEST_RECIPE = 16 * 2 ** 20;

export interface FeatureDoor {
  readonly session: () => Session;
  readonly client: () => Client;
  readonly log: (message: string) => void;
}

/**
 * Answers a request about an open document. What goes wrong inside us is logged and answered with `nothing`: an editor that
 * asks on every key must not show a message for each.
 */
async function answer<T>(door: FeatureDoor, name: string, uri: string | undefined, token: CancellationToken, nothing: T, work: (view: DocumentView) => T | Promise<T>): Promise<T> {
  const document = uri === undefined ? undefined : door.session().documents.get(uri);
  if (!document?.usesTorch) return nothing;
  const abort = new AbortController();
  const listener = token.onCancellationRequested(() => abort.abort());
  try {
    if (token.isCancellationRequested) abort.abort();
    const view = await door.session().view(document, abort.signal);
    abort.signal.throwIfAborted();
    return await work(view);
  } catch (error) {
    if (token.isCancellationRequested || isCancellation(error)) throw new ResponseError(LSPErrorCodes.RequestCancelled, 'cancelled');
    door.log(`${name}: ${error instanceof Error ? error.stack ?? error.message : String(error)}`);
    return nothing;
  } finally {
    listener.dispose();
  }
}

export async function documentDiagnostics(door: FeatureDoor, uri: string, token: CancellationToken): Promise<Diagnostic[]> {
  return answer<Diagnostic[]>(door, 'diagnostics', uri, token, [], (view) => diagnosticsOf(view) as Diagnostic[]);
}

export function registerFeatures(connection: Connection, door: FeatureDoor): void {
  connection.languages.diagnostics.on(async (params, token): Promise<DocumentDiagnosticReport> => {
    const items = await documentDiagnostics(door, params.textDocument.uri, token);
    const resultId = resultIdOf(items as Parameters<typeof resultIdOf>[0]);
    if (params.previousResultId === resultId) return { kind: DocumentDiagnosticReportKind.Unchanged, resultId };
    return { kind: DocumentDiagnosticReportKind.Full, resultId, items };
  });

  connection.onHover((params, token) => answer<Hover | null>(door, 'hover', params.textDocument.uri, token, null, async (view) => {
    const hover = await hoverOn(view, params.position);
    if (!hover) return null;
    return { contents: { kind: door.client().markdown ? MarkupKind.Markdown : MarkupKind.PlainText, value: hover.markdown }, range: hover.range };
  }));

  connection.languages.inlayHint.on((params, token) => answer<InlayHint[]>(door, 'inlay hints', params.textDocument.uri, token, [], (view) =>
    inlayHints(view, params.range).map(({ position, label, tooltip }) => ({
      position, label, tooltip: { kind: MarkupKind.Markdown, value: tooltip }, kind: InlayHintKind.Type, paddingLeft: true,
    }))));

  connection.onCodeLens((params, token) => answer<CodeLens[]>(door, 'code lenses', params.textDocument.uri, token, [], (view) =>
    codeLenses(view).map(({ range, command }) => ({ range, command: { ...command, arguments: [...command.arguments] } }))));

  connection.onCodeAction((params, token) => answer<CodeAction[]>(door, 'code actions', params.textDocument.uri, token, [], async (view) => {
    const context = { recipeText: view.analysis?.root ? await recipeText(view) : null, canCreateFiles: door.client().canCreateFiles };
    const wanted = params.context.only;
    return codeActions(view, params.range, context)
      .filter(({ kind }) => !wanted || wanted.some((only) => only === '' || kind === only || kind.startsWith(`${only}.`)))
      .map((action) => toCodeAction(action, params.context.diagnostics, view, door.client()));
  }));
}

/** What is known of layers comes at once, with the shape when forward was followed already; elsewhere it is followed for the asking. */
async function hoverOn(view: DocumentView, position: Position): Promise<ReturnType<typeof hoverAt>> {
  const layers = hoverAt(view, position);
  const traced = view.analysis?.traced ?? (layers ? null : await view.trace());
  const shape = traced && shapeAt(traced, view.path, position);
  return layers && shape ? { ...layers, markdown: `${layers.markdown}\n\nGives ${shape.markdown}` } : layers ?? shape;
}

async function recipeText(view: DocumentView): Promise<string | null> {
  const text = await readFile(recipePathOf(view.analysis!), 'utf8').catch(() => null);
  return text !== null && text.length > LARGEST_RECIPE ? '' : text;
}

function toCodeAction(action: FindingAction, diagnostics: readonly Diagnostic[], view: DocumentView, client: Client): CodeAction {
  const { finding, edit, command } = action;
  const about = finding ? diagnostics.filter((diagnostic) => diagnostic.code === finding.code && diagnostic.range.start.line === finding.range.start.line) : [];
  return {
    title: action.title, kind: action.kind,
    ...(about.length > 0 && { diagnostics: about }),
    ...(action.preferred && { isPreferred: true }),
    ...(edit && { edit: toWorkspaceEdit(edit, view, client) }),
    ...(command && { command: { ...command, arguments: [...command.arguments] } }),
  };
}

function toWorkspaceEdit(edit: FileEdit, view: DocumentView, client: Client): WorkspaceEdit {
  const uri = edit.path === view.path ? view.uri : view.uriOf(edit.path);
  const edits = [...edit.edits];
  if (!client.documentChanges) return { changes: { [uri]: edits } };
  return {
    documentChanges: [
      ...(edit.create ? [{ kind: 'create' as const, uri, options: { ignoreIfExists: true } }] : []),
      { textDocument: { uri, version: null }, edits },
    ],
  };
}
