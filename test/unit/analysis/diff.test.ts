/** Two checkpoints compared through the real job: names, orders, types, what is missing, what is tied. */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import fc from 'fast-check';
import { openCheckpoint, type Checkpoint } from '../../../kernels/checkpoint';
import { runCompareTask } from '../../../kernels/jobs/compare';
import type { JobKind, JobTypes } from '../../../kernels/jobs/job';
import { jobs } from '../../../kernels/jobs/registry';
import { rearranged, viewOf } from '../../../kernels/jobs/numbers';
import { Random } from '../../../kernels/numerics/random';
import { diffCheckpoints } from '../../../server/analysis/diff';
import { decoderName } from '../../../kernels/checkpoint/gguf-architectures';
import { matchTensors } from '../../../server/analysis/tensor-pairs';
import type { KernelPort } from '../../../server/analysis/ports';
import type { CheckpointDiff } from '../../../server/protocol';
import { inlineJobContext } from '../../support/inline-job-context';
import { temporarySafetensors, type TestTensor } from '../../support/temporary-safetensors';

const kernel: KernelPort = {
  run: <K extends JobKind>(kind: K, params: JobTypes[K]['params']) => jobs[kind].run(params as never, inlineJobContext({ order: (count) => [...Array(count).keys()].reverse() })) as Promise<JobTypes[K]['result']>,
};

function values(count: number, seed: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, () => random.uniform() * 2 - 1);
}
const f32 = (name: string, shape: number[], seed = name.length): TestTensor => ({ name, shape, values: values(shape.reduce((a, b) => a * b, 1), seed) });
const renamed = (tensor: TestTensor, name: string): TestTensor => ({ ...tensor, name });

async function diffOf(t: TestContext, a: TestTensor[], b: TestTensor[]): Promise<CheckpointDiff> {
  return diffCheckpoints(kernel, await openCheckpoint(await temporarySafetensors(t, a)), await openCheckpoint(await temporarySafetensors(t, b)), {});
}

const network = [f32('conv1.weight', [4, 3, 3, 3]), f32('bn1.weight', [4]), f32('layer1.0.conv.weight', [4, 4, 1, 1]), f32('layer1.0.bn.bias', [4]), f32('fc.weight', [10, 4]), f32('fc.bias', [10])];

test('the same tensors in another order are equal', async (t) => {
  const diff = await diffOf(t, network, [...network].reverse());
  assert.deepEqual([diff.equal, diff.counts, diff.mapping], [true, { equal: 6, different: 0, onlyA: 0, onlyB: 0 }, []]);
});

test('a prefix on one side, and another on each, are taken off and said', async (t) => {
  const one = await diffOf(t, network, network.map((tensor) => renamed(tensor, `module.${tensor.name}`)));
  assert.equal(one.equal, true);
  assert.deepEqual(one.rows.map(({ by }) => by), Array(6).fill('prefix'));
  assert.deepEqual(one.mapping, ['nothing in the first stands for "module." in the second']);
  const both = await diffOf(t, network.map((tensor) => renamed(tensor, `a.b.${tensor.name}`)), network.map((tensor) => renamed(tensor, `net.${tensor.name}`)));
  assert.deepEqual([both.equal, both.mapping], [true, ['"a.b." in the first stands for "net." in the second']]);
});

test('errors are measured, the worst tensor first, and types are named', async (t) => {
  const noisy = network.map((tensor, i) => (i === 4 ? { ...tensor, values: (tensor.values as Float32Array).map((value) => value * 1.1) } : i === 0 ? { ...tensor, dtype: 'BF16' as const } : tensor));
  const diff = await diffOf(t, network, noisy);
  assert.deepEqual(diff.rows.slice(0, 2).map(({ a, b }) => [a.name, a.dtype, b.dtype]), [['fc.weight', 'F32', 'F32'], ['conv1.weight', 'F32', 'BF16']]);
  assert.ok(Math.abs(diff.rows[0]!.sqnrDb! - 20) < 0.01, String(diff.rows[0]!.sqnrDb));
  assert.ok(diff.rows[1]!.sqnrDb! > 45 && diff.rows[1]!.sqnrDb! < 65);
  assert.deepEqual(diff.counts, { equal: 4, different: 2, onlyA: 0, onlyB: 0 });
});

test('missing tensors, other shapes, and values that are not finite', async (t) => {
  const broken = Float32Array.of(NaN, 1, Infinity, 2);
  const diff = await diffOf(t,
    [f32('a', [2, 3]), f32('gone', [7]), { name: 'n', shape: [4], values: broken }, { name: 'm', shape: [4], values: broken }],
    [f32('a', [3, 3]), { name: 'n', shape: [4], values: broken }, { name: 'm', shape: [4], values: Float32Array.of(NaN, 1, 2, 2) }, f32('new', [5])]);
  assert.deepEqual(diff.onlyA.map(({ name }) => name), ['gone']);
  assert.deepEqual(diff.onlyB.map(({ name }) => name), ['new']);
  const row = (name: string): unknown => { const { equal, differing, reason } = diff.rows.find(({ a }) => a.name === name)!; return [equal, differing, reason]; };
  assert.deepEqual(row('a'), [false, null, 'their shapes differ']);
  assert.deepEqual(row('n'), [true, 0, undefined]);
  assert.deepEqual(row('m'), [false, 1, '1 value is not finite on one side']);
});

