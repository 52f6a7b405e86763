/**
 * Half precision run in float32: onnxruntime's CPU kernels compute most of it so anyway, with casts around every node, and what is
 * measured here is the error of formats on top of the stored values.
 */
import type { Attribute, Graph, GraphNode, GraphValue } from '../graph';
import { onnxTypeCode, type OnnxType } from '../onnx-types';

const HALF: ReadonlySet<OnnxType> = new Set<OnnxType>(['F16', 'BF16']);
const CODES: ReadonlySet<number> = new Set([...HALF].map((type) => onnxTypeCode(type)!));
const FLOAT = onnxTypeCode('F32')!;
/** Attributes that name an element type. */
const TYPE_ATTRIBUTES: ReadonlySet<string> = new Set(['to', 'dtype', 'output_dtype']);

/** Is anything of this graph kept in half precision? */
export const hasHalf = ({ inputs, outputs, initializers }: Graph): boolean => [...inputs, ...outputs, ...initializers].some(({ type }) => HALF.has(type));

/**
 * The same graph in float32, its initializers converted when they are read.
 *
 * @throws Error for a graph with parts that are not taken apart, whose types would then not agree.
 */
export function inFloat32(graph: Graph): Graph {
  const opaque = graph.functions ? 'functions of its own' : graph.nodes.some(({ captures, attributes = {} }) => captures !== undefined || Object.values(attributes).some((value) => 'encoded' in value && !value.untyped)) ? 'branches, loops or constants within nodes' : null;
  if (opaque !== null) throw new Error(`the model is in half precision and has ${opaque}, which are not converted to float32 for running; save the model in float32`);
  const value = (each: GraphValue): GraphValue => (HALF.has(each.type) ? { ...each, type: 'F32' } : each);
  return {
    ...graph, file: undefined, inputs: graph.inputs.map(value), outputs: graph.outputs.map(value), nodes: graph.nodes.map(converted),
    initializers: graph.initializers.map((each) => (HALF.has(each.type) ? { ...each, type: 'F32' as const } : each)),
    ...(graph.values ? { values: graph.values.map(value) } : {}),
  };
}

function converted(node: GraphNode): GraphNode {
  if (!node.attributes) return node;
  const attributes = Object.entries(node.attributes).map(([name, value]): [string, Attribute] => {
    if (TYPE_ATTRIBUTES.has(name) && 'int' in value && CODES.has(value.int)) return [name, { int: FLOAT }];
    return [name, 'tensor' in value && HALF.has(value.tensor.type) ? { tensor: { ...value.tensor, type: 'F32' } } : value];
  });
  return { ...node, attributes: Object.fromEntries(attributes) };
}
