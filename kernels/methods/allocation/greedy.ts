import type { Allocator } from '../method';
import type { AllocateParams, AllocateResult } from '../../jobs/job';
import { choiceClasses, ordersWithin, resultOf, type ChoiceClass } from './choices';

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
    const hulls = ordersWithin(params, classes).map((order, i) => hull(classes[i]!, order));
    const at = hulls.map((corners) => corners.length - 1);
    let total = classes.reduce((sum, each, i) => sum + each.bits[hulls[i]![at[i]!]!]!, 0);
    while (total > params.budgetBits) {
      throwIfCancelled();
      let [best, least] = [-1, Infinity];
      classes.forEach(({ bits, errors }, i) => {
        if (at[i] === 0) return;
        const [from, to] = [hulls[i]![at[i]!]!, hulls[i]![at[i]! - 1]!];
        const price = (errors[to]! - errors[from]!) / (bits[from]! - bits[to]!);
        if (price < least) [best, least] = [i, price];
      });
      const { bits } = classes[best]!;
      total += bits[hulls[best]![at[best]! - 1]!]! - bits[hulls[best]![at[best]!]!]!;
      at[best]! -= 1;
    }
    return resultOf(params, classes, hulls.map((corners, i) => corners[at[i]!]!), false);
  },
};

/** Choices on the lower convex hull of (bits, error), from the smallest to the one with the least error. */
function hull({ bits, errors }: ChoiceClass, order: readonly number[]): number[] {
  const corners: number[] = [];
  for (const i of order) {
    if (corners.length > 0 && errors[i]! >= errors[corners.at(-1)!]!) continue;
    while (corners.length > 1) {
      const [a, b] = [corners.at(-2)!, corners.at(-1)!];
      if ((errors[a]! - errors[b]!) * (bits[i]! - bits[b]!) > (errors[b]! - errors[i]!) * (bits[b]! - bits[a]!)) break;
      corners.pop();
    }
    corners.push(i);
  }
  return corners;
}
