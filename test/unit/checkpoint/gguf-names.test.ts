import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { elementCount, modelTensors, openCheckpoint, shownDtype, TensorReader, writeGguf, type Checkpoint, type GgufEntry, type GgufMetadataEntry, type TensorInfo } from '../../../kernels/checkpoint';
import { ggmlTypeNamed } from '../../../kernels/checkpoint/ggml-types';
import { decodeGgufRows, encodeGgufRows } from '../../../kernels/formats/gguf';
import { decodeFloats } from '../../../kernels/numerics/codecs';
import { Random } from '../../../kernels/numerics/random';
import { storedValues } from '../../../kernels/stored/registry';
import { dataPath, needsData } from '../../support/data';
import { scratch } from './support';

function valuesOf(checkpoint: Checkpoint, tensor: TensorInfo, step = Infinity): Float32Array {
  const reader = TensorReader.open(checkpoint);
  const total = elementCount(tensor.shape);
  const values = new Float32Array(total);
  try {
    if (!tensor.encoding) {
      const bytes = new Uint8Array(tensor.bytes);
      reader.readInto(tensor, 0, total, bytes);
      decodeFloats(tensor.dtype, bytes, total, values);
    } else {
      const stored = storedValues(tensor, reader);
      for (let at = 0; at < total; at += step) stored.read(at, Math.min(step, total - at), values.subarray(at));
    }
  } finally {
    reader.close();
  }
  return values;
}

const entryOf = (name: string, type: string, shape: readonly number[], values: Float32Array): GgufEntry => ({
  name, type, shape,
  write: (sink) => { sink(type === 'F32' ? new Uint8Array(values.buffer, values.byteOffset, values.byteLength) : encodeGgufRows(ggmlTypeNamed(type)!, values, { rows: elementCount(shape.slice(0, -1)), cols: shape.at(-1)! })); },
});

/** llama.cpp's reordering of the rows of a head. */
function permuted(values: Float32Array, rows: number, cols: number, heads: number): Float32Array {
  const out = new Float32Array(values.length);
  const size = rows / heads;
  for (let r = 0; r < rows; r++) {
    const [head, within] = [Math.floor(r / size), r % size];
    const to = head * size + (within < size / 2 ? 2 * within : 2 * (within - size / 2) + 1);
    out.set(values.subarray(r * cols, (r + 1) * cols), to * cols);
  }
  return out;
}

const LLAMA: readonly (readonly [RegExp, string])[] = [
  [/^model\.embed_tokens/, 'token_embd'], [/^model\.norm/, 'output_norm'], [/^lm_head/, 'output'], [/^model\.layers\.(\d+)\.input_layernorm/, 'blk.$1.attn_norm'],
  [/^model\.layers\.(\d+)\.self_attn\.([qkv])_proj/, 'blk.$1.attn_$2'], [/^model\.layers\.(\d+)\.self_attn\.o_proj/, 'blk.$1.attn_output'],
  [/^model\.layers\.(\d+)\.post_attention_layernorm/, 'blk.$1.ffn_norm'], [/^model\.layers\.(\d+)\.mlp\.(gate|up|down)_proj/, 'blk.$1.ffn_$2'],
];

