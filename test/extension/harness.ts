/** A small test runner for the extension host: functions with node:assert, run one after the other, one line each. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import type { TestingExports } from '../../extension/main';

const LIMIT_MS = 90_000;
type Body = () => Promise<void>;
const tests: { readonly name: string; readonly body: Body }[] = [];

export function test(name: string, body: Body): void {
  tests.push({ name, body });
}

/** Measured on the way, printed at the end. */
export const figures: { activationMs?: number } = {};

export interface Outcome { readonly name: string; readonly ok: boolean; readonly milliseconds: number; readonly error?: string }

/** Runs what was registered, or those whose name holds `only`. */
export async function runAll(only: string | undefined): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { name, body } of tests.filter((one) => !only || one.name.includes(only))) {
    const begun = performance.now();
    let failure: string | undefined;
    try {
      await limited(body(), name);
    } catch (error) {
      failure = error instanceof Error ? error.stack ?? error.message : String(error);
    }
    const milliseconds = Math.round(performance.now() - begun);
    console.log(`${failure === undefined ? 'ok' : 'not ok'} ${outcomes.length + 1} - ${name} (${milliseconds} ms)`);
    if (failure !== undefined) console.log(failure.replace(/^/gm, '  # '));
    outcomes.push({ name, ok: failure === undefined, milliseconds, ...(failure !== undefined && { error: failure }) });
  }
  return outcomes;
}

async function limited(work: Promise<void>, name: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => { timer = setTimeout(() => reject(new Error(`"${name}" did not finish in ${LIMIT_MS / 1000} s`)), LIMIT_MS); });
  try {
    await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks until the answer is neither undefined nor false; the last error is part of the failure. */
export async function eventually<Value>(what: string, ask: () => Value | undefined | false | Promise<Value | undefined | false>, limitMs = 60_000): Promise<Value> {
  const deadline = Date.now() + limitMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}${last === undefined ? '' : `: ${String(last)}`}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export const extension = (): vscode.Extension<TestingExports> => {
  const found = vscode.extensions.getExtension<TestingExports>('bitlens.bitlens');
  assert.ok(found, 'the extension is installed');
  return found;
};
export const testing = (): TestingExports['testing'] => extension().exports.testing;

/** The workspace is a copy of the bundled example. */
export function workspaceFile(...segments: string[]): vscode.Uri {
  return vscode.Uri.joinPath(vscode.workspace.workspaceFolders![0]!.uri, ...segments);
}
export const modelFile = (): vscode.Uri => workspaceFile('model.py');
export const target = (): { uri: string } => ({ uri: modelFile().toString() });
export const readText = (uri: vscode.Uri): string => readFileSync(uri.fsPath, 'utf8');
export const nameOf = (uri: vscode.Uri): string => path.basename(uri.fsPath);

export async function openModel(): Promise<vscode.TextEditor> {
  return vscode.window.showTextDocument(modelFile(), { viewColumn: vscode.ViewColumn.One, preview: false });
}

/** Diagnostics of ours on the model file, once there are some. */
export async function findings(): Promise<readonly vscode.Diagnostic[]> {
  return eventually('findings on model.py', () => {
    const found = ours();
    return found.length > 0 && found;
  });
}
export const ours = (uri: vscode.Uri = modelFile()): vscode.Diagnostic[] => vscode.languages.getDiagnostics(uri).filter((diagnostic) => /bitlens/i.test(diagnostic.source ?? ''));
export const codeOf = (diagnostic: vscode.Diagnostic): string => String(typeof diagnostic.code === 'object' ? diagnostic.code.value : diagnostic.code);

/** Runs one of our commands so that its errors reach the test. */
export async function run<Result>(command: string, args: Record<string, unknown> = {}): Promise<Result> {
  return vscode.commands.executeCommand<Result>(`bitlens.${command}`, { ...target(), throws: true, ...args });
}

export const tabs = (): readonly vscode.Tab[] => vscode.window.tabGroups.all.flatMap((group) => group.tabs);
