/**
 * Weights as codes with DequantizeLinear (https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html): one scale for the tensor, for each
 * output channel, or for each group of inputs.
 */
import { encodeFloats } from '../numerics/codecs';
import type { Element } from '../formats/format';
import type { GraphNode } from '../graph/graph';
import { onnxTypeBits, onnxTypeCode, type OnnxType } from '../graph/onnx-types';
import type { OnnxInitializer } from '../graph/write-onnx';
import { blocksOf, CodePacker, eachRow, hasBlocks, inStoredOrder, scalesOf, type PlannedWeight } from './export-codes';
import { eachTile, type EntryContext, type PackableWeight } from './export-entries';

export interface QdqPlan {
  /** Of the codes: the narrowest one that holds them. */
  readonly type: OnnxType;
  /** The least operator set that has them. */
  readonly opset: number;
  readonly scaleType: 'F32' | 'F16';
  readonly shape: readonly number[];
  readonly scaleShape: readonly number[];
  readonly axis: number | null;
  readonly block: number;
  /** Codes lie as [outputs, inputs] although the weight is [inputs, outputs]. */
  readonly turned: boolean;
}

/** Operator sets that brought an element type to DequantizeLinear. */
const OPSETS: Readonly<Record<string, number>> = { I8: 13, U8: 13, F8_E4M3: 19, F8_E5M2: 19, F8_E4M3FNUZ: 19, F8_E5M2FNUZ: 19, I4: 21, U4: 21, I16: 21, U16: 21, I2: 25, U2: 25 };
const BLOCKS = 21;
const HALF_SCALES = 19;
const FLOATS: ReadonlyMap<string, OnnxType> = new Map([['e4m3b7fn', 'F8_E4M3'], ['e5m2b15ieee', 'F8_E5M2'], ['e4m3b8fnuz', 'F8_E4M3FNUZ'], ['e5m2b16fnuz', 'F8_E5M2FNUZ']]);
/** Types that a weight of a model has. */
const WEIGHTS: ReadonlySet<OnnxType> = new Set<OnnxType>(['F32', 'F16', 'BF16', 'F64']);

function typeOf(element: Element, bits: number): OnnxType | null {
  if (element.kind === 'float') return FLOATS.get(element.spec.name) ?? null;
  if (element.kind !== 'int') return null;
  const width = bits <= 2 ? 2 : bits <= 4 ? 4 : bits <= 8 ? 8 : 16;
  return `${element.symmetric ? 'I' : 'U'}${width}` as OnnxType;
}

/**
 * @param type that the weight has in the graph
 * @param isTurned a Transpose of the graph reads it
 * @returns how the weight is stored, or a sentence why DequantizeLinear cannot give it, with what it could
 */
export function qdqPlan(weight: PlannedWeight, type: OnnxType, isTurned: boolean): QdqPlan | string {
  const { format, task } = weight;
  const codes = hasBlocks(weight) ? typeOf(weight.format.element, weight.format.codeBits) : null;
  if (!hasBlocks(weight) || codes === null) return `${format.id} is no type of DequantizeLinear, which takes integers (int4, int8-channel, int4-asym-g32, …) and fp8-e4m3 or fp8-e5m2, with their fnuz variants`;
  if (!WEIGHTS.has(type)) return `it is ${type} in the model`;
  const { tensor: { shape }, layout } = weight.weight;
  const { size, perRow, count } = blocksOf(weight);
  const scaleType = type === 'F16' && weight.format.scaleStorage === 'f16' ? 'F16' : 'F32';
  // Turning unsigned codes of 2 bits while it loads a model is beyond onnxruntime (1.30).
  const held = isTurned && codes === 'U2' && perRow <= 1 ? 'U4' : codes;
  const plain = { type: held, scaleType, shape, turned: false, opset: Math.max(OPSETS[held]!, scaleType === 'F16' ? HALF_SCALES : 0) } as const;
  if (count === 1) return { ...plain, axis: null, block: 0, scaleShape: [] };
  const { outputAxis } = task;
  const instead = `use one scale for each output channel (${format.id.replace(/-g\d+/, '-channel')})`;
  if (layout.groups > 1) return `scales for the output channels of ${layout.groups} groups lie along no single dimension of [${shape.join(', ')}]; use one scale for the tensor (${format.id.replace(/-(?:g\d+|channel)/, '-tensor')})`;
  if (perRow === 1) return { ...plain, axis: outputAxis, block: 0, scaleShape: [layout.rows] };
  const axis = shape.findIndex((dim, i) => i !== outputAxis && dim === layout.cols && shape.every((other, j) => j === i || j === outputAxis || other === 1));
  if (axis < 0) return `groups of ${size} inputs run over several dimensions of a kernel; ${instead}`;
  const blocked = { ...plain, opset: Math.max(plain.opset, BLOCKS), block: size };
  if (layout.contiguous) return { ...blocked, axis, scaleShape: shape.map((dim, i) => (i === axis ? perRow : dim)) };
  // Straight in front of MatMul, onnxruntime would put MatMulNBits in place of both, and multiply with activations in 8 bits.
  if (shape.length === 2) return { ...blocked, shape: [layout.rows, layout.cols], axis: 1, scaleShape: [layout.rows, perRow], turned: true };
  return `groups of ${size} inputs do not lie one after the other in a transposed kernel; ${instead}`;
}

