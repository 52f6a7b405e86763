/** Cutting graphs: what must be handed over, and what follows from shapes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { borderOf, movingSources, movingValues, subgraph } from '../../../kernels/graph/cut';
import type { Graph } from '../../../kernels/graph/graph';
import { startModel } from '../../../kernels/run/run-model';
import { resolveGraph } from '../../../kernels/graph/resolve';


/** A sum of which one side follows from the shape of the input. */
const graph = {
  name: 'sum', opset: 18,
  nodes: [
    { op: 'Shape', inputs: ['x'], outputs: ['length'] },
    { op: 'ConstantOfShape', inputs: ['length'], outputs: ['zeros'] },
    { op: 'Relu', inputs: ['x'], outputs: ['hidden'] },
    { op: 'Mul', inputs: ['hidden', 'w'], outputs: ['scaled'] },
    { op: 'Add', inputs: ['scaled', 'zeros'], outputs: ['y'] },
  ].map((node) => ({ ...node, module: '' })),
  inputs: [{ name: 'x', type: 'F32', shape: [4] }],
  outputs: [{ name: 'y', type: 'F32', shape: [4] }],
  initializers: [{ name: 'w', type: 'F32', shape: [4], data: { checkpoint: 'w' } }],
  values: [{ name: 'length', type: 'I64', shape: [1] }, { name: 'zeros', type: 'F32', shape: [4] }, { name: 'hidden', type: 'F32', shape: [4] }, { name: 'scaled', type: 'F32', shape: [4] }],
} as unknown as Graph;

test('values that follow from shapes are no part of a border: they are computed again', () => {
  assert.deepEqual([...movingValues(graph)].sort(), ['hidden', 'scaled', 'x', 'y']);
  assert.deepEqual(borderOf(graph, ['w'], ['y']).sort(), ['hidden', 'x']);
  const part = subgraph(graph, ['hidden'], ['y']);
  assert.deepEqual(part.nodes.map(({ op }) => op), ['Shape', 'ConstantOfShape', 'Mul', 'Add']);
  assert.deepEqual([...movingSources(graph, ['scaled', 'zeros'], movingValues(graph))].sort(), ['scaled', 'x']);
});

test('an output that is known from shapes outlives the session that gave it', async () => {
  const part = subgraph(graph, [], ['zeros', 'hidden']);
  for (let i = 0; i < 20; i += 1) {
    const running = await startModel(resolveGraph(part, null, null));
    const out = await running.run(new Map([['x', { type: 'F32', shape: [4], data: Float32Array.of(1, -1, 2, -2) }]]));
    await running.close();
    assert.deepEqual([...out.get('zeros')!.data as Float32Array], [0, 0, 0, 0]);
    assert.deepEqual([...out.get('hidden')!.data as Float32Array], [1, 0, 2, 0]);
  }
});
