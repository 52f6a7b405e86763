/** The Trials view: what was tried in this workspace, newest first, with each layer before and after. */
import path from 'node:path';
import * as vscode from 'vscode';
import type { JudgedTrial } from '../../server/protocol';
import type { Context } from '../context';
import type { StoredTrial } from '../trial-store';
import { formatAverageBits, formatBytes, formatCount, formatJudged, formatPercent, formatSqnr, oneLine } from '../ui/text';

export type TrialNode =
  /** `id` is what the item's commands are called with. */
  | { readonly kind: 'trial'; readonly id: string; readonly trial: StoredTrial }
  | { readonly kind: 'fact'; readonly label: string; readonly description: string; readonly icon: string; readonly command?: vscode.Command }
  | { readonly kind: 'layer'; readonly trial: StoredTrial; readonly index: number };

export class TrialsTree implements vscode.TreeDataProvider<TrialNode>, vscode.Disposable {
  private readonly emitter = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.emitter.event;
  private readonly disposables: vscode.Disposable[];

  constructor(private readonly context: Context) {
    this.disposables = [
      vscode.window.createTreeView('bitlens.trials', { treeDataProvider: this, showCollapseAll: true }),
      context.trials.onDidChange(() => this.emitter.fire(undefined)),
      this.emitter,
    ];
  }

  getChildren(node?: TrialNode): TrialNode[] {
    if (!node) return this.context.trials.all.map((trial) => ({ kind: 'trial', id: trial.summary.id, trial }));
    if (node.kind !== 'trial') return [];
    return [...facts(node.trial), ...node.trial.summary.layers.map((_, index): TrialNode => ({ kind: 'layer', trial: node.trial, index }))];
  }

  getTreeItem(node: TrialNode): vscode.TreeItem {
    switch (node.kind) {
      case 'trial': return trialItem(node.trial);
      case 'fact': {
        const item = new vscode.TreeItem(node.label);
        item.description = node.description;
        item.iconPath = new vscode.ThemeIcon(node.icon);
        if (node.command) item.command = node.command;
        return item;
      }
      case 'layer': return layerItem(node.trial, node.index);
    }
  }

  dispose(): void {
    for (const disposable of this.disposables) disposable.dispose();
  }
}

function trialItem({ summary }: StoredTrial): vscode.TreeItem {
  const item = new vscode.TreeItem(oneLine(summary.title, 100), vscode.TreeItemCollapsibleState.Collapsed);
  const started = new Date(summary.startedAt);
  item.id = summary.id;
  item.contextValue = summary.export ? 'trial exported' : 'trial';
  item.iconPath = new vscode.ThemeIcon('beaker');
  item.description = [judgedShort(summary.judged), `${formatAverageBits(summary.averageBits)} bits`, `${formatBytes(summary.bytesBefore)} → ${formatBytes(summary.bytesAfter)}`,
    Number.isNaN(started.valueOf()) ? '' : started.toLocaleTimeString()].filter(Boolean).join(' · ');
  item.tooltip = [oneLine(summary.title), summary.judged ? formatJudged(summary.judged) : '', oneLine(summary.evidence, 400), `${summary.layers.length} layers in ${summary.seconds.toFixed(1)} s`, Number.isNaN(started.valueOf()) ? '' : started.toLocaleString()].filter(Boolean).join('\n');
  item.accessibilityInformation = { label: `${oneLine(summary.title)}, ${item.description}` };
  return item;
}

/** The figure that trials are compared by. */
function judgedShort(judged: JudgedTrial | undefined): string {
  if (!judged) return '';
  const { accuracy, loss, kl, nsr } = judged.after;
  if (accuracy !== null && judged.before.accuracy !== null) return `accuracy ${formatPercent(accuracy)}`;
  return loss !== null ? `loss ${loss.toFixed(4)}` : kl !== null ? `KL ${kl.toPrecision(3)}` : `noise/signal ${nsr.toPrecision(3)}`;
}

function facts({ summary, target, recipe }: StoredTrial): TrialNode[] {
  const judged: TrialNode[] = summary.judged ? [{ kind: 'fact', label: vscode.l10n.t('Output'), description: formatJudged(summary.judged), icon: 'pulse' }] : [];
  const nodes: TrialNode[] = [...judged, { kind: 'fact', label: vscode.l10n.t('Evidence'), description: oneLine(summary.evidence, 400), icon: 'info' }];
  if (recipe) {
    nodes.push({ kind: 'fact', label: vscode.l10n.t('Recipe'), description: vscode.workspace.asRelativePath(recipe), icon: 'json',
      command: { command: 'vscode.open', title: vscode.l10n.t('Open Recipe'), arguments: [vscode.Uri.file(recipe)] } });
  }
  nodes.push({ kind: 'fact', label: vscode.l10n.t('Source'), description: vscode.workspace.asRelativePath(vscode.Uri.parse(target.uri)), icon: 'file-code',
    command: { command: 'vscode.open', title: vscode.l10n.t('Open Model'), arguments: [vscode.Uri.parse(target.uri)] } });
  if (summary.export) {
    const { path: file, bytes, verifiedTensors } = summary.export;
    nodes.push({ kind: 'fact', label: path.basename(file), description: vscode.l10n.t('{0} · verified {1} tensors', formatBytes(bytes), formatCount(verifiedTensors)), icon: 'verified',
      command: { command: 'bitlens.inspectCheckpoint', title: vscode.l10n.t('Inspect Checkpoint'), arguments: [vscode.Uri.file(file)] } });
  }
  return nodes;
}

function layerItem({ summary, target }: StoredTrial, index: number): vscode.TreeItem {
  const layer = summary.layers[index]!;
  const { before, after } = layer;
  const item = new vscode.TreeItem(oneLine(layer.path, 100));
  item.id = `${summary.id}#${index}`;
  // Before is rounding to nearest: the same thing as after when that is the method.
  item.description = layer.method === 'rtn' ? `${layer.format} · ${formatSqnr(after)}` : `${layer.format} · ${layer.method}: ${formatSqnr(before)} → ${formatSqnr(after)}`;
  item.iconPath = new vscode.ThemeIcon(after.mse < before.mse ? 'arrow-up' : after.mse > before.mse ? 'arrow-down' : 'dash');
  item.tooltip = `${oneLine(layer.path)}\n${layer.format}, ${layer.method}\nNearest: ${formatSqnr(before)}, MSE ${before.mse.toExponential(3)}\nAfter: ${formatSqnr(after)}, MSE ${after.mse.toExponential(3)}`;
  item.accessibilityInformation = { label: `${oneLine(layer.path)}, ${item.description}` };
  item.command = { command: 'bitlens.revealLayer', title: vscode.l10n.t('Go to Source Line'), arguments: [{ ...target, path: layer.path }] };
  return item;
}
