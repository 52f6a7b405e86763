/** Allocation under several limits at once: the integer programme against every combination, and the rules beside it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { JobError, type AllocateParams, type AllocationLayer } from '../../../kernels/jobs/job';
import { firstLastHigh } from '../../../kernels/methods/allocation/first-last-high';
import { greedy } from '../../../kernels/methods/allocation/greedy';
import { knapsack } from '../../../kernels/methods/allocation/knapsack';
import { logVariance } from '../../../kernels/methods/allocation/log-variance';
import { solveMany } from '../../../kernels/methods/allocation/multi-knapsack';
import { random } from '../../../kernels/methods/allocation/random';
import { uniform } from '../../../kernels/methods/allocation/uniform';
import { Random } from '../../../kernels/numerics/random';

const run = (layers: readonly AllocationLayer[], budgetBits: number, limits: readonly number[], allocator: typeof knapsack = knapsack, more: Partial<AllocateParams> = {}) =>
  allocator.run({ layers, groups: [], budgetBits, limits, allocator: allocator.id, ...more }, () => {});

/** Styles: small whole numbers (many ties), unrelated costs, costs and errors as those of a network. */
function layersOf(chance: Random, count: number, formats: number, further: number, style: number): AllocationLayer[] {
  return Array.from({ length: count }, (_, i) => {
    const weights = 16 * (1 + chance.integer(40));
    const macs = weights * 4 ** chance.integer(5);
    const sensitivity = 10 ** (2 * chance.uniform());
    return {
      key: `layer${i}`, weights,
      choices: Array.from({ length: formats }, (_, j) => ({
        format: `f${j}`,
        bits: style === 0 ? chance.integer(6) : style === 1 ? chance.integer(1000) : (j + 2) * weights,
        error: style === 0 ? chance.integer(5) : style === 1 ? chance.uniform() * 10 ** chance.integer(4) : sensitivity * 4 ** -j * (0.8 + 0.4 * chance.uniform()),
        costs: Array.from({ length: further }, (_, k) => (style === 0 ? chance.integer(6) : style === 1 ? chance.integer(1000) : k === 0 ? (j + 2) * macs * 8 : 1000 + chance.integer(macs))),
      })),
    };
  });
}

/** Every combination. */
function bruteForce(layers: readonly AllocationLayer[], limits: readonly number[]): number {
  let best = Infinity;
  const visit = (i: number, totals: readonly number[], error: number): void => {
    if (totals.some((cost, k) => cost > limits[k]!) || error >= best) return;
    if (i === layers.length) { best = error; return; }
    for (const { bits, costs, error: own } of layers[i]!.choices) visit(i + 1, [bits, ...costs!].map((cost, k) => totals[k]! + cost), error + own);
  };
  visit(0, limits.map(() => 0), 0);
  return best;
}

function limitsFor(chance: Random, layers: readonly AllocationLayer[], further: number): number[] {
  return Array.from({ length: further + 1 }, (_, k) => {
    const edge = (pick: (...values: number[]) => number): number => layers.reduce((sum, { choices }) => sum + pick(...choices.map(({ bits, costs }) => [bits, ...costs!][k]!)), 0);
    return Math.floor(edge(Math.min) + chance.uniform() * (edge(Math.max) - edge(Math.min)));
  });
}

test('size, bit operations and latency at once: the optimum equals brute force on 1,500 random cases', () => {
  const chance = new Random(11);
  let [solved, refused] = [0, 0];
  for (let trial = 0; trial < 1500; trial += 1) {
    const further = 1 + (trial % 2);
    const layers = layersOf(chance, 1 + chance.integer(6), 2 + chance.integer(3), further, trial % 3);
    const [budget, ...limits] = limitsFor(chance, layers, further);
    const best = bruteForce(layers, [budget!, ...limits]);
    if (best === Infinity) { assert.throws(() => run(layers, budget!, limits), JobError); refused += 1; continue; }
    const { objective, optimal, bits, costs, choice, lowerBound } = run(layers, budget!, limits);
    assert.ok(optimal && Math.abs(objective - best) <= 1e-11 * Math.max(best, 1e-300), `trial ${trial}: ${objective}, brute force ${best}`);
    assert.equal(lowerBound, objective);
    assert.ok(bits <= budget! && costs!.every((cost, k) => cost <= limits[k]!));
    assert.deepEqual(costs, limits.map((_, k) => choice.reduce((sum, each) => sum + each.costs![k]!, 0)), 'the totals are those of the choice');
    solved += 1;
  }
  assert.ok(solved > 900 && refused > 100, `${solved} solved, ${refused} refused`);
});

