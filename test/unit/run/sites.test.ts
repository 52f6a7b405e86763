/** Where weights are applied: operators, fused ones among them, and which dimension of the stored weight counts outputs. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Graph, GraphNode } from '../../../kernels/graph/graph';
import { allSites, sitesOf } from '../../../kernels/run/sites';

type Attributes = NonNullable<GraphNode['attributes']>;
const flag = (...names: string[]): Attributes => Object.fromEntries(names.map((name) => [name, { int: 1 }]));
function graphOf(shape: readonly number[], ...nodes: readonly (Partial<GraphNode> & { op: string; inputs: string[] })[]): Graph {
  return {
    name: 'g', opset: 17, inputs: [{ name: 'x', type: 'F32', shape: ['n', 4] }], outputs: [],
    nodes: nodes.map((node, i) => ({ module: '', outputs: [`v${i}`], ...node })), initializers: [{ name: 'w', type: 'F32', shape, data: { checkpoint: 'weight' } }],
  };
}
/** Kind and output dimension of each site. */
const sites = (graph: Graph): string[] => (allSites(graph).get('weight') ?? []).map(({ kind, outputAxis }) => `${kind} ${outputAxis ?? '?'}`);

test('the output dimension of the stored weight, through what turns it', () => {
  assert.deepEqual(sites(graphOf([4, 8], { op: 'MatMul', inputs: ['x', 'w'] })), ['linear 1']);
  assert.deepEqual(sites(graphOf([8, 4], { op: 'Transpose', inputs: ['w'] }, { op: 'MatMul', inputs: ['x', 'v0'] })), ['linear 0']);
  assert.deepEqual(sites(graphOf([8, 4], { op: 'Transpose', inputs: ['w'], attributes: { perm: { ints: [1, 0] } } }, { op: 'Identity', inputs: ['v0'] }, { op: 'MatMul', inputs: ['x', 'v1'] })), ['linear 0']);
  assert.deepEqual(sites(graphOf([2, 4, 8], { op: 'Transpose', inputs: ['w'], attributes: { perm: { ints: [0, 2, 1] } } }, { op: 'MatMul', inputs: ['x', 'v0'] })), ['linear 1']);
  assert.deepEqual(sites(graphOf([8, 4, 1], { op: 'Squeeze', inputs: ['w'] }, { op: 'MatMul', inputs: ['x', 'v0'] })), ['linear ?']);
  assert.deepEqual(sites(graphOf([4, 8], { op: 'Gemm', inputs: ['x', 'w'] })), ['linear 1']);
  assert.deepEqual(sites(graphOf([8, 4], { op: 'Gemm', inputs: ['x', 'w'], attributes: flag('transB') })), ['linear 0']);
  assert.deepEqual(sites(graphOf([8, 4, 3, 3], { op: 'Conv', inputs: ['x', 'w'] })), ['conv 0']);
  assert.deepEqual(sites(graphOf([4, 8, 3], { op: 'ConvTranspose', inputs: ['x', 'w'] })), ['conv-transpose 1']);
  // One tensor as table and, turned, as the last layer.
  assert.deepEqual(sites(graphOf([9, 4], { op: 'Gather', inputs: ['w', 'x'] }, { op: 'Transpose', inputs: ['w'] }, { op: 'MatMul', inputs: ['v0', 'v1'] })), ['lookup 0', 'linear 0']);
});

test('operators that are fused apply weights like plain ones; those of other domains, or that turn their input, are not known', () => {
  const domain = 'com.microsoft';
  assert.deepEqual(sites(graphOf([8, 4, 3, 3], { op: 'FusedConv', domain, inputs: ['x', 'w'] })), ['conv 0']);
  assert.deepEqual(sites(graphOf([8, 4], { op: 'FusedMatMul', domain, inputs: ['x', 'w'], attributes: flag('transB') })), ['linear 0']);
  assert.deepEqual(sites(graphOf([4, 12], { op: 'Attention', domain, inputs: ['x', 'w'] })), ['linear 1']);
  assert.deepEqual(sites(graphOf([4, 8], { op: 'FusedMatMul', domain, inputs: ['x', 'w'], attributes: flag('transA') })), []);
  assert.deepEqual(sites(graphOf([4, 8], { op: 'Gemm', inputs: ['x', 'w'], attributes: flag('transA') })), []);
  assert.deepEqual(sites(graphOf([4, 8], { op: 'FusedConv', domain: 'my', inputs: ['x', 'w'] })), []);
  assert.deepEqual(sites(graphOf([4, 8], { op: 'MatMul', inputs: ['w', 'x'] })), []);
  assert.deepEqual(sitesOf(graphOf([4, 8], { op: 'MatMul', inputs: ['x', 'w'] }), 'other'), []);
});
