/** A walk sees the same values however little of them it may keep. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Graph } from '../../../kernels/graph/graph';
import { Random } from '../../../kernels/numerics/random';
import type { Feed } from '../../../kernels/run/feed';
import { PreparedModel } from '../../../kernels/run/prepared-model';
import type { NamedArray } from '../../../kernels/run/run-model';
import { Walk } from '../../../kernels/run/walk';
import { temporarySafetensors } from '../../support/temporary-safetensors';

const SIZE = 4;
const NODES = ['first', 'second', 'third'];
/** Three products with a rectifier after each, the input added at the end: a value that lives through the whole walk. */
const GRAPH: Graph = {
  name: 'walk', opset: 20, inputs: [{ name: 'x', type: 'F32', shape: ['batch', SIZE] }], outputs: [{ name: 'y', type: 'F32', shape: ['batch', SIZE] }],
  nodes: [
    ...NODES.flatMap((name, i) => [
      { op: 'MatMul', inputs: [i === 0 ? 'x' : `act${i - 1}`, name], outputs: [`product${i}`], module: name },
      { op: 'Relu', inputs: [`product${i}`], outputs: [`act${i}`], module: name },
    ]),
    { op: 'Add', inputs: ['act2', 'x'], outputs: ['y'], module: '' },
  ],
  values: NODES.flatMap((_, i) => [`product${i}`, `act${i}`]).map((name) => ({ name, type: 'F32' as const, shape: ['batch', SIZE] })),
  initializers: NODES.map((name) => ({ name, type: 'F32', shape: [SIZE, SIZE], data: { checkpoint: name } })),
};

test('batches that are not kept are run anew, with the weights as they are by then', async (t) => {
  const random = new Random(11);
  const values = (count: number): Float32Array => Float32Array.from({ length: count }, () => random.normal());
  const model = await PreparedModel.open(GRAPH, await temporarySafetensors(t, NODES.map((name) => ({ name, shape: [SIZE, SIZE], values: values(SIZE * SIZE) }))), 1);
  t.after(() => { model.close(); });
  const data = values(6 * SIZE);
  const feed = { inputs: (indices: readonly number[]) => new Map<string, NamedArray>([['x', { type: 'F32', shape: [indices.length, SIZE], data: Float32Array.from(indices.flatMap((i) => [...data.subarray(i * SIZE, (i + 1) * SIZE)])) }]]) } as unknown as Feed;
  const changed = NODES.map(() => values(SIZE * SIZE));

  /** What each stop sees of each batch, the weights behind it being others. */
  const seen = async (memory: number): Promise<number[][]> => {
    const walk = new Walk(model, feed, [[0, 1], [2, 3], [4, 5]], memory);
    const replaced = new Map<string, Float32Array>();
    const found: number[][] = [];
    for (const [i, name] of NODES.entries()) {
      const input = i === 0 ? 'x' : `act${i - 1}`;
      await walk.to(2 * i, [input], replaced, (arrays, batch) => { found.push([i, batch, ...arrays.get(input)!.data as Float32Array]); return Promise.resolve(); });
      replaced.set(name, changed[i]!);
    }
    return found;
  };
  const all = await seen(Infinity);
  assert.equal(all.length, 9);
  // Of each batch, 32 bytes are the input and as many the values between two layers: enough for one batch, for two, for none.
  for (const memory of [0, 32, 64, 100, 130]) assert.deepEqual(await seen(memory), all, `${memory} bytes`);
});
