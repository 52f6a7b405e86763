/** A checkpoint written as GGUF: names, order and metadata of llama.cpp, any block type, and what keeps its values. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { modelTensors, openCheckpoint, shownDtype, TensorReader, writeGguf, type GgufMetadataEntry } from '../../../kernels/checkpoint';
import { ggmlTypeNamed } from '../../../kernels/checkpoint/ggml-types';
import { decodeGgufRows, encodeGgufRows } from '../../../kernels/formats/gguf';
import { convertJob } from '../../../kernels/jobs/convert';
import { JobError } from '../../../kernels/jobs/job';
import { numberReader } from '../../../kernels/jobs/numbers';
import { Random } from '../../../kernels/numerics/random';
import { inlineJobContext } from '../../support/inline-job-context';
import { temporaryFolder, temporarySafetensors, type TestTensor } from '../../support/temporary-safetensors';
import { valuesOfModelTensor } from '../layouts/values';

const normal = (seed: number, count: number): Float32Array => { const random = new Random(seed); return Float32Array.from({ length: count }, () => random.normal()); };
const tensor = (name: string, seed: number, ...shape: number[]): TestTensor => ({ name, shape, values: normal(seed, shape.reduce((a, b) => a * b, 1)) });

/** A model folder of one block. */
async function folder(t: TestContext, config: object | null, tensors: readonly TestTensor[]): Promise<string> {
  const file = await temporarySafetensors(t, tensors);
  if (config) writeFileSync(path.join(path.dirname(file), 'config.json'), JSON.stringify(config));
  return file;
}

const LLAMA = { model_type: 'llama', hidden_size: 256, intermediate_size: 96, num_hidden_layers: 1, num_attention_heads: 8, num_key_value_heads: 4, vocab_size: 32, max_position_embeddings: 64, rms_norm_eps: 1e-5, rope_theta: 5e5, tie_word_embeddings: true };
const llama = (): TestTensor[] => [
  tensor('model.embed_tokens.weight', 1, 32, 256), tensor('model.norm.weight', 2, 256), tensor('lm_head.weight', 1, 32, 256), tensor('model.layers.0.self_attn.q_proj.weight', 3, 256, 256),
  tensor('model.layers.0.self_attn.k_proj.weight', 4, 128, 256), tensor('model.layers.0.mlp.down_proj.weight', 5, 256, 96), tensor('model.layers.0.self_attn.rotary_emb.inv_freq', 6, 16), tensor('model.layers.0.extra', 7, 3, 5),
];

test('a Llama folder becomes GGUF under llama.cpp\'s names, and reads back as the same model', async (t) => {
  const source = await folder(t, LLAMA, llama());
  const out = path.join(temporaryFolder(t), 'plain.gguf');
  const result = await convertJob.run({ checkpoint: source, path: out, to: 'gguf' }, inlineJobContext());
  assert.deepEqual([result.verifiedTensors, result.left, result.quantized.length], [6, ['lm_head.weight', 'model.layers.0.self_attn.rotary_emb.inv_freq'], 0]);
  assert.match(result.notes.join('\n'), /no tokenizer[^]*model\.layers\.0\.extra/);
  const [before, after] = [await openCheckpoint(source), await openCheckpoint(out)];
  const metadata = new Map(after.metadata);
  for (const [key, value] of [['general.architecture', 'llama'], ['llama.block_count', '1'], ['llama.attention.head_count_kv', '4'], ['llama.rope.freq_base', '500000'], ['llama.rope.dimension_count', '32'], ['general.file_type', '0']] as const) assert.equal(metadata.get(key), value, key);
  assert.ok(after.tensors.some(({ name }) => name === 'blk.0.attn_q.weight'));
  const byName = new Map(modelTensors(after).map((each) => [each.name, each]));
  for (const each of modelTensors(before)) {
    if (result.left.includes(each.name)) continue;
    assert.deepEqual(valuesOfModelTensor(after, byName.get(each.name)!), valuesOfModelTensor(before, each), each.name);
  }
  // The rows of queries lie in pairs in the file itself: row 1 is the model's row 16 of the first head of 32.
  const raw = valuesOfModelTensor(after, after.tensors.find(({ name }) => name === 'blk.0.attn_q.weight')!);
  assert.deepEqual(raw.slice(256, 512), normal(3, 65_536).slice(16 * 256, 17 * 256));
});

