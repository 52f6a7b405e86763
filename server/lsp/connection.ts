/** Wires everything: documents, features, our requests, files on disk, settings, the kernel, and the end of it all. */
import {
  CodeActionKind, LSPErrorCodes, ResponseError, TextDocumentSyncKind,
  type Connection, type InitializeResult, type Disposable,
} from 'vscode-languageserver/node';
import { openCheckpoint } from '../../kernels/checkpoint';
import { UserError } from '../analysis/user-error';
import { AnalysisService } from '../analysis/service';
import type { TracingPort } from '../analysis/ports';
import { messageOf } from '../analysis/user-error';
import type { Notifications, ServerStatus, Settings } from '../protocol';
import { runRules } from '../rules/registry';
import { Client } from './client';
import { documentDiagnostics, registerFeatures, type FeatureDoor } from './features';
import { OpenDocuments, type PythonDocuments } from './open-documents';
import { registerRequests } from './requests';
import { Services } from './services';
import { Session } from './session';
import { Watching } from './watching';

/** The rooms that the server is built from; tests give their own. */
export interface Rooms {
  readonly version: string;
  /** Ready to parse; called once, before anything else. */
  python(roots: () => readonly string[]): Promise<TracingPort & PythonDocuments>;
  kernel(options: { readonly settings: Settings; readonly log: (message: string) => void; readonly onState: (state: ServerStatus['kernel']) => void }): KernelRoom;
}
export interface KernelRoom {
  run: ConstructorParameters<typeof AnalysisService>[0]['kernel']['run'];
  restart(): Promise<void> | void;
  dispose(): Promise<void> | void;
}

/** Pushed diagnostics, for clients that cannot pull, wait this long after an edit. */
const PUSH_DEBOUNCE_MS = 150;

/** Serves one client until it goes. */
export function serve(connection: Connection, rooms: Rooms): Disposable {
  let client: Client | null = null;
  let session: Session | null = null;
  let kernel: LazyKernel | null = null;
  let watching: Watching | null = null;
  const log = (message: string): void => connection.console.error(message);
  const open = <T>(value: T | null): T => {
    if (value === null) throw new ResponseError(LSPErrorCodes.ServerCancelled, 'the server is not initialized');
    return value;
  };
  const notify = <K extends keyof Notifications>(method: K, params: Notifications[K]): void => {
    connection.sendNotification(method, params).catch(() => undefined);
  };
  const door: FeatureDoor = { session: () => open(session), client: () => open(client), log };
  const publisher = new Publisher(connection, door);

  connection.onInitialize(async (params): Promise<InitializeResult> => {
    const self = new Client(connection, params);
    const python = await rooms.python(self.roots);
    const documents = new OpenDocuments(python);
    const lazy = new LazyKernel(rooms, self.trusted, (message) => connection.console.info(message), (state) => session?.board.setKernel(state));
    const services = new Services((settings) => new AnalysisService({
      kernel: lazy, python, openCheckpoint, runRules, host: { roots: self.roots }, settings, log,
    }));
    lazy.settings = () => self.settings('');
    client = self;
    kernel = lazy;
    const made = new Session(documents, services, (uri) => self.settings(uri), {
      mayMeasure: self.trusted,
      refresh: () => { self.refresh(); publisher.all(); },
      status: (status) => notify('bitlens/status', status),
      changed: (uris) => notify('bitlens/changed', { uris }),
      log,
    });
    session = made;
    watching = new Watching({
      isOpen: (path) => documents.atPath(path) !== undefined,
      pythonChanged: (path, appearedOrVanished) => {
        python.invalidate(path);
        if (appearedOrVanished) made.filesChanged();
        else made.diskTextChanged(path);
      },
      filesChanged: () => made.filesChanged(),
    });
    registerRequests(connection, made, lazy);
    return {
      serverInfo: { name: 'bitlens', version: rooms.version },
      capabilities: {
        textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental, save: false },
        diagnosticProvider: { identifier: 'bitlens', interFileDependencies: true, workspaceDiagnostics: false },
        hoverProvider: true,
        codeLensProvider: { resolveProvider: false },
        inlayHintProvider: { resolveProvider: false },
        codeActionProvider: { codeActionKinds: [CodeActionKind.QuickFix, CodeActionKind.Refactor] },
        workspace: { workspaceFolders: { supported: true, changeNotifications: true } },
      },
    };
  });

  connection.onInitialized(() => {
    if (!client?.changesFolders) return;
    connection.workspace.onDidChangeWorkspaceFolders(({ added, removed }) => {
      client?.foldersChanged(added, removed);
      session?.filesChanged();
    });
  });
  registerDocuments(connection, door, publisher);
  registerFeatures(connection, door);
  connection.onDidChangeConfiguration(({ settings }) => {
    client?.push(settings);
    session?.settingsChanged();
  });
  connection.onDidChangeWatchedFiles(({ changes }) => {
    watching?.handle(changes).catch((error: unknown) => log(`watching files: ${messageOf(error)}`));
  });

  const close = async (): Promise<void> => {
    watching?.dispose();
    publisher.dispose();
    session?.dispose();
    await kernel?.dispose();
  };
  connection.onShutdown(async () => { await close().catch((error: unknown) => log(`shutdown: ${messageOf(error)}`)); });
  connection.listen();
  return { dispose: () => { void close(); } };
}

