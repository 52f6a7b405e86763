import type { Allocator } from '../method';
import type { AllocateParams, AllocateResult } from '../../jobs/job';
import { choiceClasses, limitsOf, ordersWithin, resultOf, totalCosts, within, type ChoiceClass } from './choices';

/**
 * The rule of thumb that mixed precision has to beat: the first and the last layer get the largest format that is offered,
 * the others the largest that fits for all of them, and what is left of the budget goes to them in the order of the model.
 */
export const firstLastHigh: Allocator = {
  id: 'first-last-high',
  kind: 'allocation',
  title: 'First and last layer in high precision',
  source: 'Rule of thumb since Zhou et al., DoReFa-Net, 2016',
  needs: 'weights',
  catalogue: [],
  parameters: {},
  run(params: AllocateParams): AllocateResult {
    const classes = choiceClasses(params);
    const order = ordersWithin(params, classes);
    const ends = endsOf(params, classes);
    const level = order.map(() => 0);
    const limits = limitsOf(params);
    const fits = (): boolean => within(totalCosts(classes, order.map((sorted, i) => sorted[level[i]!]!), limits.length), limits);
    /** Raises these as far as all of them can go together. */
    const raise = (members: readonly number[]): void => {
      for (;;) {
        const before = [...level];
        for (const i of members) level[i] = Math.min(level[i]! + 1, order[i]!.length - 1);
        if (level.every((value, i) => value === before[i])) return;
        if (!fits()) { before.forEach((value, i) => { level[i] = value; }); return; }
      }
    };
    raise(ends);
    const middle = classes.map((_, i) => i).filter((i) => !ends.includes(i));
    raise(middle);
    for (const i of middle) raise([i]);
    return resultOf(params, classes, order.map((sorted, i) => sorted[level[i]!]!), false);
  },
};

function endsOf(params: AllocateParams, classes: readonly ChoiceClass[]): number[] {
  const at = (key: string): number => classes.findIndex(({ keys }) => keys.includes(key));
  return [...new Set([at(params.layers[0]!.key), at(params.layers.at(-1)!.key)])];
}
