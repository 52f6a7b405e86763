/** Quantized ONNX models of the real networks: what is written gives, in onnxruntime, what the trial judged. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { dataPath, needsData, repositoryRoot } from '../support/data';
import { bitlens, folder, json } from './run';

function resnet(t: TestContext): string {
  const file = path.join(folder(t), 'bitlens.json');
  const cifar = (name: string): string => dataPath(`cifar10/${name}.npy`);
  writeFileSync(file, JSON.stringify({ models: [{
    source: path.join(repositoryRoot, 'examples/resnet20/model.py'), class: 'ResNet20', checkpoint: dataPath('resnet20/resnet20-12fca82f.th'), task: 'classification',
    data: {
      calibration: { inputs: cifar('train_images'), labels: cifar('train_labels') }, evaluation: { inputs: cifar('test_images'), labels: cifar('test_labels') },
      preprocess: { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], layout: 'NHWC' },
    },
  }] }));
  return file;
}
function stories(t: TestContext): string {
  const file = path.join(folder(t), 'bitlens.json');
  const tokens = (name: string): { inputs: string } => ({ inputs: dataPath(`stories260k/tokens_${name}.npy`) });
  writeFileSync(file, JSON.stringify({ models: [{
    source: path.join(repositoryRoot, 'test/trace/stories/model.py'), class: 'LlamaForCausalLM', checkpoint: dataPath('stories260k/model.safetensors'), task: 'language-model',
    data: { calibration: tokens('calibration'), evaluation: tokens('eval') },
  }] }));
  return file;
}
const run = async <T>(...words: string[]): Promise<T> => {
  const outcome = await bitlens([...words, '--json']);
  assert.equal(outcome.code, 0, outcome.stderr);
  return json<T>(outcome);
};
const near = (actual: number, expected: number, within: number, what: string): void => assert.ok(Math.abs(actual - expected) <= within, `${what}: ${actual}, not ${expected}`);

interface Evaluated { metric: string; value: number; loss: number; samples: number }
interface Tried { before: { loss: number; accuracy: number }; after: { loss: number; accuracy: number; kl: number }; bytes: number; averageBits: number; seconds: number; layers: { path: string; format: string }[]; notes: string[] }

test('trial --export FILE.onnx: source becomes a quantized ONNX model, and that model gives what was judged', async (t) => {
  if (!needsData(t, 'resnet20') || !needsData(t, 'cifar10') || !needsData(t, 'stories260k')) return;
  interface Exported extends Tried { export: { path: string; bytes: number; notes: string[] } }
  const [picture, text, where] = [resnet(t), stories(t), folder(t)];
  const cifar = ['--data', dataPath('cifar10/test_images.npy'), '--labels', dataPath('cifar10/test_labels.npy'), '--task', 'classification', '--scale', '0.00392156862745098', '--mean', '0.485,0.456,0.406', '--std', '0.229,0.224,0.225', '--layout', 'NHWC'];
  const tokens = ['--data', dataPath('stories260k/tokens_eval.npy'), '--task', 'language-model'];
  for (const [model, data, format, layout, notes, most] of [
    [picture, cifar, 'int8-sym-channel', 'auto', /20 weights with DequantizeLinear/, 320_000], [picture, cifar, 'int4-symr-channel', 'qdq', /20 weights with DequantizeLinear\n(?:.*\n)?operator set 21 instead of 20/, 190_000], [picture, cifar, 'fp8-e4m3-tensor', 'qdq', /20 weights/, 310_000],
    [text, tokens, 'int4-sym-g32', 'auto', /35 weights with MatMulNBits, 1 weight with DequantizeLinear/, 250_000], [text, tokens, 'int8-asym-g16', 'qdq', /36 weights with DequantizeLinear/, 500_000],
  ] as const) {
    const out = path.join(where, `${format}-${layout}.onnx`);
    const tried = await run<Exported>('trial', 'ptq', model, '--format', format, '--method', 'rtn', '--samples', '64', '--export', out, '--export-layout', layout);
    assert.match(tried.export.notes.join('\n'), notes);
    assert.ok(tried.export.bytes < most, `${format}: ${tried.export.bytes} bytes`);
    const again = await run<Evaluated>('evaluate', out, ...data, '--samples', '64');
    near(again.loss, tried.after.loss, 2e-6, `${format} ${layout}`);
    assert.ok(Math.abs(tried.after.loss - tried.before.loss) > 1e-5, format);
  }
  // What transforms and corrections changed beside the weights is part of the model.
  for (const [model, data, format, steps, notes] of [
    [picture, cifar, 'int4-symr-channel', ['--transform', 'cross-layer-equalization', '--correct', 'bias-correction'], /20 weights with DequantizeLinear/], [text, tokens, 'int4-symr-g32', ['--transform', 'awq', '--exclude', 'model.embed_tokens'], /35 weights with MatMulNBits/],
    // Turned weights are written as the values they stand for.
    [text, tokens, 'int4-symr-g32', ['--transform', 'hadamard', '--exclude', 'model.embed_tokens'], /^/],
  ] as const) {
    const out = path.join(where, 'steps.onnx');
    const tried = await run<Exported>('trial', 'ptq', model, '--format', format, '--method', 'rtn', '--samples', '16', '--calibration-samples', '16', ...steps, '--export', out);
    assert.match(tried.export.notes?.join('\n') ?? '', notes);
    near((await run<Evaluated>('evaluate', out, ...data, '--samples', '16')).loss, tried.after.loss, 1e-5, steps.join(' '));
  }
  // All weights of linear layers only: the table of tokens is not one.
  const { code, stderr } = await bitlens(['trial', 'ptq', text, '--format', 'int4-sym-g32', '--method', 'rtn', '--samples', '8', '--export', path.join(where, 'no.onnx'), '--export-layout', 'matmulnbits']);
  assert.equal(code, 2);
  assert.match(stderr, /the matmulnbits layout cannot hold model\.embed_tokens: it is no matrix of linear layers alone \(Gather reads it\)/);
});

test('convert --to onnx: a published model of a family, and an ONNX model', async (t) => {
  if (!needsData(t, 'stories260k')) return;
  interface Converted { quantized: { tensor: string }[]; kept: { key: string; reason: string }[]; notes: string[] }
  const where = folder(t);
  const [first, second] = [path.join(where, 'a.onnx'), path.join(where, 'b.onnx')];
  const tokens = ['--data', dataPath('stories260k/tokens_eval.npy'), '--task', 'language-model', '--samples', '32'];
  const made = await run<Converted>('convert', dataPath('stories260k'), '--to', 'onnx', '--format', 'int8-asym-g64', '--out', first);
  assert.deepEqual([made.quantized.length, made.kept, made.notes], [35, [{ key: 'model.embed_tokens.weight', reason: 'an embedding' }], ['35 weights with MatMulNBits']]);
  await run<Converted>('convert', first, '--to', 'onnx', '--format', 'int4-asym-g32', '--layout', 'qdq', '--out', second);
  const losses = await Promise.all([first, second].map(async (file) => (await run<Evaluated>('evaluate', file, ...tokens)).loss));
  near(losses[0]!, (await run<Evaluated>('evaluate', dataPath('stories260k'), ...tokens)).loss, 0.003, 'int8');
  assert.ok(losses[1]! > losses[0]! + 0.01);
  const { code, stderr } = await bitlens(['convert', dataPath('stories260k/model.safetensors'), '--to', 'onnx', '--format', 'int4', '--out', path.join(where, 'c.onnx')]);
  assert.equal(code, 2);
  assert.match(stderr, /no graph of operators.*bitlens quantize MODEL\.py --checkpoint/);
  assert.match((await bitlens(['convert', first, '--to', 'onnx', '--format', 'int4', '--out', path.join(where, 'c.bin')])).stderr, /--out must end in \.onnx/);
});
