/**
 * The operators of onnxruntime that run a layer on a processor, each as a little model that does nothing else: what a format's
 * latency is measured on. Values are made up: none of these operators is faster for some values than for others.
 */
import type { NumberFormat } from '../formats/format';
import { isBlockScaled } from '../formats/format';
import type { Attribute, GraphNode } from '../graph/graph';
import type { OnnxType } from '../graph/onnx-types';
import type { OnnxInitializer, OnnxModel } from '../graph/write-onnx';
import { Random } from '../numerics/random';
import type { AppliedShape } from './applied-shapes';
import type { ArrayData } from './run-model';

/** An operator of one layer. Copies have weights of their own, as the layers of a model have. */
export interface Operator {
  /** What people know it by. */
  readonly name: string;
  /** Adds one copy that reads `x`; returns the value it gives. */
  emit(into: Emitting, copy: number): string;
}

const MICROSOFT = 'com.microsoft';
/** Block sizes of MatMulNBits. */
const BLOCKS = new Set([16, 32, 64, 128, 256]);
/** Blocks of a weight whose scales are one per row: the scale is repeated. */
const ROW_BLOCK = 32;
/** accuracy_level of MatMulNBits that has fast kernels: inputs are quantized to 8 bits block by block. */
const INT8_INPUTS = 4;

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** The layer as it is: float32. Null for a lookup, which computes nothing, and for a weight of a recurrent operator, which has others beside it. */
export function floatOperator(shape: AppliedShape): Operator | null {
  if (shape.kind === 'lookup' || shape.kind === 'recurrent') return null;
  if (shape.kind === 'linear') {
    const { k, n } = linearSizes(shape);
    return { name: 'MatMul, float32', emit: (into, copy) => into.node('MatMul', ['x', into.floats(`w${copy}`, [k, n])]) };
  }
  const op = shape.kind === 'conv' ? 'Conv' : 'ConvTranspose';
  return { name: `${op}, float32`, emit: (into, copy) => into.node(op, ['x', into.floats(`w${copy}`, shape.weight)], shape.attributes) };
}

/** The operator that computes with the codes of a format; null where onnxruntime has none for processors. */
export function codeOperator(format: NumberFormat, shape: AppliedShape): Operator | null {
  if (!isBlockScaled(format) || format.element.kind !== 'int' || !format.granularity || format.castScale !== 1) return null;
  const { codeBits: bits, granularity } = format;
  const perGroup = granularity.kind === 'group';
  if (shape.kind === 'conv') return bits === 8 && !perGroup ? integerConvolution(shape) : null;
  if (shape.kind !== 'linear') return null;
  if (bits === 8 && !perGroup) return dynamicProduct(shape);
  if (bits !== 4 && bits !== 8) return null;
  const { k } = linearSizes(shape);
  const block = perGroup && k % granularity.size === 0 ? granularity.size : ROW_BLOCK;
  return BLOCKS.has(block) ? blockProduct(shape, bits, block) : null;
}

const linearSizes = ({ input, output }: AppliedShape): { m: number; k: number; n: number } => {
  const k = input.at(-1)!;
  return { m: product(input) / k, k, n: output.at(-1)! };
};

/** Inputs are quantized to 8 bits as they come, multiplied as integers, and scaled. */
function dynamicProduct(shape: AppliedShape): Operator {
  const { k, n } = linearSizes(shape);
  return {
    name: 'DynamicQuantizeMatMul, int8',
    emit: (into, copy) => into.node('DynamicQuantizeMatMul', ['x', into.bytes(`w${copy}`, 'I8', [k, n]), into.floats(`s${copy}`, [n])], {}, MICROSOFT),
  };
}

/** Weights stay packed in blocks with a scale each while they are multiplied. */
function blockProduct(shape: AppliedShape, bits: number, block: number): Operator {
  const { k, n } = linearSizes(shape);
  const blocks = Math.ceil(k / block);
  return {
    name: `MatMulNBits, ${bits} bits in blocks of ${block}, inputs as int8`,
    emit: (into, copy) => into.node('MatMulNBits', ['x', into.bytes(`w${copy}`, 'U8', [n, blocks, (block * bits) / 8]), into.floats(`s${copy}`, [n * blocks])],
      { K: { int: k }, N: { int: n }, bits: { int: bits }, block_size: { int: block }, accuracy_level: { int: INT8_INPUTS } }, MICROSOFT),
  };
}

