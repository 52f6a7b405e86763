/**
 * The language server as the rest of the client sees it: start, restart, typed requests, and what it tells us.
 * A crashed server is started again with a pause that grows (restart-policy.ts). Each start makes a new LanguageClient,
 * so that nothing of the dead one - diagnostics, listeners, half-open requests - is left on screen or in memory.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import * as vscode from 'vscode';
import type * as languageClient from 'vscode-languageclient/node';
import type { LanguageClient, LanguageClientOptions } from 'vscode-languageclient/node';
import type { Notifications, Requests, ServerStatus } from '../server/protocol';
import { readSettings, SECTION } from './config';
import { messageOf, ServerDown } from './errors';
import { RestartPolicy } from './restart-policy';
import { ProgressText } from './ui/progress-text';

export type ServerState = 'starting' | 'running' | 'waiting' | 'stopped';
export type Method = keyof Requests;

/** Python in files and in unsaved editors. Not `git:` and other views on the same text: findings would show twice. */
export const DOCUMENTS = ['file', 'untitled', 'vscode-vfs'].map((scheme) => ({ scheme, language: 'python' }));
const WATCHED = ['**/*.{safetensors,gguf,pt,pth,th,bin,ckpt,npy,npz,onnx,h5,hdf5,keras,tflite}', '**/*.index.json', '**/bitlens.json', '**/*.recipe.json', '**/*.py'];

/** Loaded with the first start and after `activate` has returned: it is most of what activation would otherwise take. */
const loadLibrary = async (): Promise<typeof languageClient> => {
  await new Promise((resolve) => { setImmediate(resolve); });
  return import('vscode-languageclient/node');
};

export class ServerClient implements vscode.Disposable {
  private client: LanguageClient | undefined;
  private library: typeof languageClient | undefined;
  /** The start that is loading the library: requests wait for it, and a stop or another start makes it void. */
  private loading: Promise<void> | undefined;
  private perClient: vscode.Disposable[] = [];
  private readonly policy = new RestartPolicy();
  private timer: NodeJS.Timeout | undefined;
  private disposed = false;
  private currentState: ServerState = 'stopped';
  private reason = '';
  private readonly watchers: vscode.FileSystemWatcher[];
  private readonly stateEmitter = new vscode.EventEmitter<ServerState>();
  private readonly statusEmitter = new vscode.EventEmitter<ServerStatus>();
  private readonly changedEmitter = new vscode.EventEmitter<Notifications['bitlens/changed']>();
  readonly onDidChangeState = this.stateEmitter.event;
  /** What the server and its kernel are doing. */
  readonly onStatus = this.statusEmitter.event;
  /** The analysis behind some documents changed. */
  readonly onChanged = this.changedEmitter.event;
  lastStatus: ServerStatus | undefined;

  constructor(private readonly module: string, private readonly log: vscode.LogOutputChannel) {
    this.watchers = WATCHED.map((pattern) => vscode.workspace.createFileSystemWatcher(pattern));
  }

  get state(): ServerState {
    return this.currentState;
  }

  /** Why the server is down; empty when it is not. */
  get downReason(): string {
    return this.reason;
  }

  /** Process id of the server, for "Copy Debug Information"; undefined when it is down. */
  get pid(): number | undefined {
    return this.client?.serverProcess?.pid;
  }

  async start(): Promise<void> {
    if (this.disposed) return;
    this.clearTimer();
    if (!existsSync(this.module)) {
      this.reason = vscode.l10n.t('The server file {0} is missing: the extension is not installed completely. Reinstall Bitlens.', this.module);
      this.log.error(this.reason);
      this.setState('stopped');
      return;
    }
    this.setState('starting');
    const loading = (this.loading = loadLibrary().then((library) => { this.library = library; }));
    await loading;
    // Stopped, disposed or started anew meanwhile.
    if (this.loading !== loading) return;
    this.loading = undefined;
    await this.startWith(this.library!);
  }

  private async startWith(library: typeof languageClient): Promise<void> {
    const { LanguageClient, State, TransportKind } = library;
    const client = new LanguageClient(SECTION, 'Bitlens', {
      module: this.module, transport: TransportKind.ipc,
    }, this.clientOptions(library));
    this.client = client;
    this.perClient.push(
      client.onDidChangeState(({ newState }) => { if (newState === State.Stopped || newState === State.StartFailed) this.onClosed(client); }),
      client.onNotification('bitlens/status', (status: ServerStatus) => { this.lastStatus = status; this.statusEmitter.fire(status); }),
      client.onNotification('bitlens/changed', (params: Notifications['bitlens/changed']) => this.changedEmitter.fire(params)),
    );
    try {
      await client.start();
      if (this.client === client) this.setState('running');
    } catch (error) {
      this.log.error(`The server did not start: ${messageOf(error)}`);
      this.onClosed(client);
    }
  }

  /** Stops the server, forgives its crashes and starts it anew. Resolves when it answers, or has failed to. */
  async restart(): Promise<void> {
    this.policy.reset();
    await this.stop();
    await this.start();
  }

  async stop(): Promise<void> {
    this.clearTimer();
    const client = this.client;
    this.release();
    this.setState('stopped');
    // A server that hangs is killed by the language client two seconds after its time is over.
    await client?.dispose(3000).catch((error: unknown) => this.log.warn(`Stopping the server: ${messageOf(error)}`));
  }

