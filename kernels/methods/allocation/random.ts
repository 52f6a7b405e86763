import type { Allocator } from '../method';
import type { AllocateParams, AllocateResult } from '../../jobs/job';
import { Random } from '../../numerics/random';
import { choiceClasses, limitsOf, ordersWithin, resultOf, totalCosts, within } from './choices';

/** Formats drawn by chance up to the budget: what an allocation must beat to be worth anything. The seed gives the recipe. */
export const random: Allocator = {
  id: 'random',
  kind: 'allocation',
  title: 'Formats by chance',
  source: 'The control of every comparison of allocations',
  needs: 'weights',
  catalogue: [],
  parameters: { seed: { type: 'integer', default: 0, minimum: 0, maximum: 2 ** 31 - 1, description: 'Seed of the draw' } },
  run(params: AllocateParams): AllocateResult {
    const classes = choiceClasses(params);
    const order = ordersWithin(params, classes);
    const level = order.map(() => 0);
    const limits = limitsOf(params);
    const total = totalCosts(classes, order.map((sorted) => sorted[0]!), limits.length);
    const chance = new Random(Number(params.options?.seed ?? 0));
    // One step up for one layer at a time, until none fits: recipes end at the budget, not somewhere below it.
    let open = classes.map((_, i) => i);
    while (open.length > 0) {
      const i = open[chance.integer(open.length)]!;
      const [from, to] = [level[i]!, level[i]! + 1].map((at) => classes[i]!.costs[order[i]![at]!]);
      const after = to && total.map((cost, k) => cost - from![k]! + to[k]!);
      if (after && within(after, limits)) {
        level[i]! += 1;
        after.forEach((cost, k) => { total[k] = cost; });
      } else open = open.filter((other) => other !== i);
    }
    return resultOf(params, classes, order.map((sorted, i) => sorted[level[i]!]!), false);
  },
};
