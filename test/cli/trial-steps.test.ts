/** Trials that do more than round weights: transforms, rounded activations, corrections, on the real networks. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { needsData } from '../support/data';
import { temporarySafetensors } from '../support/temporary-safetensors';
import { resnet, stories } from './networks';
import { bitlens, folder, json } from './run';

const run = async <T>(...words: string[]): Promise<T> => {
  const outcome = await bitlens([...words, '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  return json<T>(outcome);
};

interface Stepped {
  after: { loss: number; accuracy: number; kl: number };
  steps?: { kind: string; method: string; places: number; of: number }[]; equivalence?: { difference: number }; activations?: { layers: { key: string; format: string }[]; range: string }; notes: string[]; export?: { path: string; notes?: string[] } }

test('trial --transform and --correct: equalization and bias correction win back most of what one scale per tensor loses', async (t) => {
  if (!needsData(t, 'resnet20') || !needsData(t, 'cifar10')) return;
  const picture = resnet(t);
  const tried = (...words: string[]): Promise<Stepped> => run<Stepped>('trial', 'ptq', picture, '--format', 'int3-symr-tensor', '--method', 'rtn', '--samples', '1000', '--calibration-samples', '300', ...words);
  const [plain, equalized, both] = [await tried(), await tried('--transform', 'cross-layer-equalization'), await tried('--transform', 'cross-layer-equalization', '--correct', 'bias-correction')];
  assert.ok(equalized.after.accuracy > plain.after.accuracy + 0.1 && both.after.accuracy > equalized.after.accuracy + 0.15, `${plain.after.accuracy}, ${equalized.after.accuracy}, ${both.after.accuracy}`);
  assert.deepEqual(both.steps!.map(({ kind, method, places, of }) => [kind, method, places > 0, of]), [['transform', 'cross-layer-equalization', true, 20], ['correction', 'bias-correction', true, 20]]);
  assert.ok(both.equivalence!.difference < 1e-5);
});

test('trial --activations: eight bits lose little, four bits as much as the range makes them', async (t) => {
  if (!needsData(t, 'resnet20') || !needsData(t, 'cifar10')) return;
  const picture = resnet(t);
  const tried = (...words: string[]): Promise<Stepped> => run<Stepped>('trial', 'ptq', picture, '--format', 'int8-symr-channel', '--method', 'rtn', '--calibration-samples', '300', ...words);
  const eight = await tried('--activations', 'int8-asym-tensor');
  assert.ok(Math.abs(eight.after.accuracy - 0.8135) <= 0.005, `${eight.after.accuracy}`);
  assert.deepEqual([eight.activations!.layers.length, eight.activations!.range], [20, 'mse']);
  const [most, least, dynamic] = [await tried('--activations', 'int4-asym-tensor', '--range', 'max'), await tried('--activations', 'int4-asym-tensor'), await tried('--activations', 'int4-asym-tensor', '--range', 'dynamic')];
  assert.ok(most.after.accuracy < least.after.accuracy && least.after.accuracy < dynamic.after.accuracy, `${most.after.accuracy}, ${least.after.accuracy}, ${dynamic.after.accuracy}`);
  assert.equal(dynamic.activations!.range, 'dynamic');
});

test('trial with steps --export: the file holds every parameter that was changed', async (t) => {
  if (!needsData(t, 'stories260k')) return;
  const story = stories(t);
  for (const words of [['--transform', 'awq'], ['--transform', 'hadamard', '--transform', 'smoothquant']]) {
    const out = path.join(folder(t), 'changed.safetensors');
    const tried = await run<Stepped>('trial', 'ptq', story, '--format', 'int4-symr-g32', '--exclude', 'model.embed_tokens', '--method', 'rtn', '--samples', '16', '--calibration-samples', '16', ...words, '--export', out);
    const { loss } = await run<{ loss: number }>('evaluate', story, '--checkpoint', out, '--samples', '16');
    assert.ok(Math.abs(loss - tried.after.loss) < 1e-4, `${words.join(' ')}: ${loss} against ${tried.after.loss}`);
  }
});

test('trial: steps that there are not, that do nothing, or that a file cannot hold are refused', async (t) => {
  if (!needsData(t, 'stories260k')) return;
  const story = stories(t);
  const refused = async (expected: RegExp, ...words: string[]): Promise<void> => {
    const outcome = await bitlens(['trial', 'ptq', story, '--format', 'int4-symr-g32', '--method', 'rtn', '--samples', '2', '--calibration-samples', '2', ...words]);
    assert.equal(outcome.code, 2, outcome.stdout);
    assert.match(outcome.stderr, expected);
  };
  await refused(/"smoothqant" is not a transform.*smoothquant/, '--transform', 'smoothqant');
  await refused(/smoothquant has no option "alpha".*strength/, '--transform', 'smoothquant', '--set', 'smoothquant.alpha=0.5');
  await refused(/"awq" is no step of this trial.*smoothquant/, '--transform', 'smoothquant', '--set', 'awq.steps=3');
  await refused(/ranges are those of activations/, '--range', 'max');
  await refused(/nf4 is no format that activations|nf4.* no format that activations/, '--activations', 'nf4');
  await refused(/hadamard turns what layers are applied to.*activations/, '--transform', 'hadamard', '--activations', 'int8-sym-channel', '--export', path.join(folder(t), 'x.safetensors'));
  await refused(/hadamard turns.*layout gptq/, '--transform', 'hadamard', '--export', path.join(folder(t), 'x.safetensors'), '--export-layout', 'gptq');
});

test('trial: a parameter that is applied as x @ weight has its output channels last, as the graph says', async (t) => {
  const place = folder(t);
  const model = path.join(place, 'model.py');
  writeFileSync(model, 'import torch\nfrom torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.weight = nn.Parameter(torch.empty(6, 4))\n\n    def forward(self, x):\n        return x @ self.weight\n');
  // Columns of very different size: one scale for each of them loses little, one for each row much.
  const values = Float32Array.from({ length: 24 }, (_, i) => ((i * 7) % 11 - 5) * 10 ** (i % 4 - 2));
  const checkpoint = await temporarySafetensors(t, [{ name: 'weight', shape: [6, 4], values }]);
  const data = await temporarySafetensors(t, [{ name: 'x', shape: [32, 6], values: Float32Array.from({ length: 192 }, (_, i) => Math.sin(i * i)) }]);
  for (const method of ['rtn', 'gptq']) {
    const tried = await run<{ layers: { after: { sqnrDb: number } }[] }>('trial', 'ptq', model, '--checkpoint', checkpoint, '--data', data, '--calibration', data, '--task', 'features', '--format', 'int6-sym-channel', '--method', method, '--transform', 'hadamard');
    assert.ok(tried.layers[0]!.after.sqnrDb > 25, `${method}: ${tried.layers[0]!.after.sqnrDb} dB`);
  }
});
