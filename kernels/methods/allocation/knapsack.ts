import type { Allocator } from '../method';
import type { AllocateParams, AllocateResult } from '../../jobs/job';
import { bestUniform, choiceClasses, refuseBudget } from './choices';
import { Mckp, type MckpSolution } from './mckp';

const FRONTIER_POINTS = 64;
/** Classes up to which points between the hull's corners are solved one by one. */
const EXACT_FRONTIER_CLASSES = 200;

/**
 * The allocation with the least total error within a budget, exactly: a multiple-choice knapsack with one class per layer
 * (coupled layers are one class). The curve's points are optima for their own size.
 */
export const knapsack: Allocator = {
  id: 'knapsack',
  kind: 'allocation',
  title: 'Exact allocation (multiple-choice knapsack)',
  source: 'Pisinger, A minimal algorithm for the multiple-choice knapsack problem, EJOR 83, 1995',
  needs: 'weights',
  catalogue: [],
  parameters: {},
  run(params: AllocateParams, throwIfCancelled: () => void): AllocateResult {
    const classes = choiceClasses(params);
    const problem = new Mckp(classes);
    if (problem.smallestBits > params.budgetBits) refuseBudget(problem.smallestBits, params.budgetBits, 'the smallest choice of every layer');
    const solution = problem.solve(params.budgetBits, throwIfCancelled);
    const formatOf = new Map<string, string>();
    classes.forEach(({ keys, formats }, i) => {
      for (const key of keys) formatOf.set(key, formats[solution.choice[i]!]!);
    });
    const trivial = params.budgetBits >= problem.largestBits;
    return {
      choice: params.layers.map(({ key, choices }) => {
        const format = formatOf.get(key)!;
        const { bits, error } = choices.findLast((choice) => choice.format === format)!;
        return { key, format, bits, error };
      }),
      objective: solution.error,
      bits: solution.bits,
      optimal: solution.optimal,
      lowerBound: solution.lowerBound,
      uniform: bestUniform(params.layers, params.budgetBits),
      ...(trivial ? { note: 'The budget is larger than needed: every layer gets the format with its least error.' } : {}),
      frontier: frontier(problem, solution, throwIfCancelled),
    };
  },
};

function frontier(problem: Mckp, solution: MckpSolution, throwIfCancelled: () => void): { bits: number; objective: number }[] {
  const points = problem.hullPoints(FRONTIER_POINTS);
  const missing = FRONTIER_POINTS - points.length;
  if (missing > 0 && problem.classes.length <= EXACT_FRONTIER_CLASSES && problem.largestBits > problem.smallestBits) {
    const span = problem.largestBits - problem.smallestBits;
    for (let i = 1; i <= missing; i += 1) {
      const between = problem.solve(problem.smallestBits + Math.floor((span * i) / (missing + 1)), throwIfCancelled, 200_000);
      if (between.optimal) points.push({ bits: between.bits, objective: between.error });
    }
  }
  points.push({ bits: solution.bits, objective: solution.error });
  points.sort((a, b) => a.bits - b.bits || a.objective - b.objective);
  return points.filter((point, i) => i === 0 || point.bits > points[i - 1]!.bits);
}
