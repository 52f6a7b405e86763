import type { Allocator } from '../method';
import type { AllocateParams, AllocateResult } from '../../jobs/job';
import { choiceClasses, limitsOf, refuseLimits, resultOf, within } from './choices';
import { Mckp, type MckpSolution } from './mckp';
import { solveMany } from './multi-knapsack';

const FRONTIER_POINTS = 64;
/** Classes up to which points between the hull's corners are solved one by one. */
const EXACT_FRONTIER_CLASSES = 200;

/**
 * The allocation with the least total error within a budget, exactly: a multiple-choice knapsack with one class per layer
 * (coupled layers are one class). The curve's points are optima for their own size. Several limits that bind at once (size, bit
 * operations, latency) are the integer programme of HAWQ-V3, solved by multi-knapsack.ts.
 */
export const knapsack: Allocator = {
  id: 'knapsack',
  kind: 'allocation',
  title: 'Exact allocation (multiple-choice knapsack)',
  source: 'Pisinger, A minimal algorithm for the multiple-choice knapsack problem, EJOR 83, 1995; limits as in Yao et al., HAWQ-V3, 2021',
  needs: 'weights',
  catalogue: ['hawq-v3'],
  parameters: {},
  run(params: AllocateParams, throwIfCancelled: () => void): AllocateResult {
    const classes = choiceClasses(params);
    const limits = limitsOf(params);
    const least = limits.map((_, k) => classes.reduce((sum, { costs }) => sum + Math.min(...costs.map((each) => each[k]!)), 0));
    if (!within(least, limits)) refuseLimits(least, limits, 'the smallest choice of every layer');
    // A limit that the dearest choices keep is none.
    const binding = limits.map((_, k) => k).filter((k) => classes.reduce((sum, { costs }) => sum + Math.max(...costs.map((each) => each[k]!)), 0) > limits[k]!);
    if (binding.length > 1) {
      const found = solveMany(classes.map(({ costs, errors }) => ({ errors, costs: costs.map((each) => binding.map((k) => each[k]!)) })), binding.map((k) => limits[k]!), throwIfCancelled);
      if (!found) refuseLimits(least, limits, '');
      return { ...resultOf(params, classes, [...found.choice], found.optimal), lowerBound: found.lowerBound };
    }
    const of = binding[0] ?? 0;
    const problem = new Mckp(classes.map(({ costs, errors }) => ({ bits: costs.map((each) => each[of]!), errors })));
    const solution = problem.solve(limits[of]!, throwIfCancelled);
    const trivial = limits[of]! >= problem.largestBits;
    const own = resultOf(params, classes, [...solution.choice], solution.optimal);
    return {
      ...own, objective: solution.error, lowerBound: solution.lowerBound,
      ...(trivial ? { note: 'The budget is larger than needed: every layer gets the format with its least error.' } : {}),
      ...(limits.length === 1 ? { frontier: frontier(problem, solution, throwIfCancelled) } : {}),
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
