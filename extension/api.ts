/** What other extensions get: `extensions.getExtension('bitlens.bitlens').exports.getApi(1)`. Versioned; read-only. */
import type * as vscode from 'vscode';
import type { ModelSummary, ModelTarget, ReportData } from '../server/protocol';
import type { Context } from './context';

export interface BitlensApi {
  readonly version: 1;
  /** Layers of the model that a Python document defines. Rejects when the server is down. */
  model(target: ModelTarget, token?: vscode.CancellationToken): Promise<ModelSummary>;
  /** Error of every layer in every format; measures what is not measured yet. */
  report(target: ModelTarget, token?: vscode.CancellationToken): Promise<ReportData>;
  /** Fires with the documents whose analysis changed; an empty list means any. */
  readonly onDidChange: vscode.Event<{ readonly uris: readonly string[] }>;
}

export interface BitlensExports {
  getApi(version: 1): BitlensApi;
}

export function makeExports(context: Context): BitlensExports {
  return {
    getApi(version: number): BitlensApi {
      if (version !== 1) throw new Error(`Bitlens has API version 1, not ${String(version)}`);
      return {
        version: 1,
        model: (target, token) => context.server.request('bitlens/model', target, token),
        report: (target, token) => context.server.request('bitlens/report', target, token),
        onDidChange: context.server.onChanged,
      };
    },
  };
}
