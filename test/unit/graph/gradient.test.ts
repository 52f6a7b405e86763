/**
 * Every rule against central differences of fourth order. The loss is a sum of all outputs with random weights, so that no
 * gradient vanishes by symmetry. Each case runs with the sizes known, and again with sizes that are known when it runs only.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { GraphEmitter } from '../../../kernels/graph/emitter';
import { emitGradients, gradientGraph } from '../../../kernels/graph/gradient/gradient';
import { differentiableOperators } from '../../../kernels/graph/gradient/rule';
import type { Attribute, Graph, GraphDim } from '../../../kernels/graph/graph';
import type { OnnxType } from '../../../kernels/graph/onnx-types';
import { resolveGraph } from '../../../kernels/graph/resolve';
import { startModel, type NamedArray } from '../../../kernels/run/run-model';
import { Random } from '../../../kernels/numerics/random';

interface Operand {
  readonly shape: readonly number[];
  /** Given: a constant, which gets no gradient. */
  readonly values?: readonly number[];
  readonly type?: OnnxType;
  /** Range of random values. */
  readonly from?: number;
  readonly to?: number;
  /** The shape is known in both runs: that of a weight. */
  readonly fixed?: boolean;
  /** All values apart from each other by at least 0.2, so that no difference steps over a tie. */
  readonly apart?: boolean;
}
interface Case {
  readonly op: string;
  readonly name?: string;
  readonly inputs: readonly (Operand | null)[];
  readonly outputs: readonly (readonly number[])[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Types of outputs that are not float. */
  readonly types?: readonly OnnxType[];
  /** Sizes have to be known. */
  readonly known?: boolean;
  readonly opset?: number;
}
const tensor = (...shape: number[]): Operand => ({ shape });
const between = (from: number, to: number, ...shape: number[]): Operand => ({ shape, from, to });
const weight = (...shape: number[]): Operand => ({ shape, fixed: true });
const apart = (...shape: number[]): Operand => ({ shape, apart: true });
const ints = (...values: number[]): Operand => ({ shape: [values.length], values, type: 'I64' });
const indices = (shape: number[], ...values: number[]): Operand => ({ shape, values, type: 'I64' });
const int = (value: number): Attribute => ({ int: value });
const list = (...values: number[]): Attribute => ({ ints: values });
const text = (value: string): Attribute => ({ text: value });
const unary = (names: string, from = -2, to = 2, attributes: Case['attributes'] = {}): Case[] => names.split(' ').map((op) => ({ op, inputs: [between(from, to, 3, 4)], outputs: [[3, 4]], attributes }));
const conv = (name: string, x: number[], w: number[], out: number[], attributes: Case['attributes'], bias = true): Case => ({ op: 'Conv', name, inputs: [tensor(...x), weight(...w), ...(bias ? [weight(w[0]!)] : [])], outputs: [out], attributes });
const convT = (name: string, x: number[], w: number[], out: number[], attributes: Case['attributes']): Case => ({ op: 'ConvTranspose', name, inputs: [tensor(...x), weight(...w), weight(out[1]!)], outputs: [out], attributes });

const CASES: readonly Case[] = [
  ...unary('Identity Neg Exp Sin Cos Tanh Sigmoid Erf Softplus Softsign Mish Sinh Cosh Asinh Atan HardSwish'),
  ...unary('Sqrt Reciprocal Log', 0.5, 3), ...unary('Acosh', 1.5, 3), ...unary('Asin Acos Atanh', -0.7, 0.7), ...unary('Tan', -1, 1), ...unary('Abs Relu LeakyRelu Elu Celu Selu ThresholdedRelu', 0.3, 0.8), ...unary('Abs Relu LeakyRelu Elu Celu Selu', -0.8, -0.3),
  ...unary('HardSwish', 3.2, 5), ...unary('HardSwish', -5, -3.2), ...unary('HardSigmoid', -2, 2, { alpha: { float: 0.2 }, beta: { float: 0.5 } }), ...unary('HardSigmoid', 3, 4), ...unary('Celu', -2, -0.3, { alpha: { float: 2 } }),
  ...unary('Shrink', 0.7, 2, { lambd: { float: 0.5 }, bias: { float: 0.5 } }), ...unary('Shrink', -0.3, 0.3, { lambd: { float: 0.5 } }),
  ...unary('Gelu', -2, 2, { approximate: text('none') }), ...unary('Gelu', -2, 2, { approximate: text('tanh') }),
  { op: 'Dropout', inputs: [tensor(2, 3)], outputs: [[2, 3]] },
  { op: 'PRelu', inputs: [between(0.2, 1, 2, 3, 2), tensor(3, 1)], outputs: [[2, 3, 2]] },
  { op: 'PRelu', name: 'below zero', inputs: [between(-1, -0.2, 2, 3, 2), tensor(3, 1)], outputs: [[2, 3, 2]] },
  ...['Add', 'Sub', 'Mul'].map((op): Case => ({ op, inputs: [tensor(2, 1, 4), tensor(3, 1)], outputs: [[2, 3, 4]] })),
  { op: 'Div', inputs: [tensor(2, 3, 4), between(0.5, 2, 1, 4)], outputs: [[2, 3, 4]] },
  { op: 'Add', name: 'of a scalar', inputs: [tensor(2, 3), tensor()], outputs: [[2, 3]] },
  { op: 'Mul', name: 'of one value with itself', inputs: [tensor(2, 3)], outputs: [[2, 3]] },
  { op: 'Sum', inputs: [tensor(2, 3), tensor(3), tensor(2, 1)], outputs: [[2, 3]] }, { op: 'Mean', inputs: [tensor(2, 3), tensor(3), tensor(2, 1)], outputs: [[2, 3]] },
  { op: 'Mod', inputs: [between(2.3, 2.4, 2, 3), between(0.9, 1, 3)], outputs: [[2, 3]], attributes: { fmod: int(1) } },
  { op: 'Pow', inputs: [between(0.5, 2, 2, 3), between(-1, 3, 3)], outputs: [[2, 3]] },
  { op: 'Pow', name: 'of negative numbers', inputs: [between(-2, -0.5, 2, 3), { shape: [], values: [3], type: 'F32' }], outputs: [[2, 3]] },
  { op: 'Max', inputs: [apart(2, 3), between(-0.05, 0.05, 3)], outputs: [[2, 3]] }, { op: 'Min', inputs: [apart(2, 3), between(-0.05, 0.05, 3)], outputs: [[2, 3]] },
  { op: 'Clip', inputs: [apart(3, 4), { shape: [], values: [-0.5], type: 'F32' }, { shape: [], values: [0.7], type: 'F32' }], outputs: [[3, 4]] },
  { op: 'Clip', name: 'moving ends', inputs: [apart(3, 4), { ...tensor(), from: -0.71, to: -0.7 }, { ...tensor(), from: 0.7, to: 0.71 }], outputs: [[3, 4]] },
  { op: 'Where', inputs: [{ shape: [3, 1], values: [1, 0, 1], type: 'BOOL' }, tensor(3, 4), tensor(4)], outputs: [[3, 4]] },
  { op: 'MatMul', inputs: [tensor(2, 3, 4), weight(4, 5)], outputs: [[2, 3, 5]] }, { op: 'MatMul', name: 'of many', inputs: [tensor(2, 1, 3, 4), tensor(5, 4, 2)], outputs: [[2, 5, 3, 2]] },
  { op: 'MatMul', name: 'of a vector on the left', inputs: [tensor(4), tensor(2, 4, 3)], outputs: [[2, 3]] }, { op: 'MatMul', name: 'of a vector on the right', inputs: [tensor(2, 3, 4), tensor(4)], outputs: [[2, 3]] },
  { op: 'MatMul', name: 'of two vectors', inputs: [tensor(4), tensor(4)], outputs: [[]] },
  ...[0, 1].flatMap((a) => [0, 1].map((b): Case => ({ op: 'Gemm', name: `transA ${a} transB ${b}`, inputs: [tensor(...(a ? [4, 3] : [3, 4])), tensor(...(b ? [5, 4] : [4, 5])), tensor(5)], outputs: [[3, 5]], attributes: { transA: int(a), transB: int(b), alpha: { float: 0.5 }, beta: { float: 2 } } }))),
  { op: 'Softmax', inputs: [tensor(3, 4)], outputs: [[3, 4]], attributes: { axis: int(-1) } }, { op: 'Softmax', name: 'axis 1', inputs: [tensor(2, 3, 2)], outputs: [[2, 3, 2]], attributes: { axis: int(1) } },
  { op: 'LogSoftmax', inputs: [tensor(2, 3, 2)], outputs: [[2, 3, 2]], attributes: { axis: int(1) } },
  ...['ReduceSum', 'ReduceMean', 'ReduceL2', 'ReduceSumSquare', 'ReduceLogSumExp', 'ReduceL1'].flatMap((op): Case[] => [
    { op, inputs: [between(0.3, 2, 2, 3, 4), ints(-1, 0)], outputs: [[1, 3, 1]] }, { op, name: 'not kept', inputs: [between(0.3, 2, 2, 3, 4), ints(1)], outputs: [[2, 4]], attributes: { keepdims: int(0) } },
  ]),
  { op: 'ReduceLogSum', inputs: [between(0.5, 2, 2, 3), ints(1)], outputs: [[2, 1]] }, { op: 'ReduceProd', inputs: [between(0.5, 2, 2, 3), ints(1)], outputs: [[2, 1]] },
  { op: 'ReduceMean', name: 'over everything', inputs: [tensor(2, 3)], outputs: [[]], attributes: { keepdims: int(0) } }, { op: 'ReduceMean', name: 'axes as attribute', inputs: [tensor(2, 3)], outputs: [[2]], attributes: { keepdims: int(0), axes: list(1) }, opset: 17 },
  { op: 'ReduceMax', inputs: [apart(2, 3, 4), ints(1, 2)], outputs: [[2]], attributes: { keepdims: int(0) } }, { op: 'ReduceMin', inputs: [apart(2, 3, 4), ints(1)], outputs: [[2, 1, 4]] },
  ...[0, 1].flatMap((exclusive) => [0, 1].map((reverse): Case => ({ op: 'CumSum', name: `exclusive ${exclusive} reverse ${reverse}`, inputs: [tensor(3, 4), { shape: [], values: [1], type: 'I64' }], outputs: [[3, 4]], attributes: { exclusive: int(exclusive), reverse: int(reverse) } }))),
  { op: 'Trilu', inputs: [tensor(3, 4), { shape: [], values: [1], type: 'I64' }], outputs: [[3, 4]], attributes: { upper: int(0) } },
  { op: 'Reshape', inputs: [tensor(2, 3, 4), ints(4, -1)], outputs: [[4, 6]] }, { op: 'Flatten', inputs: [tensor(2, 3, 4)], outputs: [[2, 12]] },
  { op: 'Squeeze', inputs: [tensor(2, 1, 4), ints(1)], outputs: [[2, 4]] }, { op: 'Unsqueeze', inputs: [tensor(2, 4), ints(0, 2)], outputs: [[1, 2, 1, 4]] },
  { op: 'Expand', inputs: [tensor(3, 1), ints(2, 3, 4)], outputs: [[2, 3, 4]] }, { op: 'Transpose', inputs: [tensor(2, 3, 4)], outputs: [[4, 2, 3]], attributes: { perm: list(2, 0, 1) } }, { op: 'Transpose', name: 'reversed', inputs: [tensor(2, 3, 4)], outputs: [[4, 3, 2]] },
  { op: 'Concat', inputs: [tensor(2, 3), tensor(2, 1), tensor(2, 2)], outputs: [[2, 6]], attributes: { axis: int(-1) } },
  { op: 'Split', inputs: [tensor(2, 6), ints(1, 2, 3)], outputs: [[2, 1], [2, 2], [2, 3]], attributes: { axis: int(1) } },
  { op: 'Slice', inputs: [tensor(5, 4), ints(1), ints(3), ints(0), ints(1)], outputs: [[2, 4]] }, { op: 'Slice', name: 'from the end', inputs: [tensor(5, 4), ints(-3, 1), ints(9_007_199_254_740_991, -1), ints(0, 1), ints(1, 1)], outputs: [[3, 2]] },
  { op: 'Slice', name: 'in steps', inputs: [tensor(5, 4), ints(1), ints(5), ints(0), ints(2)], outputs: [[2, 4]] }, { op: 'Slice', name: 'backwards', inputs: [tensor(5, 4), ints(-1, 3), ints(-9_007_199_254_740_991, -5), ints(0, 1), ints(-2, -1)], outputs: [[3, 4]] },
  { op: 'Pad', inputs: [tensor(3, 4), ints(1, 0, 2, 1)], outputs: [[6, 5]] }, { op: 'Pad', name: 'cutting', inputs: [tensor(3, 4), ints(-1, 0, 2, -1)], outputs: [[4, 3]] },
  ...['reflect', 'edge', 'wrap'].map((mode): Case => ({ op: 'Pad', name: mode, inputs: [tensor(2, 3, 4), ints(0, 1, 2, 0, 2, 1)], outputs: [[2, 6, 7]], attributes: { mode: text(mode) } })),
  { op: 'Gather', inputs: [tensor(5, 3), indices([2, 2], 1, 4, 1, -1)], outputs: [[2, 2, 3]] }, { op: 'Gather', name: 'axis 1', inputs: [tensor(2, 4, 3), indices([2], 3, 3)], outputs: [[2, 2, 3]], attributes: { axis: int(1) } },
  { op: 'Gather', name: 'one place of the last axis', inputs: [tensor(2, 4), indices([], -2)], outputs: [[2]], attributes: { axis: int(-1) } },
  { op: 'GatherElements', inputs: [tensor(2, 4), indices([2, 3], 1, 1, 3, 0, 2, 0)], outputs: [[2, 3]], attributes: { axis: int(1) } },
  { op: 'GatherND', inputs: [tensor(3, 4), indices([3, 2], 0, 1, 2, 3, 0, 1)], outputs: [[3]] }, { op: 'GatherND', name: 'of slices', inputs: [tensor(3, 4), indices([2, 1], 2, 0)], outputs: [[2, 4]] },
  { op: 'ScatterND', inputs: [tensor(4, 3), indices([2, 1], 3, 1), tensor(2, 3)], outputs: [[4, 3]] }, { op: 'ScatterND', name: 'adding', inputs: [tensor(4, 3), indices([2, 1], 1, 1), tensor(2, 3)], outputs: [[4, 3]], attributes: { reduction: text('add') } },
  { op: 'ScatterElements', inputs: [tensor(3, 3), indices([1, 3], 2, 0, 1), tensor(1, 3)], outputs: [[3, 3]] }, { op: 'ScatterElements', name: 'adding', inputs: [tensor(3, 3), indices([2, 2], 2, 0, 2, 1), tensor(2, 2)], outputs: [[3, 3]], attributes: { axis: int(0), reduction: text('add') } },
  { op: 'TopK', inputs: [apart(2, 4), ints(2)], outputs: [[2, 2], [2, 2]], attributes: { axis: int(1), largest: int(1) }, types: ['F32', 'I64'] },
  { op: 'Tile', inputs: [tensor(2, 3), ints(3, 2)], outputs: [[6, 6]] }, { op: 'Tile', name: 'an axis of one', inputs: [tensor(1, 3), ints(2, 1)], outputs: [[2, 3]] },
  { op: 'DepthToSpace', inputs: [weight(1, 8, 2, 2)], outputs: [[1, 2, 4, 4]], attributes: { blocksize: int(2) } }, { op: 'SpaceToDepth', inputs: [weight(1, 2, 4, 4)], outputs: [[1, 8, 2, 2]], attributes: { blocksize: int(2) } },
  { op: 'Einsum', inputs: [tensor(2, 3, 4), tensor(2, 5, 4)], outputs: [[2, 3, 5]], attributes: { equation: text('bid,bjd->bij') } }, { op: 'Einsum', name: 'with letters summed alone', inputs: [tensor(3, 4), tensor(4, 2)], outputs: [[2]], attributes: { equation: text('ij,jk->k') } },
  { op: 'Einsum', name: 'transposing', inputs: [tensor(3, 4)], outputs: [[4, 3]], attributes: { equation: text('ij->ji') } },
  { op: 'Einsum', name: 'with an ellipsis', inputs: [tensor(2, 3, 4), tensor(4, 5)], outputs: [[2, 3, 5]], attributes: { equation: text('...d,de->...e') } }, { op: 'Einsum', name: 'without a result', inputs: [tensor(3, 4), tensor(4, 2)], outputs: [[3, 2]], attributes: { equation: text('ij,jk') } },
  { op: 'LayerNormalization', inputs: [tensor(2, 3, 4), weight(4), weight(4)], outputs: [[2, 3, 4]], attributes: { axis: int(-1), epsilon: { float: 1e-2 } } }, { op: 'LayerNormalization', name: 'two axes, no bias', inputs: [tensor(2, 3, 4), weight(3, 4)], outputs: [[2, 3, 4]], attributes: { axis: int(1), epsilon: { float: 1e-2 } } },
  { op: 'BatchNormalization', inputs: [tensor(2, 3, 2, 2), weight(3), weight(3), weight(3), { ...weight(3), from: 0.5, to: 2 }], outputs: [[2, 3, 2, 2]], attributes: { epsilon: { float: 1e-2 } } }, { op: 'BatchNormalization', name: 'of vectors', inputs: [tensor(4, 3), weight(3), weight(3), weight(3), { ...weight(3), from: 0.5, to: 2 }], outputs: [[4, 3]] },
  { op: 'InstanceNormalization', inputs: [tensor(2, 3, 4), weight(3), weight(3)], outputs: [[2, 3, 4]], attributes: { epsilon: { float: 1e-2 } } },
  { op: 'GroupNormalization', inputs: [{ ...tensor(2, 4, 3, 2), fixed: true }, weight(4), weight(4)], outputs: [[2, 4, 3, 2]], attributes: { num_groups: int(2), epsilon: { float: 1e-2 } }, opset: 21 },
  { op: 'GroupNormalization', name: 'scales of groups', inputs: [{ ...tensor(2, 4, 3), fixed: true }, weight(2), weight(2)], outputs: [[2, 4, 3]], attributes: { num_groups: int(2), epsilon: { float: 1e-2 } }, opset: 18 },
  conv('3 x 3', [2, 2, 5, 4], [3, 2, 3, 3], [2, 3, 5, 4], { pads: list(1, 1, 1, 1) }), conv('1 x 1', [2, 3, 2, 3], [4, 3, 1, 1], [2, 4, 2, 3], {}, false),
  conv('strided', [1, 2, 6, 5], [3, 2, 3, 2], [1, 3, 3, 3], { pads: list(1, 0, 0, 1), strides: list(2, 2) }), conv('1 x 1 strided', [1, 2, 4, 5], [3, 2, 1, 1], [1, 3, 2, 3], { strides: list(2, 2) }),
  conv('dilated', [1, 2, 6], [2, 2, 3], [1, 2, 4], { pads: list(1, 1), dilations: list(2) }), conv('strided and dilated', [1, 1, 8], [2, 1, 2], [1, 2, 3], { strides: list(2), dilations: list(3) }),
  conv('in groups', [2, 4, 4, 3], [6, 2, 2, 2], [2, 6, 3, 2], { group: int(2) }), conv('depthwise', [2, 3, 4, 4], [3, 1, 3, 3], [2, 3, 2, 2], { group: int(3), strides: list(2, 2), pads: list(1, 1, 1, 1) }),
  conv('depthwise with a multiplier', [1, 2, 5], [4, 1, 3], [1, 4, 3], { group: int(2) }), conv('3 dimensions', [1, 2, 3, 3, 2], [2, 2, 2, 2, 2], [1, 2, 2, 2, 1], {}),
  convT('plain', [1, 3, 3, 2], [3, 2, 3, 3], [1, 2, 5, 4], {}), convT('strided', [2, 2, 3, 3], [2, 3, 2, 2], [2, 3, 6, 6], { strides: list(2, 2) }),
  convT('with output padding', [1, 2, 3], [2, 2, 3], [1, 2, 6], { strides: list(2), pads: list(1, 1), output_padding: list(1) }), convT('in groups', [1, 4, 3], [4, 2, 3], [1, 4, 5], { group: int(2) }),
  { op: 'MaxPool', inputs: [apart(1, 2, 4, 4)], outputs: [[1, 2, 2, 2]], attributes: { kernel_shape: list(2, 2), strides: list(2, 2) } }, { op: 'MaxPool', name: 'overlapping', inputs: [apart(2, 1, 5, 4)], outputs: [[2, 1, 3, 2]], attributes: { kernel_shape: list(3, 3), strides: list(2, 2), pads: list(1, 1, 1, 1) } },
  { op: 'AveragePool', inputs: [tensor(1, 2, 4, 4)], outputs: [[1, 2, 2, 2]], attributes: { kernel_shape: list(2, 2), strides: list(2, 2) } }, { op: 'AveragePool', name: 'overlapping, padding counts', inputs: [tensor(2, 1, 5, 4)], outputs: [[2, 1, 3, 2]], attributes: { kernel_shape: list(3, 3), strides: list(2, 2), pads: list(1, 1, 1, 1), count_include_pad: int(1) } },
  { op: 'AveragePool', name: 'overlapping, padding does not count', inputs: [tensor(2, 1, 5, 4)], outputs: [[2, 1, 3, 2]], attributes: { kernel_shape: list(3, 3), strides: list(2, 2), pads: list(1, 1, 1, 1) } }, { op: 'AveragePool', name: 'a rest that no window reaches', inputs: [tensor(1, 2, 5)], outputs: [[1, 2, 2]], attributes: { kernel_shape: list(2), strides: list(2) } },
  { op: 'GlobalAveragePool', inputs: [tensor(2, 3, 2, 3)], outputs: [[2, 3, 1, 1]] }, { op: 'GlobalMaxPool', inputs: [apart(2, 3, 2, 3)], outputs: [[2, 3, 1, 1]] },
  { op: 'Resize', inputs: [tensor(1, 2, 3, 2), null, null, ints(1, 2, 6, 4)], outputs: [[1, 2, 6, 4]], attributes: { mode: text('nearest'), coordinate_transformation_mode: text('asymmetric'), nearest_mode: text('floor') } },
  ...['pytorch_half_pixel', 'align_corners'].map((mode): Case => ({ op: 'Resize', name: mode, inputs: [tensor(1, 2, 3, 4), null, null, ints(1, 2, 5, 2)], outputs: [[1, 2, 5, 2]], attributes: { mode: text('linear'), coordinate_transformation_mode: text(mode) } })),
  { op: 'Resize', name: 'by factors', inputs: [weight(1, 1, 4, 4), null, { shape: [4], values: [1, 1, 1.5, 0.5], type: 'F32' }], outputs: [[1, 1, 6, 2]], attributes: { mode: text('linear'), coordinate_transformation_mode: text('half_pixel') } },
  { op: 'Cast', inputs: [tensor(2, 3)], outputs: [[2, 3]], attributes: { to: int(1) } },
];

const typed = (type: OnnxType, values: readonly number[]): NamedArray['data'] => (type === 'I64' ? BigInt64Array.from(values, (value) => BigInt(value)) : type === 'BOOL' ? Uint8Array.from(values) : Float32Array.from(values));
const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

function valuesOf(operand: Operand, next: () => number): number[] {
  if (operand.values) return [...operand.values];
  const count = size(operand.shape);
  if (operand.apart) return Array.from({ length: count }, (_, i) => i).map((i) => ({ i, key: next() })).sort((a, b) => a.key - b.key).map(({ i }) => (i - count / 2 + 0.5) * 0.25);
  const [from, to] = [operand.from ?? -1, operand.to ?? 1];
  return Array.from({ length: count }, () => from + (to - from) * next());
}

async function check(each: Case, free: boolean): Promise<void> {
  const random = new Random(7);
  const next = (): number => random.uniform();
  const dims = (operand: Operand): GraphDim[] => operand.shape.map((dim) => (free && !operand.fixed && !operand.values ? `n${dim}` : dim));
  const given = each.inputs.map((operand, i) => (operand ? { name: `x${i}`, operand, values: valuesOf(operand, next) } : null));
  const names = given.map((one) => one?.name ?? '');
  const nodeInputs = each.name === 'of one value with itself' ? ['x0', 'x0'] : names;
  const present = given.filter((one) => one !== null);
  const constants = present.filter(({ operand }) => operand.values && (operand.type === 'I64' || operand.type === 'F32'));
  const types = each.outputs.map((_, i) => each.types?.[i] ?? 'F32');
  const outDims = (shape: readonly number[]): GraphDim[] => shape.map((dim) => (free && each.inputs.some((operand) => operand && !operand.fixed && !operand.values) ? `n${dim}` : dim));
  const graph: Graph = {
    name: 'case', opset: each.opset ?? 20,
    inputs: present.filter((one) => !constants.includes(one)).map(({ name, operand }) => ({ name, type: operand.type ?? 'F32', shape: dims(operand) })),
    initializers: constants.map(({ name, operand, values }) => ({ name, type: operand.type!, shape: operand.shape, data: { values } })),
    outputs: each.outputs.map((shape, i) => ({ name: `y${i}`, type: types[i]!, shape: outDims(shape) })),
    nodes: [{ op: each.op, inputs: nodeInputs, outputs: each.outputs.map((_, i) => `y${i}`), module: 'layer', ...(each.attributes ? { attributes: each.attributes } : {}) }],
  };
  const floats = each.outputs.map((shape, i) => ({ shape, name: `y${i}`, type: types[i] })).filter(({ type }) => type === 'F32');
  const factors = floats.map(({ shape }) => Array.from({ length: size(shape) }, () => next() * 2 - 1));
  const wrt = present.filter(({ operand }) => !operand.values).map(({ name }) => name);
  const g = new GraphEmitter(graph);
  const losses = floats.map(({ name, shape }, i) => {
    const product = g.mul(name, g.constant('F32', shape, factors[i]!));
    return g.reduceSum(product, shape.map((_, axis) => axis), false);
  });
  const loss = g.sum(losses);
  const gradients = emitGradients(g, loss, wrt);
  const running = await startModel(resolveGraph(g.finish([...new Set([loss, ...gradients.values()])]), null, null), 1);
  const forward = await startModel(resolveGraph(graph, null, null), 1);
  const arrays = (): Map<string, NamedArray> => new Map(present.filter((one) => !constants.includes(one)).map(({ name, operand, values }) => [name, { type: operand.type ?? 'F32', shape: operand.shape, data: typed(operand.type ?? 'F32', values) }]));
  const lossAt = async (): Promise<number> => {
    const made = await forward.run(arrays());
    return floats.reduce((total, { name }, k) => total + (made.get(name)!.data as Float32Array).reduce((sum, value, i) => sum + value * factors[k]![i]!, 0), 0);
  };
  const results = await running.run(arrays());
  const step = 2 ** -5;
  for (const name of wrt) {
    const one = present.find((other) => other.name === name)!;
    const found = results.get(gradients.get(name)!)!;
    assert.deepEqual(found.shape, one.operand.shape, `${name}: shape of the gradient`);
    for (let i = 0; i < one.values.length; i += 1) {
      const at = one.values[i]!;
      const moved = async (by: number): Promise<number> => { one.values[i] = at + by * step; const value = await lossAt(); one.values[i] = at; return value; };
      const difference = (8 * (await moved(1) - await moved(-1)) - (await moved(2) - await moved(-2))) / (12 * step);
      const gradient = Number(found.data[i]);
      assert.ok(Math.abs(gradient - difference) <= 2e-3 * Math.max(1, Math.abs(difference)), `${name}[${i}]: the rule gives ${gradient}, differences give ${difference}`);
    }
  }
  await running.close();
  await forward.close();
}

for (const each of CASES) {
  const title = `${each.op}${each.name ? ` (${each.name})` : ''}${each.inputs[0]?.from !== undefined ? ` on ${each.inputs[0].from}..${each.inputs[0].to}` : ''}`;
  test(`${title}: the gradient is that of differences`, async () => {
    await check(each, false);
    if (!each.known) await check(each, true);
  });
}

test('every rule has a case', () => {
  const tested = new Set(CASES.map(({ op }) => op));
  assert.deepEqual(differentiableOperators().filter((op) => !tested.has(op)), ['CastLike', 'RMSNormalization']);
});

const two = (op: string, extra: Partial<Graph> = {}): Graph => ({
  name: 'two', opset: 20, inputs: [{ name: 'x', type: 'F32', shape: [2] }], outputs: [{ name: 'loss', type: 'F32', shape: [] }], initializers: [],
  nodes: [{ op, inputs: ['x'], outputs: ['y'], module: 'encoder.rnn' }, { op: 'ReduceSum', inputs: ['y'], outputs: ['loss'], attributes: { keepdims: { int: 0 } }, module: '' }],
  values: [{ name: 'y', type: 'F32', shape: [2] }], ...extra,
});
test('an operator without a rule is named with its module', () => {
  assert.throws(() => gradientGraph(two('LSTM'), 'loss', ['x']), { message: 'no gradient is known of the operator LSTM (in module encoder.rnn)' });
});
test('a rule that does not cover a case says which', () => {
  const graph = two('Einsum', {});
  const diagonal: Graph = { ...graph, nodes: [{ ...graph.nodes[0]!, attributes: { equation: { text: 'ii->i' } } }, graph.nodes[1]!] };
  assert.throws(() => gradientGraph(diagonal, 'loss', ['x']), { message: 'the gradient of the operator Einsum (in module encoder.rnn): of a diagonal (ii->i)' });
});
test('a loss that does not depend on a value, or in steps only, is an error', () => {
  assert.throws(() => gradientGraph(two('Round'), 'loss', ['x']), { message: 'the loss "loss" does not depend on "x", or only in steps' });
});
test('a gradient is taken of one number', () => {
  assert.throws(() => gradientGraph(two('Exp'), 'y', ['x']), { message: 'the loss "y" has shape [2]; a gradient is taken of one number' });
});
test('values that are used twice get both gradients, and operators before the variable are left out', () => {
  const made = gradientGraph(two('Exp'), 'loss', ['y']);
  assert.deepEqual(made.graph.outputs.map(({ name }) => name), ['loss', made.gradients.get('y')]);
  assert.equal(made.graph.nodes.filter(({ op }) => op === 'Mul').length, 0);
});