test('a Llama converted to GGUF has the names and the values of the model it was made from', async (t) => {
  if (!needsData(t, 'stories260k')) return;
  const original = await openCheckpoint(dataPath('stories260k/model.safetensors'));
  const entries = original.tensors.map((tensor) => {
    const [pattern, to] = LLAMA.find(([each]) => each.test(tensor.name))!;
    const name = tensor.name.replace(pattern, to);
    const values = valuesOf(original, tensor);
    const heads = name.includes('attn_q') ? 8 : name.includes('attn_k.') ? 4 : 0;
    return { name, values: heads ? permuted(values, tensor.shape[0], tensor.shape[1], heads) : values, shape: tensor.shape };
  });
  const metadata: GgufMetadataEntry[] = [{ key: 'general.architecture', type: 'string', value: 'llama' }, { key: 'llama.attention.head_count', type: 'uint32', value: 8 }, { key: 'llama.attention.head_count_kv', type: 'uint32', value: 4 }];
  const file = path.join(scratch(t), 'plain.gguf');
  await writeGguf(file, entries.map(({ name, values, shape }) => entryOf(name, 'F32', shape, values)), metadata);
  const converted = await openCheckpoint(file);
  const byName = new Map(modelTensors(converted).map((tensor) => [tensor.name, tensor]));
  assert.equal(byName.size, original.tensors.length);
  for (const tensor of original.tensors) {
    const other = byName.get(tensor.name);
    assert.ok(other, tensor.name);
    assert.deepEqual(other.shape, tensor.shape);
    assert.deepEqual(valuesOf(converted, other, 777), valuesOf(original, tensor), tensor.name);
  }
  // With blocks, rows of the projections decode in the model's order as well.
  const blocks = path.join(scratch(t), 'blocks.gguf');
  await writeGguf(blocks, entries.map(({ name, values, shape }) => entryOf(name, shape.length === 2 && shape[1] % 32 === 0 ? 'Q8_0' : 'F32', shape, values)), metadata);
  const quantized = await openCheckpoint(blocks);
  const key = modelTensors(quantized).find(({ name }) => name === 'model.layers.0.self_attn.k_proj.weight')!;
  assert.equal(shownDtype(key), 'Q8_0');
  assert.equal(key.encoding?.format, 'gguf-q8_0');
  const exact = valuesOf(original, original.tensors.find(({ name }) => name === key.name)!);
  const largest = exact.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  assert.ok(valuesOf(quantized, key, 100).every((x, i) => Math.abs(x - exact[i]!) <= largest / 127));
  // Without the number of heads the order cannot be known: such tensors keep their own names.
  const unknown = path.join(scratch(t), 'unknown.gguf');
  await writeGguf(unknown, entries.map(({ name, values, shape }) => entryOf(name, 'F32', shape, values)), metadata.slice(0, 1));
  const names = modelTensors(await openCheckpoint(unknown)).map(({ name }) => name);
  assert.ok(names.includes('blk.0.attn_q.weight') && names.includes('model.layers.0.self_attn.v_proj.weight'));
});

test('GPT-2 matrices stand the way its Conv1D holds them, and Gemma norms are without the one', async (t) => {
  const random = new Random(4);
  const values = Float32Array.from({ length: 96 * 64 }, () => random.normal());
  for (const [type, exact] of [['F32', values], ['Q4_0', decodeGgufRows(ggmlTypeNamed('Q4_0')!, encodeGgufRows(ggmlTypeNamed('Q4_0')!, values, { rows: 96, cols: 64 }), { rows: 96, cols: 64 })]] as const) {
    const file = path.join(scratch(t), 'gpt2.gguf');
    await writeGguf(file, [entryOf('blk.3.ffn_up.weight', type, [96, 64], values)], [{ key: 'general.architecture', type: 'string', value: 'gpt2' }]);
    const checkpoint = await openCheckpoint(file);
    const [tensor] = modelTensors(checkpoint);
    assert.equal(tensor.name, 'transformer.h.3.mlp.c_fc.weight');
    assert.deepEqual(tensor.shape, [64, 96]);
    const back = valuesOf(checkpoint, tensor, 1000);
    for (let r = 0; r < 96; r++) for (let c = 0; c < 64; c++) assert.equal(back[c * 96 + r], exact[r * 64 + c]);
  }
  const norm = Float32Array.of(1.5, 0.75, 1);
  const file = path.join(scratch(t), 'gemma.gguf');
  await writeGguf(file, [entryOf('blk.0.ffn_norm.weight', 'F32', [3], norm), entryOf('blk.0.post_ffw_norm.weight', 'F32', [3], norm), entryOf('__proto__', 'F32', [3], norm), entryOf('constructor.weight', 'F32', [3], norm)],
    [{ key: 'general.architecture', type: 'string', value: 'gemma2' }]);
  const checkpoint = await openCheckpoint(file);
  assert.deepEqual(modelTensors(checkpoint).map(({ name }) => name), ['model.layers.0.pre_feedforward_layernorm.weight', 'model.layers.0.post_feedforward_layernorm.weight', '__proto__', 'constructor.weight']);
  assert.deepEqual([...valuesOf(checkpoint, modelTensors(checkpoint)[0])], [0.5, -0.25, 0]);
});
