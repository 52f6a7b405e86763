/** One trial as a read-only Markdown document: `bitlens-trial:/<id>.md`. Names are escaped: they come from untrusted files. */
import * as vscode from 'vscode';
import type { TrialStore, StoredTrial } from '../trial-store';
import { formatAverageBits, formatBits, formatBytes, formatCount, formatJudged, formatSqnr, markdownCell } from '../ui/text';

export const TRIAL_SCHEME = 'bitlens-trial';

export function trialUri(trial: StoredTrial): vscode.Uri {
  return vscode.Uri.from({ scheme: TRIAL_SCHEME, path: `/${encodeURIComponent(trial.summary.id)}/Trial.md` });
}

export class TrialDocuments implements vscode.TextDocumentContentProvider {
  constructor(private readonly trials: TrialStore) {}

  provideTextDocumentContent(uri: vscode.Uri): string {
    const trial = this.trials.find(decodeURIComponent(uri.path.split('/')[1] ?? ''));
    return trial ? trialMarkdown(trial, this.trials.all.filter((other) => other !== trial && other.target.uri === trial.target.uri)) : `# ${vscode.l10n.t('Trial')}\n\n${vscode.l10n.t('This trial is no longer in the list.')}\n`;
  }
}

export function trialMarkdown({ summary, recipe, target }: StoredTrial, others: readonly StoredTrial[] = []): string {
  const facts: [string, string][] = [
    ['Model', markdownCell(vscode.Uri.parse(target.uri).path.split('/').pop() ?? '')],
    ['Recipe', recipe ? markdownCell(vscode.workspace.asRelativePath(recipe)) : 'none: one format for the layers below'],
    ['Started', `${markdownCell(summary.startedAt)}, took ${summary.seconds.toFixed(1)} s`],
    ['Size', `${formatBytes(summary.bytesBefore)} → ${formatBytes(summary.bytesAfter)} (${formatAverageBits(summary.averageBits)} bits per weight)`],
    ...(summary.judged ? [['Output', markdownCell(formatJudged(summary.judged))] as [string, string]] : []),
    ['Evidence', markdownCell(summary.evidence)],
  ];
  if (summary.export) {
    facts.push(['Exported', `${markdownCell(summary.export.path)}, ${formatBytes(summary.export.bytes)}, ${formatCount(summary.export.verifiedTensors)} tensors read back and found equal`],
      ['SHA-256', markdownCell(summary.export.sha256)]);
  }
  return [
    `# ${markdownCell(summary.title)}`, '',
    '| | |', '|---|---|', ...facts.map(([key, value]) => `| ${key} | ${value} |`), '',
    ...comparison(summary, others),
    '"Nearest" is rounding to nearest in the same format with scales from the largest magnitude: what the method is compared with.', '',
    '| Layer | Format | Method | Nearest | After | Bits per weight | Size |', '|---|---|---|--:|--:|--:|--:|',
    ...summary.layers.map(({ path, format, method, before, after }) =>
      `| ${markdownCell(path)} | ${markdownCell(format)} | ${markdownCell(method)} | ${formatSqnr(before)} | ${formatSqnr(after)} | ${formatBits(after.bitsPerWeight)} | ${formatBytes(after.bytes)} |`),
    '',
  ].join('\n');
}

/** Earlier trials of the same model that ran it, beside this one. */
function comparison(own: StoredTrial['summary'], others: readonly StoredTrial[]): string[] {
  const judged = [own, ...others.map(({ summary }) => summary)].filter((summary) => summary.judged);
  if (!own.judged || judged.length < 2) return [];
  const number = (value: number | null, digits: number): string => (value === null ? '–' : value.toFixed(digits));
  return [
    `## ${vscode.l10n.t('Beside earlier trials of this model')}`, '',
    '| Trial | Bits per weight | Size | Loss | Accuracy | KL | Noise/signal |', '|---|--:|--:|--:|--:|--:|--:|',
    ...judged.map(({ title, averageBits, bytesAfter, judged: found }) => {
      const { loss, accuracy, kl, nsr } = found!.after;
      return `| ${title === own.title && found === own.judged ? `**${markdownCell(title)}**` : markdownCell(title)} | ${formatAverageBits(averageBits)} | ${formatBytes(bytesAfter)} | ${number(loss, 4)} | ${number(accuracy, 4)} | ${kl === null ? '–' : kl.toPrecision(3)} | ${nsr.toPrecision(3)} |`;
    }),
    '',
  ];
}
