import type { Allocator } from '../method';
import type { AllocateParams, AllocateResult } from '../../jobs/job';
import { bestUniform, choiceClasses, chosenFormats, limitsOf, refuseLimits, uniformChoices } from './choices';
import { JobError } from '../../jobs/job';

/** One format for every layer: the one with the least total error that fits. The baseline every allocation is shown beside. */
export const uniform: Allocator = {
  id: 'uniform',
  kind: 'allocation',
  title: 'One format for every layer',
  source: 'The baseline of every mixed-precision comparison',
  needs: 'weights',
  catalogue: [],
  parameters: {},
  run(params: AllocateParams): AllocateResult {
    const classes = choiceClasses(params);
    const all = uniformChoices(params.layers);
    if (all.length === 0) throw new JobError('no format is offered by every layer, so none can be used for all of them');
    const limits = limitsOf(params);
    const least = limits.map((_, k) => Math.min(...all.map(({ costs }) => costs[k]!)));
    const best = bestUniform(params);
    if (!best) refuseLimits(least, limits, 'the smallest format for all layers');
    const bySize = all.sort((a, b) => a.bits - b.bits || a.objective - b.objective);
    return {
      ...chosenFormats(params, classes, classes.map(({ formats }) => formats.lastIndexOf(best.format))),
      objective: best.objective,
      bits: best.bits,
      optimal: true,
      lowerBound: best.objective,
      uniform: best,
      frontier: bySize.filter((point, i) => bySize.slice(0, i).every((smaller) => smaller.objective > point.objective)).map(({ bits, objective }) => ({ bits, objective })),
    };
  },
};