/** What stands in a graph for a weight. @param at the names it goes by, what those of its parts begin with, its type, and the module that the nodes belong to @param fresh gives names */
export function qdqStored(plan: QdqPlan, weight: PackableWeight, { base, names, type, module }: { base: string; names: readonly string[]; type: OnnxType; module: string }, fresh: (wanted: string) => string, context: EntryContext): { codes: string; initializers: OnnxInitializer[]; nodes: GraphNode[] } {
  const [codes, scales] = [fresh(`${base}_quantized`), fresh(`${base}_scale`)];
  const zeros = weight.scales?.zeroPoints ? fresh(`${base}_zero_point`) : null;
  const bits = onnxTypeBits(plan.type);
  const initializers: OnnxInitializer[] = [
    {
      name: codes, type: plan.type, shape: plan.shape,
      async write(sink) {
        const packer = new CodePacker(bits, 0);
        if (plan.turned) await eachRow(weight, context, (row) => { sink(packer.push(row)); });
        else if (weight.weight.layout.contiguous) await eachTile(weight, context, (tile) => { sink(packer.push(tile.codes)); });
        else await inStoredOrder(weight, context, (tile) => tile.codes, (length) => new Int32Array(length), (all) => { sink(packer.push(all)); });
        sink(packer.end());
      },
    },
    {
      name: scales, type: plan.scaleType, shape: plan.scaleShape,
      write(sink) {
        const values = scalesOf(weight);
        const bytes = new Uint8Array((values.length * onnxTypeBits(plan.scaleType)) / 8);
        encodeFloats(plan.scaleType, values, values.length, bytes);
        sink(bytes);
      },
    },
    ...(zeros === null ? [] : [{
      name: zeros, type: plan.type, shape: plan.scaleShape,
      write(sink: (bytes: Uint8Array) => void) {
        const packer = new CodePacker(bits, 0);
        sink(packer.push(weight.scales!.zeroPoints!));
        sink(packer.end());
      },
    }]),
  ];
  // Copies of the weight under other names read the same codes.
  const nodes = names.flatMap((name): GraphNode[] => {
    const steps: Omit<GraphNode, 'inputs' | 'outputs' | 'module'>[] = [
      ...(plan.turned ? [{ op: 'Transpose', attributes: { perm: { ints: [1, 0] } } }] : []),
      ...(plan.scaleType === type ? [] : [{ op: 'Cast', attributes: { to: { int: onnxTypeCode(type)! } } }]),
    ];
    const attributes = plan.axis === null ? {} : { attributes: { axis: { int: plan.axis }, ...(plan.block > 0 ? { block_size: { int: plan.block } } : {}) } };
    const given = steps.length === 0 ? name : fresh(`${name}/dequantized`);
    const all: GraphNode[] = [{ op: 'DequantizeLinear', inputs: [codes, scales, ...(zeros === null ? [] : [zeros])], outputs: [given], ...attributes, module }];
    for (const [i, step] of steps.entries()) all.push({ ...step, inputs: [all.at(-1)!.outputs[0]!], outputs: [i === steps.length - 1 ? name : fresh(`${name}/turned`)], module });
    return all;
  });
  return { codes, initializers, nodes };
}