/** Inputs are quantized to 8 bits with a scale that is known before, convolved as integers, and scaled. */
function integerConvolution(shape: AppliedShape): Operator {
  const channels = shape.weight[0]!;
  return {
    name: 'QLinearConv, int8 with its input quantized and its output scaled',
    emit: (into, copy) => {
      // Copies must differ, or onnxruntime computes what they share once.
      const [scale, zero] = [into.values(`xs${copy}`, 'F32', [], Float32Array.of(0.03 + 0.001 * copy)), into.values(`xz${copy}`, 'U8', [], Uint8Array.of(128))];
      const x = into.node('QuantizeLinear', ['x', scale, zero]);
      const w = [into.bytes(`w${copy}`, 'I8', shape.weight), into.floats(`ws${copy}`, [channels]), into.values(`wz${copy}`, 'I8', [channels], new Int8Array(channels))];
      const [outScale, outZero] = [into.values(`ys${copy}`, 'F32', [], Float32Array.of(0.05)), into.values(`yz${copy}`, 'U8', [], Uint8Array.of(128))];
      return into.node('DequantizeLinear', [into.node('QLinearConv', [x, scale, zero, ...w, outScale, outZero], shape.attributes), outScale, outZero]);
    },
  };
}

/** Nodes and values of a little model. */
export class Emitting {
  readonly nodes: GraphNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  private readonly chance = new Random(1);
  private count = 0;

  node(op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}, domain?: string): string {
    const output = `v${this.count}`;
    this.count += 1;
    this.nodes.push({ op, inputs, outputs: [output], module: '', ...(domain === undefined ? {} : { domain }), ...(Object.keys(attributes).length > 0 ? { attributes } : {}) });
    return output;
  }
  values(name: string, type: OnnxType, shape: readonly number[], data: ArrayData): string {
    this.initializers.push({ name, type, shape, write: (sink) => sink(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) });
    return name;
  }
  /** Small positive numbers: as weights and as scales none of them is special. */
  floats(name: string, shape: readonly number[]): string {
    const data = new Float32Array(product(shape));
    const some = Float32Array.from({ length: 1021 }, () => 0.01 + 0.01 * this.chance.uniform());
    for (let i = 0; i < data.length; i += 1) data[i] = some[i % some.length]!;
    return this.values(name, 'F32', shape, data);
  }
  bytes(name: string, type: 'I8' | 'U8', shape: readonly number[]): string {
    const data = new Uint8Array(product(shape));
    const some = Uint8Array.from({ length: 1021 }, () => this.chance.integer(256));
    for (let i = 0; i < data.length; i += 1) data[i] = some[i % some.length]!;
    return this.values(name, type, shape, data);
  }
}

/**
 * Copies of an operator that all read `x`, and of their outputs one element each: what is handed back takes no time. Without an
 * operator the same of `x` itself: what a run takes that computes nothing.
 */
export function copiesModel(input: readonly number[], rank: number, copies: number, operator: Operator | null): OnnxModel {
  const into = new Emitting();
  const ends = Array.from({ length: copies }, (_, copy) => {
    const value = operator ? operator.emit(into, copy) : 'x';
    const dims = operator ? rank : input.length;
    const at = (name: string, last: number, other: number): string => into.values(`${name}${copy}`, 'I64', [dims], BigInt64Array.from({ length: dims }, (_v, axis) => BigInt(axis === dims - 1 ? last : other)));
    const from = operator ? 0 : copy % input.at(-1)!;
    const one = into.node('Slice', [value, at('from', from, 0), at('to', from + 1, 1)]);
    return into.node('Reshape', [one, into.values(`flat${copy}`, 'I64', [1], BigInt64Array.of(1n))]);
  });
  const y = into.node('Concat', ends, { axis: { int: 0 } });
  return {
    name: 'operator', opset: 20, domains: { [MICROSOFT]: 1 }, nodes: into.nodes, initializers: into.initializers,
    inputs: [{ name: 'x', type: 'F32', shape: input }], outputs: [{ name: y, type: 'F32', shape: [copies] }],
  };
}
