import test from 'node:test';
import assert from 'node:assert/strict';
import { JobError, type AllocateParams, type AllocationLayer } from '../../../kernels/jobs/job';
import { Mckp } from '../../../kernels/methods/allocation/mckp';
import { knapsack } from '../../../kernels/methods/allocation/knapsack';
import { uniform } from '../../../kernels/methods/allocation/uniform';
import { Random } from '../../../kernels/numerics/random';

const FORMATS = ['int2', 'int3', 'int4', 'int5', 'int6', 'int8', 'fp8-e4m3', 'bf16'];
const run = (layers: readonly AllocationLayer[], budgetBits: number, groups: readonly (readonly string[])[] = [], allocator = knapsack) =>
  allocator.run({ layers, groups, budgetBits, allocator: allocator.id } satisfies AllocateParams, () => {});

function randomLayers(random: Random, layers: number, formats: number, style: number): AllocationLayer[] {
  return Array.from({ length: layers }, (_, i) => ({
    key: `layer${i}`,
    weights: 10,
    choices: FORMATS.slice(0, formats).map((format, j) => ({
      format,
      // Styles: small whole numbers (many ties), unrelated sizes and errors, errors that fall with bits as real ones do.
      bits: style === 0 ? random.integer(6) : style === 1 ? random.integer(1000) : (j + 2) * (8 + random.integer(64)),
      error: style === 0 ? random.integer(5) : style === 1 ? random.uniform() * 10 ** random.integer(6) : random.uniform() * 4 ** -j,
    })),
  }));
}

/** Every combination. */
function bruteForce(layers: readonly AllocationLayer[], budget: number): number {
  let best = Infinity;
  const visit = (i: number, bits: number, error: number): void => {
    if (bits > budget || error >= best) return;
    if (i === layers.length) {
      best = error;
      return;
    }
    for (const choice of layers[i]!.choices) visit(i + 1, bits + choice.bits, error + choice.error);
  };
  visit(0, 0, 0);
  return best;
}

test('the knapsack equals brute force on 3,000 random cases, and says so when nothing fits', () => {
  const random = new Random(1);
  let [solved, refused] = [0, 0];
  for (let trial = 0; trial < 3000; trial += 1) {
    const layers = randomLayers(random, 1 + random.integer(6), 1 + random.integer(5), trial % 3);
    const smallest = layers.reduce((sum, layer) => sum + Math.min(...layer.choices.map((choice) => choice.bits)), 0);
    const largest = layers.reduce((sum, layer) => sum + Math.max(...layer.choices.map((choice) => choice.bits)), 0);
    const budget = Math.max(0, Math.floor(smallest - 2 + random.uniform() * (largest - smallest + 4)));
    const expected = bruteForce(layers, budget);
    if (budget < smallest) {
      assert.throws(() => run(layers, budget), JobError);
      refused += 1;
      continue;
    }
    const result = run(layers, budget);
    assert.ok(Math.abs(result.objective - expected) <= 1e-11 * Math.max(expected, 1e-300), `trial ${trial}: ${result.objective}, brute force ${expected}`);
    assert.ok(result.optimal && result.bits <= budget && result.lowerBound === result.objective);
    // The figures are those of the choice.
    const sums = result.choice.map(({ key, format, bits, error }) => {
      const choice = layers.find((layer) => layer.key === key)!.choices.find((each) => each.format === format)!;
      assert.deepEqual([bits, error], [choice.bits, choice.error]);
      return choice;
    });
    assert.equal(sums.reduce((sum, choice) => sum + choice.bits, 0), result.bits);
    // Never worse than uniform of the same budget.
    if (result.uniform) assert.ok(result.objective <= result.uniform.objective * (1 + 1e-12) && result.uniform.bits <= budget);
    solved += 1;
  }
  assert.ok(solved > 2000 && refused > 50, `${solved} solved, ${refused} refused`);
});

