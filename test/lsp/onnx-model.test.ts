/** An ONNX model in the editor: the file stands for source and checkpoint. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { encodeOnnx, type OnnxInitializer } from '../../kernels/graph/write-onnx';
import { start, workspace } from './harness';

const zeros = (name: string, shape: number[]): OnnxInitializer => ({ name, type: 'F32', shape, write: (sink) => sink(new Uint8Array(4 * shape.reduce((a, b) => a * b, 1))) });

test('an ONNX file is asked about like a source file: layers, recipe, and the data of bitlens.json', async (t) => {
  const made = workspace(t);
  made.write('net.onnx', Buffer.from(await encodeOnnx({
    name: 'net', opset: 17, inputs: [{ name: 'x', type: 'F32', shape: ['n', 8] }], outputs: [{ name: 'y', type: 'F32', shape: ['n', 4] }],
    nodes: [{ op: 'MatMul', inputs: ['x', 'onnx::MatMul_3'], outputs: ['h'], module: 'body.fc' }, { op: 'Gemm', inputs: ['h', 'head.weight', 'head.bias'], outputs: ['y'], attributes: { transB: { int: 1 } }, module: 'head' }],
    initializers: [zeros('onnx::MatMul_3', [8, 16]), zeros('head.weight', [4, 16]), zeros('head.bias', [4])],
  })));
  made.write('bitlens.json', JSON.stringify({ models: [{ source: 'net.onnx', task: 'classification', data: { evaluation: { inputs: 'x.npy' } } }] }));
  const { client } = await start(t, made.folder);
  const uri = made.uri('net.onnx');
  const { target, layers, data, missingTensors, unlinkedTensors } = await client.request('bitlens/model', { uri });
  assert.deepEqual(target, { uri, root: 'net' });
  assert.deepEqual(layers.map((row) => [row.path, row.className, row.parameters]), [['body.fc', 'MatMul', 128], ['head', 'Gemm', 68]]);
  assert.deepEqual([missingTensors, unlinkedTensors, data.task, data.evaluation], [[], [], 'classification', 'x.npy']);
  const { recipe } = await client.request('bitlens/writeRecipe', { uri, root: 'net', path: 'body.fc', format: 'int8-sym-channel', method: 'rtn' });
  assert.deepEqual((JSON.parse(readFileSync(recipe, 'utf8')) as { model: unknown }).model, { source: 'net.onnx', class: 'net', checkpoint: 'net.onnx' });
  assert.equal(path.basename(recipe), 'net.recipe.json');
  assert.equal((await client.request('bitlens/model', { uri })).recipe, recipe);
});
