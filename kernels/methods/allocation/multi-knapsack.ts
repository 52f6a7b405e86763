/**
 * The multiple-choice knapsack problem with several limits at once: one choice per class, least total error, every total cost
 * within its limit (the integer programme of HAWQ-V3: size, bit operations, latency).
 *
 * Lagrangian duality (Fisher, "The Lagrangian relaxation method for solving integer programming problems", Management Science 27,
 * 1981): for prices u >= 0 of the limits, sum over classes of min (error + u cost) - u limit bounds every solution from below. At
 * the best prices, what a choice has above its class's minimum is its reduced cost; a solution whose reduced costs sum to more
 * than the gap between the best solution known and the bound cannot be better. The rest is enumerated class after class,
 * dropping states that are dominated, cannot keep a limit, or are beyond the gap.
 */

export interface ManyClass {
  /** Per choice, one whole number for each limit. */
  readonly costs: readonly (readonly number[])[];
  readonly errors: readonly number[];
}
export interface ManySolution {
  /** Index of the choice of each class. */
  readonly choice: Int32Array;
  readonly error: number;
  readonly optimal: boolean;
  /** No solution has less error. Equals `error` when optimal. */
  readonly lowerBound: number;
}

/** Relative difference below which two errors are the same: rounding of long sums. */
const EQUAL = 1e-12;
const MOST_STATES = 400_000;
/** States of one level that a new one is compared with. Those left out cost states, never the optimum. */
const COMPARED = 192;
/** The search for prices starts in a ball of this radius, in the range of errors of the whole, and takes so many steps per (limits + 1)^2. */
const MOST_PRICE = 1e4;
const PRICE_STEPS = 60;
const CLOSE = 1e-13;

/** @returns null when no solution keeps every limit, or none was found in the states that are allowed. */
export function solveMany(classes: readonly ManyClass[], limits: readonly number[], throwIfCancelled: () => void = () => {}, mostStates = MOST_STATES): ManySolution | null {
  const problem = new ManyLimits(classes, limits);
  const { prices, bound } = problem.dual(throwIfCancelled);
  // Prices that no error pays for: the limits exclude each other.
  if (bound > problem.most * (1 + EQUAL)) return null;
  return new Enumeration(problem, prices, bound, throwIfCancelled, mostStates).run();
}

/** Undominated choices of each class, and sums over them. */
class ManyLimits {
  readonly efficient: readonly (readonly number[])[];
  /** Sum over classes of the largest error: more than any solution has. */
  readonly most: number;
  private readonly range: number;

  constructor(readonly classes: readonly ManyClass[], readonly limits: readonly number[]) {
    this.efficient = classes.map(efficientChoices);
    this.most = classes.reduce((sum, { errors }) => sum + Math.max(...errors), 0);
    this.range = this.most - classes.reduce((sum, { errors }) => sum + Math.min(...errors), 0);
  }

  /** What a choice costs at these prices: its error, and its share of each limit times the price. */
  priced(i: number, j: number, prices: readonly number[]): number {
    const { errors, costs } = this.classes[i]!;
    let sum = errors[j]!;
    for (let k = 0; k < prices.length; k += 1) sum += prices[k]! * share(costs[j]![k]!, this.limits[k]!);
    return sum;
  }

  /** The bound that prices give, and how it changes with them: what the priced choices take beyond each limit, in limits. */
  private bound(prices: readonly number[]): { bound: number; beyond: number[] } {
    const paid = prices.reduce((a, b) => a + b, 0);
    let taken = 0;
    const beyond = this.limits.map(() => -1);
    this.efficient.forEach((choices, i) => {
      let [least, at] = [Infinity, -1];
      for (const j of choices) {
        const priced = this.priced(i, j, prices);
        if (priced < least) [least, at] = [priced, j];
      }
      taken += least;
      for (let k = 0; k < beyond.length; k += 1) beyond[k]! += share(this.classes[i]!.costs[at]![k]!, this.limits[k]!);
    });
    // What rounding of these sums and of those over reduced costs may have added is taken off: the bound must hold.
    return { bound: taken - paid - (2 * this.classes.length + 8) * Number.EPSILON * (taken + paid), beyond };
  }

