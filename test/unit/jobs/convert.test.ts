/** A checkpoint written again as safetensors: the same values, quantized weights as what they stand for, types as asked. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { modelTensors, openCheckpoint } from '../../../kernels/checkpoint';
import { convertJob } from '../../../kernels/jobs/convert';
import { JobError } from '../../../kernels/jobs/job';
import { parseFormat } from '../../../kernels/formats/registry';
import { Random } from '../../../kernels/numerics/random';
import { repositoryRoot } from '../../support/data';
import { inlineJobContext } from '../../support/inline-job-context';
import { temporaryFolder, temporarySafetensors } from '../../support/temporary-safetensors';
import { valuesOfModelTensor } from '../layouts/values';

test('quantized weights become values under their model\'s name; everything else stays', async (t) => {
  const source = path.join(repositoryRoot, 'test/fixtures/layouts/gptq-4bit.safetensors');
  const out = path.join(temporaryFolder(t), 'plain.safetensors');
  const result = await convertJob.run({ checkpoint: source, path: out }, inlineJobContext());
  assert.deepEqual([result.verifiedTensors, result.decoded, result.left], [2, 1, []]);
  const [before, after] = [await openCheckpoint(source), await openCheckpoint(out)];
  assert.equal(after.derived, undefined);
  assert.ok(after.metadata.every(([key]) => key !== 'quantization_config'));
  for (const tensor of modelTensors(before)) {
    assert.deepEqual(valuesOfModelTensor(after, after.tensors.find(({ name }) => name === tensor.name)!), valuesOfModelTensor(before, tensor), tensor.name);
  }
});

test('floating-point tensors take another type, integers keep theirs', async (t) => {
  const file = await temporarySafetensors(t, [
    { name: 'w', shape: [2, 2], values: Float32Array.of(1, -2.5, 1e-3, 65504) }, { name: 'n', shape: [2], dtype: 'I32', values: new Uint8Array(8) },
  ]);
  const out = path.join(temporaryFolder(t), 'half.safetensors');
  await convertJob.run({ checkpoint: file, path: out, dtype: 'F16' }, inlineJobContext());
  assert.deepEqual((await openCheckpoint(out)).tensors.map(({ name, dtype }) => [name, dtype]), [['w', 'F16'], ['n', 'I32']]);
  await assert.rejects(convertJob.run({ checkpoint: file, path: file }, inlineJobContext()), (error) => error instanceof JobError);
});

test('a cancelled conversion leaves nothing behind', async (t) => {
  const file = await temporarySafetensors(t, [{ name: 'w', shape: [64, 64], values: new Float32Array(4096) }]);
  const out = path.join(temporaryFolder(t), 'x.safetensors');
  await assert.rejects(convertJob.run({ checkpoint: file, path: out }, inlineJobContext({ cancelAfterPolls: 0 })), /cancelled/);
  assert.equal(existsSync(out), false);
});

test('a number format replaces matrices, not embeddings, norms and heads, and packs them where the layout can', async (t) => {
  const values = (seed: number): Float32Array => { const random = new Random(seed); return Float32Array.from({ length: 64 * 64 }, () => random.normal()); };
  const file = await temporarySafetensors(t, [
    { name: 'model.layers.0.mlp.up_proj.weight', shape: [64, 64], values: values(1) }, { name: 'model.embed_tokens.weight', shape: [64, 64], values: values(2) },
    { name: 'lm_head.weight', shape: [64, 64], values: values(3) }, { name: 'model.norm.weight', shape: [64], values: new Float32Array(64).fill(1) },
  ]);
  const format = parseFormat('int4-asym-g32-sf16');
  const view = { rows: 64, cols: 64 };
  const expected = format.decode(format.encode(values(1), view, 'absmax'));
  for (const layout of ['dequantized', 'compressed-tensors', 'gptq'] as const) {
    const out = path.join(temporaryFolder(t), `${layout}.safetensors`);
    const result = await convertJob.run({ checkpoint: file, path: out, format: format.id, layout }, inlineJobContext());
    assert.deepEqual(result.kept, [{ key: 'model.embed_tokens.weight', reason: 'an embedding' }, { key: 'lm_head.weight', reason: 'the output layer' }, { key: 'model.norm.weight', reason: 'a vector' }]);
    assert.deepEqual(result.quantized.map(({ tensor, type, weights }) => [tensor, type, weights]), [['model.layers.0.mlp.up_proj.weight', format.id, 4096]]);
    const after = await openCheckpoint(out);
    const weight = modelTensors(after).find(({ name }) => name.endsWith('up_proj.weight'))!;
    assert.equal(weight.encoding === undefined, layout === 'dequantized');
    assert.ok(valuesOfModelTensor(after, weight).every((value, i) => value === expected[i]));
  }
  for (const [params, message] of [[{ format: 'int9' }, /int9/], [{ format: 'int4', layout: 'qdq' as const }, /no layout "qdq"/], [{ to: 'onnx' as const, format: 'int4' }, /no graph of operators[^]*bitlens quantize MODEL\.py --checkpoint/]] as const) {
    await assert.rejects(convertJob.run({ checkpoint: file, path: path.join(temporaryFolder(t), 'x'), ...params }, inlineJobContext()), (error) => error instanceof JobError && message.test(error.message));
  }
});
