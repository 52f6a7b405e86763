/**
 * The state of one client: open documents, their models, and what is being measured. Knows nothing of the connection;
 * what the client must hear goes through {@link SessionHost}. Requests are answered from code and headers at once;
 * measurements arrive later and the client is asked to look again.
 */
import type { AnalysisService } from '../analysis/service';
import type { ModelAnalysis } from '../analysis/model-analysis';
import { messageOf, UserError } from '../analysis/user-error';
import type { DocumentView } from '../features/document';
import { rootSpan } from '../features/document';
import { findingsOfFile } from '../features/diagnostics';
import type { ModelSummary, ServerStatus, Settings } from '../protocol';
import { ruleOf } from '../rules/registry';
import type { Finding } from '../rules/rule';
import { isCancellation } from './errors';
import { Measuring } from './measuring';
import type { OpenDocument, OpenDocuments } from './open-documents';
import { StatusBoard } from './status';
import { Tracing } from './tracing';
import { uriOfPath } from './uris';

export interface SessionHost {
  /** False in a workspace that is not trusted: nothing is measured in the background. */
  readonly mayMeasure: boolean;
  /** The client should ask again for diagnostics, hints and lenses. */
  refresh(): void;
  status(status: ServerStatus): void;
  changed(uris: readonly string[]): void;
  log(message: string): void;
}

/** One model as it is known now. */
export interface Model {
  readonly analysis: ModelAnalysis | null;
  readonly findings: readonly Finding[];
  /** Made when first asked for: diagnostics on every key do not need it. */
  readonly summary: () => ModelSummary | null;
  readonly settings: Settings;
  readonly service: AnalysisService;
}

interface Current {
  readonly revision: number;
  readonly promise: Promise<Model>;
  readonly abort: AbortController;
}

/** Several edits or results within this time are one refresh: asking again costs the client a round for each open file. */
const REFRESH_DEBOUNCE_MS = 50;
/** Views are told of edits once the typing pauses. */
const CHANGED_DEBOUNCE_MS = 200;

export class Session {
  readonly board: StatusBoard;
  readonly measuring: Measuring;
  private readonly tracing: Tracing;
  private readonly current = new Map<string, Current>();
  /** Files that a document's model was read from; unknown until it has been analysed once. */
  private readonly files = new Map<string, ReadonlySet<string>>();
  private readonly settings = new Map<string, Promise<Settings>>();
  private readonly measuringNow = new Map<string, { progress(progress: { done: number; total: number; message: string }): void; end(): void }>();
  private refreshTimer: NodeJS.Timeout | null = null;
  private changedTimer: NodeJS.Timeout | null = null;
  private readonly changedUris = new Set<string>();

  constructor(
    readonly documents: OpenDocuments,
    private readonly services: { for(settings: Settings): AnalysisService; forgetDiscovery(): void },
    private readonly readSettings: (uri: string) => Promise<Settings>,
    private readonly host: SessionHost,
  ) {
    this.board = new StatusBoard((status) => host.status(status));
    this.measuring = new Measuring({
      onStart: (uri, analysis) => { this.measuringNow.set(uri, this.board.begin('measuring', `Measuring ${analysis.root?.name ?? 'the model'}`)); },
      onProgress: (uri, progress) => this.measuringNow.get(uri)?.progress(progress),
      onEnd: (uri, failure) => {
        this.measuringNow.get(uri)?.end();
        this.measuringNow.delete(uri);
        if (failure !== null) this.board.setFailure(uri, `Not measured: ${failure}`);
      },
      onSettled: (uri) => this.settled(uri),
      log: (message) => host.log(message),
    });
    this.tracing = new Tracing({ onStopped: (uri) => this.settled(uri), log: (message) => host.log(message) });
  }

  // What happened -----------------------------------------------------------------------------------------------------

  /** A document was opened, changed, saved or closed: models read from it are stale. */
  textChanged(path: string): void {
    for (const document of this.documents.all()) {
      const files = this.files.get(document.uri);
      if (document.path !== path && files && !files.has(path)) continue;
      this.invalidate(document);
      if (document.usesTorch) this.changedSoon(document.uri);
    }
  }

