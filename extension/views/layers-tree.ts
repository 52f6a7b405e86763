/** The Layers view: the module tree by dotted path, with bits, size and SQNR beside each layer. */
import * as vscode from 'vscode';
import type { LayerRow, ModelSummary } from '../../server/protocol';
import type { Context } from '../context';
import { formatAverageBits, formatBits, formatBytes, formatCount, oneLine, withoutIcons } from '../ui/text';
import { findingsIn, layerTree, worstOf, type LayerNode } from './layer-nodes';

/** Modules above this depth start open. */
const OPEN_DEPTH = 1;

export class LayersTree implements vscode.TreeDataProvider<LayerNode>, vscode.Disposable {
  private readonly emitter = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.emitter.event;
  private readonly view: vscode.TreeView<LayerNode>;
  private readonly listener: vscode.Disposable;
  private roots: LayerNode[] = [];

  constructor(private readonly context: Context) {
    this.view = vscode.window.createTreeView('bitlens.layers', { treeDataProvider: this, showCollapseAll: true });
    this.listener = context.models.onDidChange(() => this.update());
    this.update();
  }

  getChildren(node?: LayerNode): LayerNode[] {
    return node ? node.children : this.roots;
  }

  getParent(node: LayerNode): LayerNode | undefined {
    return node.parent;
  }

  getTreeItem(node: LayerNode): vscode.TreeItem {
    const { row, children, branch } = node;
    const item = new vscode.TreeItem(oneLine(node.label, 100), children.length === 0 ? vscode.TreeItemCollapsibleState.None
      : node.depth < OPEN_DEPTH ? vscode.TreeItemCollapsibleState.Expanded : vscode.TreeItemCollapsibleState.Collapsed);
    const description = children.length > 0 ? describeBranch(node) : row ? describe(row) : '';
    item.id = `${node.uri}#${node.path}`;
    item.description = description;
    item.contextValue = row ? ['layer', row.linked && row.weight ? 'quantizable' : ''].filter(Boolean).join(' ') : 'module';
    item.iconPath = iconOf(node);
    const worst = worstOf(branch);
    item.accessibilityInformation = {
      label: [oneLine(node.path || node.label), row ? oneLine(row.className) : 'module', description, worst ? `${findingsIn(branch)} findings, worst ${worst}` : ''].filter(Boolean).join(', '),
    };
    if (row) item.command = { command: 'bitlens.revealLayer', title: vscode.l10n.t('Go to Source Line'), arguments: [node] };
    return item;
  }

  /** Tooltips are built when they are shown: a model may have thousands of layers. */
  resolveTreeItem(item: vscode.TreeItem, node: LayerNode): vscode.TreeItem {
    item.tooltip = node.row ? tooltip(node.row) : oneLine(node.path);
    return item;
  }

  dispose(): void {
    this.listener.dispose();
    this.view.dispose();
    this.emitter.dispose();
  }

  private update(): void {
    const { summary: model, error } = this.context.models;
    this.roots = model ? layerTree(model) : [];
    this.view.description = model?.root ? oneLine(model.root, 60) : '';
    this.view.message = error ? oneLine(error, 400) : model && model.layers.length > 0 ? messageOf(model) : undefined;
    const count = model?.layers.reduce((sum, row) => sum + row.findings.filter(({ severity }) => severity === 'error' || severity === 'warning').length, 0) ?? 0;
    this.view.badge = count > 0 ? { value: count, tooltip: vscode.l10n.t('{0} findings on the layers of this model', count) } : undefined;
    this.emitter.fire(undefined);
  }
}

/** What stands above the tree: why numbers are missing, or the sum of them. */
function messageOf(model: ModelSummary): string {
  if (model.checkpointMessage) return oneLine(model.checkpointMessage, 400);
  if (!model.checkpoint) return vscode.l10n.t('No checkpoint: run "Bitlens: Choose Checkpoint…" to see numbers.');
  switch (model.measurements) {
    case 'failed': return vscode.l10n.t('The weights could not be measured. The log says why.');
    case 'pending': return vscode.l10n.t('Measuring the weights…');
    default:
      return model.bytesAfter === null || model.averageBits === null ? vscode.l10n.t('{0} of weights', formatBytes(model.bytes))
        : vscode.l10n.t('{0} → {1} at {2} bits on average', formatBytes(model.bytes), formatBytes(model.bytesAfter), formatAverageBits(model.averageBits));
  }
}

