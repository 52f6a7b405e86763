/**
 * The only place that reads the settings. Whatever a user wrote is brought into the shape of `Settings` here, so that
 * nobody behind this door meets a string where a number belongs.
 */
import path from 'node:path';
import * as vscode from 'vscode';
import { DEFAULT_SETTINGS, type Settings } from '../server/protocol';

export const SECTION = 'bitlens';
export const SEVERITIES = ['error', 'warning', 'information', 'hint', 'off'] as const;
export type RuleSeverity = (typeof SEVERITIES)[number];

const isSeverity = (value: unknown): value is RuleSeverity => SEVERITIES.includes(value as RuleSeverity);

/**
 * The settings that apply to a resource.
 * A relative `bitlens.checkpoint` is made absolute: only the client knows which workspace folder it is relative to.
 */
export function readSettings(resource?: vscode.Uri): Settings {
  const section = vscode.workspace.getConfiguration(SECTION, resource ?? null);
  const number = (key: keyof Settings, fallback: number, least: number): number => {
    const value = section.get<unknown>(key);
    return typeof value === 'number' && Number.isFinite(value) ? Math.max(least, value) : fallback;
  };
  const boolean = (key: keyof Settings, fallback: boolean): boolean => {
    const value = section.get<unknown>(key);
    return typeof value === 'boolean' ? value : fallback;
  };
  const text = (key: keyof Settings, fallback: string): string => {
    const value = section.get<unknown>(key);
    return typeof value === 'string' ? value.trim() : fallback;
  };
  const formats = section.get<unknown>('formats');
  const named = Array.isArray(formats) ? formats.filter((id): id is string => typeof id === 'string' && id.trim() !== '').map((id) => id.trim()) : [];
  const given = section.get<unknown>('executionProviders');
  const providers = Array.isArray(given) ? given.filter((name): name is string => typeof name === 'string' && name.trim() !== '').map((name) => name.trim()) : [];
  const rules = section.get<unknown>('rules');
  return {
    checkpoint: absolute(text('checkpoint', DEFAULT_SETTINGS.checkpoint), resource),
    targetFormat: text('targetFormat', DEFAULT_SETTINGS.targetFormat) || DEFAULT_SETTINGS.targetFormat,
    formats: named.length > 0 ? [...new Set(named)] : DEFAULT_SETTINGS.formats,
    minimumSqnrDb: number('minimumSqnrDb', DEFAULT_SETTINGS.minimumSqnrDb, 0),
    kurtosis: number('kurtosis', DEFAULT_SETTINGS.kurtosis, 0),
    channelRangeSpread: number('channelRangeSpread', DEFAULT_SETTINGS.channelRangeSpread, 1),
    rules: typeof rules === 'object' && rules !== null ? Object.fromEntries(Object.entries(rules).filter((entry): entry is [string, RuleSeverity] => isSeverity(entry[1]))) : {},
    inlayHints: boolean('inlayHints', DEFAULT_SETTINGS.inlayHints),
    codeLens: boolean('codeLens', DEFAULT_SETTINGS.codeLens),
    threads: Math.floor(number('threads', DEFAULT_SETTINGS.threads, 0)),
    memoryMb: Math.floor(number('memoryMb', DEFAULT_SETTINGS.memoryMb, 128)),
    executionProviders: providers.length > 0 ? providers : DEFAULT_SETTINGS.executionProviders,
  };
}

function absolute(checkpoint: string, resource: vscode.Uri | undefined): string {
  if (checkpoint === '' || path.isAbsolute(checkpoint)) return checkpoint;
  const folder = (resource && vscode.workspace.getWorkspaceFolder(resource)) ?? vscode.workspace.workspaceFolders?.[0];
  return folder?.uri.scheme === 'file' ? path.join(folder.uri.fsPath, checkpoint) : checkpoint;
}

/** Sets the severity of one rule where the user keeps such settings: the folder's settings, else the user's own. */
export async function writeRuleSeverity(code: string, severity: RuleSeverity): Promise<void> {
  const section = vscode.workspace.getConfiguration(SECTION);
  const known = section.inspect<Record<string, unknown>>('rules');
  const target = vscode.workspace.workspaceFolders ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global;
  const present = target === vscode.ConfigurationTarget.Workspace ? known?.workspaceValue : known?.globalValue;
  await section.update('rules', { ...present, [code]: severity }, target);
}