test('weights take the type that is asked for, or llama.cpp\'s stand-in; vectors and the rest keep their values', async (t) => {
  const source = await folder(t, LLAMA, llama());
  const out = path.join(temporaryFolder(t), 'q4k.gguf');
  const result = await convertJob.run({ checkpoint: source, path: out, to: 'gguf', format: 'gguf-q4_k' }, inlineJobContext());
  assert.deepEqual(result.quantized.map(({ tensor: name, type }) => [name, type]), [['token_embd.weight', 'Q4_K'], ['blk.0.attn_q.weight', 'Q4_K'], ['blk.0.attn_k.weight', 'Q4_K'], ['blk.0.ffn_down.weight', 'Q5_0']]);
  assert.deepEqual(result.kept, [{ key: 'output_norm.weight', reason: 'a vector' }]);
  assert.deepEqual(result.fallbacks.map(({ tensor: name, type }) => [name, type]), [['blk.0.ffn_down.weight', 'Q5_0'], ['model.layers.0.extra', 'F32']]);
  assert.ok(result.quantized.every(({ sqnrDb }) => sqnrDb !== null && sqnrDb > 18));
  const after = await openCheckpoint(out);
  assert.equal(new Map(after.metadata).get('general.file_type'), '15');
  const down = after.tensors.find(({ name }) => name === 'blk.0.ffn_down.weight')!;
  assert.equal(shownDtype(down), 'Q5_0');
  const [type, view] = [ggmlTypeNamed('Q5_0')!, { rows: 256, cols: 96 }];
  assert.deepEqual(valuesOfModelTensor(after, down), decodeGgufRows(type, encodeGgufRows(type, normal(5, 256 * 96), view), view));
});

test('from GGUF to GGUF, metadata and what is not quantized stay byte for byte', async (t) => {
  const first = path.join(temporaryFolder(t), 'a.gguf');
  const metadata: GgufMetadataEntry[] = [{ key: 'general.architecture', type: 'string', value: 'strange' }, { key: 'general.file_type', type: 'uint32', value: 7 }, { key: 'tokenizer.ggml.tokens', type: 'string', value: ['a', 'é', ''] }];
  const values = normal(8, 64 * 64);
  const bytes = encodeGgufRows(ggmlTypeNamed('Q8_0')!, values, { rows: 64, cols: 64 });
  await writeGguf(first, [{ name: 'blk.0.ffn_up.weight', type: 'Q8_0', shape: [64, 64], write: (sink) => sink(bytes) }, { name: 'blk.0.ffn_gate_inp.weight', type: 'Q8_0', shape: [64, 64], write: (sink) => sink(bytes) }], metadata);
  const out = path.join(temporaryFolder(t), 'b.gguf');
  const result = await convertJob.run({ checkpoint: first, path: out, to: 'gguf', format: 'q4_0' }, inlineJobContext());
  assert.deepEqual(result.kept, [{ key: 'blk.0.ffn_gate_inp.weight', reason: 'llama.cpp keeps it' }]);
  assert.match(result.notes.join(), /quantized already \(Q8_0\)/);
  const after = await openCheckpoint(out);
  assert.deepEqual(after.tensors.map(shownDtype), ['Q4_0', 'Q8_0']);
  assert.deepEqual(after.metadata.filter(([key]) => /architecture|tokens|file_type/.test(key)), [['general.architecture', 'strange'], ['general.file_type', '2'], (await openCheckpoint(first)).metadata.find(([key]) => key === 'tokenizer.ggml.tokens')!]);
  const kept = path.join(temporaryFolder(t), 'c.gguf');
  await convertJob.run({ checkpoint: first, path: kept, to: 'gguf' }, inlineJobContext());
  const same = await openCheckpoint(kept);
  assert.equal(new Map(same.metadata).get('general.file_type'), '7');
  assert.deepEqual(valuesOfModelTensor(same, same.tensors[0]!), decodeGgufRows(ggmlTypeNamed('Q8_0')!, bytes, { rows: 64, cols: 64 }));
});

