import type { Allocator } from '../method';
import type { AllocateParams, AllocateResult } from '../../jobs/job';
import { Random } from '../../numerics/random';
import { choiceClasses, ordersWithin, resultOf } from './choices';

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
    const bits = (i: number): number => classes[i]!.bits[order[i]![level[i]!]!]!;
    let total = classes.reduce((sum, _, i) => sum + bits(i), 0);
    const chance = new Random(Number(params.options?.seed ?? 0));
    // One step up for one layer at a time, until none fits: recipes end at the budget, not somewhere below it.
    let open = classes.map((_, i) => i);
    while (open.length > 0) {
      const i = open[chance.integer(open.length)]!;
      const before = bits(i);
      level[i]! += 1;
      if (level[i]! < order[i]!.length && total - before + bits(i) <= params.budgetBits) total += bits(i) - before;
      else { level[i]! -= 1; open = open.filter((other) => other !== i); }
    }
    return resultOf(params, classes, order.map((sorted, i) => sorted[level[i]!]!), false);
  },
};
