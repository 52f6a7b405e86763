/**
 * The multiple-choice knapsack problem, solved exactly: one choice per class, least total error, total bits within a budget.
 *
 * Pisinger, "A minimal algorithm for the multiple-choice knapsack problem", EJOR 83 (1995): solve the linear relaxation
 * greedily on the convex hulls, then enumerate classes in order of how close their hull slopes are to the slope at which the
 * relaxation stops, as a dynamic programme over (bits, error) states, dropping states that are dominated or whose bound,
 * with the best slopes of the classes not yet enumerated, cannot beat the best solution known. Usually few classes are touched.
 */

export interface MckpClass {
  readonly bits: readonly number[];
  readonly errors: readonly number[];
}

export interface MckpSolution {
  /** Index of the choice of each class. */
  readonly choice: Int32Array;
  readonly bits: number;
  readonly error: number;
  readonly optimal: boolean;
  /** No solution has less error. Equals `error` when optimal. */
  readonly lowerBound: number;
}

/** A step along the convex hull of one class. */
interface Step {
  readonly of: number;
  readonly from: number;
  readonly to: number;
  readonly bits: number;
  readonly gain: number;
  /** gain / bits, never more than that of the step before it in the same class, so that sorting keeps their order. */
  readonly slope: number;
}

/** Solutions closer than this (relative) count as equal, which absorbs the rounding of long sums. */
const EQUAL = 1e-12;
const MOST_STATES = 4_000_000;

export class Mckp {
  /** Per class, undominated choices: bits strictly rising, errors strictly falling. */
  private readonly efficient: Int32Array[];
  /** Hull steps of all classes, best gain per bit first. */
  private readonly steps: Step[] = [];
  readonly smallestBits: number;
  /** Bits of the solution that is best without any budget. */
  readonly largestBits: number;

  constructor(readonly classes: readonly MckpClass[]) {
    this.efficient = classes.map(efficientChoices);
    this.smallestBits = classes.reduce((sum, each, i) => sum + each.bits[this.efficient[i]![0]!]!, 0);
    this.largestBits = classes.reduce((sum, each, i) => sum + each.bits[this.efficient[i]!.at(-1)!]!, 0);
    classes.forEach((each, i) => {
      const hull = lowerHull(each, this.efficient[i]!);
      let slope = Infinity;
      for (let k = 1; k < hull.length; k += 1) {
        const [from, to] = [hull[k - 1]!, hull[k]!];
        const bits = each.bits[to]! - each.bits[from]!;
        const gain = each.errors[from]! - each.errors[to]!;
        slope = Math.min(slope, gain / bits);
        this.steps.push({ of: i, from, to, bits, gain, slope });
      }
    });
    // The sort is stable: steps of equal slope stay in class and hull order.
    this.steps.sort((a, b) => b.slope - a.slope);
  }

  private start(): { choice: Int32Array; bits: number; error: number } {
    const choice = Int32Array.from(this.efficient, (indices) => indices[0]!);
    return { choice, bits: this.smallestBits, error: this.errorOf(choice) };
  }

  private errorOf(choice: Int32Array): number {
    let error = 0;
    for (let i = 0; i < choice.length; i += 1) error += this.classes[i]!.errors[choice[i]!]!;
    return error;
  }

  private bitsOf(choice: Int32Array): number {
    let bits = 0;
    for (let i = 0; i < choice.length; i += 1) bits += this.classes[i]!.bits[choice[i]!]!;
    return bits;
  }

  /** Optimum of the relaxation that may mix two choices of a class: a lower bound on the error. @param budget at least smallestBits */
  linearBound(budget: number): number {
    let { bits, error } = this.start();
    for (const step of this.steps) {
      if (bits + step.bits > budget) return error - (step.gain * (budget - bits)) / step.bits;
      bits += step.bits;
      error -= step.gain;
    }
    return error;
  }

  /** Sizes and errors along the hull: each point is the optimum for its own size. At most `count`, evenly spread over size. */
  hullPoints(count: number): { bits: number; objective: number }[] {
    let { bits, error } = this.start();
    const points = [{ bits, objective: error }];
    for (const step of this.steps) {
      bits += step.bits;
      error -= step.gain;
      points.push({ bits, objective: Math.max(0, error) });
    }
    if (points.length <= count) return points;
    const span = points.at(-1)!.bits - points[0]!.bits;
    const picked = [points[0]!];
    for (const point of points.slice(1, -1)) {
      if ((point.bits - points[0]!.bits) * (count - 1) >= picked.length * span && picked.length < count - 1) picked.push(point);
    }
    return [...picked, points.at(-1)!];
  }

