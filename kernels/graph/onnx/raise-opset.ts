/**
 * A graph in a later operator set: nodes whose meaning or form changed on the way are rewritten where that is simple, and refused
 * where it is not (https://github.com/onnx/onnx/blob/main/docs/Changelog.md). Versions that only added types or optional parts are not listed.
 */
import type { Attribute, Graph, GraphInitializer, GraphNode, SmallTensor } from '../graph';
import { freshNames } from '../names';

/** Reductions whose axes became an input with operator set 18; that of sums did with 13. */
const REDUCTIONS = ['ReduceL1', 'ReduceL2', 'ReduceLogSum', 'ReduceLogSumExp', 'ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceProd', 'ReduceSumSquare'];

/** Attributes that became inputs: operator, version, attribute, position of the input, and its type. */
const MOVED: readonly (readonly [op: string, version: number, attribute: string, input: number, type: 'I64' | 'F32'])[] = [
  ['TopK', 10, 'k', 1, 'I64'], ['Slice', 10, 'starts', 1, 'I64'], ['Slice', 10, 'ends', 2, 'I64'], ['Slice', 10, 'axes', 3, 'I64'],
  ['Clip', 11, 'min', 1, 'F32'], ['Clip', 11, 'max', 2, 'F32'], ['Pad', 11, 'pads', 1, 'I64'], ['Pad', 11, 'value', 2, 'F32'],
  ['Squeeze', 13, 'axes', 1, 'I64'], ['Unsqueeze', 13, 'axes', 1, 'I64'], ['ReduceSum', 13, 'axes', 1, 'I64'], ['Split', 13, 'split', 1, 'I64'],
  ...REDUCTIONS.map((op) => [op, 18, 'axes', 1, 'I64'] as const),
];
/** Attributes that say nothing where a model is only run. */
const DROPPED: readonly (readonly [op: string, version: number, attribute: string])[] = [['BatchNormalization', 9, 'spatial'], ['Dropout', 12, 'ratio']];
/** Changes of meaning. */
const REFUSED: readonly (readonly [op: string, version: number])[] = [
  ['Scan', 9], ['Upsample', 10], ['Resize', 11], ['Resize', 18], ['RoiAlign', 16], ['DFT', 20], ['GridSample', 20], ['GroupNormalization', 21],
];
const SOFTMAX: ReadonlySet<string> = new Set(['Softmax', 'LogSoftmax', 'Hardmax']);

/** The same graph where it is of this operator set already. @returns a sentence that says what cannot be raised */
export function raiseOpset(graph: Graph, to: number): Graph | string {
  if (graph.opset >= to) return graph;
  const where = `the model is of operator set ${graph.opset}, ${to} is needed, and `;
  if (graph.functions) return `${where}functions of its own are not converted; export it with operator set ${to}`;
  const added: GraphInitializer[] = [];
  const fresh = freshNames(graph);
  const crossed = (version: number): boolean => graph.opset < version && version <= to;
  const nodes: GraphNode[] = [];
  for (const node of graph.nodes) {
    if (node.captures || Object.values(node.attributes ?? {}).some((value) => 'encoded' in value && !value.untyped)) return `${where}the graphs within ${node.op} are not converted; export it with operator set ${to}`;
    const raised = node.domain ? node : raisedNode(graph, node, crossed, (wanted, input) => {
      const name = fresh(wanted);
      added.push({ ...input, name });
      return name;
    });
    if (raised === null) return `${where}${node.op} changed its meaning in between; export it with operator set ${to}`;
    nodes.push(raised);
  }
  return { ...graph, file: undefined, opset: to, nodes, initializers: [...graph.initializers, ...added] };
}

/** Null for a node that would mean something else. */
function raisedNode(graph: Graph, node: GraphNode, crossed: (version: number) => boolean, add: (wanted: string, input: Omit<GraphInitializer, 'name'>) => string): GraphNode | null {
  if (REFUSED.some(([op, version]) => op === node.op && crossed(version))) return null;
  const attributes = new Map(Object.entries(node.attributes ?? {}));
  const inputs = [...node.inputs];
  if (node.op === 'BatchNormalization' && crossed(14) && node.outputs.length > 1) return null;
  if (SOFTMAX.has(node.op) && crossed(13)) {
    // Before, everything from the axis on was one row: the same where the axis is the last.
    const axis = attributes.get('axis');
    const at = axis && 'int' in axis ? axis.int : 1;
    const rank = [...graph.values ?? [], ...graph.outputs, ...graph.inputs].find(({ name, ranked }) => ranked !== false && (name === node.inputs[0] || name === node.outputs[0]))?.shape.length;
    if (at !== -1 && (rank === undefined || at !== rank - 1)) return null;
    attributes.set('axis', { int: -1 });
  }
  for (const [op, version, attribute] of DROPPED) if (op === node.op && crossed(version)) attributes.delete(attribute);
  for (const [op, version, attribute, at, type] of MOVED) {
    const value = attributes.get(attribute);
    if (op !== node.op || !crossed(version) || !value) continue;
    const numbers = numbersOf(value);
    if (!numbers) return null;
    while (inputs.length < at) inputs.push('');
    inputs[at] = add(`${node.outputs[0] ?? ''}/${attribute}`, { type, shape: numbers.shape, data: { values: numbers.values } });
    attributes.delete(attribute);
  }
  if (node.op === 'Split' && crossed(18) && !inputs[1]) attributes.set('num_outputs', { int: node.outputs.length });
  const { attributes: _before, ...rest } = node;
  return { ...rest, inputs, ...(attributes.size > 0 ? { attributes: Object.fromEntries(attributes) } : {}) };
}

/** Lists become vectors, single numbers scalars (k of TopK, which is a list of one, is an int). */
function numbersOf(value: Attribute): Pick<SmallTensor, 'shape' | 'values'> | null {
  if ('ints' in value) return { shape: [value.ints.length], values: value.ints };
  if ('int' in value) return { shape: [1], values: [value.int] };
  return 'float' in value ? { shape: [], values: [value.float] } : null;
}
