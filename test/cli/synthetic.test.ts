/** Models without data: made-up inputs for every verb that runs a model, and what they cannot say. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { dataPath, needsData, repositoryRoot } from '../support/data';
import { bitlens, folder, json } from './run';

interface Facts { method: string; seed: number; distance?: { before: number; after: number } }
const GPT = path.join(repositoryRoot, 'examples/shakespeare-gpt/model.py');
const run = async <T>(...words: string[]): Promise<T> => {
  const outcome = await bitlens([...words, '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  return json<T>(outcome);
};
/** The example GPT without its data. @param data as bitlens.json names it */
function gpt(t: TestContext, data?: Record<string, unknown>): string {
  const file = path.join(folder(t), 'bitlens.json');
  writeFileSync(file, JSON.stringify({ models: [{ source: GPT, class: 'GPT', checkpoint: path.join(path.dirname(GPT), 'weights.safetensors'), task: 'language-model', ...(data ? { data } : {}) }] }));
  return file;
}
const SMALL = ['--sequence', '12', '--samples', '3'];
const WRITTEN: Facts = { method: 'self-generated', seed: 1 };
const TITLE = 'synthetic data: texts that the model wrote itself';

test('sensitivity on synthetic data: divergences, and neither loss nor accuracy', async (t) => {
  interface Sensitive { data: string; synthetic: Facts; samples: number; baseline: unknown; layers: { formats: Record<string, { value: number; loss?: number; accuracy?: number }> }[] }
  const words = ['sensitivity', gpt(t), '--data', 'synthetic', ...SMALL, '--formats', 'int4', '--layer', 'blocks.0'];
  const found = await run<Sensitive>(...words);
  assert.deepEqual([found.data, found.synthetic, found.samples, found.baseline], [TITLE, WRITTEN, 3, { loss: null, accuracy: null }]);
  for (const { formats } of found.layers) for (const { value, loss, accuracy } of Object.values(formats)) { assert.ok(value > 0); assert.deepEqual([loss, accuracy], [undefined, undefined]); }
  const { stdout } = await bitlens(words);
  assert.match(stdout, /over 3 samples \(synthetic data: texts that the model wrote itself\)/);
  assert.doesNotMatch(stdout, /accuracy|Unquantized/);
});

