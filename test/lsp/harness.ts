/**
 * The server in this process, behind streams and the real protocol, with a kernel that a test commands.
 * What needs the real process (exit, stdio, the kernel's death) is in stdio.test.ts.
 */
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import type { TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createConnection, ProposedFeatures, StreamMessageReader, StreamMessageWriter, type ClientCapabilities, type CodeAction, type CodeLens, type Diagnostic, type Hover, type InlayHint, type InitializeResult } from 'vscode-languageserver/node';
import { createMessageConnection, type MessageConnection } from 'vscode-jsonrpc/node';
import { JobCancelled, type JobKind, type JobTypes, type AllocateParams, type ScanParams, type ScanResult, type WeightScan } from '../../kernels/jobs/job';
import { methodOfKind } from '../../kernels/methods/registry';
import type { RunOptions } from '../../server/analysis/ports';
import { serve, type KernelRoom } from '../../server/lsp/connection';
import { initParser } from '../../server/python';
import { TracedWorkspace } from '../../server/trace/workspace';
import type { Requests, ServerStatus } from '../../server/protocol';
import { error, statistics, type ScanOptions } from '../unit/rules/fixture';

/** A kernel whose answers, delays and failures a test decides. */
export class FakeKernel implements KernelRoom {
  readonly asked: { kind: JobKind; params: unknown }[] = [];
  /** By weight key (layer path). */
  scans: Readonly<Record<string, ScanOptions>> = {};
  /** When set, a job fails with it. */
  failure: Error | null = null;
  /** Jobs wait for it. */
  gate: Promise<void> = Promise.resolve();
  cancelled = 0;
  restarts = 0;
  disposed = false;
  other: Partial<{ [K in JobKind]: (params: JobTypes[K]['params']) => JobTypes[K]['result'] }> = {};

  run: KernelRoom['run'] = async <K extends JobKind>(kind: K, params: JobTypes[K]['params'], options?: RunOptions): Promise<JobTypes[K]['result']> => {
    this.asked.push({ kind, params });
    options?.onProgress?.({ done: 1, total: 2, message: `${kind} 1 of 2` });
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => { this.cancelled += 1; reject(new JobCancelled()); };
      if (options?.signal?.aborted) stop();
      options?.signal?.addEventListener('abort', stop, { once: true });
      void this.gate.then(resolve);
    });
    if (this.failure) throw this.failure;
    const own = this.other[kind];
    if (own) return (own as (p: typeof params) => JobTypes[K]['result'])(params);
    if (kind === 'scan') return this.scan(params as ScanParams) as JobTypes[K]['result'];
    if (kind === 'allocate') return methodOfKind('allocation', (params as AllocateParams).allocator).run(params as AllocateParams, () => undefined) as JobTypes[K]['result'];
    throw new Error(`the fake kernel has no ${kind}`);
  };

  private scan({ weights, formats }: ScanParams): ScanResult {
    return {
      weights: weights.map(({ key, tensor }): WeightScan => {
        const own = this.scans[key] ?? {};
        const usual = (id: string) => { const bits = Number(/^int(\d)/.exec(id)?.[1] ?? 16); return error(6 * bits, bits + 0.1); };
        return {
          key, tensor, view: { rows: own.rows ?? 64, cols: own.cols ?? 64 }, statistics: statistics(own.statistics),
          formats: Object.fromEntries(formats.map((id) => [id, own.formats?.[id] ?? usual(id)])),
        };
      }),
      skipped: [], elements: 0, seconds: 0,
    };
  }

  restart(): void { this.restarts += 1; }
  dispose(): void { this.disposed = true; }
}

export interface Workspace { readonly folder: string; uri(name: string): string; write(name: string, contents: string | Uint8Array): string; path(name: string): string; remove(name: string): void; read(name: string): string }