test('coupled layers get one format and the result is the best among such choices', () => {
  const random = new Random(2);
  for (let trial = 0; trial < 300; trial += 1) {
    const layers = randomLayers(random, 5, 4, 2);
    const groups = [['layer0', 'layer3'], ['layer3', 'layer4']];
    const merged: AllocationLayer[] = [...layers.slice(1, 3), {
      key: 'merged', weights: 0,
      choices: layers[0]!.choices.map((choice, j) => ({ format: choice.format, bits: choice.bits + layers[3]!.choices[j]!.bits + layers[4]!.choices[j]!.bits, error: choice.error + layers[3]!.choices[j]!.error + layers[4]!.choices[j]!.error })),
    }];
    const smallest = merged.reduce((sum, layer) => sum + Math.min(...layer.choices.map((choice) => choice.bits)), 0);
    const budget = Math.floor(smallest * (1 + random.uniform()));
    const result = run(layers, budget, groups);
    const formats = new Map(result.choice.map(({ key, format }) => [key, format]));
    assert.equal(formats.get('layer0'), formats.get('layer3'));
    assert.equal(formats.get('layer0'), formats.get('layer4'));
    assert.ok(Math.abs(result.objective - bruteForce(merged, budget)) < 1e-12);
  }
});

/** Layers as a real model has them: sizes of a few kinds, errors near 4^-bits with a factor of their own. */
function modelLayers(random: Random, layers: number): AllocationLayer[] {
  return Array.from({ length: layers }, (_, i) => {
    const weights = 1024 * (1 + random.integer(4096));
    const sensitivity = 10 ** (random.normal() * 0.7);
    return {
      key: `l${i}`, weights,
      choices: [2, 3, 4, 5, 6, 7, 8, 16].map((bits, j) => ({ format: FORMATS[j]!, bits: weights * bits + 16 * 32 * (1 + random.integer(64)), error: sensitivity * 4 ** -bits * (0.8 + 0.4 * random.uniform()) })),
    };
  });
}

test('1,000 layers x 8 formats: optimal within the budget, between the LP bound and a greedy solution', () => {
  const random = new Random(3);
  for (const share of [0.15, 0.25, 0.4, 0.6]) {
    const layers = modelLayers(random, 1000);
    const budget = Math.floor(layers.reduce((sum, layer) => sum + layer.choices.at(-1)!.bits, 0) * share);
    const problem = new Mckp(layers.map(({ choices }) => ({ bits: choices.map((choice) => choice.bits), errors: choices.map((choice) => choice.error) })));
    const result = run(layers, budget);
    const bound = problem.linearBound(budget);
    assert.ok(result.optimal);
    assert.ok(result.objective >= bound * (1 - 1e-9) && result.objective <= bound * 1.001, `${result.objective} against the bound ${bound}`);
    assert.ok(result.uniform && result.objective < result.uniform.objective);
    // The curve falls, holds the chosen point, and no point of it beats the bound of its own size.
    const { frontier } = result;
    assert.ok(frontier.length >= 60);
    assert.ok(frontier.some((point) => point.bits === result.bits && point.objective === result.objective));
    frontier.forEach((point, i) => {
      if (i > 0) assert.ok(point.bits > frontier[i - 1]!.bits && point.objective <= frontier[i - 1]!.objective * (1 + 1e-12));
      assert.ok(point.objective >= problem.linearBound(point.bits) - 1e-9 * bound);
    });
  }
});

test('hard instances: equal ratios, equal layers, subset sums', () => {
  const random = new Random(4);
  // Error falls exactly in proportion to bits: the relaxation says nothing, only the sizes matter.
  const proportional = Array.from({ length: 12 }, (_, i) => {
    const bits = 50 + random.integer(50);
    return { key: `p${i}`, weights: 1, choices: [{ format: 'a', bits: 0, error: bits }, { format: 'b', bits, error: 0 }] };
  });
  for (const budget of [101, 350, 555]) assert.equal(run(proportional, budget).objective, bruteForce(proportional, budget));
  const equal = Array.from({ length: 400 }, (_, i) => ({ key: `e${i}`, weights: 1, choices: FORMATS.map((format, j) => ({ format, bits: 100 * (j + 1), error: 3 ** -j })) }));
  const result = run(equal, 400 * 350);
  assert.ok(result.optimal);
  assert.ok(result.objective >= new Mckp(equal.map(({ choices }) => ({ bits: choices.map((c) => c.bits), errors: choices.map((c) => c.error) }))).linearBound(400 * 350) - 1e-9);
});

