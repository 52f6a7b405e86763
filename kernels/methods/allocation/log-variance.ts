import type { Allocator } from '../method';
import { JobError, type AllocateParams, type AllocateResult } from '../../jobs/job';
import { choiceClasses, ordersWithin, resultOf, type ChoiceClass } from './choices';

/**
 * Reverse water-filling: with errors of the form c 2^(-2 b), the least sum under a mean number of bits has
 * b_i = mean + 0.5 log2(c_i / n_i) - mean of the same over all weights, n_i weights in layer i. c_i is the geometric mean over
 * the layer's measured formats. Each layer then takes the largest format of at most b_i bits, and what is left of the budget
 * goes to those who lost most by it.
 */
export const logVariance: Allocator = {
  id: 'log-variance-allocation',
  kind: 'allocation',
  title: 'Closed form: logarithm of sensitivity times variance',
  source: 'Reverse water-filling (Cover and Thomas, Elements of Information Theory, 10.3); used for layers by "Optimizing Large Language Models through Quantization", 2024',
  needs: 'weights',
  catalogue: ['log-variance-allocation'],
  parameters: {},
  run(params: AllocateParams): AllocateResult {
    if ((params.limits ?? []).length > 0) throw new JobError('the closed form is of size alone; choose the allocator "knapsack" or "greedy" for other limits');
    const classes = choiceClasses(params);
    const order = ordersWithin(params, classes);
    const weightsOf = new Map(params.layers.map(({ key, weights }) => [key, weights]));
    const weights = classes.map(({ keys }) => keys.reduce((sum, key) => sum + weightsOf.get(key)!, 0));
    const bits = closedForm(classes.map((each, i) => sensitivity(each, weights[i]!)), weights, params.budgetBits, classes.map((each, i) => [each.bits[order[i]![0]!]!, each.bits[order[i]!.at(-1)!]!]));
    const level = order.map((sorted, i) => Math.max(0, sorted.findLastIndex((choice) => classes[i]!.bits[choice]! <= bits[i]! * weights[i]! * (1 + 1e-9))));
    const used = (i: number): number => classes[i]!.bits[order[i]![level[i]!]!]!;
    let total = classes.reduce((sum, _, i) => sum + used(i), 0);
    const lost = (i: number): number => bits[i]! - used(i) / weights[i]!;
    for (const i of classes.map((_, at) => at).sort((a, b) => lost(b) - lost(a) || a - b)) {
      const next = order[i]![level[i]! + 1];
      if (next === undefined || total - used(i) + classes[i]!.bits[next]! > params.budgetBits) continue;
      total += classes[i]!.bits[next]! - used(i);
      level[i]! += 1;
    }
    return resultOf(params, classes, order.map((sorted, i) => sorted[level[i]!]!), false);
  },
};

/** log2 of c in error = c 2^(-2 bits per weight), the mean over choices that have an error at all. */
function sensitivity({ bits, errors }: ChoiceClass, weights: number): number {
  const logs = errors.flatMap((error, i) => (error > 0 ? [Math.log2(error) + (2 * bits[i]!) / weights] : []));
  return logs.length > 0 ? logs.reduce((a, b) => a + b, 0) / logs.length : -Infinity;
}

/**
 * Bits per weight that minimise sum c_i 2^(-2 b_i) under sum n_i b_i = budget and bounds on n_i b_i, by bisection on the water level.
 * @param logs log2 c_i
 */
export function closedForm(logs: readonly number[], weights: readonly number[], budgetBits: number, bounds: readonly (readonly [number, number])[]): number[] {
  const at = (level: number): number[] => logs.map((log, i) => Math.min(bounds[i]![1] / weights[i]!, Math.max(bounds[i]![0] / weights[i]!, 0.5 * (log - Math.log2(weights[i]!)) + level)));
  const size = (bits: readonly number[]): number => bits.reduce((sum, each, i) => sum + each * weights[i]!, 0);
  let [low, high] = [-4096, 4096];
  for (let step = 0; step < 200; step += 1) {
    const middle = (low + high) / 2;
    if (size(at(middle)) > budgetBits) high = middle;
    else low = middle;
  }
  return at(low);
}