test('a trial without any data calibrates on other samples than it is judged on, and claims no accuracy', async (t) => {
  interface Tried { before: unknown; after: { loss: null; accuracy: null; kl: number }; data: string; synthetic: Facts; samples: number; calibration: { samples: number; data: string; synthetic: Facts }; notes: string[] }
  const file = gpt(t, { calibration: { synthetic: 'auto', samples: 4, sequence: 12 } });
  const words = ['trial', 'ptq', file, '--format', 'int3', '--method', 'gptq', '--layer', 'blocks.0'];
  const tried = await run<Tried>(...words);
  assert.deepEqual(tried.before, { loss: null, lossStderr: null, accuracy: null });
  assert.deepEqual([tried.after.loss, tried.after.accuracy], [null, null]);
  assert.ok(tried.after.kl > 0);
  assert.deepEqual([tried.data, tried.synthetic, tried.samples], [TITLE, WRITTEN, 4]);
  assert.deepEqual([tried.calibration.data, tried.calibration.synthetic, tried.calibration.samples], [TITLE, { ...WRITTEN, seed: 0 }, 4]);
  assert.match(tried.notes.join('\n'), /judged on synthetic data, on which the quantized model is compared with the unquantized one/);
  const { stdout } = await bitlens(words);
  assert.match(stdout, /judged on 4 samples \(synthetic data: .*\)\nCalibrated on 4 samples \(synthetic data: /);
  assert.doesNotMatch(stdout, /accuracy \d/);
});

test('activations and allocations say that they rest on synthetic data', async (t) => {
  const model = gpt(t);
  const seen = await run<{ data: string; synthetic: Facts; values: unknown[] }>('activations', model, '--data', 'synthetic:noise', ...SMALL);
  assert.deepEqual([seen.data, seen.synthetic], ['synthetic data: tokens drawn uniformly', { method: 'noise', seed: 1 }]);
  assert.ok(seen.values.length > 0);
  interface Allocated { evidence: string; judgement: { data: string; synthetic: Facts; baseline: unknown; recipes: { accuracy: number | null; kl: number }[] } }
  const { evidence, judgement } = await run<Allocated>('allocate', model, '--bits', '4', '--metric', 'kl', '--formats', 'int2,int4,int8', '--calibration', 'synthetic', '--calibration-samples', '3', ...SMALL);
  assert.match(evidence, /on 3 samples of synthetic data: .*; recipes judged on 3 samples of synthetic data: /);
  assert.deepEqual([judgement.data, judgement.synthetic, judgement.baseline], [TITLE, WRITTEN, { loss: null, accuracy: null }]);
  assert.ok(judgement.recipes.every(({ accuracy, kl }) => accuracy === null && kl >= 0));
});

test('without a length, samples are as long as the model takes them', async (t) => {
  const seen = await run<{ values: { role: string; statistics: { count: number } }[] }>('activations', gpt(t), '--data', 'synthetic:noise', '--samples', '1');
  // The example's context is 128, and its layers are 128 wide.
  assert.ok(seen.values.some(({ role, statistics }) => role === 'layer-input' && statistics.count === 128 * 128));
});

test('what synthetic data cannot do is refused in one line', async (t) => {
  const refused = async (pattern: RegExp, ...words: string[]): Promise<void> => {
    const outcome = await bitlens(words);
    assert.equal(outcome.code, 2, outcome.stdout);
    assert.match(outcome.stderr.split('\n').find((line) => line.startsWith('bitlens: '))!, pattern);
  };
  const model = gpt(t);
  await refused(/there is no data to run the model on: .*--data synthetic makes inputs up/, 'sensitivity', model);
  await refused(/an evaluation says how often the model is right, and of synthetic data nobody knows what is right/, 'evaluate', model, '--data', 'synthetic');
  await refused(/zeroq cannot make data for this model: .*no batch norm/, 'sensitivity', model, '--data', 'synthetic:zeroq', ...SMALL);
  await refused(/"zeroQ" is not a way to make data\. Did you mean zeroq\? There are: zeroq, self-generated, noise/, 'sensitivity', model, '--data', 'synthetic:zeroQ');
  await refused(/--labels are of data that is there/, 'sensitivity', model, '--data', 'synthetic', '--labels', 'labels.npy');
  await refused(/loss needs labels/, 'sensitivity', model, '--data', 'synthetic', ...SMALL, '--metric', 'loss');
  await refused(/a target limits what is lost of the task's figure, and on synthetic data that is not known/, 'allocate', model, '--target-drop', '1%', '--data', 'synthetic', ...SMALL);
  await refused(/models\[0\]\.data\.calibration\.synthetic must be one of auto, zeroq, self-generated, noise/, 'sensitivity', gpt(t, { calibration: { synthetic: 'zero' } }));
  await refused(/has no property "inputs"/, 'sensitivity', gpt(t, { calibration: { synthetic: 'auto', inputs: 'x.npy' } }));
});

test('ResNet-20 without data: matched to its batch norms, GPTQ reaches what real data reaches, noise does not', async (t) => {
  if (!needsData(t, 'resnet20') || !needsData(t, 'cifar10')) return;
  const model = ['trial', 'ptq', path.join(repositoryRoot, 'examples/resnet20/model.py'), '--checkpoint', dataPath('resnet20/resnet20-12fca82f.th'), '--task', 'classification', '--format', 'int3-symr-channel', '--method', 'gptq'];
  const judged = ['--data', dataPath('cifar10/test_images.npy'), '--labels', dataPath('cifar10/test_labels.npy'), '--scale', String(1 / 255), '--mean', '0.485,0.456,0.406', '--std', '0.229,0.224,0.225', '--layout', 'NHWC'];
  interface Tried { after: { accuracy: number; kl: number }; synthetic?: Facts; calibration: { data: string; synthetic: Facts; samples: number } }
  const matched = await run<Tried>(...model, ...judged, '--calibration', 'synthetic');
  assert.equal(matched.synthetic, undefined);
  assert.deepEqual([matched.calibration.samples, matched.calibration.synthetic.method], [32, 'zeroq']);
  const { before, after } = matched.calibration.synthetic.distance!;
  assert.ok(after < before / 20, `${before} to ${after}`);
  assert.match(matched.calibration.data, /^synthetic data: noise matched to batch-norm statistics, distance 0\.\d+ to 0\.0\d+$/);
  const noise = await run<Tried>(...model, ...judged, '--calibration', 'synthetic:noise', '--calibration-samples', '32');
  assert.ok(matched.after.accuracy > 0.8 && noise.after.accuracy < 0.78, `${matched.after.accuracy} and ${noise.after.accuracy}`);
  assert.ok(matched.after.kl < 0.6 * noise.after.kl, `${matched.after.kl} and ${noise.after.kl}`);
  const sized = await bitlens([...model, '--data', 'synthetic']);
  assert.match(sized.stderr, /how large a synthetic sample should be is not known: the model takes "x" of shape \[3, height, width\]\. Give height and width, with --crop H,W/);
});

test('ranges of activations on matched inputs are nearer to those on real pictures than on noise', async (t) => {
  if (!needsData(t, 'resnet20') || !needsData(t, 'cifar10')) return;
  interface Seen { values: { role: string; layer: string; statistics: { magnitude: { p999: number } } }[] }
  const model = ['activations', path.join(repositoryRoot, 'examples/resnet20/model.py'), '--checkpoint', dataPath('resnet20/resnet20-12fca82f.th'), '--task', 'classification', '--samples', '32'];
  const ranges = async (...words: string[]): Promise<number[]> => (await run<Seen>(...model, ...words)).values.filter(({ role }) => role === 'layer-input').map(({ statistics }) => Math.log(statistics.magnitude.p999));
  const real = await ranges('--data', dataPath('cifar10/train_images.npy'), '--scale', String(1 / 255), '--mean', '0.485,0.456,0.406', '--std', '0.229,0.224,0.225', '--layout', 'NHWC');
  const [matched, noise] = [await ranges('--data', 'synthetic', '--crop', '32,32'), await ranges('--data', 'synthetic:noise', '--crop', '32,32')];
  const away = (from: readonly number[]): number => from.reduce((sum, range, i) => sum + Math.abs(range - real[i]!), 0) / real.length;
  assert.equal(real.length, 20);
  assert.ok(away(matched) < 0.5 * away(noise), `${away(matched)} and ${away(noise)}`);
});

test('an ONNX model is matched to its batch norms too, its batch free or fixed', async (t) => {
  if (!needsData(t, 'resnet20')) return;
  for (const batch of ['batch', '4']) {
    const file = path.join(folder(t), 'model.onnx');
    await run('trace', path.join(repositoryRoot, 'examples/resnet20/model.py'), '--checkpoint', dataPath('resnet20/resnet20-12fca82f.th'), '--input', `x=${batch},3,32,32`, '--onnx', file);
    const { synthetic, samples } = await run<{ synthetic: Facts; samples: number }>('activations', file, '--task', 'classification', '--data', 'synthetic', '--samples', '6');
    assert.deepEqual([synthetic.method, samples], ['zeroq', 6]);
    assert.ok(synthetic.distance!.after < synthetic.distance!.before / 10, JSON.stringify(synthetic));
  }
});

test('stories260k without data: GPTQ on texts that it wrote itself loses little more than on real ones, on random tokens much', async (t) => {
  if (!needsData(t, 'stories260k')) return;
  const words = ['trial', 'ptq', path.join(repositoryRoot, 'test/trace/stories/model.py'), '--checkpoint', dataPath('stories260k/model.safetensors'), '--task', 'language-model', '--data', dataPath('stories260k/tokens_eval.npy'), '--samples', '32',
    '--format', 'int3-symr-g32', '--method', 'gptq', '--exclude', 'model.embed_tokens', '--calibration-samples', '16'];
  const kl = async (calibration: string): Promise<number> => (await run<{ after: { kl: number } }>(...words, '--calibration', calibration)).after.kl;
  const [written, drawn, real] = [await kl('synthetic'), await kl('synthetic:noise'), await kl(dataPath('stories260k/tokens_calibration.npy'))];
  assert.ok(written < 1.25 * real && drawn > 1.6 * written, `${written}, ${drawn}, ${real}`);
});
