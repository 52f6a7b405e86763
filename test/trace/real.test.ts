/** Real weights: the figures of the shared data's README from our own source, traced. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test, { before } from 'node:test';
import { openCheckpoint, type Checkpoint, type TensorInfo } from '../../kernels/checkpoint';
import { initParser, PythonWorkspace } from '../../server/python';
import { traceModel } from '../../server/trace/trace';
import { dataPath, needsData, repositoryRoot } from '../support/data';
import { runGraph } from '../support/run-graph';

before(() => initParser());
const workspace = (root: string): PythonWorkspace => new PythonWorkspace({ readFile: (file) => { try { return readFileSync(file, 'utf8'); } catch { return null; } }, roots: () => [root] });
const named = (checkpoint: Checkpoint, rename: (name: string) => string): Map<string, TensorInfo> => new Map(checkpoint.tensors.map((tensor) => [rename(tensor.name), tensor]));

/** The data of an .npy file of version 1 in C order, as bytes. */
function npyData(file: string): Buffer {
  const bytes = readFileSync(file);
  return bytes.subarray(10 + bytes.readUInt16LE(8));
}

test('ResNet-20 with published weights: top-1 0.8135 and cross-entropy 0.8328 on 2,000 pictures', async (t) => {
  if (!needsData(t, 'resnet20') || !needsData(t, 'cifar10')) return;
  const folder = path.join(repositoryRoot, 'examples/resnet20');
  const checkpoint = await openCheckpoint(dataPath('resnet20/resnet20-12fca82f.th'));
  const result = traceModel(workspace(folder), { file: path.join(folder, 'model.py'), root: 'ResNet20', tensors: named(checkpoint, (name) => name.replace(/^state_dict\.(module\.)?/, '')) });
  assert.equal(result.stopped, null);
  const [pictures, labels] = [npyData(dataPath('cifar10/test_images.npy')), npyData(dataPath('cifar10/test_labels.npy'))];
  const [mean, std] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
  const count = 2000;
  const x = new Float32Array(count * 3 * 32 * 32);
  for (let n = 0; n < count; n += 1) for (let p = 0; p < 1024; p += 1) for (let c = 0; c < 3; c += 1) x[(n * 3 + c) * 1024 + p] = (pictures[(n * 1024 + p) * 3 + c]! / 255 - mean[c]!) / std[c]!;
  const [logits] = await runGraph(result.graph, checkpoint, [{ type: 'F32', shape: [count, 3, 32, 32], data: x }]);
  let [right, loss] = [0, 0];
  for (let n = 0; n < count; n += 1) {
    const row = [...(logits!.data as Float32Array).subarray(n * 10, n * 10 + 10)];
    const label = Number(labels.readBigInt64LE(8 * n));
    const top = Math.max(...row);
    if (row.indexOf(top) === label) right += 1;
    loss += top + Math.log(row.reduce((sum, value) => sum + Math.exp(value - top), 0)) - row[label]!;
  }
  assert.equal(right / count, 0.8135);
  assert.ok(Math.abs(loss / count - 0.8328) < 2e-4, `cross-entropy ${loss / count}`);
});

test('stories260k from a model.py in the style of Llama: mean negative log likelihood 1.2015', async (t) => {
  if (!needsData(t, 'stories260k')) return;
  const folder = path.join(repositoryRoot, 'test/trace/stories');
  const checkpoint = await openCheckpoint(dataPath('stories260k/model.safetensors'));
  const result = traceModel(workspace(folder), { file: path.join(folder, 'model.py'), root: 'LlamaForCausalLM', tensors: named(checkpoint, (name) => name) });
  assert.equal(result.stopped, null, result.stopped?.reason);
  const [rows, length, vocabulary] = [128, 128, 512];
  const tokens = npyData(dataPath('stories260k/tokens_eval.npy'));
  const ids = new BigInt64Array(rows * length).map((_, i) => tokens.readBigInt64LE(8 * i));
  const [logits] = await runGraph(result.graph, checkpoint, [{ type: 'I64', shape: [rows, length], data: ids }]);
  const values = logits!.data as Float32Array;
  let loss = 0;
  for (let row = 0; row < rows; row += 1) {
    for (let at = 1; at < length; at += 1) {
      const scores = values.subarray((row * length + at - 1) * vocabulary, (row * length + at) * vocabulary);
      let [top, sum] = [-Infinity, 0];
      for (const score of scores) top = Math.max(top, score);
      for (const score of scores) sum += Math.exp(score - top);
      loss += top + Math.log(sum) - scores[Number(ids[row * length + at])]!;
    }
  }
  const mean = loss / (rows * (length - 1));
  assert.ok(Math.abs(mean - 1.2015) <= 2e-4, `mean negative log likelihood ${mean}`);
});

test('the example GPT is traced whole, its sequence free up to its context', async () => {
  const folder = path.join(repositoryRoot, 'examples/shakespeare-gpt');
  const checkpoint = await openCheckpoint(path.join(folder, 'weights.safetensors'));
  const result = traceModel(workspace(folder), { file: path.join(folder, 'model.py'), root: 'GPT', tensors: named(checkpoint, (name) => name) });
  assert.equal(result.stopped, null);
  assert.deepEqual(result.inputs, [{ name: 'idx', type: 'I64', shape: ['batch', 'sequence'] }]);
  assert.deepEqual(result.assumptions, ['sequence <= 128']);
  const [logits] = await runGraph(result.graph, checkpoint, [{ type: 'I64', shape: [2, 5], data: BigInt64Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], BigInt) }]);
  assert.deepEqual(logits!.shape, [2, 5, 65]);
});
