/**
 * The model that the views and commands are about: the one of the Python editor (or config.json of a published model) used last.
 * Keeps the server's last summary of it and asks again when the server says that something changed.
 */
import * as vscode from 'vscode';
import type { LayerRow, ModelSummary, ModelTarget } from '../server/protocol';
import { DOCUMENTS, type ServerClient } from './client';
import { isCancellation, isConnectionLost, messageOf } from './errors';
import { isPublishedConfig } from './ui/arguments';

const SETTLE_MS = 250;

export class Models implements vscode.Disposable {
  private target: ModelTarget | undefined;
  private model: ModelSummary | undefined;
  private failure: string | undefined;
  private pending: vscode.CancellationTokenSource | undefined;
  private again = false;
  private timer: NodeJS.Timeout | undefined;
  private readonly emitter = new vscode.EventEmitter<void>();
  private readonly disposables: vscode.Disposable[];
  /** The current target, its summary or its failure changed. */
  readonly onDidChange = this.emitter.event;

  constructor(private readonly server: ServerClient, private readonly log: vscode.LogOutputChannel) {
    this.disposables = [
      vscode.window.onDidChangeActiveTextEditor(() => this.follow()),
      vscode.window.onDidChangeVisibleTextEditors(() => { if (!this.target) this.follow(); }),
      vscode.workspace.onDidCloseTextDocument((document) => { if (document.uri.toString() === this.target?.uri) this.forget(); }),
      server.onChanged(({ uris }) => { if (this.target && (uris.length === 0 || uris.some((uri) => sameDocument(uri, this.target!.uri)))) this.refreshSoon(); }),
      server.onDidChangeState((state) => {
        if (state === 'running') this.refreshSoon();
        else if (state === 'stopped') { this.withdraw(); this.model = undefined; this.failure = undefined; this.changed(); }
      }),
      this.emitter,
    ];
    this.follow();
  }

  get currentTarget(): ModelTarget | undefined {
    return this.target;
  }

  get summary(): ModelSummary | undefined {
    return this.model;
  }

  /** Why there is no summary; undefined when there is one, or none was asked for. */
  get error(): string | undefined {
    return this.failure;
  }

  /** True when the current document defines at least one layer. */
  get hasModel(): boolean {
    return (this.model?.layers.length ?? 0) > 0;
  }

  /** The summary of any target, from the server. */
  async fetch(target: ModelTarget, token?: vscode.CancellationToken): Promise<ModelSummary> {
    if (!this.model || !sameTarget(target, this.target)) return this.server.request('bitlens/model', target, token);
    return this.model;
  }

  /**
   * Layers that the line creates, by the smallest source range that holds it. One line may create many: a block that is
   * built four times has four layers on each of its lines.
   */
  layersAt(uri: string, position: vscode.Position): readonly LayerRow[] {
    const height = (row: LayerRow): number => row.range.end.line - row.range.start.line;
    const holding = (this.model?.layers ?? []).filter((row) => sameDocument(row.uri, uri) && position.line >= row.range.start.line && position.line <= row.range.end.line);
    const least = Math.min(...holding.map(height));
    return holding.filter((row) => height(row) === least);
  }

  /**
   * Asks the server again. A question that is under way is not withdrawn for a newer one about the same document: while
   * someone types or a checkpoint is being written, there would never be an answer.
   */
  async refresh(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const target = this.target;
    if (!target || this.server.state !== 'running') return;
    if (this.pending) {
      this.again = true;
      return;
    }
    const source = (this.pending = new vscode.CancellationTokenSource());
    try {
      const model = await this.server.request('bitlens/model', target, source.token);
      if (this.pending !== source) return;
      this.model = model;
      this.failure = undefined;
      this.changed();
    } catch (error) {
      if (this.pending !== source || isCancellation(error) || isConnectionLost(error)) return;
      // A stale model beside a new error would be read as the error's model.
      this.model = undefined;
      this.failure = messageOf(error);
      this.log.warn(`Reading the model: ${this.failure}`);
      this.changed();
    } finally {
      source.dispose();
      if (this.pending === source) {
        this.pending = undefined;
        if (this.again) this.refreshSoon();
        this.again = false;
      }
    }
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.withdraw();
    for (const disposable of this.disposables) disposable.dispose();
  }

  /** The editor in front decides; any other tab - the report, a log - leaves things as they are. */
  private follow(): void {
    // After a reload the tab in front may be the report: then the Python file beside it is meant.
    const editors = [vscode.window.activeTextEditor, ...(this.target ? [] : vscode.window.visibleTextEditors)];
    const document = editors.map((editor) => editor?.document).find((one) => one && (vscode.languages.match(DOCUMENTS, one) > 0 || isPublishedModel(one)));
    if (!document) return;
    const uri = document.uri.toString();
    if (uri === this.target?.uri) return;
    this.withdraw();
    this.target = { uri };
    this.model = undefined;
    this.failure = undefined;
    this.changed();
    this.refreshSoon();
  }

  private forget(): void {
    this.withdraw();
    this.target = undefined;
    this.model = undefined;
    this.failure = undefined;
    this.changed();
    this.follow();
  }

  /** The answer is of no interest any more. */
  private withdraw(): void {
    this.pending?.cancel();
    this.pending = undefined;
    this.again = false;
  }

  private refreshSoon(): void {
    this.timer ??= setTimeout(() => { void this.refresh(); }, SETTLE_MS);
  }

  private changed(): void {
    void vscode.commands.executeCommand('setContext', 'bitlens.hasModel', this.hasModel);
    void vscode.commands.executeCommand('setContext', 'bitlens.hasDocument', this.target !== undefined);
    this.emitter.fire();
  }
}

/** config.json of a model published without code: the server has the source of its family. */
function isPublishedModel(document: vscode.TextDocument): boolean {
  return isPublishedConfig(document.uri) && /"model_type"\s*:/.test(document.getText());
}

/** Uris may be escaped in two ways (`c%3A`, `c:`): compare what they mean. */
export function sameDocument(left: string, right: string): boolean {
  return left === right || vscode.Uri.parse(left).toString() === vscode.Uri.parse(right).toString();
}

function sameTarget(left: ModelTarget, right: ModelTarget | undefined): boolean {
  return right !== undefined && sameDocument(left.uri, right.uri) && left.root === right.root;
}
