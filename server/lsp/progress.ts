/** Work-done progress of one request: reported where the client gave a token, and shown on the status board. */
import { WorkDoneProgress, type CancellationToken, type Connection, type ProgressToken, type WorkDoneProgressBegin, type WorkDoneProgressEnd, type WorkDoneProgressReport } from 'vscode-languageserver/node';
import type { JobProgress } from '../../kernels/jobs/job';
import type { RunOptions } from '../analysis/ports';
import type { StatusBoard } from './status';

const isToken = (value: unknown): value is ProgressToken => typeof value === 'string' || typeof value === 'number';

/** `12 of 40 layers, 8 s left`. */
export function progressText(progress: JobProgress): string {
  return progress.secondsLeft === undefined ? progress.message : `${progress.message}, ${Math.ceil(progress.secondsLeft)} s left`;
}

/** Never goes back, and never reads as finished before the end. */
export function percentage(progress: JobProgress, before: number): number {
  const now = progress.total > 0 ? Math.floor(100 * progress.done / progress.total) : 0;
  return Math.min(99, Math.max(before, now));
}

/**
 * Runs work with progress and cancellation.
 * @param kind what the status board says while it runs; null for work too short to mention.
 */
export async function withProgress<T>(
  connection: Connection, board: StatusBoard, params: unknown, token: CancellationToken, kind: 'measuring' | 'trial' | null, title: string,
  work: (options: RunOptions & { readonly signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const listener = token.onCancellationRequested(() => abort.abort());
  if (token.isCancellationRequested) abort.abort();
  const workDoneToken = (params as { workDoneToken?: unknown } | null)?.workDoneToken;
  const send = (value: WorkDoneProgressBegin | WorkDoneProgressReport | WorkDoneProgressEnd): void => {
    if (isToken(workDoneToken)) void connection.sendProgress(WorkDoneProgress.type, workDoneToken, value);
  };
  const entry = kind ? board.begin(kind, title) : null;
  let percent = 0;
  send({ kind: 'begin', title, cancellable: true, percentage: 0 });
  try {
    abort.signal.throwIfAborted();
    return await work({
      signal: abort.signal,
      onProgress: (progress) => {
        percent = percentage(progress, percent);
        entry?.progress(progress);
        send({ kind: 'report', percentage: percent, message: progressText(progress) });
      },
    });
  } finally {
    listener.dispose();
    entry?.end();
    send({ kind: 'end' });
  }
}