function registerDocuments(connection: Connection, door: FeatureDoor, publisher: Publisher): void {
  connection.onDidOpenTextDocument(({ textDocument: { uri, languageId, version, text } }) => {
    const document = door.session().documents.open(uri, languageId, version, text);
    door.session().textChanged(document.path);
    publisher.soon(uri);
  });
  connection.onDidChangeTextDocument(({ textDocument: { uri, version }, contentChanges }) => {
    const document = door.session().documents.change(uri, version ?? 0, contentChanges);
    if (!document) {
      door.log(`a change of ${uri}, which is not open, is ignored`);
      return;
    }
    door.session().textChanged(document.path);
    publisher.soon(uri);
  });
  connection.onDidCloseTextDocument(({ textDocument: { uri } }) => {
    const document = door.session().documents.close(uri);
    if (!document) return;
    door.session().closed(document);
    publisher.clear(uri);
  });
}

/** The kernel process is started by the first question, with the settings of that moment. */
class LazyKernel implements KernelRoom {
  private started: Promise<KernelRoom> | null = null;
  settings: () => Promise<Settings> = () => Promise.reject(new Error('not initialized'));

  constructor(private readonly rooms: Rooms, private readonly trusted: boolean, private readonly log: (message: string) => void, private readonly onState: (state: ServerStatus['kernel']) => void) {}

  private start(): Promise<KernelRoom> {
    if (!this.trusted) return Promise.reject(new UserError('This workspace is not trusted, so nothing is measured or run. Trust it to go on (Workspaces: Manage Workspace Trust)'));
    this.started ??= this.settings().then((settings) => this.rooms.kernel({ settings, log: this.log, onState: this.onState }));
    return this.started;
  }

  run: KernelRoom['run'] = async (kind, params, options) => (await this.start()).run(kind, params, options);

  /** Starts a process with the settings as they are now. */
  async restart(): Promise<void> {
    const before = this.started;
    this.started = null;
    if (before) await (await before).dispose();
    this.onState('stopped');
  }

  async dispose(): Promise<void> {
    if (this.started) await (await this.started).dispose();
  }
}

/** Diagnostics for clients that do not pull them. */
class Publisher {
  private readonly timers = new Map<string, NodeJS.Timeout>();

  constructor(private readonly connection: Connection, private readonly door: FeatureDoor) {}

  soon(uri: string): void {
    if (this.door.client().pullsDiagnostics) return;
    clearTimeout(this.timers.get(uri));
    this.timers.set(uri, setTimeout(() => {
      this.timers.delete(uri);
      void this.publish(uri);
    }, PUSH_DEBOUNCE_MS));
  }

  all(): void {
    for (const { uri } of this.door.session().documents.all()) this.soon(uri);
  }

  clear(uri: string): void {
    clearTimeout(this.timers.get(uri));
    this.timers.delete(uri);
    if (!this.door.client().pullsDiagnostics) void this.connection.sendDiagnostics({ uri, diagnostics: [] });
  }

  dispose(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
  }

  private async publish(uri: string): Promise<void> {
    const never = { isCancellationRequested: false, onCancellationRequested: () => ({ dispose: () => undefined }) };
    const document = this.door.session().documents.get(uri);
    if (!document) return;
    const diagnostics = await documentDiagnostics(this.door, uri, never).catch(() => null);
    // A newer text publishes its own.
    if (diagnostics && this.door.session().documents.get(uri) === document) await this.connection.sendDiagnostics({ uri, version: document.version, diagnostics });
  }
}