  /**
   * Sends one of our requests. Waits for a server that is starting.
   * @throws ServerDown when there is no server; the server's own error otherwise.
   */
  async request<K extends Method>(method: K, params: Requests[K]['params'], token?: vscode.CancellationToken): Promise<Requests[K]['result']> {
    await this.loading;
    const client = this.client;
    if (!client || this.currentState === 'stopped' || this.currentState === 'waiting') throw new ServerDown(this.downMessage());
    // A token that is undefined would be sent as a second parameter.
    return token ? client.sendRequest<Requests[K]['result']>(method, params, token) : client.sendRequest<Requests[K]['result']>(method, params);
  }

  /** Runs a request that the user started: a notification with percent, time left and a cancel button. */
  async requestWithProgress<K extends Method>(title: string, method: K, params: Requests[K]['params']): Promise<Requests[K]['result']> {
    return vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title, cancellable: true }, async (progress, token) => {
      await this.loading;
      const client = this.client;
      const workDoneToken = randomUUID();
      const text = new ProgressText();
      const listener = client?.onProgress(this.library!.WorkDoneProgress.type, workDoneToken, (value) => {
        if (value.kind === 'end') return;
        progress.report(text.next(Date.now(), value.percentage, value.message));
      });
      try {
        return await this.request(method, { ...params, workDoneToken }, token);
      } catch (error) {
        // The server answers a cancelled request with an error of its own kind: what the user asked for is not an error.
        if (token.isCancellationRequested) throw new vscode.CancellationError();
        throw error;
      } finally {
        listener?.dispose();
      }
    });
  }

  /** Tells the server that settings may read differently now; it asks back for each document. */
  configurationChanged(): void {
    if (this.currentState !== 'running') return;
    this.client?.sendNotification('workspace/didChangeConfiguration', { settings: { [SECTION]: readSettings() } })
      .catch((error: unknown) => this.log.warn(`Sending settings: ${messageOf(error)}`));
  }

  dispose(): void {
    this.disposed = true;
    void this.stop();
    for (const watcher of this.watchers) watcher.dispose();
    this.stateEmitter.dispose();
    this.statusEmitter.dispose();
    this.changedEmitter.dispose();
  }

  private clientOptions({ CloseAction, ErrorAction, RevealOutputChannelOn }: typeof languageClient): LanguageClientOptions {
    return {
      documentSelector: DOCUMENTS,
      outputChannel: this.log,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      initializationOptions: () => ({ settings: readSettings(), trusted: vscode.workspace.isTrusted }),
      initializationFailedHandler: () => false,
      progressOnInitialization: false,
      synchronize: { fileEvents: this.watchers },
      diagnosticPullOptions: { onChange: true, onSave: true, onFocus: false, onTabs: false },
      // Hovers quote names from untrusted files: text and tables only, no command links, no HTML, no icons.
      markdown: { isTrusted: false, supportHtml: false, supportThemeIcons: false },
      errorHandler: {
        error: (error, _message, count) => {
          this.log.error(`Connection to the server: ${error.message}`);
          return { action: (count ?? 0) <= 3 ? ErrorAction.Continue : ErrorAction.Shutdown, handled: true };
        },
        // Never restarted in place: `onClosed` starts a fresh client.
        closed: () => ({ action: CloseAction.DoNotRestart, handled: true }),
      },
      middleware: {
        workspace: {
          configuration: (params, token, next) => params.items.some((item) => item.section !== SECTION)
            ? next(params, token)
            : params.items.map((item) => readSettings(item.scopeUri ? vscode.Uri.parse(item.scopeUri) : undefined)),
        },
      },
    };
  }

  private onClosed(client: LanguageClient): void {
    if (this.disposed || this.client !== client) return;
    this.release();
    void client.dispose().catch(() => undefined);
    const pause = this.policy.next(Date.now());
    if (pause !== null) {
      this.reason = vscode.l10n.t('The Bitlens server stopped unexpectedly and is being started again.');
      this.log.warn(`The server stopped; starting it again in ${pause} ms`);
      this.setState('waiting');
      this.timer = setTimeout(() => { void this.start(); }, pause);
      return;
    }
    this.reason = vscode.l10n.t('The Bitlens server stopped six times within three minutes and will not be started again by itself.');
    this.log.error(this.reason);
    this.setState('stopped');
    const restart = vscode.l10n.t('Restart Server');
    const showLog = vscode.l10n.t('Show Log');
    void vscode.window.showErrorMessage(this.reason, restart, showLog).then((choice) => {
      if (choice === restart) void this.restart();
      else if (choice === showLog) this.log.show();
    });
  }

  private downMessage(): string {
    return this.reason || vscode.l10n.t('The Bitlens server is not running.');
  }

  private setState(state: ServerState): void {
    if (state === 'running' || state === 'starting') this.reason = '';
    if (state !== 'running') this.lastStatus = undefined;
    this.currentState = state;
    if (!this.disposed) this.stateEmitter.fire(state);
  }

  private release(): void {
    this.loading = undefined;
    this.client = undefined;
    for (const disposable of this.perClient) disposable.dispose();
    this.perClient = [];
  }

  private clearTimer(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = undefined;
  }
}
