/**
 * The sensitivity report: one webview panel per model. The page asks with `ready`, we answer with the data, and again
 * whenever the server says that the analysis changed. Panels come back after a reload of the window.
 */
import * as vscode from 'vscode';
import type { ModelTarget, ReportMessageIn, ReportMessageOut } from '../../server/protocol';
import type { Context } from '../context';
import { isCancellation, messageOf } from '../errors';
import { sameDocument } from '../models';
import { oneLine } from '../ui/text';
import { shellHtml, webviewOptions } from '../webview-shell';
import { isReportMessage } from './messages';

export const REPORT_VIEW = 'bitlens.report';
/**
 * Which model a panel shows, by title: the page's own state belongs to the page. Not forgotten when a panel is closed,
 * because a window that is reloaded closes its panels too; the oldest are dropped.
 */
const TITLES_KEY = 'bitlens.reportTitles';
const TITLES_KEPT = 20;
const SETTLE_MS = 500;

export class ReportPanels implements vscode.WebviewPanelSerializer {
  private readonly panels = new Map<string, ReportPanel>();

  constructor(private readonly context: Context) {}

  /** Number of open reports. */
  get size(): number {
    return this.panels.size;
  }

  /** Number of open reports whose page has asked for its data and was given it. */
  get filled(): number {
    return [...this.panels.values()].filter((panel) => panel.isFilled).length;
  }

  show(target: ModelTarget, path?: string): void {
    const open = this.panels.get(keyOf(target));
    if (open) {
      open.reveal(path);
      return;
    }
    const panel = vscode.window.createWebviewPanel(REPORT_VIEW, this.titleOf(target), vscode.ViewColumn.Beside, webviewOptions(this.context.extension.extensionUri));
    this.adopt(panel, target, path);
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel): Promise<void> {
    const target = this.remembered()[panel.title];
    if (!target) {
      panel.dispose();
      return;
    }
    panel.webview.options = webviewOptions(this.context.extension.extensionUri);
    this.adopt(panel, target);
  }

  private adopt(panel: vscode.WebviewPanel, target: ModelTarget, path?: string): void {
    const key = keyOf(target);
    panel.iconPath = { light: this.context.file('media', 'icons', 'report-light.svg'), dark: this.context.file('media', 'icons', 'report-dark.svg') };
    this.panels.set(key, new ReportPanel(this.context, panel, target, path));
    void this.remember(panel.title, target);
    panel.onDidDispose(() => this.panels.delete(key));
  }

  /** Unique among the reports remembered, because it is how a panel finds its model again after a reload. */
  private titleOf(target: ModelTarget): string {
    const file = vscode.workspace.asRelativePath(vscode.Uri.parse(target.uri)).split('/').pop() ?? 'model';
    const base = `Sensitivity: ${oneLine(target.root ? `${file}:${target.root}` : file, 60)}`;
    const taken = this.remembered();
    let title = base;
    for (let number = 2; taken[title] && keyOf(taken[title]!) !== keyOf(target); number++) title = `${base} (${number})`;
    return title;
  }

  private remembered(): Record<string, ModelTarget> {
    const stored = this.context.extension.workspaceState.get<unknown>(TITLES_KEY);
    if (typeof stored !== 'object' || stored === null) return {};
    return Object.fromEntries(Object.entries(stored as Record<string, unknown>).filter((entry): entry is [string, ModelTarget] => typeof (entry[1] as ModelTarget | null)?.uri === 'string'));
  }

  private async remember(title: string, target: ModelTarget): Promise<void> {
    const others = Object.entries(this.remembered()).filter(([other]) => other !== title);
    await this.context.extension.workspaceState.update(TITLES_KEY, Object.fromEntries([...others.slice(1 - TITLES_KEPT), [title, target]]));
  }
}

const keyOf = (target: ModelTarget): string => `${vscode.Uri.parse(target.uri).toString()}#${target.root ?? ''}`;

