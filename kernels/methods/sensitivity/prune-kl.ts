import { estimate } from '../../run/judge';
import type { MeasuredMetric } from '../method';

/** Shares of a layer's weights that are set to zero, those of the least magnitude first. */
export const SPARSITIES = [0.3, 0.5, 0.7] as const;

/** What the model's output loses when the layer is pruned at several sparsities: a figure per layer, of no format. */
export const pruneKl: MeasuredMetric = {
  id: 'prune-kl', kind: 'sensitivity', needs: 'calibration', parameters: {},
  title: 'KL divergence of the model\'s output, one layer pruned (mean over sparsities)', unit: 'nats',
  observes: 'model', changes: 'pruned', labels: false, tasks: ['classification', 'language-model'],
  source: 'Nanda et al., CPTQuant, 2024 (PMPQ), by divergence instead of accuracy',
  catalogue: ['cptquant'],
  score: (scores) => estimate(scores.map((each) => each.kl), scores.map((each) => each.compared)),
};

/** The weight with a share of its values, those of the least magnitude, set to zero; among equals, the first ones. */
export function pruned(weight: Float32Array, sparsity: number): Float32Array {
  const count = Math.floor(weight.length * sparsity);
  const threshold = count === 0 ? -1 : weight.map(Math.abs).sort()[count - 1]!;
  let ties = count - weight.reduce((sum, value) => sum + (Math.abs(value) < threshold ? 1 : 0), 0);
  return weight.map((value) => {
    const size = Math.abs(value);
    if (size > threshold) return value;
    if (size === threshold) { if (ties <= 0) return value; ties -= 1; }
    return 0;
  });
}