  /**
   * The best bound. It is concave in the prices: the ellipsoid method (Shor, 1977), whose volume falls by a constant factor
   * whatever the scales of errors and prices. Any prices give a bound that holds, so that rounding costs time at most.
   */
  dual(throwIfCancelled: () => void): { prices: number[]; bound: number } {
    const m = this.limits.length;
    const zero = this.limits.map(() => 0);
    const best = { prices: zero, bound: this.bound(zero).bound };
    if (!(this.range > 0)) return best;
    const radius = MOST_PRICE * this.range;
    const centre = zero.map(() => 0.5 * this.range);
    // The ellipsoid is centre + shape x (unit ball): the factor stays regular where the product would lose its digits.
    const shape = zero.map((_, i) => zero.map((__, j) => (i === j ? radius : 0)));
    for (let step = 0; step < PRICE_STEPS * (m + 1) ** 2; step += 1) {
      if (step % 64 === 0) throwIfCancelled();
      // The best prices are often zero for a limit that others keep: what is negative by rounding is taken as zero.
      const negative = centre.findIndex((price) => price < -CLOSE * this.range);
      let away: readonly number[];
      if (negative >= 0) away = centre.map((_, k) => (k === negative ? -1 : 0));
      else {
        const prices = centre.map((price) => Math.max(0, price));
        const { bound, beyond } = this.bound(prices);
        if (bound > best.bound) Object.assign(best, { prices, bound });
        away = beyond.map((each) => -each);
      }
      const turned = zero.map((_, j) => away.reduce((sum, each, i) => sum + shape[i]![j]! * each, 0));
      const length = Math.hypot(...turned);
      // No price within the ellipsoid is better by more than this.
      if (!(length > CLOSE * this.range)) break;
      const unit = turned.map((each) => each / length);
      const along = shape.map((row) => row.reduce((sum, each, j) => sum + each * unit[j]!, 0));
      for (let i = 0; i < m; i += 1) {
        centre[i]! -= along[i]! / (m + 1);
        for (let j = 0; j < m; j += 1) shape[i]![j] = (m / Math.sqrt(m * m - 1)) * (shape[i]![j]! - (1 - Math.sqrt((m - 1) / (m + 1))) * along[i]! * unit[j]!);
      }
    }
    return best;
  }
}

/** A cost as a share of its limit; a limit of nothing is kept by nothing. */
const share = (cost: number, limit: number): number => (limit > 0 ? cost / limit : cost);

/** The classes one after another, those first that the prices leave undecided. */
class Enumeration {
  private readonly base: Int32Array;
  private readonly reduced: readonly Float64Array[];
  private readonly order: readonly number[];
  private bestError = Infinity;
  private bestChoice: Int32Array | null = null;

  constructor(private readonly problem: ManyLimits, prices: readonly number[], private readonly bound: number, private readonly throwIfCancelled: () => void, private readonly mostStates: number) {
    const { classes, efficient } = problem;
    this.base = new Int32Array(classes.length);
    this.reduced = classes.map(({ errors }, i) => {
      const priced = Float64Array.from(errors, (_, j) => (efficient[i]!.includes(j) ? problem.priced(i, j, prices) : Infinity));
      this.base[i] = priced.indexOf(Math.min(...priced));
      const least = priced[this.base[i]!]!;
      return priced.map((each) => each - least);
    });
    const second = this.reduced.map((each, i) => Math.min(Infinity, ...each.filter((_, j) => j !== this.base[i])));
    this.order = classes.map((_, i) => i).sort((a, b) => second[a]! - second[b]! || a - b);
  }

  run(): ManySolution | null {
    this.offer(this.improved(this.repaired(this.base)));
    const complete = this.enumerate();
    if (!this.bestChoice) return null;
    const optimal = complete;
    return { choice: this.bestChoice, error: this.bestError, optimal, lowerBound: optimal ? this.bestError : Math.min(this.bestError, Math.max(0, this.bound)) };
  }

  private offer(choice: Int32Array | null): void {
    if (!choice) return;
    const error = choice.reduce((sum, j, i) => sum + this.problem.classes[i]!.errors[j]!, 0);
    if (error < this.bestError) [this.bestError, this.bestChoice] = [error, choice];
  }
  private limit(): number {
    return this.bestChoice ? this.bestError * (1 - EQUAL) : this.problem.most * (1 + EQUAL) + Number.MIN_VALUE;
  }
  private totals(choice: Int32Array): number[] {
    return this.problem.limits.map((_, k) => choice.reduce((sum, j, i) => sum + this.problem.classes[i]!.costs[j]![k]!, 0));
  }

  /** Changes of one class that bring the totals within the limits, those first that lose least error for what they take off. */
  private repaired(from: Int32Array): Int32Array | null {
    const { classes, efficient, limits } = this.problem;
    const choice = from.slice();
    const totals = this.totals(choice);
    const beyond = (costs: readonly number[]): number => costs.reduce((sum, cost, k) => sum + Math.max(0, share(cost - limits[k]!, limits[k]!)), 0);
    for (let over = beyond(totals); over > 0;) {
      let best: { i: number; j: number; price: number; totals: number[]; over: number } | null = null;
      classes.forEach(({ costs, errors }, i) => {
        const at = choice[i]!;
        for (const j of efficient[i]!) {
          const after = totals.map((cost, k) => cost - costs[at]![k]! + costs[j]![k]!);
          const left = beyond(after);
          if (!(left < over)) continue;
          const price = (errors[j]! - errors[at]!) / (over - left);
          if (!best || price < best.price) best = { i, j, price, totals: after, over: left };
        }
      });
      const step = best as { i: number; j: number; totals: number[]; over: number } | null;
      if (!step) return null;
      choice[step.i] = step.j;
      step.totals.forEach((cost, k) => { totals[k] = cost; });
      over = step.over;
    }
    return choice;
  }

