/** Which values are looked at: gates and squares as they are written out, and what only looks like them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Graph } from '../../../kernels/graph/graph';
import { observedValues } from '../../../kernels/run/observed';

function graphOf(...nodes: readonly (readonly [op: string, inputs: readonly string[], output: string])[]): Graph {
  return {
    name: 'g', opset: 18, inputs: [{ name: 'x', type: 'F32', shape: ['batch', 4] }], outputs: [{ name: nodes.at(-1)![2], type: 'F32', shape: ['batch', 4] }],
    nodes: nodes.map(([op, inputs, output]) => ({ op, inputs, outputs: [output], module: 'm' })),
    initializers: [['two', 2], ['three', 3], ['slope', 1.702]].map(([name, value]) => ({ name, type: 'F32', shape: [], data: { values: [value] } })),
    values: nodes.slice(0, -1).map(([, , name]) => ({ name, type: 'F32', shape: ['batch', 4] })),
  } as unknown as Graph;
}
const roles = (graph: Graph): string[] => observedValues(graph, []).map(({ role, value }) => `${role} ${value}`);

test('SiLU and quick GELU are activations; a gate of something else is not', () => {
  assert.deepEqual(roles(graphOf(['Sigmoid', ['x'], 's'], ['Mul', ['x', 's'], 'y'])), ['activation y']);
  assert.deepEqual(roles(graphOf(['Mul', ['x', 'slope'], 'scaled'], ['Sigmoid', ['scaled'], 's'], ['Mul', ['x', 's'], 'y'])), ['activation y']);
  assert.deepEqual(roles(graphOf(['Relu', ['x'], 'r'], ['Sigmoid', ['r'], 's'], ['Mul', ['x', 's'], 'y'])), []);
});

test('what a mean of squares squares is a norm\'s input; a mean of cubes is not', () => {
  assert.deepEqual(roles(graphOf(['Mul', ['x', 'x'], 'q'], ['ReduceMean', ['q'], 'y'])), ['norm-input x']);
  assert.deepEqual(roles(graphOf(['Pow', ['x', 'two'], 'q'], ['ReduceMean', ['q'], 'y'])), ['norm-input x']);
  assert.deepEqual(roles(graphOf(['Pow', ['x', 'three'], 'q'], ['ReduceMean', ['q'], 'y'])), []);
});