  /** @param budget at least smallestBits */
  solve(budget: number, throwIfCancelled: () => void = () => {}, mostStates = MOST_STATES): MckpSolution {
    const base = this.start();
    let next = 0;
    for (; next < this.steps.length && base.bits + this.steps[next]!.bits <= budget; next += 1) {
      const step = this.steps[next]!;
      base.choice[step.of] = step.to;
      base.bits += step.bits;
    }
    base.error = this.errorOf(base.choice);
    const finish = (choice: Int32Array, bound: number | null): MckpSolution => {
      const error = this.errorOf(choice);
      return { choice, bits: this.bitsOf(choice), error, optimal: bound === null, lowerBound: bound === null ? error : Math.min(error, bound) };
    };
    const stop = this.steps[next];
    if (!stop || base.bits === budget) return finish(base.choice, null);
    const bound = Math.max(0, base.error - (stop.gain * (budget - base.bits)) / stop.bits);

    const filled = this.fill(base.choice, base.bits, budget, next);
    const search = new CoreSearch(this.classes, this.efficient, base, filled, budget, stop.slope, bound, throwIfCancelled, mostStates);
    const complete = search.run();
    return finish(search.best(), complete ? null : bound);
  }

  /** A first good solution: after the relaxation stops, takes every later step that still fits. */
  private fill(from: Int32Array, fromBits: number, budget: number, next: number): Int32Array {
    const choice = from.slice();
    let bits = fromBits;
    for (const step of this.steps.slice(next)) {
      if (choice[step.of] !== step.from || bits + step.bits > budget) continue;
      choice[step.of] = step.to;
      bits += step.bits;
    }
    return choice;
  }
}

/** The dynamic programme over classes near the stopping slope. */
class CoreSearch {
  private bestError: number;
  private bestAt: { level: number; state: number } | null = null;
  private readonly parents: Int32Array[] = [];
  private readonly taken: Int32Array[] = [];
  private readonly order: number[] = [];

  constructor(
    private readonly classes: readonly MckpClass[], private readonly efficient: readonly Int32Array[],
    private readonly base: { readonly choice: Int32Array; readonly bits: number; readonly error: number }, private readonly filled: Int32Array,
    private readonly budget: number, private readonly slope: number, private readonly bound: number,
    private readonly throwIfCancelled: () => void, private readonly mostStates: number,
  ) {
    this.bestError = filled.reduce((sum, choice, i) => sum + classes[i]!.errors[choice]!, 0);
  }

  best(): Int32Array {
    if (!this.bestAt) return this.filled;
    const choice = this.base.choice.slice();
    let state = this.bestAt.state;
    for (let level = this.bestAt.level; level >= 0; level -= 1) {
      choice[this.order[level]!] = this.taken[level]![state]!;
      state = this.parents[level]![state]!;
    }
    return choice;
  }

  /** @returns whether the search was complete; false when it held too many states. */
  run(): boolean {
    const { classes, base, budget, slope } = this;
    // Slopes from the base choice: the most error gained per bit added, the least error lost per bit freed.
    const up = new Float64Array(classes.length);
    const down = new Float64Array(classes.length).fill(Infinity);
    classes.forEach(({ bits, errors }, i) => {
      const at = base.choice[i]!;
      for (const j of this.efficient[i]!) {
        if (bits[j]! > bits[at]!) up[i] = Math.max(up[i]!, (errors[at]! - errors[j]!) / (bits[j]! - bits[at]!));
        if (bits[j]! < bits[at]!) down[i] = Math.min(down[i]!, (errors[j]! - errors[at]!) / (bits[at]! - bits[j]!));
      }
    });
    const closeness = Float64Array.from(classes, (_, i) => Math.min(slope - up[i]!, down[i]! - slope));
    const order = classes.map((_, i) => i).sort((a, b) => closeness[a]! - closeness[b]! || a - b);
    const upAfter = new Float64Array(order.length + 1);
    const downAfter = new Float64Array(order.length + 1).fill(Infinity);
    for (let k = order.length - 1; k >= 0; k -= 1) {
      upAfter[k] = Math.max(upAfter[k + 1]!, up[order[k]!]!);
      downAfter[k] = Math.min(downAfter[k + 1]!, down[order[k]!]!);
    }
    let stateBits: Float64Array = Float64Array.of(base.bits);
    let stateErrors: Float64Array = Float64Array.of(base.error);
    let held = 0;
    for (const [level, of] of order.entries()) {
      this.throwIfCancelled();
      if (stateBits.length === 0) return true;
      const { bits, errors } = classes[of]!;
      const at = base.choice[of]!;
      const limit = this.limit();
      // A choice whose reduced cost alone closes the gap cannot be in a better solution.
      const choices = this.efficient[of]!.filter((j) => j === at || this.bound + (errors[j]! - errors[at]!) + slope * (bits[j]! - bits[at]!) < limit);
      const next = this.extend(stateBits, stateErrors, choices, bits, errors, at, upAfter[level + 1]!, downAfter[level + 1]!, level, budget);
      this.order.push(of);
      stateBits = next.bits;
      stateErrors = next.errors;
      held += stateBits.length;
      if (held > this.mostStates) return false;
    }
    return true;
  }

