/**
 * Changes on disk, taken together. Trainers write checkpoints in place over seconds, so a change waits for the writing to
 * pause and a file of no length is not there yet; what vanished is forgotten at once.
 */
import { stat } from 'node:fs/promises';
import { FileChangeType, type FileEvent } from 'vscode-languageserver/node';
import { isFileUri, pathOfUri } from './uris';

export const SETTLE_MS = 1000;
const VANISHED_MS = 50;

export interface WatchHost {
  isOpen(path: string): boolean;
  /** A Python file that is not open changed on disk. */
  pythonChanged(path: string, appearedOrVanished: boolean): void;
  /** Checkpoints, recipes or configuration changed. */
  filesChanged(): void;
}

export class Watching {
  private timer: NodeJS.Timeout | null = null;
  private due = Infinity;

  constructor(private readonly host: WatchHost) {}

  async handle(events: readonly FileEvent[]): Promise<void> {
    for (const { uri, type } of events) {
      if (!isFileUri(uri)) continue;
      const path = pathOfUri(uri);
      if (/\.pyi?$/.test(path)) {
        // The editor's own text counts for open documents, not what was saved.
        if (!this.host.isOpen(path)) this.host.pythonChanged(path, type !== FileChangeType.Changed);
        continue;
      }
      if (type === FileChangeType.Deleted) {
        this.soon(VANISHED_MS);
        continue;
      }
      const facts = await stat(path).catch(() => null);
      if (facts && facts.size === 0) continue;
      // Recipes and configuration are small and written at once.
      this.soon(/\.json$/.test(path) && !/\.index\.json$/.test(path) ? VANISHED_MS : SETTLE_MS);
    }
  }

  dispose(): void {
    clearTimeout(this.timer ?? undefined);
  }

  /** A later event of the same kind pushes a long wait back, but never a short one that is already due. */
  private soon(pause: number): void {
    const due = Date.now() + pause;
    if (this.timer && this.due < due && pause !== SETTLE_MS) return;
    clearTimeout(this.timer ?? undefined);
    this.due = due;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.due = Infinity;
      this.host.filesChanged();
    }, pause);
  }
}