test('matrices stored with their inputs first are equal, square ones too where others are turned', async (t) => {
  const turn = ({ name, shape, values: data }: TestTensor): TestTensor => {
    const [rows, cols] = shape as [number, number];
    return { name, shape: [cols, rows], values: Float32Array.from({ length: rows * cols }, (_, i) => (data as Float32Array)[(i % rows) * cols + Math.floor(i / rows)]!) };
  };
  const matrices = [f32('up.weight', [6, 4]), f32('square.weight', [5, 5]), f32('bias', [5])];
  const diff = await diffOf(t, matrices, [turn(matrices[0]!), turn(matrices[1]!), matrices[2]!]);
  assert.equal(diff.equal, true);
  assert.deepEqual(diff.rows.map(({ order }) => order), [undefined, 'transposed', 'transposed']);
  // Alone, a square matrix is not turned: nothing says that it should be.
  assert.equal((await diffOf(t, [matrices[1]!], [turn(matrices[1]!)])).equal, false);
});

test('names that say nothing are matched by values, and a second name of one tensor is tied', async (t) => {
  const [embed, other] = [f32('embed.weight', [6, 4], 1), f32('x.proj.weight', [6, 4], 2)];
  const diff = await diffOf(t, [embed, other, renamed(embed, 'lm_head.weight')], [renamed(other, 'onnx::MatMul_12'), embed]);
  assert.equal(diff.equal, true);
  assert.deepEqual(diff.rows.map(({ a, b, by }) => [a.name, b.name, by]), [['embed.weight', 'embed.weight', 'name'], ['x.proj.weight', 'onnx::MatMul_12', 'values']]);
  assert.ok(diff.mapping.some((line) => line === 'lm_head.weight of the first is held by embed.weight in the second (tied)'), diff.mapping.join('; '));
});

test('names of llama.cpp are read as PyTorch\'s, and rows of queries in its order are put back', async (t) => {
  assert.equal(decoderName('blk.12.ffn_down.weight'), 'model.layers.12.mlp.down_proj.weight');
  assert.equal(decoderName('token_embd.weight'), 'model.embed_tokens.weight');
  assert.equal(decoderName('blk.0.unknown.weight'), null);
  const query = f32('model.layers.0.self_attn.q_proj.weight', [8, 3]);
  const heads = 2;
  // [heads, 2, half, cols] with the middle two swapped, as convert_hf_to_gguf permutes.
  const half = 8 / heads / 2;
  const source = query.values as Float32Array;
  const permuted = Float32Array.from({ length: 24 }, (_, i) => {
    const [row, col] = [Math.floor(i / 3), i % 3];
    const [head, j, side] = [Math.floor(row / 4), Math.floor((row % 4) / 2), row % 2];
    return source[((head * 2 + side) * half + j) * 3 + col]!;
  });
  const pytorch = await openCheckpoint(await temporarySafetensors(t, [query, f32('model.norm.weight', [3])]));
  const gguf: Checkpoint = { ...await openCheckpoint(await temporarySafetensors(t, [{ ...query, name: 'blk.0.attn_q.weight', values: permuted }, renamed(f32('model.norm.weight', [3]), 'output_norm.weight')])), format: 'gguf', metadata: [['general.architecture', 'llama'], ['llama.attention.head_count', '2']] };
  for (const [a, b] of [[pytorch, gguf], [gguf, pytorch]] as const) {
    const { pairs } = matchTensors(a, b);
    assert.deepEqual(pairs.map(({ by }) => by), ['known names', 'known names']);
  }
  const diff = await diffCheckpoints(kernel, pytorch, gguf, {});
  assert.deepEqual([diff.equal, diff.rows.map(({ order }) => order)], [true, ['heads', undefined]]);
  assert.equal((await diffCheckpoints(kernel, gguf, pytorch, {})).equal, true);
});

test('a view reads a tensor in another order, whatever the shape', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 7 }), (rows, cols) => {
    const { shape, strides } = viewOf([rows, cols], { kind: 'transposed' });
    assert.deepEqual([shape, strides], [[cols, rows], [1, cols]]);
  }));
  assert.equal(rearranged({ name: 'x', dtype: 'F32', shape: [2, 2], bytes: 16, data: null }, { kind: 'transposed' }), null);
});

test('a comparison is cancelled between pieces', async (t) => {
  const checkpoint = await openCheckpoint(await temporarySafetensors(t, [f32('a', [64])]));
  const [tensor] = checkpoint.tensors;
  const task = { a: checkpoint, b: checkpoint, work: 64, ranges: [{ pair: 0, a: tensor!, b: tensor!, view: { kind: 'same' as const }, first: 0, count: 64 }] };
  await assert.rejects(runCompareTask(task, { throwIfCancelled: () => { throw new Error('cancelled'); } }), /cancelled/);
});
