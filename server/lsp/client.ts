/** What the client on the other side can do, and the settings it has. */
import type { ClientCapabilities, Connection, InitializeParams } from 'vscode-languageserver/node';
import type { Settings } from '../protocol';
import { normalizeSettings } from './settings';
import { isFileUri, pathOfUri } from './uris';

export const SECTION = 'bitlens';

export class Client {
  private readonly capabilities: ClientCapabilities;
  /** Settings of a client that cannot be asked per resource. */
  private pushed: unknown;
  private folders: readonly string[];
  /** False in a workspace that nobody has trusted yet: source and headers are read, the kernel process is not started. */
  readonly trusted: boolean;

  constructor(private readonly connection: Connection, params: InitializeParams) {
    this.capabilities = params.capabilities ?? {};
    const options = params.initializationOptions as { settings?: unknown; trusted?: unknown } | null | undefined;
    this.pushed = options?.settings;
    this.trusted = options?.trusted !== false;
    // Clients from before workspace folders name one root.
    const legacy = (params as { rootUri?: string | null }).rootUri;
    this.folders = params.workspaceFolders?.map(({ uri }) => uri) ?? (legacy ? [legacy] : []);
  }

  /** Absolute paths of the folders that the user opened. */
  readonly roots = (): readonly string[] => this.folders.filter(isFileUri).map(pathOfUri);

  foldersChanged(added: readonly { readonly uri: string }[], removed: readonly { readonly uri: string }[]): void {
    const gone = new Set(removed.map(({ uri }) => uri));
    this.folders = [...this.folders.filter((uri) => !gone.has(uri)), ...added.map(({ uri }) => uri)];
  }

  get pullsDiagnostics(): boolean { return this.capabilities.textDocument?.diagnostic !== undefined; }
  get changesFolders(): boolean { return this.capabilities.workspace?.workspaceFolders === true; }
  get canCreateFiles(): boolean {
    const edit = this.capabilities.workspace?.workspaceEdit;
    return edit?.documentChanges === true && (edit.resourceOperations ?? []).includes('create');
  }
  get documentChanges(): boolean { return this.capabilities.workspace?.workspaceEdit?.documentChanges === true; }
  get markdown(): boolean {
    const formats = this.capabilities.textDocument?.hover?.contentFormat;
    return formats === undefined || formats.includes('markdown');
  }

  push(settings: unknown): void {
    const section = (settings as Record<string, unknown> | null | undefined)?.[SECTION];
    if (section !== undefined) this.pushed = section;
  }

  /** Settings of a resource: asked of the client where it can tell, else those it pushed. Never fails. */
  async settings(uri: string): Promise<Settings> {
    if (this.capabilities.workspace?.configuration !== true) return normalizeSettings(this.pushed);
    try {
      return normalizeSettings(await this.connection.workspace.getConfiguration({ section: SECTION, ...(uri !== '' && { scopeUri: uri }) }));
    } catch {
      return normalizeSettings(this.pushed);
    }
  }

  /** Asks the client to ask again. A client that refuses is no reason to stop. */
  refresh(): void {
    const { workspace } = this.capabilities;
    const ask = (supported: boolean | undefined, method: string): void => {
      if (supported) this.connection.sendRequest(method).catch(() => undefined);
    };
    ask(workspace?.diagnostics?.refreshSupport, 'workspace/diagnostic/refresh');
    ask(workspace?.inlayHint?.refreshSupport, 'workspace/inlayHint/refresh');
    ask(workspace?.codeLens?.refreshSupport, 'workspace/codeLens/refresh');
  }
}
