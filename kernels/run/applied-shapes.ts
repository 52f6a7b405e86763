/** What applying a weight takes: sizes of what goes in and comes out, and the multiply-accumulate operations between. */
import { valueTypes } from '../graph/cut';
import type { Attribute, Graph } from '../graph/graph';
import { sitesOf, type SiteKind } from './sites';

export interface AppliedShape {
  readonly kind: SiteKind;
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly input: readonly number[];
  readonly output: readonly number[];
  /** As the operator takes it; as it is stored where the graph does not say. */
  readonly weight: readonly number[];
  /** Multiply-accumulate operations of one run; none for a lookup. */
  readonly macs: number;
}

/**
 * Every application of a tensor, in the order in which they run; empty where the graph has none we know.
 * @throws Error for a size that is not a number: fix the sizes of the graph's inputs first
 */
export function appliedShapes(graph: Graph, tensor: string): AppliedShape[] {
  const typeOf = valueTypes(graph);
  const stored = graph.initializers.find(({ data }) => 'checkpoint' in data && data.checkpoint === tensor);
  return sitesOf(graph, tensor).map(({ kind, node, input, output }) => {
    const sizes = (value: string): number[] => typeOf(value).shape.map((dim) => {
      if (typeof dim === 'number') return dim;
      throw new Error(`the size ${dim} at ${JSON.stringify(node.module || node.op)} is not a number, so that nothing can be counted there`);
    });
    const weight = valueOrNull(typeOf, node.inputs[kind === 'lookup' ? 0 : 1]!) ?? stored!.shape;
    const shape = { kind, attributes: node.attributes ?? {}, input: sizes(input), output: sizes(output), weight };
    return { ...shape, macs: macsOf(shape) };
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
  if (kind === 'linear') return product(output) * input.at(-1)!;
  return product(kind === 'conv' ? output : input) * product(weight.slice(1));
}