  private limit(): number {
    return this.bestError - EQUAL * this.bestError;
  }

  /** Merges, over the choices of one class, the states shifted by each; keeps undominated states that may still win. */
  private extend(
    stateBits: Float64Array, stateErrors: Float64Array, choices: Int32Array, bits: readonly number[], errors: readonly number[], at: number,
    upAfter: number, downAfter: number, level: number, budget: number,
  ): { bits: Float64Array; errors: Float64Array } {
    const states = stateBits.length;
    const ways = choices.length;
    const shiftBits = Float64Array.from(choices, (j) => bits[j]! - bits[at]!);
    const shiftErrors = Float64Array.from(choices, (j) => errors[j]! - errors[at]!);
    const heads = new Int32Array(ways);
    const outBits = new Float64Array(states * ways);
    const outErrors = new Float64Array(states * ways);
    const parents = new Int32Array(states * ways);
    const taken = new Int32Array(states * ways);
    let kept = 0;
    let least = Infinity;
    let limit = this.limit();
    for (let left = states * ways; left > 0; left -= 1) {
      let way = -1;
      let smallest = Infinity;
      for (let k = 0; k < ways; k += 1) {
        if (heads[k]! < states && stateBits[heads[k]!]! + shiftBits[k]! < smallest) {
          smallest = stateBits[heads[k]!]! + shiftBits[k]!;
          way = k;
        }
      }
      const parent = heads[way]!;
      heads[way] = parent + 1;
      const error = stateErrors[parent]! + shiftErrors[way]!;
      if (error >= least) continue;
      const slack = budget - smallest;
      const reachable = slack >= 0 ? error - slack * upAfter : error - slack * downAfter;
      if (reachable >= limit) continue;
      // Of states of equal size the last, which has less error, replaces the one before.
      if (kept > 0 && outBits[kept - 1] === smallest) kept -= 1;
      least = error;
      outBits[kept] = smallest;
      outErrors[kept] = error;
      parents[kept] = parent;
      taken[kept] = choices[way]!;
      if (slack >= 0 && error < limit) {
        this.bestError = error;
        this.bestAt = { level, state: kept };
        limit = this.limit();
      }
      kept += 1;
    }
    this.parents.push(parents.slice(0, kept));
    this.taken.push(taken.slice(0, kept));
    return { bits: outBits.slice(0, kept), errors: outErrors.slice(0, kept) };
  }
}

/** Choices that no other choice beats in both bits and error, by rising bits. */
function efficientChoices({ bits, errors }: MckpClass): Int32Array {
  const byBits = Array.from(bits, (_, j) => j).sort((a, b) => bits[a]! - bits[b]! || errors[a]! - errors[b]! || a - b);
  const kept: number[] = [];
  for (const j of byBits) if (kept.length === 0 || errors[j]! < errors[kept.at(-1)!]!) kept.push(j);
  return Int32Array.from(kept);
}

/** Lower convex hull of error over bits. */
function lowerHull({ bits, errors }: MckpClass, efficient: Int32Array): number[] {
  const hull: number[] = [];
  for (const j of efficient) {
    while (hull.length >= 2) {
      const [a, b] = [hull.at(-2)!, hull.at(-1)!];
      if ((errors[a]! - errors[b]!) * (bits[j]! - bits[a]!) > (errors[a]! - errors[j]!) * (bits[b]! - bits[a]!)) break;
      hull.pop();
    }
    hull.push(j);
  }
  return hull;
}