/** A folder of its own for one test, gone afterwards. */
export function workspace(t: TestContext): Workspace {
  const folder = mkdtempSync(path.join(tmpdir(), 'bitlens-lsp-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const at = (name: string): string => path.join(folder, name);
  return {
    folder,
    path: at,
    uri: (name) => pathToFileURL(at(name)).href,
    write: (name, contents) => { mkdirSync(path.dirname(at(name)), { recursive: true }); writeFileSync(at(name), contents); return at(name); },
    remove: (name) => rmSync(at(name)),
    read: (name) => readFileSync(at(name), 'utf8'),
  };
}

export const CAPABILITIES: ClientCapabilities = {
  workspace: {
    workspaceEdit: { documentChanges: true, resourceOperations: ['create'] }, workspaceFolders: true,
    diagnostics: { refreshSupport: true }, inlayHint: { refreshSupport: true }, codeLens: { refreshSupport: true },
  },
  textDocument: { diagnostic: {}, hover: { contentFormat: ['markdown', 'plaintext'] } },
};

export type PullReport = { kind: 'full'; resultId?: string; items: Diagnostic[] } | { kind: 'unchanged'; resultId: string };

/** A client of the server, with the few things that the tests do. */
export class TestClient {
  readonly statuses: ServerStatus[] = [];
  readonly changed: string[][] = [];
  readonly logged: string[] = [];
  readonly published: { uri: string; diagnostics: Diagnostic[] }[] = [];
  refreshes = 0;
  private waiting: { test: () => boolean; resolve: () => void }[] = [];
  private versions = new Map<string, number>();

  constructor(readonly rpc: MessageConnection) {
    rpc.onNotification('bitlens/status', (status: ServerStatus) => { this.statuses.push(status); this.check(); });
    rpc.onNotification('bitlens/changed', ({ uris }: { uris: string[] }) => { this.changed.push(uris); this.check(); });
    rpc.onNotification('window/logMessage', ({ message }: { message: string }) => { this.logged.push(message); this.check(); });
    rpc.onNotification('textDocument/publishDiagnostics', (params: { uri: string; diagnostics: Diagnostic[] }) => { this.published.push(params); this.check(); });
    rpc.onRequest('workspace/diagnostic/refresh', () => { this.refreshes += 1; this.check(); return null; });
    rpc.onRequest('workspace/inlayHint/refresh', () => null);
    rpc.onRequest('workspace/codeLens/refresh', () => null);
    rpc.onError(([problem]) => { this.logged.push(problem.message); });
    rpc.listen();
  }

  private check(): void {
    this.waiting = this.waiting.filter(({ test, resolve }) => { if (!test()) return true; resolve(); return false; });
  }

  /** Resolves when the condition holds after some message of the server. */
  until(what: string, condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`never happened: ${what}; logged: ${this.logged.join('\n').slice(0, 2000)}`)), 20_000);
      this.waiting.push({ test: condition, resolve: () => { clearTimeout(timer); resolve(); } });
    });
  }

  /** Resolves at the next request to look again. */
  refreshed(): Promise<void> {
    const before = this.refreshes;
    return this.until('a refresh', () => this.refreshes > before);
  }

  async initialize(folder: string, settings: object = {}, capabilities: ClientCapabilities = CAPABILITIES): Promise<InitializeResult> {
    const result = await this.rpc.sendRequest<InitializeResult>('initialize', {
      // No process to watch: the watch would keep the test's own process alive.
      processId: null, rootUri: null, capabilities, workspaceFolders: [{ uri: pathToFileURL(folder).href, name: 'test' }], initializationOptions: { settings },
    });
    await this.rpc.sendNotification('initialized', {});
    return result;
  }

  async open(uri: string, text: string, languageId = 'python'): Promise<void> {
    this.versions.set(uri, 1);
    await this.rpc.sendNotification('textDocument/didOpen', { textDocument: { uri, languageId, version: 1, text } });
  }

  async edit(uri: string, contentChanges: readonly object[]): Promise<void> {
    const version = (this.versions.get(uri) ?? 0) + 1;
    this.versions.set(uri, version);
    await this.rpc.sendNotification('textDocument/didChange', { textDocument: { uri, version }, contentChanges });
  }

  close(uri: string): Promise<void> {
    return this.rpc.sendNotification('textDocument/didClose', { textDocument: { uri } });
  }

  pull(uri: string, previousResultId?: string): Promise<PullReport> {
    return this.rpc.sendRequest<PullReport>('textDocument/diagnostic', { textDocument: { uri }, identifier: 'bitlens', ...(previousResultId && { previousResultId }) });
  }

  async diagnostics(uri: string): Promise<Diagnostic[]> {
    const report = await this.pull(uri);
    return report.kind === 'full' ? report.items : [];
  }

  hover(uri: string, line: number, character: number): Promise<Hover | null> {
    return this.rpc.sendRequest('textDocument/hover', { textDocument: { uri }, position: { line, character } });
  }

  hints(uri: string, lines = 10_000): Promise<InlayHint[]> {
    return this.rpc.sendRequest('textDocument/inlayHint', { textDocument: { uri }, range: { start: { line: 0, character: 0 }, end: { line: lines, character: 0 } } });
  }

  lenses(uri: string): Promise<CodeLens[]> {
    return this.rpc.sendRequest('textDocument/codeLens', { textDocument: { uri } });
  }

  actions(uri: string, line: number, diagnostics: readonly Diagnostic[] = []): Promise<CodeAction[]> {
    const position = { line, character: 12 };
    return this.rpc.sendRequest('textDocument/codeAction', { textDocument: { uri }, range: { start: position, end: position }, context: { diagnostics } });
  }

  request<K extends keyof Requests>(method: K, params: Requests[K]['params'] | object): Promise<Requests[K]['result']> {
    return this.rpc.sendRequest(method, params);
  }

  watched(uri: string, type: 1 | 2 | 3): Promise<void> {
    return this.rpc.sendNotification('workspace/didChangeWatchedFiles', { changes: [{ uri, type }] });
  }
}

let parser: Promise<void> | null = null;

/** A server and its client, both closed after the test. */
export async function start(t: TestContext, folder: string, options: { settings?: object; kernel?: FakeKernel; capabilities?: ClientCapabilities } = {}): Promise<{ client: TestClient; kernel: FakeKernel }> {
  parser ??= initParser().then(() => undefined);
  await parser;
  const [toServer, toClient] = [new PassThrough(), new PassThrough()];
  const kernel = options.kernel ?? new FakeKernel();
  const connection = createConnection(ProposedFeatures.all, new StreamMessageReader(toServer), new StreamMessageWriter(toClient));
  const server = serve(connection, {
    version: '0.0.0-test',
    python: (roots) => Promise.resolve(new TracedWorkspace({ roots, readFile: (file) => { try { return readFileSync(file, 'utf8'); } catch { return null; } } })),
    kernel: () => kernel,
  });
  const client = new TestClient(createMessageConnection(new StreamMessageReader(toClient), new StreamMessageWriter(toServer)));
  t.after(() => { server.dispose(); client.rpc.dispose(); connection.dispose(); });
  await client.initialize(folder, options.settings, options.capabilities);
  return { client, kernel };
}
