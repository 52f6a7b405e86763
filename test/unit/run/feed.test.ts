/** Which input samples go to, and how: layout and type of the model's, other inputs made up. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Dataset } from '../../../kernels/data/data';
import type { Graph, GraphValue } from '../../../kernels/graph/graph';
import { Feed } from '../../../kernels/run/feed';
import type { NamedArray } from '../../../kernels/run/run-model';

const graphOf = (...inputs: GraphValue[]): Graph => ({ name: 'g', opset: 17, inputs, outputs: [], nodes: [], initializers: [] });
const value = (name: string, shape: (number | string)[], type: GraphValue['type'] = 'F32'): GraphValue => ({ name, type, shape });
/** Samples that count up from 0. */
function counting(shape: readonly number[], whole = false, scale = 1): Dataset {
  const per = shape.reduce((a, b) => a * b, 1);
  return {
    title: 'counting', count: 8, hasLabels: false, sample: { shape, whole }, labels: () => { throw new Error('none'); }, close: () => undefined,
    inputs: (indices: readonly number[]): NamedArray => {
      const values = indices.flatMap((index) => Array.from({ length: per }, (_, i) => index * per + i));
      return { type: whole ? 'I64' : 'F32', shape: [indices.length, ...shape], data: whole ? BigInt64Array.from(values, BigInt) : Float32Array.from(values, (each) => each * scale) };
    },
  } as unknown as Dataset;
}
const fed = (graph: Graph, data: Dataset, indices = [0]): Record<string, NamedArray> => Object.fromEntries(new Feed(graph, data).inputs(indices));

test('pictures go to a model with its channels last as it wants them; a shape that fits as it is stays', () => {
  const { x } = fed(graphOf(value('x', ['n', 2, 2, 3])), counting([3, 2, 2]));
  assert.deepEqual([x!.shape, [...x!.data]], [[1, 2, 2, 3], [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]]);
  assert.deepEqual(fed(graphOf(value('x', ['n', 3, 2, 2])), counting([3, 2, 2])).x!.shape, [1, 3, 2, 2]);
  assert.throws(() => new Feed(graphOf(value('x', ['n', 4, 4, 3])), counting([3, 2, 2])), /takes samples of shape \[4, 4, 3\]/);
});

test('bytes are taken as bytes, and fractions are refused', () => {
  const { x } = fed(graphOf(value('x', ['n', 4], 'U8')), counting([4]));
  assert.deepEqual([x!.type, [...x!.data]], ['U8', [0, 1, 2, 3]]);
  assert.throws(() => fed(graphOf(value('x', ['n', 4], 'U8')), counting([4], false, 0.5)), /takes bytes as "x", and the samples hold 0\.5: give them without scale/);
});

test('samples go to the input they fit; masks, positions and an empty cache are made up in the sizes of the data', () => {
  const graph = graphOf(
    value('token_type_ids', ['b', 's'], 'I64'), value('input_ids', ['b', 's'], 'I64'), value('attention_mask', ['b', 'past_length + s'], 'I64'), value('position_ids', ['b', 's'], 'I32'),
    value('past_key_values.0.key', ['b', 2, 'past_length', 8]), value('use_cache_branch', [1], 'BOOL'),
  );
  const inputs = fed(graph, counting([3], true), [1, 2]);
  const shown = Object.fromEntries(Object.entries(inputs).map(([name, { type, shape, data }]) => [name, [type, shape, [...data as Iterable<number | bigint>].map(Number)]]));
  assert.deepEqual(shown, {
    token_type_ids: ['I64', [2, 3], [0, 0, 0, 0, 0, 0]], input_ids: ['I64', [2, 3], [3, 4, 5, 6, 7, 8]], attention_mask: ['I64', [2, 3], [1, 1, 1, 1, 1, 1]], position_ids: ['I32', [2, 3], [0, 1, 2, 0, 1, 2]],
    'past_key_values.0.key': ['F32', [2, 2, 0, 8], []], use_cache_branch: ['BOOL', [1], [0]],
  });
  assert.throws(() => fed(graphOf(value('x', ['n', 4]), value('temperature', [1])), counting([4])), /also takes "temperature", for which the data has nothing/);
});

test('a model with a batch of its own is given the last sample again', () => {
  const feed = new Feed(graphOf(value('x', [3, 2])), counting([2]));
  assert.deepEqual(feed.batches([0, 1, 2, 3]), [[0, 1, 2], [3]]);
  assert.deepEqual([...feed.inputs([3]).get('x')!.data], [6, 7, 6, 7, 6, 7]);
});
