/** What running the model has shown of its layers: the latest result of each metric, as long as source and checkpoint are the same. */
import { statSync } from 'node:fs';
import type { SensitivityResult } from '../../kernels/jobs/job';
import { identityOf } from './checkpoint-cache';
import type { ModelAnalysis } from './model-analysis';

const MOST_MODELS = 32;

export class SensitivityCache {
  private readonly known = new Map<string, Map<string, SensitivityResult>>();

  of(analysis: ModelAnalysis): SensitivityResult[] {
    const key = keyOf(analysis);
    return key === null ? [] : [...(this.known.get(key)?.values() ?? [])];
  }

  add(analysis: ModelAnalysis, result: SensitivityResult): void {
    const key = keyOf(analysis);
    if (key === null) return;
    const results = this.known.get(key) ?? new Map<string, SensitivityResult>();
    // The newest stands last.
    results.delete(result.metric);
    results.set(result.metric, result);
    this.known.delete(key);
    this.known.set(key, results);
    if (this.known.size > MOST_MODELS) this.known.delete(this.known.keys().next().value!);
  }
}

/** A source that was saved since is another model: what its forward does may have changed. */
function keyOf({ source, root, checkpoint }: ModelAnalysis): string | null {
  const facts = statSync(source, { throwIfNoEntry: false });
  return checkpoint && root && facts ? JSON.stringify([source, facts.mtimeMs, facts.size, root.name, identityOf(checkpoint)]) : null;
}