test('a search that would hold too many states returns a good solution and an honest bound', () => {
  const random = new Random(5);
  const classes = Array.from({ length: 60 }, () => {
    const bits = 1e6 + random.integer(1e6);
    return { bits: [0, bits], errors: [bits * (1 + 1e-9 * random.uniform()), 0] };
  });
  const problem = new Mckp(classes);
  const solution = problem.solve(31_234_567, () => {}, 2000);
  assert.equal(solution.optimal, false);
  assert.ok(solution.lowerBound < solution.error && solution.bits <= 31_234_567);
  assert.ok(solution.error - solution.lowerBound < 2e6);
});

test('cancelling is noticed inside the search', () => {
  const layers = modelLayers(new Random(6), 200);
  const budget = Math.floor(layers.reduce((sum, layer) => sum + layer.choices[3]!.bits, 0));
  assert.throws(() => knapsack.run({ layers, groups: [], budgetBits: budget, allocator: 'knapsack' }, () => { throw new Error('cancelled'); }), /cancelled/);
});

test('infeasible and trivial budgets are explained', () => {
  const layers = modelLayers(new Random(7), 10);
  const smallest = layers.reduce((sum, layer) => sum + layer.choices[0]!.bits, 0);
  assert.throws(() => run(layers, smallest - 1), (error) => error instanceof JobError && error.message.includes(`${Math.ceil(smallest / 8).toLocaleString('en-US')} bytes`));
  assert.equal(run(layers, smallest).bits, smallest);
  const best = run(layers, Number.MAX_SAFE_INTEGER);
  assert.match(best.note ?? '', /larger than needed/);
  assert.ok(best.choice.every(({ format }) => format === 'bf16'));
  assert.equal(run(layers, smallest * 2).note, undefined);
});

test('unusable input is refused by name', () => {
  const layer = (key: string, formats: string[], bits = 1, error = 1): AllocationLayer => ({ key, weights: 1, choices: formats.map((format) => ({ format, bits, error })) });
  for (const [layers, groups, message] of [
    [[], [], /no layer/], [[layer('a', [])], [], /"a" has no format/], [[layer('a', ['x']), layer('a', ['x'])], [], /"a" is listed twice/],
    [[layer('a', ['x'])], [['a', 'b']], /names "b"/], [[layer('a', ['x']), layer('b', ['y'])], [['a', 'b']], /none in common/],
    [[layer('a', ['x'], 1.5)], [], /whole number/], [[layer('a', ['x'], 1, NaN)], [], /finite/], [[layer('a', ['x'], 1, -1)], [], /neither negative/],
  ] as const) assert.throws(() => run(layers, 10, groups), (error) => error instanceof JobError && message.test(error.message), String(message));
  assert.throws(() => run([layer('a', ['x'])], NaN), /budget must be a number/);
});

test('the uniform allocator takes the best single format that fits, or says what would', () => {
  const layers = modelLayers(new Random(8), 20);
  const total = (j: number): number => layers.reduce((sum, layer) => sum + layer.choices[j]!.bits, 0);
  const result = run(layers, total(2), [], uniform);
  assert.deepEqual([result.choice.every(({ format }) => format === 'int4'), result.bits], [true, total(2)]);
  assert.throws(() => run(layers, total(0) - 1, [], uniform), /smallest format for all layers/);
  assert.throws(() => run([{ ...layers[0]!, choices: [{ format: 'a', bits: 1, error: 1 }] }, { ...layers[1]!, choices: [{ format: 'b', bits: 1, error: 1 }] }], 10, [], uniform), /no format is offered by every layer/);
});
