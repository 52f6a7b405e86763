/** What running the model has shown: the latest result of each kind, as long as source and checkpoint are the same. */
import { statSync } from 'node:fs';
import type { ActivationsResult, SensitivityResult } from '../../kernels/jobs/job';
import { identityOf } from './checkpoint-cache';
import type { ModelAnalysis } from './model-analysis';

const MOST_MODELS = 32;

export interface RunResults {
  /** One per metric, the newest last. */
  readonly sensitivities: readonly SensitivityResult[];
  readonly activations: ActivationsResult | null;
}
const NOTHING: RunResults = { sensitivities: [], activations: null };

export class RunCache {
  private readonly known = new Map<string, RunResults>();

  of(analysis: ModelAnalysis): RunResults {
    const key = keyOf(analysis);
    return (key === null ? undefined : this.known.get(key)) ?? NOTHING;
  }

  addSensitivity(analysis: ModelAnalysis, result: SensitivityResult): void {
    this.change(analysis, (before) => ({ ...before, sensitivities: [...before.sensitivities.filter(({ metric }) => metric !== result.metric), result] }));
  }

  addActivations(analysis: ModelAnalysis, activations: ActivationsResult): void {
    this.change(analysis, (before) => ({ ...before, activations }));
  }

  private change(analysis: ModelAnalysis, to: (before: RunResults) => RunResults): void {
    const key = keyOf(analysis);
    if (key === null) return;
    const before = this.known.get(key) ?? NOTHING;
    this.known.delete(key);
    this.known.set(key, to(before));
    if (this.known.size > MOST_MODELS) this.known.delete(this.known.keys().next().value!);
  }
}

/** A source that was saved since is another model: what its forward does may have changed. */
function keyOf({ source, root, checkpoint }: ModelAnalysis): string | null {
  const facts = statSync(source, { throwIfNoEntry: false });
  return checkpoint && root && facts ? JSON.stringify([source, facts.mtimeMs, facts.size, root.name, identityOf(checkpoint)]) : null;
}