test('one limit that is not of size is solved exactly too, and a limit that cannot bind changes nothing', () => {
  const chance = new Random(12);
  for (let trial = 0; trial < 300; trial += 1) {
    const layers = layersOf(chance, 5, 4, 1, 2);
    const [budget, limit] = limitsFor(chance, layers, 1);
    const alone = run(layers, Number.MAX_SAFE_INTEGER, [limit!]);
    assert.ok(alone.optimal && Math.abs(alone.objective - bruteForce(layers, [Number.MAX_SAFE_INTEGER, limit!])) <= 1e-11 * alone.objective);
    const plain = layers.map(({ choices, ...layer }) => ({ ...layer, choices: choices.map(({ costs: _, ...choice }) => choice) }));
    const size = run(layers, budget!, [Number.MAX_SAFE_INTEGER]);
    assert.equal(size.objective, knapsack.run({ layers: plain, groups: [], budgetBits: budget!, allocator: 'knapsack' }, () => {}).objective);
  }
});

test('100 layers of 6 formats under three limits: optimal, or with a bound that is close', () => {
  const chance = new Random(13);
  for (const share of [0.4, 0.6]) {
    const layers = layersOf(chance, 100, 6, 2, 2);
    const most = [0, 1, 2].map((k) => layers.reduce((sum, { choices }) => sum + Math.max(...choices.map(({ bits, costs }) => [bits, ...costs!][k]!)), 0));
    // Latencies have nothing to do with the other two here, so that they exclude each other where all are low.
    const [budget, ...limits] = most.map((each, k) => Math.floor(each * (k === 2 ? share + 0.3 : share)));
    const { objective, lowerBound, bits, costs } = run(layers, budget!, limits);
    assert.ok(bits <= budget! && costs!.every((cost, k) => cost <= limits[k]!));
    assert.ok(lowerBound <= objective && objective <= 1.02 * lowerBound, `${objective}, bound ${lowerBound}`);
    const stepped = run(layers, budget!, limits, greedy).objective;
    assert.ok(stepped >= lowerBound * (1 - 1e-12) && stepped < 3 * objective, `greedy ${stepped}, ${objective}`);
  }
});

test('the search that would hold too many states says that its solution is not proven', () => {
  const chance = new Random(14);
  // Errors fall in proportion to both costs: the prices decide nothing.
  const classes = Array.from({ length: 40 }, () => {
    const [a, b] = [1e6 + chance.integer(1e6), 1e6 + chance.integer(1e6)];
    return { costs: [[0, 0], [a, b]], errors: [a + b, 0] };
  });
  const found = solveMany(classes, [20_123_457, 21_765_433], () => {}, 3000)!;
  assert.equal(found.optimal, false);
  assert.ok(found.lowerBound < found.error && found.error - found.lowerBound < 6e6);
});

test('rules of thumb keep every limit, and uniform is the best format that does', () => {
  const chance = new Random(15);
  let kept = 0;
  for (let trial = 0; trial < 200; trial += 1) {
    const layers = layersOf(chance, 8, 4, 2, 2);
    const [budget, ...limits] = limitsFor(chance, layers, 2);
    const best = (() => { try { return run(layers, budget!, limits).objective; } catch (error) { assert.ok(error instanceof JobError); return null; } })();
    for (const allocator of [greedy, firstLastHigh, random, uniform]) {
      let found;
      try { found = run(layers, budget!, limits, allocator); } catch (error) { assert.ok(error instanceof JobError); continue; }
      assert.ok(found.bits <= budget! && found.costs!.every((cost, k) => cost <= limits[k]!), allocator.id);
      assert.ok(best !== null && found.objective >= best * (1 - 1e-12), allocator.id);
      kept += 1;
    }
  }
  assert.ok(kept > 200, `${kept} answers`);
});

test('costs that are not whole numbers, missing ones, and a closed form of anything but size are refused', () => {
  const layers = layersOf(new Random(16), 3, 3, 1, 2);
  assert.throws(() => run(layers, 1e9, []), /further costs/);
  assert.throws(() => run(layers, 1e9, [Number.NaN]), /limit/);
  assert.throws(() => run(layers.map((layer) => ({ ...layer, choices: layer.choices.map((choice) => ({ ...choice, costs: [0.5] })) })), 1e9, [1e9]), /whole numbers/);
  assert.throws(() => run(layers, 1e9, [0]), (error) => error instanceof JobError && /limit of 0 cannot be met/.test(error.message));
  assert.throws(() => run(layers, 1e9, [1e12], logVariance), /closed form is of size alone/);
});
