/** Scoring of metrics: one that knows the truth is perfect, one that knows nothing is at chance. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { SensitivityResult } from '../../../kernels/jobs/job';
import { Random } from '../../../kernels/numerics/random';
import { drawRecipes } from '../../../kernels/recipe/random-recipes';
import { scores } from '../../../server/analysis/scorecard';

const FORMATS = [2, 3, 4, 8];
const keys = Array.from({ length: 16 }, (_, i) => `layer${i}`);
const resultOf = (metric: string, of: (key: string, bits: number) => number, layers = keys): SensitivityResult => ({
  metric, unit: '', baseline: { loss: null, accuracy: null }, skipped: [], samples: 8, seconds: 1, data: '',
  layers: layers.map((key) => ({ key, formats: Object.fromEntries(FORMATS.map((bits) => [`int${bits}`, { value: of(key, bits), stderr: null, bitsPerWeight: bits }])) })),
});

test('the oracle scores 1, its opposite -1, noise about 0, and what is known of half the layers lies between', () => {
  const random = new Random(7);
  const table = new Map(keys.flatMap((key) => FORMATS.map((bits) => [`${key} ${bits}`, random.uniform() * 4 ** -bits] as const)));
  const truth = (key: string, bits: number): number => table.get(`${key} ${bits}`)!;
  const drawn = drawRecipes(keys.map((key) => ({ key, choices: FORMATS.map((bits) => ({ format: `int${bits}`, bits: 100 * bits })) })), 200, 1).map(({ formats }) => formats);
  const measured = drawn.map((recipe) => Object.entries(recipe).reduce((sum, [key, format]) => sum + truth(key, Number(format.slice(3))), 0));
  const card = scores([resultOf('noise', () => random.uniform()), resultOf('half', truth, keys.slice(0, 8)), resultOf('opposite', (key, bits) => -truth(key, bits)), resultOf('oracle', truth)], measured.map((kl) => ({ kl, loss: null, nsr: kl * kl })), drawn, keys.length);
  assert.deepEqual([card.against, card.metrics[0]!.metric, card.metrics.at(-1)!.metric], ['kl', 'oracle', 'opposite']);
  const tau = (id: string): number => card.metrics.find(({ metric }) => metric === id)!.tau.kl!;
  assert.equal(tau('oracle'), 1);
  assert.equal(tau('opposite'), -1);
  assert.ok(Math.abs(tau('noise')) < 4 * card.chance, String(tau('noise')));
  assert.ok(tau('half') > 0.2 && tau('half') < 1, String(tau('half')));
  const half = card.metrics.find(({ metric }) => metric === 'half')!;
  assert.deepEqual([half.layers, half.of, half.tau.loss, half.tau.nsr], [8, 16, undefined, half.tau.kl]);
  assert.ok(Math.abs(card.chance - 0.0475) < 0.001, String(card.chance));
});
