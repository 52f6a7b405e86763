/** One trial as a read-only Markdown document: `bitlens-trial:/<id>.md`. Names are escaped: they come from untrusted files. */
import * as vscode from 'vscode';
import type { TrialStore, StoredTrial } from '../trial-store';
import { formatAverageBits, formatBits, formatBytes, formatCount, formatSqnr, markdownCell } from '../ui/text';

export const TRIAL_SCHEME = 'bitlens-trial';

export function trialUri(trial: StoredTrial): vscode.Uri {
  return vscode.Uri.from({ scheme: TRIAL_SCHEME, path: `/${encodeURIComponent(trial.summary.id)}/Trial.md` });
}

export class TrialDocuments implements vscode.TextDocumentContentProvider {
  constructor(private readonly trials: TrialStore) {}

  provideTextDocumentContent(uri: vscode.Uri): string {
    const trial = this.trials.find(decodeURIComponent(uri.path.split('/')[1] ?? ''));
    return trial ? trialMarkdown(trial) : `# ${vscode.l10n.t('Trial')}\n\n${vscode.l10n.t('This trial is no longer in the list.')}\n`;
  }
}

export function trialMarkdown({ summary, recipe, target }: StoredTrial): string {
  const facts: [string, string][] = [
    ['Model', markdownCell(vscode.Uri.parse(target.uri).path.split('/').pop() ?? '')],
    ['Recipe', recipe ? markdownCell(vscode.workspace.asRelativePath(recipe)) : 'none: one format for the layers below'],
    ['Started', `${markdownCell(summary.startedAt)}, took ${summary.seconds.toFixed(1)} s`],
    ['Size', `${formatBytes(summary.bytesBefore)} → ${formatBytes(summary.bytesAfter)} (${formatAverageBits(summary.averageBits)} bits per weight)`],
    ['Evidence', markdownCell(summary.evidence)],
  ];
  if (summary.export) {
    facts.push(['Exported', `${markdownCell(summary.export.path)}, ${formatBytes(summary.export.bytes)}, ${formatCount(summary.export.verifiedTensors)} tensors read back and found equal`],
      ['SHA-256', markdownCell(summary.export.sha256)]);
  }
  return [
    `# ${markdownCell(summary.title)}`, '',
    '| | |', '|---|---|', ...facts.map(([key, value]) => `| ${key} | ${value} |`), '',
    '"Nearest" is rounding to nearest in the same format with scales from the largest magnitude: what the method is compared with.', '',
    '| Layer | Format | Method | Nearest | After | Bits per weight | Size |', '|---|---|---|--:|--:|--:|--:|',
    ...summary.layers.map(({ path, format, method, before, after }) =>
      `| ${markdownCell(path)} | ${markdownCell(format)} | ${markdownCell(method)} | ${formatSqnr(before)} | ${formatSqnr(after)} | ${formatBits(after.bitsPerWeight)} | ${formatBytes(after.bytes)} |`),
    '',
  ].join('\n');
}
