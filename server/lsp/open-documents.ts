/** Documents that the editor has open, kept in step with it and with the Python workspace. */
import { TextDocument } from 'vscode-languageserver-textdocument';
import type { TextDocumentContentChangeEvent } from 'vscode-languageserver/node';
import { pathOfUri } from './uris';

/** What the documents tell the room that parses them. Changes are those of the protocol. */
export interface PythonDocuments {
  open(path: string, text: string): void;
  change(path: string, changes: readonly { readonly range?: { readonly start: { readonly line: number; readonly character: number }; readonly end: { readonly line: number; readonly character: number } }; readonly text: string }[]): void;
  close(path: string): void;
  /** The file changed on disk, appeared or vanished. */
  invalidate(path: string): void;
}

/** Files that never mention torch are none of our business: this is all that is ever done with them. */
const MENTIONS_TORCH = /^[ \t]*(?:from|import)[ \t]+[^\n#]*torch/m;

export class OpenDocument {
  /** Counts what the analysis of this document depends on: its text, its imports, settings, files on disk. */
  revision = 0;
  private cachedLines: readonly string[] | null = null;
  private torch: boolean | null = null;

  constructor(readonly uri: string, readonly path: string, private content: TextDocument) {}

  get version(): number { return this.content.version; }
  get text(): string { return this.content.getText(); }
  get lines(): readonly string[] {
    return (this.cachedLines ??= this.text.split(/\r\n|\r|\n/));
  }
  get usesTorch(): boolean {
    return (this.torch ??= this.text.includes('torch') && MENTIONS_TORCH.test(this.text));
  }

  update(changes: TextDocumentContentChangeEvent[], version: number): void {
    this.content = TextDocument.update(this.content, changes, version);
    this.cachedLines = null;
    this.torch = null;
  }
}

export class OpenDocuments {
  private readonly byUri = new Map<string, OpenDocument>();
  private readonly byPath = new Map<string, OpenDocument>();

  constructor(private readonly python: PythonDocuments) {}

  all(): readonly OpenDocument[] { return [...this.byUri.values()]; }
  get(uri: string): OpenDocument | undefined { return this.byUri.get(uri); }
  atPath(path: string): OpenDocument | undefined { return this.byPath.get(path); }

  open(uri: string, languageId: string, version: number, text: string): OpenDocument {
    this.close(uri);
    const path = pathOfUri(uri);
    const document = new OpenDocument(uri, path, TextDocument.create(uri, languageId, version, text));
    this.byUri.set(uri, document);
    this.byPath.set(path, document);
    this.python.open(path, text);
    return document;
  }

  /** Null when the client speaks of a document that it never opened. */
  change(uri: string, version: number, changes: TextDocumentContentChangeEvent[]): OpenDocument | null {
    const document = this.byUri.get(uri);
    if (!document) return null;
    document.update(changes, version);
    this.python.change(document.path, changes.map((change) => ('range' in change ? { range: change.range, text: change.text } : { text: change.text })));
    return document;
  }

  close(uri: string): OpenDocument | null {
    const document = this.byUri.get(uri);
    if (!document) return null;
    this.byUri.delete(uri);
    if (this.byPath.get(document.path) === document) this.byPath.delete(document.path);
    this.python.close(document.path);
    return document;
  }
}