  /** A Python file that is not open changed on disk: the client does not know that open documents depend on it. */
  diskTextChanged(path: string): void {
    this.textChanged(path);
    this.refreshSoon();
  }

  closed(document: OpenDocument): void {
    this.measuring.cancel(document.uri);
    this.tracing.forget(document.uri);
    this.current.get(document.uri)?.abort.abort();
    this.current.delete(document.uri);
    this.files.delete(document.uri);
    this.settings.delete(document.uri);
    this.board.setFailure(document.uri, null);
    this.textChanged(document.path);
  }

  /** Something on disk changed: checkpoints, recipes, bitlens.json, or Python files that may now be found. */
  filesChanged(): void {
    this.services.forgetDiscovery();
    this.invalidateAll();
  }

  /** Hovers, findings and reports have more to show; no file changed. */
  modelRan(): void {
    this.invalidateAll();
  }

  settingsChanged(): void {
    this.settings.clear();
    this.measuring.forgetFailures();
    this.services.forgetDiscovery();
    this.invalidateAll();
  }

  /** The kernel was started anew: what failed is tried again. */
  kernelRestarted(): void {
    this.measuring.forgetFailures();
    this.board.clearFailures();
    this.invalidateAll();
  }

  private invalidate(document: OpenDocument): void {
    document.revision += 1;
  }

  private invalidateAll(): void {
    for (const document of this.documents.all()) {
      this.invalidate(document);
      this.changedSoon(document.uri);
    }
    this.refreshSoon();
  }

  private settled(uri: string): void {
    const document = this.documents.get(uri);
    if (!document) return;
    // Whoever shows this model, through an import, must look again.
    this.textChanged(document.path);
    this.refreshSoon();
  }

  private refreshSoon(): void {
    this.refreshTimer ??= setTimeout(() => {
      this.refreshTimer = null;
      this.host.refresh();
    }, REFRESH_DEBOUNCE_MS);
  }

  private changedSoon(uri: string): void {
    this.changedUris.add(uri);
    clearTimeout(this.changedTimer ?? undefined);
    this.changedTimer = setTimeout(() => {
      const uris = [...this.changedUris];
      this.changedUris.clear();
      this.host.changed(uris);
    }, CHANGED_DEBOUNCE_MS);
  }

  // What is known -----------------------------------------------------------------------------------------------------

  settingsOf(uri: string): Promise<Settings> {
    let settings = this.settings.get(uri);
    if (!settings) {
      settings = this.readSettings(uri);
      this.settings.set(uri, settings);
    }
    return settings;
  }

  serviceFor(settings: Settings): AnalysisService {
    return this.services.for(settings);
  }

  /** The model of an open document, analysed as it is now. Callers of an older text get the newer answer. */
  async modelOf(document: OpenDocument, signal?: AbortSignal): Promise<Model> {
    for (;;) {
      signal?.throwIfAborted();
      const known = this.current.get(document.uri);
      let current = known;
      if (!current || current.revision !== document.revision) {
        current?.abort.abort();
        const abort = new AbortController();
        current = { revision: document.revision, abort, promise: this.analyse(document, abort.signal) };
        current.promise.catch(() => undefined);
        this.current.set(document.uri, current);
      }
      try {
        const model = await current.promise;
        if (current.revision === document.revision || this.documents.get(document.uri) !== document) return model;
      } catch (error) {
        const superseded = current.abort.signal.aborted && this.documents.get(document.uri) === document && this.current.get(document.uri) !== current;
        if (!superseded) throw error;
      }
    }
  }