/** One panel and its conversation with the page. */
class ReportPanel {
  private ready = false;
  /** What the page shows, to tell a change that matters from one that does not; undefined when it shows nothing. */
  private shown: string | undefined;
  private busy = false;
  private again = false;
  private timer: NodeJS.Timeout | undefined;
  private readonly life = new vscode.CancellationTokenSource();

  constructor(private readonly context: Context, private readonly panel: vscode.WebviewPanel, private readonly target: ModelTarget, private path: string | undefined) {
    const { webview } = panel;
    const listeners = [
      webview.onDidReceiveMessage((message: unknown) => {
        if (!isReportMessage(message)) return context.log.warn('The report page sent a message that is not understood');
        return this.receive(message);
      }),
      context.server.onChanged(({ uris }) => { if (uris.length === 0 || uris.some((uri) => sameDocument(uri, target.uri))) this.sendSoon(); }),
      context.server.onDidChangeState((state) => { if (state === 'running') this.sendSoon(); }),
    ];
    panel.onDidDispose(() => {
      clearTimeout(this.timer);
      this.life.cancel();
      for (const listener of listeners) listener.dispose();
    });
    webview.html = shellHtml(webview, context.extension.extensionUri, 'report', panel.title);
  }

  get isFilled(): boolean {
    return this.shown !== undefined;
  }

  reveal(path: string | undefined): void {
    this.panel.reveal(undefined, false);
    if (path !== undefined) void this.sendDetail(path);
  }

  private async receive(message: ReportMessageOut): Promise<void> {
    switch (message.type) {
      case 'ready':
        // A page that was hidden is loaded anew when it is shown again.
        this.ready = true;
        this.shown = undefined;
        return this.sendData();
      case 'sweep':
        return this.sendDetail(message.path, true);
      case 'detail':
        return this.sendDetail(message.path);
      case 'open':
        await vscode.commands.executeCommand('bitlens.revealLayer', { ...this.target, path: message.path });
        return;
      case 'quantize':
        await vscode.commands.executeCommand('bitlens.quantizeLayer', { ...this.target, path: message.path });
        return;
      case 'export':
        await vscode.commands.executeCommand('bitlens.exportReport', { ...this.target, kind: message.kind });
    }
  }

  private sendSoon(): void {
    this.timer ??= setTimeout(() => { this.timer = undefined; void this.sendData(); }, SETTLE_MS);
  }

  private async sendData(): Promise<void> {
    if (!this.ready) return;
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    try {
      const report = await this.context.server.request('bitlens/report', this.target, this.life.token);
      // Most edits change no number: the page is left alone then, with its scroll position and open layer.
      const content = JSON.stringify({ ...report, generatedAt: '' });
      if (content !== this.shown) await this.post({ type: 'data', report });
      this.shown = content;
      const path = this.path;
      this.path = undefined;
      if (path !== undefined) await this.sendDetail(path);
    } catch (error) {
      if (isCancellation(error)) return;
      this.context.log.error(`Report: ${messageOf(error)}`);
      this.shown = undefined;
      await this.post({ type: 'error', message: messageOf(error) });
    } finally {
      this.busy = false;
      if (this.again) this.sendSoon();
      this.again = false;
    }
  }

  private async sendDetail(path: string, sweep = false): Promise<void> {
    if (this.shown === undefined) {
      this.path = path;
      return;
    }
    try {
      const detail = await this.context.server.request('bitlens/layerDetail', { ...this.target, path, ...(sweep ? { sweep } : {}) }, this.life.token);
      await this.post({ type: 'detail', detail });
    } catch (error) {
      if (!isCancellation(error)) await this.post({ type: 'error', message: messageOf(error) });
    }
  }

  private async post(message: ReportMessageIn): Promise<void> {
    if (!this.life.token.isCancellationRequested) await this.panel.webview.postMessage(message);
  }
}
