/**
 * The read-only view of a checkpoint: a table from the header at once, statistics of one tensor on demand. The file is
 * read by the server, never executed, so this works in a workspace that is not trusted.
 */
import * as vscode from 'vscode';
import type { CheckpointMessageIn, CheckpointMessageOut } from '../server/protocol';
import type { Context } from './context';
import { isCancellation, messageOf } from './errors';
import { isCheckpointMessage } from './report/messages';
import { shellHtml, webviewOptions } from './webview-shell';

export const CHECKPOINT_VIEW = 'bitlens.checkpoint';
/** The same editor for files that others open as well: offered under "Open With…", not by default. */
export const CHECKPOINT_OPTION_VIEW = 'bitlens.checkpointOption';
export const CHECKPOINT_EXTENSIONS = ['safetensors', 'gguf', 'pt', 'pth', 'th', 'ckpt', 'bin', 'npy', 'npz', 'onnx', 'h5', 'hdf5', 'keras', 'tflite'] as const;
/** Trainers write in place: wait until a file has stopped changing. */
const SETTLE_MS = 1000;

export function viewTypeOf(uri: vscode.Uri): string {
  return /\.(?:safetensors|gguf)$/i.test(uri.path) ? CHECKPOINT_VIEW : CHECKPOINT_OPTION_VIEW;
}

class CheckpointDocument implements vscode.CustomDocument {
  constructor(readonly uri: vscode.Uri) {}

  dispose(): void {
    // Nothing is held: every look at the file is a request of its own.
  }
}

export class CheckpointEditor implements vscode.CustomReadonlyEditorProvider<CheckpointDocument> {
  constructor(private readonly context: Context) {}

  openCustomDocument(uri: vscode.Uri): CheckpointDocument {
    return new CheckpointDocument(uri);
  }

  resolveCustomEditor(document: CheckpointDocument, panel: vscode.WebviewPanel): void {
    const { webview } = panel;
    const { extensionUri } = this.context.extension;
    webview.options = webviewOptions(extensionUri);
    const session = new CheckpointSession(this.context, document.uri, (message) => webview.postMessage(message));
    const watcher = vscode.workspace.createFileSystemWatcher(new vscode.RelativePattern(vscode.Uri.joinPath(document.uri, '..'), escapeGlob(document.uri.path.split('/').pop() ?? '')));
    const listeners = [
      watcher, watcher.onDidChange(() => session.reloadSoon()), watcher.onDidCreate(() => session.reloadSoon()), watcher.onDidDelete(() => session.reloadSoon()),
      webview.onDidReceiveMessage((message: unknown) => {
        if (!isCheckpointMessage(message)) return this.context.log.warn('The checkpoint page sent a message that is not understood');
        return session.receive(message);
      }),
      this.context.server.onDidChangeState((state) => { if (state === 'running') session.reloadSoon(); }),
    ];
    panel.onDidDispose(() => {
      session.dispose();
      for (const listener of listeners) listener.dispose();
    });
    webview.html = shellHtml(webview, extensionUri, 'checkpoint', document.uri.path.split('/').pop() ?? 'Checkpoint');
  }
}

/** One open page. */
class CheckpointSession {
  private readonly life = new vscode.CancellationTokenSource();
  private timer: NodeJS.Timeout | undefined;
  private tensor: vscode.CancellationTokenSource | undefined;
  private ready = false;

  constructor(private readonly context: Context, private readonly uri: vscode.Uri, private readonly post: (message: CheckpointMessageIn) => Thenable<boolean>) {}

  async receive(message: CheckpointMessageOut): Promise<void> {
    if (message.type === 'tensor') return this.sendTensor(message.name);
    this.ready = true;
    return this.sendSummary();
  }

  reloadSoon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { void this.sendSummary(); }, SETTLE_MS);
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.tensor?.cancel();
    this.life.cancel();
  }

  private async sendSummary(): Promise<void> {
    if (!this.ready) return;
    try {
      const summary = await this.context.server.request('bitlens/inspect', { path: this.path() }, this.life.token);
      await this.send({ type: 'data', summary });
    } catch (error) {
      if (!isCancellation(error)) await this.send({ type: 'error', message: messageOf(error) });
    }
  }

  /** Only the tensor asked for last is of interest: an earlier question is withdrawn. */
  private async sendTensor(name: string): Promise<void> {
    this.tensor?.cancel();
    const source = (this.tensor = new vscode.CancellationTokenSource());
    try {
      const tensor = await this.context.server.request('bitlens/tensorDetail', { path: this.path(), tensor: name }, source.token);
      if (this.tensor === source) await this.send({ type: 'tensor', tensor });
    } catch (error) {
      if (this.tensor === source && !isCancellation(error)) await this.send({ type: 'error', message: messageOf(error), tensor: name });
    }
  }

  private path(): string {
    if (this.uri.scheme !== 'file') throw new Error(vscode.l10n.t('Checkpoints can only be read from files on disk, not from {0}:.', this.uri.scheme));
    return this.uri.fsPath;
  }

  private async send(message: CheckpointMessageIn): Promise<void> {
    if (!this.life.token.isCancellationRequested) await this.post(message);
  }
}

/** A file name as a glob that matches only that name. */
function escapeGlob(name: string): string {
  return name.replace(/[[\]{}*?]/g, (character) => `[${character}]`);
}