  private async analyse(document: OpenDocument, signal: AbortSignal): Promise<Model> {
    const settings = await this.settingsOf(document.uri);
    const service = this.services.for(settings);
    const nothing = { analysis: null, findings: [], summary: () => null, settings, service };
    if (!document.usesTorch) {
      this.measuring.cancel(document.uri);
      this.tracing.cancel(document.uri);
      return nothing;
    }
    // The first look at a file may open a large checkpoint and try every class; later ones are too short to mention.
    const reading = this.files.has(document.uri) ? null : this.board.begin('reading', 'Reading the model and its checkpoint');
    try {
      const read = await service.analyse(document.path, { signal });
      signal.throwIfAborted();
      this.files.set(document.uri, new Set([document.path, ...(read.tree?.files ?? [])]));
      if (!read.root && !read.notes?.length) return nothing;
      if (this.host.mayMeasure) this.measuring.want(document.uri, this.measuring.annotate(document.uri, read), service);
      this.tracing.want(document.uri, read, service);
      const analysis = this.measuring.annotate(document.uri, read);
      this.board.setFailure(document.uri, analysis.measurements.state === 'failed' ? `Not measured: ${analysis.measurements.message}` : null);
      return { analysis, findings: service.findings(analysis), summary: once(() => service.summary(analysis)), settings, service };
    } catch (error) {
      if (signal.aborted || isCancellation(error)) throw error;
      // What cannot be analysed shows nothing rather than what was true of an older text; the user's own slips are a finding.
      if (error instanceof UserError) return { ...nothing, findings: projectFinding(error.message, settings) };
      this.host.log(`analysing ${document.path}: ${error instanceof Error ? error.stack ?? error.message : String(error)}`);
      this.board.setFailure(document.uri, `${document.path} could not be analysed: ${messageOf(error)}`);
      return nothing;
    } finally {
      reading?.end();
    }
  }

  /** The model that explains a document best: its own, or that of an open document which imports it. */
  private async primaryModel(document: OpenDocument, own: Model, signal?: AbortSignal): Promise<Model> {
    let best = own;
    for (const other of this.documents.all()) {
      if (other === document || !this.files.get(other.uri)?.has(document.path)) continue;
      const model = await this.modelOf(other, signal);
      if (explains(model) > explains(best)) best = model;
    }
    return best;
  }

  /** Everything the features need to know of a document. */
  async view(document: OpenDocument, signal?: AbortSignal): Promise<DocumentView> {
    const own = await this.modelOf(document, signal);
    const model = document.usesTorch ? await this.primaryModel(document, own, signal) : own;
    const { analysis, settings, summary } = model;
    const rootLine = analysis === null ? 0 : rootSpan({ analysis, path: document.path })?.startLine ?? (model === own ? 0 : null);
    const slips = ruleOf('BL502')!.defaultSeverity;
    const severity = Object.hasOwn(settings.rules, 'BL502') ? settings.rules.BL502! : slips;
    const findings = document.usesTorch ? findingsOfFile(model.findings, document.path, document.text, rootLine, severity) : [];
    return {
      uri: document.uri, path: document.path, lines: document.lines, analysis, summary, findings, settings,
      trace: async () => (analysis?.root ? model.service.trace(analysis) : null),
      uriOf: (path) => this.documents.atPath(path)?.uri ?? uriOfPath(path),
    };
  }

  dispose(): void {
    clearTimeout(this.refreshTimer ?? undefined);
    clearTimeout(this.changedTimer ?? undefined);
    this.measuring.dispose();
    this.tracing.dispose();
    this.board.dispose();
    for (const { abort } of this.current.values()) abort.abort();
  }
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

/** How much of a checkpoint a model explains; models without one come last. */
function explains({ analysis }: Model): number {
  if (!analysis?.link) return -1;
  return analysis.checkpoint ? 1 + (analysis.link.matched ?? 0) : 0;
}

/** A slip in bitlens.json that keeps the model from being found at all. */
function projectFinding(message: string, settings: Settings): Finding[] {
  const rule = ruleOf('BL408')!;
  const severity = Object.hasOwn(settings.rules, rule.code) ? settings.rules[rule.code]! : rule.defaultSeverity;
  return severity === 'off' ? [] : [{ code: rule.code, severity, message, span: null, evidence: 'read from the file' }];
}
