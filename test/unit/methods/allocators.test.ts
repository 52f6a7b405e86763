/** Allocators beside the exact one: closed form, greedy, and the rules of thumb that an allocation is judged against. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { JobError, type AllocateParams, type AllocationLayer } from '../../../kernels/jobs/job';
import { firstLastHigh } from '../../../kernels/methods/allocation/first-last-high';
import { greedy } from '../../../kernels/methods/allocation/greedy';
import { knapsack } from '../../../kernels/methods/allocation/knapsack';
import { closedForm, logVariance } from '../../../kernels/methods/allocation/log-variance';
import { random } from '../../../kernels/methods/allocation/random';
import { Random } from '../../../kernels/numerics/random';

const BITS = [2, 3, 4, 6, 8];
/** Layers whose errors fall as those of uniform quantizers do, by `noise` unevenly. */
function layersOf(chance: Random, count: number, noise: number): AllocationLayer[] {
  return Array.from({ length: count }, (_, i) => {
    const weights = 64 * (1 + chance.integer(40));
    const sensitivity = 10 ** (-3 + 3 * chance.uniform());
    return { key: `layer${i}`, weights, choices: BITS.map((bits) => ({ format: `int${bits}`, bits: bits * weights, error: sensitivity * 4 ** -bits * Math.exp(noise * chance.normal()) })) };
  });
}
const run = (allocator: typeof greedy, layers: readonly AllocationLayer[], budgetBits: number, more: Partial<AllocateParams> = {}) =>
  allocator.run({ layers, groups: [], budgetBits, allocator: allocator.id, ...more }, () => {});
const total = (layers: readonly AllocationLayer[], bits: number): number => layers.reduce((sum, { weights }) => sum + weights * bits, 0);

test('greedy and the closed form keep the budget and come close to the optimum', () => {
  const chance = new Random(3);
  let [byGreedy, byForm] = [0, 0];
  for (let trial = 0; trial < 200; trial += 1) {
    const layers = layersOf(chance, 3 + chance.integer(20), 0.3);
    const budget = Math.floor(total(layers, 2.2 + 4 * chance.uniform()));
    const best = run(knapsack, layers, budget).objective;
    for (const allocator of [greedy, logVariance]) {
      const { bits, objective, choice } = run(allocator, layers, budget);
      assert.ok(bits <= budget && objective >= best * (1 - 1e-12), allocator.id);
      assert.ok(Math.abs(choice.reduce((sum, each) => sum + each.error, 0) - objective) <= 1e-12 * objective);
    }
    byGreedy += Math.log(run(greedy, layers, budget).objective / best);
    byForm += Math.log(run(logVariance, layers, budget).objective / best);
  }
  assert.ok(byGreedy / 200 < Math.log(1.3), `greedy: ${Math.exp(byGreedy / 200)} times the optimum`);
  assert.ok(byForm / 200 < Math.log(1.6), `closed form: ${Math.exp(byForm / 200)} times the optimum`);
});

test('greedy gives less with less, and nothing below the smallest', () => {
  const layers = layersOf(new Random(4), 12, 0.5);
  let before = Infinity;
  for (let bits = 2; bits <= 8; bits += 0.25) {
    const { objective } = run(greedy, layers, total(layers, bits));
    assert.ok(objective <= before);
    before = objective;
  }
  assert.throws(() => run(greedy, layers, total(layers, 2) - 1), JobError);
});

test('the closed form is the optimum of its own model: no exchange of bits between two layers helps', () => {
  const chance = new Random(5);
  const weights = Array.from({ length: 9 }, () => 1 + chance.integer(1000));
  const logs = weights.map(() => 8 * chance.normal());
  const wide = weights.map((count): [number, number] => [-100 * count, 100 * count]);
  const mean = weights.reduce((a, b) => a + b, 0) * 3.5;
  const bits = closedForm(logs, weights, mean, wide);
  assert.ok(Math.abs(bits.reduce((sum, each, i) => sum + each * weights[i]!, 0) - mean) < 1e-6);
  const objective = (given: readonly number[]): number => given.reduce((sum, each, i) => sum + 2 ** (logs[i]! - 2 * each), 0);
  for (let i = 0; i < 9; i += 1) for (let j = 0; j < 9; j += 1) {
    if (i === j) continue;
    const moved = bits.map((each, k) => each + (k === i ? 0.01 / weights[i]! : k === j ? -0.01 / weights[j]! : 0));
    assert.ok(objective(moved) >= objective(bits) * (1 - 1e-12));
  }
  const scaled = closedForm(logs.map((log) => log + 5), weights, mean, wide);
  scaled.forEach((each, i) => assert.ok(Math.abs(each - bits[i]!) < 1e-9, 'the scale of all sensitivities changes nothing'));
  const equal = closedForm([2, 2, 2], [7, 7, 7], 63, [[0, 700], [0, 700], [0, 700]]);
  equal.forEach((each) => assert.ok(Math.abs(each - 3) < 1e-9));
});

test('first and last high: the ends first, then the others as one', () => {
  const layers = layersOf(new Random(6), 8, 0).map((layer) => ({ ...layer, weights: 64, choices: BITS.map((bits) => ({ format: `int${bits}`, bits: bits * 64, error: 4 ** -bits })) }));
  const formats = run(firstLastHigh, layers, 64 * (8 + 8 + 6 * 3 + 2)).choice.map(({ format }) => format);
  assert.deepEqual(formats, ['int8', 'int4', 'int4', 'int3', 'int3', 'int3', 'int3', 'int8']);
});

test('random recipes: by the seed, up to the budget, groups together', () => {
  const layers = layersOf(new Random(7), 10, 0);
  const budget = total(layers, 3.7);
  const draw = (seed: number): string => run(random, layers, budget, { groups: [['layer1', 'layer5']], options: { seed } }).choice.map(({ format }) => format).join();
  assert.equal(draw(1), draw(1));
  assert.equal(new Set(Array.from({ length: 10 }, (_, seed) => draw(seed))).size, 10);
  for (let seed = 0; seed < 20; seed += 1) {
    const { bits, choice } = run(random, layers, budget, { groups: [['layer1', 'layer5']], options: { seed } });
    assert.ok(bits <= budget && bits > 0.85 * budget, `${bits} of ${budget}`);
    assert.equal(choice[1]!.format, choice[5]!.format);
  }
});
