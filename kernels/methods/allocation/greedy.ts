import type { Allocator } from '../method';
import type { AllocateParams, AllocateResult } from '../../jobs/job';
import { choiceClasses, limitsOf, loadsOf, ordersWithin, resultOf, totalCosts, within } from './choices';

/**
 * From every layer in its best format, the step down with the least error per bit saved is taken until the budget holds. Steps
 * go along the lower convex hull of each layer's choices, so that no cheap large step hides behind a dear small one.
 */
export const greedy: Allocator = {
  id: 'greedy',
  kind: 'allocation',
  title: 'Greedy: least error per bit saved',
  source: 'MPTQ-ViT: Mixed-Precision Post-Training Quantization for Vision Transformer, 2024 (Greedy MP)',
  needs: 'weights',
  catalogue: ['mptq-vit'],
  parameters: {},
  run(params: AllocateParams, throwIfCancelled: () => void): AllocateResult {
    const classes = choiceClasses(params);
    const limits = limitsOf(params);
    const loads = classes.map((each) => loadsOf(each, limits));
    const hulls = ordersWithin(params, classes).map((order, i) => hull(loads[i]!, classes[i]!.errors, order));
    const at = hulls.map((corners) => corners.length - 1);
    const total = totalCosts(classes, hulls.map((corners) => corners.at(-1)!), limits.length);
    while (!within(total, limits)) {
      throwIfCancelled();
      let [best, least] = [-1, Infinity];
      classes.forEach(({ errors }, i) => {
        if (at[i] === 0) return;
        const [from, to] = [hulls[i]![at[i]!]!, hulls[i]![at[i]! - 1]!];
        const price = (errors[to]! - errors[from]!) / (loads[i]![from]! - loads[i]![to]!);
        if (price < least) [best, least] = [i, price];
      });
      const { costs } = classes[best]!;
      const [from, to] = [hulls[best]![at[best]!]!, hulls[best]![at[best]! - 1]!];
      total.forEach((cost, k) => { total[k] = cost - costs[from]![k]! + costs[to]![k]!; });
      at[best]! -= 1;
    }
    return resultOf(params, classes, hulls.map((corners, i) => corners[at[i]!]!), false);
  },
};

/** Choices on the lower convex hull of (load, error), from the one that takes least to the one with the least error. */
function hull(loads: readonly number[], errors: readonly number[], order: readonly number[]): number[] {
  const corners: number[] = [];
  for (const i of order) {
    if (corners.length > 0 && errors[i]! >= errors[corners.at(-1)!]!) continue;
    while (corners.length > 1) {
      const [a, b] = [corners.at(-2)!, corners.at(-1)!];
      if ((errors[a]! - errors[b]!) * (loads[i]! - loads[b]!) > (errors[b]! - errors[i]!) * (loads[b]! - loads[a]!)) break;
      corners.pop();
    }
    corners.push(i);
  }
  return corners;
}
