/** GPTQ and AWQ beyond the fixtures: versions of zero points, settings beside the file, and parts that do not fit. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { CheckpointError, modelTensors, openCheckpoint, type Checkpoint } from '../../../kernels/checkpoint';
import { temporarySafetensors, type TestTensor } from '../../support/temporary-safetensors';
import { valuesOfModelTensor } from './values';

const i32 = (name: string, shape: number[], values: number[]): TestTensor => ({ name, shape, dtype: 'I32', values: new Uint8Array(Int32Array.from(values).buffer) });
const f16 = (name: string, shape: number[], value = 1): TestTensor => ({ name, shape, dtype: 'F16', values: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value) });
const fill = (count: number, value: number): number[] => new Array<number>(count).fill(value);

/** 4-bit, 16 inputs, 8 outputs, 2 groups of 8: every code 5; zero points as given. */
function parts(zero: number, change: Readonly<Record<string, TestTensor | null>> = {}): TestTensor[] {
  const all: Record<string, TestTensor | null> = {
    qweight: i32('l.qweight', [2, 8], fill(16, 0x55555555)),
    qzeros: i32('l.qzeros', [2, 1], fill(2, zero)),
    scales: f16('l.scales', [2, 8], 0.5),
    g_idx: i32('l.g_idx', [16], [...fill(8, 0), ...fill(8, 1)]),
    ...change,
  };
  return Object.values(all).filter((tensor) => tensor !== null);
}
const configured = (config: object): [string, string][] => [['quantization_config', JSON.stringify({ quant_method: 'gptq', bits: 4, group_size: 8, desc_act: false, ...config })]];

async function openWith(t: TestContext, tensors: TestTensor[], config: object | null = {}): Promise<Checkpoint> {
  return openCheckpoint(await temporarySafetensors(t, tensors, config ? configured(config) : []));
}
const firstValue = (checkpoint: Checkpoint): number => valuesOfModelTensor(checkpoint, modelTensors(checkpoint)[0]!)[0]!;

test('version 1 stores zero points minus one, version 2 as they are, and without settings symmetric ones tell', async (t) => {
  assert.equal(firstValue(await openWith(t, parts(0x77777777), { checkpoint_format: 'gptq' })), (5 - 8) * 0.5);
  assert.equal(firstValue(await openWith(t, parts(0x77777777), { checkpoint_format: 'gptq_v2' })), (5 - 7) * 0.5);
  const first = await openWith(t, parts(0x77777777), null);
  assert.deepEqual([firstValue(first), first.problems], [-1.5, []]);
  assert.equal(firstValue(await openWith(t, parts(0x88888888 | 0), null)), (5 - 8) * 0.5);
  const unsure = await openWith(t, parts(0x33333333), null);
  assert.equal(firstValue(unsure), (5 - 4) * 0.5);
  assert.deepEqual(unsure.problems.map(({ grade }) => grade), ['information']);
});

test('a zero point of 0 in version 1 borrows from its neighbour, as GPTQModel writes it', async (t) => {
  // Zero points 0, 8, 0, 8...: the word 0x80808080 less 0x11111111.
  const checkpoint = await openWith(t, parts((0x80808080 - 0x11111111) | 0));
  const values = valuesOfModelTensor(checkpoint, modelTensors(checkpoint)[0]!);
  assert.deepEqual(Array.from({ length: 8 }, (_, n) => values[n * 16]), [2.5, -1.5, 2.5, -1.5, 2.5, -1.5, 2.5, -1.5]);
});

test('symmetric settings name the symmetric format', async (t) => {
  const { derived } = await openWith(t, parts(0x77777777), { sym: true });
  assert.equal(derived![0]!.encoding.format, 'int4-sym-g8-sf16');
  assert.deepEqual(derived![0]!.replaces, ['l.qweight', 'l.scales', 'l.qzeros', 'l.g_idx']);
});

const WRONG: readonly [what: string, tensors: TestTensor[], message: RegExp][] = [
  ['scales of other outputs', parts(0, { scales: f16('l.scales', [2, 9]) }), /its scales have the shape \[2, 9\] where \[2, 8\] belongs/],
  ['scales of another type', parts(0, { scales: i32('l.scales', [2, 8], fill(16, 1)) }), /its scales are I32/],
  ['zero points of other groups', parts(0, { qzeros: i32('l.qzeros', [3, 1], fill(3, 0)) }), /its zero points have the shape \[3, 1\]/],
  ['group indices too few', parts(0, { g_idx: i32('l.g_idx', [15], fill(15, 0)) }), /its group indices have the shape \[15\] where \[16\]/],
  ['no groups', parts(0, { scales: f16('l.scales', [0, 8]), qzeros: i32('l.qzeros', [0, 1], []) }), /holds no values/],
  ['no zero points', parts(0, { qzeros: null }), /its zero points are missing/],
];
for (const [what, tensors, message] of WRONG) {
  test(`${what}: a finding on the weight, which is shown as stored`, async (t) => {
    const checkpoint = await openWith(t, tensors);
    assert.deepEqual(checkpoint.derived, []);
    assert.equal(modelTensors(checkpoint).length, tensors.length);
    assert.deepEqual(checkpoint.problems.map(({ code, tensor }) => [code, tensor]), [['BL406', 'l.qweight']]);
    assert.match(checkpoint.problems[0]!.message, message);
  });
}

test('a group index out of range is refused when values are read, and scales that are NaN stay NaN', async (t) => {
  for (const index of [2, -1]) {
    const checkpoint = await openWith(t, parts(0, { g_idx: i32('l.g_idx', [16], [...fill(15, 0), index]) }));
    assert.throws(() => valuesOfModelTensor(checkpoint, modelTensors(checkpoint)[0]!), (error: unknown) => error instanceof CheckpointError && /group index is outside 0\.\.1/.test(error.message));
  }
  const checkpoint = await openWith(t, parts(0, { scales: f16('l.scales', [2, 8], NaN) }));
  assert.ok(Number.isNaN(firstValue(checkpoint)));
});

test('qweight without scales, or under another method, is left alone', async (t) => {
  assert.equal((await openWith(t, parts(0, { scales: null }))).derived, undefined);
  assert.equal((await openWith(t, parts(0), { quant_method: 'quanto' })).derived, undefined);
});

test('settings are found beside the checkpoint, through the links of the hub cache, and nowhere else', async (t) => {
  const file = await temporarySafetensors(t, parts(0x77777777));
  const folder = path.dirname(file);
  const zeros = async (): Promise<unknown> => (await openCheckpoint(file)).derived![0]!.encoding.options!.zeros;
  writeFileSync(path.join(folder, 'quantize_config.json'), JSON.stringify({ bits: 4, group_size: 8, checkpoint_format: 'gptq_v2' }));
  assert.equal(await zeros(), 'plain');
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ quantization_config: { quant_method: 'gptq', bits: 4, checkpoint_format: 'gptq' } }));
  assert.equal(await zeros(), 'minus-one');
  for (const broken of ['{"quantization_config":', '[]', '{"quantization_config": 7}', '['.repeat(1e5)]) {
    writeFileSync(path.join(folder, 'config.json'), broken);
    assert.equal(await zeros(), 'plain');
  }
  // A link that leads out of the folder is not followed.
  const other = path.join(folder, 'inner');
  mkdirSync(other);
  const linked = path.join(other, 'model.safetensors');
  const { copyFileSync } = await import('node:fs');
  copyFileSync(file, linked);
  symlinkSync('../quantize_config.json', path.join(other, 'quantize_config.json'));
  assert.equal((await openCheckpoint(linked)).derived![0]!.encoding.options!.zeros, 'minus-one');
});
