import assert from 'node:assert/strict';
import test from 'node:test';
import { weightLayout } from '../../../kernels/formats/blocks';
import type { Attribute, GraphNode } from '../../../kernels/graph/graph';
import { Random } from '../../../kernels/numerics/random';
import { groupsOf, MomentModel, MomentSums } from '../../../kernels/run/moments';
import { startModel } from '../../../kernels/run/run-model';
import type { LayerSite, SiteKind } from '../../../kernels/run/sites';
import { toMatrix, toStored } from '../../../kernels/run/weight-matrix';

const values = (count: number, seed: number): Float32Array => { const random = new Random(seed); return Float32Array.from({ length: count }, () => random.uniform() * 2 - 1); };
const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const ints = (...list: number[]): Attribute => ({ ints: list });

interface Case { readonly name: string; readonly kind: SiteKind; readonly op: string; readonly x: number[]; readonly kernel: number[]; readonly attributes: Record<string, Attribute>; readonly axis: number }
const CASES: readonly Case[] = [
  { name: 'linear on [N, T, K]', kind: 'linear', op: 'Gemm', x: [3, 5, 7], kernel: [4, 7], attributes: {}, axis: 0 },
  { name: 'convolution with stride, padding and dilation', kind: 'conv', op: 'Conv', x: [2, 3, 9, 8], kernel: [4, 3, 3, 2], attributes: { strides: ints(2, 1), pads: ints(1, 2, 0, 1), dilations: ints(1, 2) }, axis: 0 },
  { name: 'grouped convolution', kind: 'conv', op: 'Conv', x: [2, 4, 6, 6], kernel: [6, 2, 3, 3], attributes: { group: { int: 2 }, pads: ints(1, 1, 1, 1) }, axis: 0 },
  { name: 'depthwise convolution of one dimension', kind: 'conv', op: 'Conv', x: [2, 5, 11], kernel: [5, 1, 4], attributes: { group: { int: 5 } }, axis: 0 },
  { name: 'transposed convolution with stride', kind: 'conv-transpose', op: 'ConvTranspose', x: [2, 3, 4, 5], kernel: [3, 2, 3, 3], attributes: { strides: ints(2, 2), pads: ints(1, 1, 1, 1) }, axis: 1 },
  { name: 'grouped transposed convolution', kind: 'conv-transpose', op: 'ConvTranspose', x: [2, 4, 3, 3], kernel: [4, 3, 2, 2], attributes: { group: { int: 2 }, strides: ints(2, 2) }, axis: 1 },
];

// trace(W M W^T) is the mean square of the outputs, whatever the weight is: the operator itself is the oracle.
for (const { name, kind, op, x, kernel, attributes, axis } of CASES) {
  test(`moments of a ${name} give the power of its output, and the means its mean`, async () => {
    const node: GraphNode = { op, inputs: ['x', 'w'], outputs: ['y'], attributes, module: '' };
    const site: LayerSite = { tensor: 'w', kind, node, at: 0, input: 'x', output: 'y' };
    const groups = groupsOf(site);
    const layout = weightLayout(kernel, axis, groups);
    const [input, weight] = [values(product(x), 1), values(product(kernel), 2)];
    const model = new MomentModel(site, kernel, layout.cols, 1);
    const sums = new MomentSums(layout, groups);
    sums.add(await model.sums({ type: 'F32', shape: x, data: input }));
    await model.close();
    const inputs = sums.inputs()!;
    const running = await startModel({
      name: 'site', opset: 17, inputs: [{ name: 'x', type: 'F32', shape: kind === 'linear' ? [x[0]! * x[1]!, x[2]!] : x }], outputs: [{ name: 'y', type: 'F32', shape: kind === 'linear' ? ['a', 'b'] : x.map((_, i) => `d${i}`) }],
      nodes: [kind === 'linear' ? { ...node, attributes: { transB: { int: 1 } } } : node], initializers: [{ name: 'w', type: 'F32', shape: kernel, write: (sink) => sink(new Uint8Array(weight.buffer)) }],
    }, 1);
    const y = (await running.run(new Map([['x', { type: 'F32', shape: kind === 'linear' ? [x[0]! * x[1]!, x[2]!] : x, data: input }]]))).get('y')!;
    await running.close();
    const matrix = toMatrix(weight, layout);
    assert.deepEqual(toStored(matrix, layout), weight);
    const channels = layout.rows;
    const positions = y.data.length / channels;
    assert.equal(inputs.positions, positions);
    // Power and mean of each output channel.
    const spatial = kind === 'linear' ? 1 : product(y.shape.slice(2));
    for (let r = 0; r < channels; r += 1) {
      let [power, mean] = [0, 0];
      for (let p = 0; p < positions; p += 1) {
        const at = kind === 'linear' ? p * channels + r : (Math.floor(p / spatial) * channels + r) * spatial + (p % spatial);
        power += (y.data as Float32Array)[at]! ** 2 / positions;
        mean += (y.data as Float32Array)[at]! / positions;
      }
      const { moment, mean: of } = inputs.groups[Math.floor((r * groups) / channels)]!;
      let [expected, first] = [0, 0];
      for (let i = 0; i < layout.cols; i += 1) {
        first += matrix[r * layout.cols + i]! * of[i]!;
        for (let j = 0; j < layout.cols; j += 1) expected += matrix[r * layout.cols + i]! * moment[i * layout.cols + j]! * matrix[r * layout.cols + j]!;
      }
      assert.ok(Math.abs(expected - power) <= 1e-5 * Math.max(1, power), `channel ${r}: power ${expected} and ${power}`);
      assert.ok(Math.abs(first - mean) <= 1e-5, `channel ${r}: mean ${first} and ${mean}`);
    }
  });
}