  /** Changes of one class that win error and keep the limits, those first that win most for what they take. */
  private improved(from: Int32Array | null): Int32Array | null {
    if (!from) return null;
    const { classes, efficient, limits } = this.problem;
    const choice = from.slice();
    const totals = this.totals(choice);
    for (;;) {
      let [bestClass, bestTo, most] = [-1, -1, 0];
      classes.forEach(({ costs, errors }, i) => {
        const at = choice[i]!;
        for (const j of efficient[i]!) {
          const gain = errors[at]! - errors[j]!;
          if (gain <= 0 || !totals.every((cost, k) => cost - costs[at]![k]! + costs[j]![k]! <= limits[k]!)) continue;
          const taken = limits.reduce((sum, limit, k) => sum + Math.max(0, share(costs[j]![k]! - costs[at]![k]!, limit)), 0);
          const worth = gain / Math.max(taken, 1e-12);
          if (worth > most) [bestClass, bestTo, most] = [i, j, worth];
        }
      });
      if (bestClass < 0) return choice;
      const { costs } = classes[bestClass]!;
      const at = choice[bestClass]!;
      totals.forEach((cost, k) => { totals[k] = cost - costs[at]![k]! + costs[bestTo]![k]!; });
      choice[bestClass] = bestTo;
    }
  }

  /** @returns whether everything within the gap was looked at. */
  private enumerate(): boolean {
    const { classes, efficient, limits } = this.problem;
    const dims = limits.length;
    const count = this.order.length;
    // What the classes still to come take at least, and what they take and err when each stays at its base choice.
    const least = Array.from({ length: count + 1 }, () => new Float64Array(dims));
    const rest = Array.from({ length: count + 1 }, () => new Float64Array(dims + 1));
    for (let level = count - 1; level >= 0; level -= 1) {
      const i = this.order[level]!;
      const { costs, errors } = classes[i]!;
      for (let k = 0; k < dims; k += 1) {
        least[level]![k] = least[level + 1]![k]! + Math.min(...efficient[i]!.map((j) => costs[j]![k]!));
        rest[level]![k] = rest[level + 1]![k]! + costs[this.base[i]!]![k]!;
      }
      rest[level]![dims] = rest[level + 1]![dims]! + errors[this.base[i]!]!;
    }
    let states: State[] = [{ costs: limits.map(() => 0), error: 0, reduced: 0, parent: null, of: -1, taken: -1 }];
    let held = 0;
    for (let level = 0; level < count; level += 1) {
      this.throwIfCancelled();
      const i = this.order[level]!;
      const { costs, errors } = classes[i]!;
      const next: State[] = [];
      for (const state of states) {
        for (const j of efficient[i]!) {
          const reduced = state.reduced + this.reduced[i]![j]!;
          if (this.bound + reduced >= this.limit()) continue;
          const total = state.costs.map((cost, k) => cost + costs[j]![k]!);
          if (total.some((cost, k) => cost + least[level + 1]![k]! > limits[k]!)) continue;
          const made: State = { costs: total, error: state.error + errors[j]!, reduced, parent: state, of: i, taken: j };
          if (made.error + rest[level + 1]![dims]! < this.limit() && total.every((cost, k) => cost + rest[level + 1]![k]! <= limits[k]!)) this.offer(this.choiceOf(made));
          next.push(made);
        }
      }
      states = undominated(next);
      held += states.length;
      if (states.length === 0) return true;
      if (held > this.mostStates) return false;
    }
    return true;
  }

  private choiceOf(state: State): Int32Array {
    const choice = this.base.slice();
    for (let at: State | null = state; at && at.of >= 0; at = at.parent) choice[at.of] = at.taken;
    return choice;
  }
}

interface State {
  readonly costs: readonly number[];
  readonly error: number;
  readonly reduced: number;
  readonly parent: State | null;
  readonly of: number;
  readonly taken: number;
}

/** States that none of their neighbours beats in every cost and in error. */
function undominated(states: State[]): State[] {
  states.sort((a, b) => a.costs[0]! - b.costs[0]! || a.error - b.error);
  const kept: State[] = [];
  for (const state of states) {
    let dominated = false;
    for (let at = kept.length - 1; at >= Math.max(0, kept.length - COMPARED) && !dominated; at -= 1) {
      const other = kept[at]!;
      dominated = other.error <= state.error && other.costs.every((cost, k) => cost <= state.costs[k]!);
    }
    if (!dominated) kept.push(state);
  }
  return kept;
}

/** Choices that no other choice beats in every cost and in error. */
function efficientChoices({ costs, errors }: ManyClass): number[] {
  const beats = (a: number, b: number): boolean => errors[a]! <= errors[b]! && costs[a]!.every((cost, k) => cost <= costs[b]![k]!);
  return errors.map((_, j) => j).filter((j) => !errors.some((_, other) => other !== j && beats(other, j) && (!beats(j, other) || other < j)));
}
