/** Proxies and the scorecard on the example GPT, as people call them. */
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { repositoryRoot } from '../support/data';
import { bitlens, json } from './run';

const GPT = path.join(repositoryRoot, 'examples/shakespeare-gpt/bitlens.json');
const run = async <T>(...words: string[]): Promise<T> => {
  const outcome = await bitlens([...words, '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  return json<T>(outcome);
};
interface Mean { value: number; stderr: number | null }
interface One { metric: string; samples: number; layers: { path: string; figure?: Mean; formats: Record<string, Mean> }[]; skipped: { path: string; reason: string }[] }

test('several metrics side by side: error bars where there is data, and how far they agree', async () => {
  const { metrics, agreement, refused } = await run<{ metrics: One[]; agreement: { a: string; b: string; format: string; tau: number }[]; refused: unknown[] }>('sensitivity', GPT, '--metric', 'lim,qsur,weight-nsr,activation-weighted', '--samples', '8', '--formats', 'int3,int4');
  assert.deepEqual(metrics.map(({ metric }) => metric), ['lim', 'qsur', 'weight-nsr', 'activation-weighted']);
  assert.deepEqual(refused, []);
  const noise = new Map(metrics[2]!.layers.map((layer) => [layer.path, layer.formats]));
  for (const { metric, layers, samples } of metrics) {
    assert.equal(samples, metric === 'weight-nsr' ? 0 : 8);
    for (const { path: name, figure, formats } of layers) {
      assert.equal(figure !== undefined, metric === 'lim' || metric === 'qsur');
      for (const [format, { value, stderr }] of Object.entries(formats)) {
        assert.ok(value >= 0 && (metric === 'weight-nsr' ? stderr === null : stderr! > 0 && stderr! < value), `${metric} ${name}: ${value} ± ${stderr}`);
        if (figure) assert.ok(Math.abs(value - figure.value * noise.get(name)![format]!.value) < 1e-3 * value);
      }
    }
  }
  const lim = metrics[0]!;
  assert.ok(lim.layers.every(({ path: name }) => name.startsWith('blocks.')) && lim.skipped.length > 0);
  for (const block of [0, 1, 2, 3]) assert.equal(new Set(lim.layers.filter(({ path: name }) => name.startsWith(`blocks.${block}.`)).map(({ figure }) => figure!.value)).size, 1, 'layers of one block share its figure');
  assert.equal(agreement.length, 6 * 2);
  for (const { tau } of agreement) assert.ok(tau >= -1 && tau <= 1);
});

test('the scorecard: divergence by layer orders random recipes best, and the figures are the same again', async () => {
  interface Card { against: string; chance: number; recipes: { bits: number; kl: number; formats: Record<string, string> }[]; metrics: { metric: string; tau: { kl: number; loss: number }; layers: number; of: number }[] }
  const words = ['sensitivity', GPT, '--scorecard', '--recipes', '10', '--samples', '4', '--metric', 'depth-prior,kl,lim', '--formats', 'int2,int3,int8'];
  const card = await run<Card>(...words);
  assert.equal(card.against, 'kl');
  assert.equal(card.recipes.length, 10);
  const bits = card.recipes.map((recipe) => recipe.bits);
  assert.ok(Math.min(...bits) > 0.95 * Math.max(...bits));
  assert.equal(card.metrics.length, 3);
  const kl = card.metrics.find(({ metric }) => metric === 'kl')!;
  assert.ok(kl.tau.kl > 0.5, JSON.stringify(card.metrics));
  assert.equal(kl.layers, kl.of);
  assert.ok(card.metrics.find(({ metric }) => metric === 'lim')!.layers < kl.of);
  assert.ok(card.recipes.every((recipe) => Object.keys(recipe.formats).length === kl.of));
  const again = await run<Card>(...words);
  assert.deepEqual(again.recipes, card.recipes);
  assert.deepEqual(again.metrics.map(({ metric, tau }) => [metric, tau]), card.metrics.map(({ metric, tau }) => [metric, tau]));
});

test('the scorecard in words, and what it refuses', async () => {
  const { stdout, code } = await bitlens(['sensitivity', GPT, '--scorecard', '--recipes', '3', '--samples', '2', '--metric', 'weight-sse,cca', '--formats', 'int2,int4']);
  assert.equal(code, 0);
  assert.match(stdout, /weight-sse +-?[\d.]+ .* 18 of 18 .* weights\n/);
  assert.match(stdout, /Not scored: cca: cca says something from 8 samples on, and .* gives 2/);
  for (const [words, problem] of [[['--recipes', '5'], /--recipes are drawn for a scorecard/], [['--scorecard', '--layer', 'blocks.0'], /--layer has no place/], [['--scorecard', '--recipes', '2'], /at least 3/], [['--metric', 'limm'], /not a sensitivity metric\. Did you mean lim\?/]] as const) {
    const outcome = await bitlens(['sensitivity', GPT, ...words]);
    assert.equal(outcome.code, 2);
    assert.match(outcome.stderr, problem);
  }
});
