/** What applying a weight takes: sizes of what goes in and comes out, and the multiply-accumulate operations between. */
import { valueTypes } from '../graph/cut';
import type { Attribute, Graph, GraphNode } from '../graph/graph';
import { sitesOf, type SiteKind } from './sites';

export interface AppliedShape {
  readonly kind: SiteKind | 'recurrent';
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly input: readonly number[];
  readonly output: readonly number[];
  /** As the operator takes it; as it is stored where the graph does not say. */
  readonly weight: readonly number[];
  /** Multiply-accumulate operations of one run; none for a lookup. */
  readonly macs: number;
}

/** Operators that hand on a weight, parts of it (a projection of queries, keys and values in one), or several stacked (gates). */
const HANDING_ON = new Set(['Transpose', 'Identity', 'Cast', 'Squeeze', 'Unsqueeze', 'Reshape', 'Flatten', 'Slice', 'Split', 'Concat']);
const RECURRENT = new Set(['LSTM', 'GRU', 'RNN']);

interface Applied { readonly kind: AppliedShape['kind']; readonly node: GraphNode; readonly input: string; readonly output: string }

/**
 * Every application of a tensor, in the order in which they run; empty where the graph has none we know.
 * @throws Error for a size that is not a number: fix the sizes of the graph's inputs first
 */
export function appliedShapes(graph: Graph, tensor: string): AppliedShape[] {
  const typeOf = valueTypes(graph);
  const stored = graph.initializers.find(({ data }) => 'checkpoint' in data && data.checkpoint === tensor);
  if (!stored) return [];
  const whole = sitesOf(graph, tensor);
  return (whole.length > 0 ? whole : appliedInParts(graph, stored.name)).map(({ kind, node, input, output }) => {
    const sizes = (value: string): number[] => typeOf(value).shape.map((dim) => {
      if (typeof dim === 'number') return dim;
      throw new Error(`the size ${dim} at ${JSON.stringify(node.module || node.op)} is not a number, so that nothing can be counted there`);
    });
    const weight = kind === 'recurrent' ? stored.shape : valueOrNull(typeOf, node.inputs[kind === 'lookup' ? 0 : 1]!) ?? stored.shape;
    const shape = { kind, attributes: node.attributes ?? {}, input: sizes(input), output: sizes(output), weight };
    return { ...shape, macs: macsOf(shape) };
  });
}

/** Where parts of a weight, or weights stacked with others, are applied. */
function appliedInParts(graph: Graph, weight: string): Applied[] {
  const parts = new Set([weight]);
  return graph.nodes.flatMap((node): Applied[] => {
    const { op, inputs, outputs, domain } = node;
    if (domain) return [];
    if (HANDING_ON.has(op) && inputs.some((input) => parts.has(input))) outputs.forEach((output) => parts.add(output));
    const applied = { node, input: inputs[0]!, output: outputs.find((output) => output !== '')! };
    if (RECURRENT.has(op) && (parts.has(inputs[1] ?? '') || parts.has(inputs[2] ?? ''))) return [{ ...applied, kind: 'recurrent' }];
    return (op === 'MatMul' || op === 'Gemm') && parts.has(inputs[1] ?? '') && !parts.has(inputs[0]!) ? [{ ...applied, kind: 'linear' }] : [];
  });
}

/** Sizes of a value where they are all known. */
function valueOrNull(typeOf: ReturnType<typeof valueTypes>, value: string): readonly number[] | null {
  try {
    const { shape } = typeOf(value);
    return shape.every((dim): dim is number => typeof dim === 'number') && shape.length > 0 ? shape : null;
  } catch { return null; }
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** Every output of a dense layer or a convolution is a sum over its inputs; every input of a transposed one goes to each kernel element. */
function macsOf({ kind, input, output, weight }: Omit<AppliedShape, 'macs'>): number {
  if (kind === 'lookup') return 0;
  // Every weight is used once in every step: [steps, batch, features].
  if (kind === 'recurrent') return product(input.slice(0, 2)) * product(weight);
  if (kind === 'linear') return product(output) * input.at(-1)!;
  return product(kind === 'conv' ? output : input) * product(weight.slice(1));
}
