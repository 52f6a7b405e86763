/** Trials of this workspace, newest first, kept across sessions. The oldest are dropped beyond a number that stays small on disk. */
import * as vscode from 'vscode';
import type { FormatError, JudgedTrial, ModelTarget, TrialSummary } from '../server/protocol';

const KEY = 'bitlens.trials';
const KEPT = 25;

export interface StoredTrial {
  readonly target: ModelTarget;
  readonly recipe: string | null;
  readonly summary: TrialSummary;
}

export class TrialStore implements vscode.Disposable {
  private readonly emitter = new vscode.EventEmitter<void>();
  readonly onDidChange = this.emitter.event;
  private trials: StoredTrial[];

  constructor(private readonly memento: vscode.Memento) {
    const stored = memento.get<unknown>(KEY);
    // An older or a damaged store must not break the view.
    this.trials = Array.isArray(stored) ? stored.filter(isStoredTrial) : [];
  }

  get all(): readonly StoredTrial[] {
    return this.trials;
  }

  find(id: string): StoredTrial | undefined {
    return this.trials.find((trial) => trial.summary.id === id);
  }

  async add(trial: StoredTrial): Promise<void> {
    this.trials = [trial, ...this.trials.filter((other) => other.summary.id !== trial.summary.id)].slice(0, KEPT);
    await this.save();
  }

  async remove(id: string): Promise<void> {
    this.trials = this.trials.filter((trial) => trial.summary.id !== id);
    await this.save();
  }

  dispose(): void {
    this.emitter.dispose();
  }

  private async save(): Promise<void> {
    this.emitter.fire();
    await this.memento.update(KEY, this.trials);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isError(value: unknown): value is FormatError {
  return isRecord(value) && typeof value.mse === 'number' && (value.sqnrDb === null || typeof value.sqnrDb === 'number') && typeof value.bytes === 'number';
}

const isFigure = (value: unknown): boolean => value === null || typeof value === 'number';
function isJudged(value: unknown): value is JudgedTrial {
  return isRecord(value) && isRecord(value.before) && isRecord(value.after) && isFigure(value.before.loss) && isFigure(value.before.accuracy)
    && isFigure(value.after.loss) && isFigure(value.after.accuracy) && isFigure(value.after.kl) && typeof value.after.nsr === 'number';
}

function isStoredTrial(value: unknown): value is StoredTrial {
  if (!isRecord(value) || !isRecord(value.target) || !isRecord(value.summary)) return false;
  const { summary, target } = value;
  return typeof target.uri === 'string' && typeof summary.id === 'string' && typeof summary.title === 'string' && typeof summary.startedAt === 'string'
    && typeof summary.evidence === 'string' && typeof summary.bytesAfter === 'number' && typeof summary.bytesBefore === 'number'
    && typeof summary.averageBits === 'number' && typeof summary.seconds === 'number' && Array.isArray(summary.layers)
    && summary.layers.every((layer) => isRecord(layer) && typeof layer.path === 'string' && typeof layer.format === 'string'
      && typeof layer.method === 'string' && isError(layer.before) && isError(layer.after))
    && (summary.judged === undefined || isJudged(summary.judged))
    && (summary.export === null || (isRecord(summary.export) && typeof summary.export.path === 'string'));
}
