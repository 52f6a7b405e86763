/** What the server is doing: an entry of the Python language status, and one status bar item while work runs. */
import * as vscode from 'vscode';
import { DOCUMENTS, type ServerState } from './client';
import type { Context } from './context';
import { timeLeft } from './ui/progress-text';
import { withoutIcons } from './ui/text';
import type { ServerStatus } from '../server/protocol';

export class Status implements vscode.Disposable {
  private readonly language = vscode.languages.createLanguageStatusItem('bitlens.status', DOCUMENTS);
  private readonly bar = vscode.window.createStatusBarItem('bitlens.work', vscode.StatusBarAlignment.Left, 10);
  private readonly listeners: vscode.Disposable[];

  constructor(private readonly context: Context) {
    this.language.name = 'Bitlens';
    this.bar.name = vscode.l10n.t('Bitlens work');
    this.bar.command = 'bitlens.trials.focus';
    this.listeners = [
      context.server.onDidChangeState(() => this.update()),
      context.server.onStatus(() => this.update()),
      context.models.onDidChange(() => this.update()),
    ];
    this.update();
  }

  dispose(): void {
    for (const listener of this.listeners) listener.dispose();
    this.language.dispose();
    this.bar.dispose();
  }

  private update(): void {
    const { server, models } = this.context;
    const status = server.lastStatus;
    const down = server.state === 'stopped';
    const troubled = status?.state === 'error' || status?.kernel === 'failed';
    this.language.busy = server.state === 'starting' || server.state === 'waiting' || isBusy(status);
    this.language.severity = down ? vscode.LanguageStatusSeverity.Error : troubled ? vscode.LanguageStatusSeverity.Warning : vscode.LanguageStatusSeverity.Information;
    this.language.text = server.state === 'running' ? modelText(this.context) : stateText(server.state);
    this.language.detail = down ? server.downReason
      : [status?.message ? withoutIcons(status.message) : '', status ? kernelText(status.kernel) : '', models.summary ? withoutIcons(models.summary.evidence) : ''].filter(Boolean).join(' · ');
    this.language.command = down ? { command: 'bitlens.restartServer', title: vscode.l10n.t('Restart Server') }
      : status?.kernel === 'failed' ? { command: 'bitlens.restartKernel', title: vscode.l10n.t('Restart Kernel') }
        : { command: 'bitlens.showLogs', title: vscode.l10n.t('Show Logs') };
    this.updateBar(status);
  }

  private updateBar(status: ServerStatus | undefined): void {
    if (!status || !isBusy(status)) {
      this.bar.hide();
      return;
    }
    const { progress } = status;
    const percent = progress && progress.total > 0 ? ` ${Math.floor((100 * progress.done) / progress.total)} %` : '';
    const what = status.state === 'trial' ? vscode.l10n.t('trial') : status.state === 'measuring' ? vscode.l10n.t('measuring') : vscode.l10n.t('reading');
    this.bar.text = `$(sync~spin) Bitlens: ${what}${percent}`;
    this.bar.tooltip = [status.message, progress?.message, progress?.secondsLeft === undefined ? '' : timeLeft(progress.secondsLeft)].filter(Boolean).map((text) => withoutIcons(text!)).join('\n');
    this.bar.accessibilityInformation = { label: `Bitlens, ${what}${percent}` };
    this.bar.show();
  }
}

const isBusy = (status: ServerStatus | undefined): boolean => status?.state === 'measuring' || status?.state === 'trial' || status?.state === 'reading';

function stateText(state: ServerState): string {
  switch (state) {
    case 'starting': return vscode.l10n.t('Bitlens: starting');
    case 'waiting': return vscode.l10n.t('Bitlens: starting again');
    default: return vscode.l10n.t('Bitlens: stopped');
  }
}

function modelText({ models }: Context): string {
  if (models.error) return vscode.l10n.t('Bitlens: model not read');
  const model = models.summary;
  if (!model || model.layers.length === 0) return vscode.l10n.t('Bitlens: no PyTorch model here');
  const linked = model.layers.filter((row) => row.linked).length;
  return vscode.l10n.t('Bitlens: {0}, {1} of {2} layers with weights', withoutIcons(model.root ?? ''), linked, model.layers.length);
}

function kernelText(kernel: ServerStatus['kernel']): string {
  switch (kernel) {
    case 'failed': return vscode.l10n.t('the kernel failed: findings that need measurements are missing');
    case 'busy': return vscode.l10n.t('kernel busy');
    case 'ready': return vscode.l10n.t('kernel ready');
    case 'starting': return vscode.l10n.t('kernel starting');
    default: return vscode.l10n.t('kernel not started');
  }
}
