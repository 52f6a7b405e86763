/** Formats as operators against the formats themselves: equal to the bit, whatever the values. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { isBlockScaled, type BlockScaledFormat } from '../../../kernels/formats/format';
import { parseFormat } from '../../../kernels/formats/registry';
import { activationProblem, fakeQuantize, type ChannelPlace, type FixedScale } from '../../../kernels/graph/fake-quantize';
import type { Graph } from '../../../kernels/graph/graph';
import { Insertion } from '../../../kernels/graph/insert';
import { resolveGraph } from '../../../kernels/graph/resolve';
import { Random } from '../../../kernels/numerics/random';
import { startModel } from '../../../kernels/run/run-model';

const blockScaled = (id: string): BlockScaledFormat => { const format = parseFormat(id); assert.ok(isBlockScaled(format)); return format; };

/** Values of every size: small and large, ties, powers of two and their neighbours, zeros, whole rows of zeros. */
function awkward(count: number, cols: number, seed: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, (_, i) => {
    if (Math.floor(i / cols) % 7 === 3) return 0;
    const pick = random.uniform();
    const power = 2 ** (Math.floor(random.uniform() * 24) - 12);
    if (pick < 0.1) return 0;
    if (pick < 0.3) return (random.uniform() < 0.5 ? -1 : 1) * power;
    if (pick < 0.4) return Math.fround(power) * (1 + 2 ** -23) * (random.uniform() < 0.5 ? -1 : 1);
    if (pick < 0.5) return Math.floor(random.uniform() * 40 - 20) / 2;
    return (random.uniform() * 2 - 1) * power;
  });
}

async function rounded(format: BlockScaledFormat, place: ChannelPlace, fixed: FixedScale | null, shape: number[], data: Float32Array, opset: number): Promise<Float32Array> {
  const graph: Graph = { name: 'rounding', opset, inputs: [{ name: 'x', type: 'F32', shape }], outputs: [{ name: 'y', type: 'F32', shape }], nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'], module: '' }], initializers: [] };
  const insertion = new Insertion(graph, 'r');
  insertion.replaceInput(graph.nodes[0]!, 0, (value) => fakeQuantize(insertion.emitter, value, format, place, fixed));
  const running = await startModel(resolveGraph(insertion.finish(), null, null), 1);
  try { return (await running.run(new Map([['x', { type: 'F32', shape, data }]]))).get('y')!.data.slice() as Float32Array; } finally { await running.close(); }
}

/** Zeros of either sign are one value. */
function equal(actual: Float32Array, expected: Float32Array, what: string): void {
  for (let i = 0; i < expected.length; i += 1) assert.ok(actual[i] === expected[i], `${what}: value ${i} is ${actual[i]}, the format gives ${expected[i]}`);
}

const ELEMENTS = ['int8-sym', 'int8-symr', 'int8-asym', 'int4-sym', 'int4-asym', 'int2-asym', 'fp8-e4m3', 'fp8-e5m2', 'fp8-e4m3-fnuz', 'fp6-e3m2', 'fp4-e2m1', 'int16-sym'];
for (const element of ELEMENTS) {
  test(`${element} as operators: a scale for each token, each group and each sample`, async () => {
    const [n, t, c] = [3, 7, 64];
    const data = awkward(n * t * c, c, 1);
    for (const opset of [17, 18]) {
      const perToken = blockScaled(`${element}-channel`);
      equal(await rounded(perToken, 'last', null, [n, t, c], data, opset), perToken.decode(perToken.encode(data, { rows: n * t, cols: c }, 'absmax')), `${perToken.id}, opset ${opset}`);
      const grouped = blockScaled(`${element}-g16`);
      equal(await rounded(grouped, 'last', null, [n, t, c], data, opset), grouped.decode(grouped.encode(data, { rows: n * t, cols: c }, 'absmax')), grouped.id);
    }
    for (const [place, id] of [['last', 'tensor'], ['second', 'tensor'], ['second', 'channel']] as const) {
      const format = blockScaled(`${element}-${id}`);
      const expected = Array.from({ length: n }, (_, i) => Array.from(format.decode(format.encode(data.slice(i * t * c, (i + 1) * t * c), { rows: 1, cols: t * c }, 'absmax')))).flat();
      equal(await rounded(format, place, null, [n, t, 8, 8], data, 17), Float32Array.from(expected), `${format.id}, ${place}`);
    }
  });
}

for (const id of ['int8-sym-g32-sf16', 'int8-sym-g32-sp2floor', 'int4-sym-g32-sp2up', 'int8-sym-g32-sp2near', 'fp4-e2m1-g32-sp2even', 'fp8-e4m3-g32-sp2floor', 'mxfp4', 'mxfp8-e4m3', 'mxfp8-e5m2', 'mxfp6-e3m2', 'mxint8', 'mxfp4-even', 'mxfp4-ceil', 'nvfp4', 'fp16', 'bf16']) {
  test(`${id}: scales are stored as the format stores them`, async () => {
    const format = blockScaled(id);
    const [rows, cols] = [14, 64];
    const data = awkward(rows * cols, cols, 2);
    equal(await rounded(format, 'last', null, [1, rows, cols], data, 17), format.decode(format.encode(data, { rows, cols }, 'absmax')), id);
  });
}

test('a scale found beforehand is used for all values, which clip beyond it', async () => {
  const format = blockScaled('int8-asym-tensor');
  const data = awkward(640, 64, 3);
  const fixed = format.scaleOf(-3, 5, 1);
  const made = await rounded(format, 'last', fixed, [10, 64], data, 17);
  equal(made, format.decode(format.encodeWith(data, { rows: 1, cols: 640 }, { scales: Float32Array.of(fixed.scale), zeroPoints: Int32Array.of(fixed.zeroPoint) })), format.id);
  assert.ok(Math.max(...made) <= 5.1 && Math.min(...made) >= -3.1);
});

test('formats that no operators make are refused by name', () => {
  assert.match(activationProblem(parseFormat('nf4'), 'last')!, /nf4.* is no format that activations/);
  assert.match(activationProblem(parseFormat('int8-sym-g32'), 'second')!, /groups run along the channels of tokens/);
  assert.match(activationProblem(parseFormat('int4-sym-g128-sdy16'), 'last')!, /not dy16/);
  assert.equal(activationProblem(parseFormat('int8-sym-g32'), 'last'), null);
});
