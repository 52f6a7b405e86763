/** Proxies of sensitivity against closed forms, the folds that give them error bars, and random recipes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { FormatError, WeightStatistics } from '../../../kernels/jobs/job';
import type { ProxyLayer, ProxyMetric, SampleRows } from '../../../kernels/methods/method';
import { methods, methodOfKind } from '../../../kernels/methods/registry';
import { correlation, directions } from '../../../kernels/methods/sensitivity/cca';
import { entropy, histogram } from '../../../kernels/methods/sensitivity/feature-entropy';
import { pruned } from '../../../kernels/methods/sensitivity/prune-kl';
import { utilization } from '../../../kernels/methods/sensitivity/qsur';
import { Random } from '../../../kernels/numerics/random';
import { drawRecipes } from '../../../kernels/recipe/random-recipes';
import { jackknife } from '../../../kernels/run/folds';
import { rowsOf } from '../../../kernels/run/sample-rows';

const near = (actual: number, expected: number, within = 1e-6): void => assert.ok(Math.abs(actual - expected) <= within * Math.max(1, Math.abs(expected)), `${actual}, not ${expected}`);
const proxy = (id: string): ProxyMetric => methodOfKind('proxy', id);
const rows = (values: readonly (readonly number[])[]): SampleRows => ({ data: Float32Array.from(values.flat()), positions: values.length, channels: values[0]!.length });
const layerOf = (channelErrors: readonly number[], codeBits = 4): ProxyLayer => ({ key: 'layer', formats: [{ codeBits, nsr: 1, channelErrors: Float64Array.from(channelErrors) }] });
const normals = (random: Random, count: number): number[] => Array.from({ length: count }, () => random.normal());

test('activation-weighted is the weight error times the mean square of each input, folds left out', () => {
  const run = proxy('activation-weighted').open([layerOf([2, 5])], 2);
  run.add(0, 0, rows([[1, 0], [3, 2]]));
  run.add(0, 1, rows([[1, 4]]));
  const poll = (): void => {};
  near(run.scores(null, poll)[0]![0]!, 2 * (1 + 9 + 1) / 3 + 5 * (4 + 16) / 3);
  near(run.scores(0, poll)[0]![0]!, 2 * 1 + 5 * 16);
  near(run.scores(1, poll)[0]![0]!, 2 * 5 + 5 * 2);
});

test('LIM is 0 for a block that changes nothing or only its scale, 1 for what is orthogonal, 2 for the opposite', () => {
  const x = rows([[1, 2, 2], [0, 3, -4]]);
  const after = (data: readonly number[]): number => {
    const run = proxy('lim').open([layerOf([1])], 1);
    run.add(0, 0, x, { ...x, data: Float32Array.from(data) });
    return run.scores(null, () => {})[0]![0]!;
  };
  near(after([...x.data]), 0);
  near(after([...x.data].map((value) => 7 * value)), 0);
  near(after([2, -2, 1, 5, 4, 3]), 1);
  near(after([...x.data].map((value) => -value)), 2);
});

test('canonical correlation is 1 between an output and any invertible map of it, and about chance between independent ones', () => {
  const random = new Random(1);
  const n = 64;
  const x = Array.from({ length: n }, () => Float64Array.from(normals(random, 3)));
  const mapped = x.map(([a, b, c]) => Float64Array.of(2 * a! + b! + 5, b! - c!, a! + 3 * c! - 1));
  near(correlation(directions(x), directions(mapped)), 1);
  let sum = 0;
  for (let trial = 0; trial < 50; trial += 1) sum += correlation(directions(x), directions(Array.from({ length: n }, () => Float64Array.from(normals(random, 3)))));
  assert.ok(Math.abs(sum / 50 - 3 / (n - 1)) < 0.01, String(sum / 50));
});

test('a layer that says what another says is the least sensitive, one that is alone the most', () => {
  const random = new Random(2);
  const run = proxy('cca').open(Array.from({ length: 3 }, () => layerOf([1])), 8);
  for (let sample = 0; sample < 64; sample += 1) {
    const [own, other] = [normals(random, 20), normals(random, 20)];
    run.add(0, sample % 8, rows([own]));
    run.add(1, sample % 8, rows([own.map((value) => 3 * value + 1)]));
    run.add(2, sample % 8, rows([other]));
  }
  const [first, copy, alone] = run.scores(null, () => {}).map(([value]) => value!);
  near(first!, copy!, 1e-6);
  assert.ok(first! < 0.5 && alone! > 0.8, `${first} ${alone}`);
});

test('QSUR: 1 for the same variance everywhere at any scale, the closed form for an outlier, more after a rotation, most whitened', () => {
  const d = 64;
  const diagonal = (values: readonly number[]): Float64Array => { const out = new Float64Array(d * d); values.forEach((value, i) => { out[i * d + i] = value; }); return out; };
  const even = Array.from({ length: d }, () => 4);
  near(utilization(diagonal(even), d, 2), 1, 1e-5);
  near(utilization(diagonal(even.map((value) => 100 * value)), d, 20), 1, 1e-5);
  const outlier = Array.from({ length: d }, (_, i) => (i === 7 ? 100 : 1));
  const plain = utilization(diagonal(outlier), d, 10);
  near(plain, 100 ** (1 / (2 * d)) / 10, 1e-4);
  // H diag H^T / d with H of ones and minus ones: every variance is the mean, the determinant stays.
  const sign = (i: number, j: number): number => { let bits = i & j; let parity = 1; while (bits > 0) { if (bits & 1) parity = -parity; bits >>= 1; } return parity; };
  const turned = new Float64Array(d * d).map((_, k) => { let sum = 0; for (let j = 0; j < d; j += 1) sum += sign(Math.floor(k / d), j) * outlier[j]! * sign(k % d, j); return sum / d; });
  near(turned[0]!, 163 / 64);
  const rotated = utilization(turned, d, Math.sqrt(163 / 64));
  near(rotated, 100 ** (1 / (2 * d)) / Math.sqrt(163 / 64), 1e-4);
  assert.ok(plain < rotated && rotated < 1);
});

test('the QSUR metric is the share left unused: larger for inputs with a channel that stands out', () => {
  const random = new Random(3);
  const run = proxy('qsur').open([layerOf([1]), layerOf([1])], 2);
  for (let sample = 0; sample < 64; sample += 1) {
    const x = Array.from({ length: 32 }, () => normals(random, 8));
    run.add(0, sample % 2, rows(x));
    run.add(1, sample % 2, rows(x.map((row) => row.map((value, c) => (c === 0 ? 10 * value : value)))));
  }
  const [even, outlier] = run.scores(null, () => {}).map(([value]) => value!);
  assert.ok(even! < 0.1, String(even));
  near(outlier!, 1 - 10 ** (1 / 8) / 10, 0.02);
});

test('entropy on nested grids: all of b bits for even values, nothing for a constant, never less with more bits', () => {
  const even = histogram([Float32Array.from({ length: 4096 }, (_, i) => i / 4095)]);
  for (const bits of [1, 2, 4, 8, 12]) near(entropy(even, bits), bits, 1e-3);
  const random = new Random(4);
  const normal = histogram([Float32Array.from(normals(random, 10000))]);
  for (let bits = 1; bits <= 12; bits += 1) assert.ok(entropy(normal, bits) >= entropy(normal, bits - 1) - 1e-12 && entropy(normal, bits) <= bits);
  const constant = proxy('feature-entropy').open([layerOf([1], 2)], 1);
  constant.add(0, 0, rows([[3, 3], [3, 3]]));
  near(constant.scores(null, () => {})[0]![0]!, 0);
});

test('priors: both ends of the model count double, experts half, routers four times', () => {
  const statistics = { rms: 1 } as WeightStatistics;
  const error = { mse: 0.01 } as FormatError;
  const score = (id: string, path: string, depth: number): number => methodOfKind('sensitivity', id).score(statistics, error, { path, depth });
  for (const [depth, factor] of [[0, 2], [0.29, 2], [0.31, 1], [0.5, 1], [0.69, 1], [0.71, 2], [1, 2]] as const) near(score('depth-prior', 'layer', depth), 0.01 * factor);
  for (const [path, factor] of [['layers.0.mlp.experts.3.w1', 0.5], ['layers.0.mlp.gate', 4], ['layers.0.mlp.router.weight', 4], ['layers.0.mlp.gate_proj', 1], ['layers.0.mlp.shared_experts.up', 1], ['lm_head', 2], ['model.embed_tokens', 2], ['layers.0.attn.q_proj', 1]] as const) near(score('type-prior', path, 0), 0.01 * factor);
});

test('pruning sets the asked share of the weights to zero, those of the least magnitude, and leaves the others', () => {
  const weight = Float32Array.from([3, -1, 2, 0.5, -4, 2, -2, 8, 9, 10]);
  assert.deepEqual([...pruned(weight, 0.3)], [3, 0, 0, 0, -4, 2, -2, 8, 9, 10]);
  assert.deepEqual([...pruned(weight, 0)], [...weight]);
});

test('the jackknife of a mean is the standard error of the means of its folds', () => {
  const means = [1, 4, 2, 9, 5];
  const all = means.reduce((a, b) => a + b) / means.length;
  const without = means.map((mean) => (all * means.length - mean) / (means.length - 1));
  const deviation = Math.sqrt(means.reduce((sum, mean) => sum + (mean - all) ** 2, 0) / (means.length - 1));
  near(jackknife(all, without).stderr!, deviation / Math.sqrt(means.length), 1e-12);
  assert.equal(jackknife(1, [1]).stderr, null);
});

test('rows of a sample: channels of images and sequences, and samples that were joined to the dimension behind them', () => {
  const data = Float32Array.from({ length: 24 }, (_, i) => i);
  assert.deepEqual([...rowsOf({ type: 'F32', shape: [2, 3, 2, 2], data }, 1, 1, 2)!.data], [12, 16, 20, 13, 17, 21, 14, 18, 22, 15, 19, 23]);
  assert.deepEqual([...rowsOf({ type: 'F32', shape: [2, 4, 3], data }, 2, 1, 2)!.data], [...data.subarray(12)]);
  assert.deepEqual([...rowsOf({ type: 'F32', shape: [8, 3], data }, 1, 1, 2)!.data], [...data.subarray(12)]);
  assert.equal(rowsOf({ type: 'F32', shape: [3, 8], data }, 1, 1, 2), null);
});

test('random recipes are of about one size, differ, and the seed gives them', () => {
  const layers = Array.from({ length: 12 }, (_, i) => ({ key: `layer${i}`, choices: [2, 3, 4, 8].map((bits) => ({ format: `int${bits}`, bits: bits * (10 + i) })) }));
  const drawn = drawRecipes(layers, 30, 5);
  assert.deepEqual(drawn, drawRecipes(layers, 30, 5));
  assert.notDeepEqual(drawn, drawRecipes(layers, 30, 6));
  const budget = layers.reduce((sum, { choices }) => sum + choices.reduce((total, { bits }) => total + bits, 0) / 4, 0);
  assert.equal(new Set(drawn.map(({ formats }) => JSON.stringify(formats))).size, 30);
  for (const { bits, formats } of drawn) {
    assert.ok(bits <= budget && bits > 0.95 * budget, `${bits} of ${budget}`);
    assert.equal(bits, layers.reduce((sum, { key, choices }) => sum + choices.find(({ format }) => format === formats[key])!.bits, 0));
  }
  assert.equal(drawRecipes(layers.slice(0, 1), 30, 5).length, 1, 'one layer has one recipe that fills the size');
});

test('every metric that looks at data has folds; none of those that read weights does', () => {
  for (const metric of methods()) if (metric.kind === 'sensitivity') assert.equal(metric.needs === 'weights', !('looksAt' in metric) && !('observes' in metric), metric.id);
});