function describe(row: LayerRow): string {
  if (!row.linked) return row.parameters > 0 || row.weight ? vscode.l10n.t('not in the checkpoint') : oneLine(row.className, 60);
  if (!row.weight) return oneLine(row.className, 60);
  const parts = [];
  if (row.bitsPerWeight !== null) parts.push(vscode.l10n.t('{0} bits', formatBits(row.bitsPerWeight)));
  // A tied layer costs nothing of its own: its bytes stand at the layer that carries the tensor.
  parts.push(row.tiedTo === null ? formatBytes(row.bytesAfter ?? row.bytes) : vscode.l10n.t('tied to {0}', oneLine(row.tiedTo, 60)));
  if (row.sqnrDb !== null) parts.push(`${row.sqnrDb.toFixed(1)} dB`);
  return parts.join(' · ');
}

/** A module's line: enough to know which branch to open. */
function describeBranch({ row, branch }: LayerNode): string {
  if (branch.layers === 0) return row ? oneLine(row.className, 60) : '';
  const findings = findingsIn(branch);
  return [
    branch.layers === 1 ? vscode.l10n.t('1 layer') : vscode.l10n.t('{0} layers', formatCount(branch.layers)),
    formatBytes(branch.bytesAfter ?? branch.bytes),
    findings === 0 ? '' : findings === 1 ? vscode.l10n.t('1 finding') : vscode.l10n.t('{0} findings', formatCount(findings)),
  ].filter(Boolean).join(' · ');
}

function iconOf({ row, children, branch }: LayerNode): vscode.ThemeIcon {
  const plain = children.length > 0 ? 'symbol-namespace' : row?.weight ? 'symbol-array' : 'circle-outline';
  switch (worstOf(branch)) {
    case 'error': return new vscode.ThemeIcon('error', new vscode.ThemeColor('problemsErrorIcon.foreground'));
    case 'warning': return new vscode.ThemeIcon('warning', new vscode.ThemeColor('problemsWarningIcon.foreground'));
    case 'information': return new vscode.ThemeIcon('info', new vscode.ThemeColor('problemsInfoIcon.foreground'));
    default: return new vscode.ThemeIcon(plain);
  }
}

/** Markdown for its layout only: not trusted, and every name is appended as text. */
function tooltip(row: LayerRow): vscode.MarkdownString {
  const text = new vscode.MarkdownString(undefined, false);
  text.isTrusted = false;
  text.supportHtml = false;
  text.appendMarkdown('**').appendText(withoutIcons(row.path || row.className)).appendMarkdown('** ').appendText(withoutIcons(row.className)).appendMarkdown('\n\n');
  const line = (label: string, value: string): void => { text.appendMarkdown(`${label}: `).appendText(withoutIcons(value)).appendMarkdown('  \n'); };
  if (row.weight) line('Weight', `${row.weight.tensor}, ${row.weight.dtype}, ${row.weight.shape.join(' × ')}`);
  line('Parameters', formatCount(row.parameters));
  line('Size', row.bytesAfter === null ? formatBytes(row.bytes) : `${formatBytes(row.bytes)} → ${formatBytes(row.bytesAfter)}`);
  if (row.format) line('Format', `${row.format} (${row.formatSource === 'recipe' ? 'from the recipe' : 'suggested'}${row.bitsPerWeight === null ? '' : `, ${formatBits(row.bitsPerWeight)} bits per weight`})`);
  if (row.sqnrDb !== null) line('SQNR', `${row.sqnrDb.toFixed(2)} dB, measured on the weights`);
  if (row.tiedTo) line('Tied to', row.tiedTo);
  for (const finding of row.findings) text.appendMarkdown('\n\n').appendText(`${finding.code}: ${withoutIcons(finding.message)}`);
  return text;
}