test('GPT-2 matrices are turned, Gemma norms get their one, and both read back as the model\'s', async (t) => {
  for (const [config, tensors] of [
    [{ model_type: 'gpt2', n_embd: 64, n_head: 4, n_layer: 1 }, [tensor('h.0.mlp.c_fc.weight', 1, 64, 96), tensor('wte.weight', 2, 8, 64), tensor('h.0.attn.bias', 3, 1, 1, 4, 4)]],
    [{ model_type: 'gemma2', hidden_size: 64, num_attention_heads: 2 }, [tensor('model.layers.0.pre_feedforward_layernorm.weight', 1, 8), tensor('model.layers.0.mlp.up_proj.weight', 2, 64, 64)]],
  ] as const) {
    const source = await folder(t, config, tensors);
    const out = path.join(temporaryFolder(t), 'x.gguf');
    await convertJob.run({ checkpoint: source, path: out, to: 'gguf' }, inlineJobContext());
    const after = await openCheckpoint(out);
    const found = new Map(modelTensors(after).map((each) => [each.name.replace(/^transformer\./, ''), each]));
    for (const each of tensors.filter(({ name }) => !name.endsWith('bias'))) {
      const values = valuesOfModelTensor(after, found.get(each.name)!);
      // x + 1 - 1 loses the last bits of small values.
      assert.ok((each.values as Float32Array).every((x, i) => Math.abs(x - values[i]!) <= 2 ** -23), each.name);
    }
  }
});

test('a model that no configuration explains keeps its names; what GGUF cannot hold is refused or left out by name', async (t) => {
  const source = await folder(t, { model_type: 'resnet' }, [tensor('conv1.weight', 1, 8, 4, 3, 3), { name: 'n', shape: [2], dtype: 'U8', values: Uint8Array.of(3, 250) }, tensor(`x${'y'.repeat(70)}`, 1, 4), tensor('five', 1, 1, 1, 1, 2, 2)]);
  const out = path.join(temporaryFolder(t), 'x.gguf');
  const result = await convertJob.run({ checkpoint: source, path: out, to: 'gguf', format: 'q8_0' }, inlineJobContext());
  assert.equal(result.left.length, 2);
  assert.match(result.notes.join(), /"resnet"/);
  assert.deepEqual(result.fallbacks.map(({ type }) => type), ['F32']);
  const after = await openCheckpoint(out);
  assert.deepEqual(after.tensors.map(({ name, dtype }) => [name, dtype]), [['conv1.weight', 'F32'], ['n', 'I16']]);
  const reader = TensorReader.open(after);
  t.after(() => reader.close());
  const numbers = new Float64Array(2);
  numberReader(after.tensors[1]!, reader)(0, 2, numbers);
  assert.deepEqual([...numbers], [3, 250]);
  for (const [tensors, format, message] of [
    [[{ name: 'w', shape: [1, 32], values: new Float32Array(32).fill(NaN) }], 'q8_0', /w holds NaN/], [[{ name: 'w', shape: [1, 32], values: new Float32Array(32).fill(1e6) }], 'f16', /w holds 1000000, which F16/],
    [[tensor('w', 1, 1, 32)], 'int4', /GGUF holds no "int4"/], [[tensor('w', 1, 1, 32)], 'q8_k', /GGUF holds no/],
  ] as const) {
    const bad = await folder(t, null, tensors);
    const target = path.join(temporaryFolder(t), 'no.gguf');
    await assert.rejects(convertJob.run({ checkpoint: bad, path: target, to: 'gguf', format }, inlineJobContext()), (error) => error instanceof JobError && message.test(error.message));
    assert.equal(existsSync(target), false);
  }
});
