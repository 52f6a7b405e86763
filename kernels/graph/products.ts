/** Where a matrix of the graph is the constant factor of products, and of nothing else: what MatMulNBits can stand for. */
import type { Graph, GraphNode } from './graph';

/** One product x @ W, with W a matrix of [inputs, outputs] as the operator sees it. */
export interface Product {
  /** Position of the operator in the graph. */
  readonly at: number;
  readonly input: string;
  readonly output: string;
  /** Added to the product by the same operator; null for none. */
  readonly addend: string | null;
  /** Positions of nodes that turn the matrix for it, which nothing else reads. */
  readonly turns: readonly number[];
}

/**
 * @param name of the initializer
 * @param outputAxis which of its two dimensions counts output channels
 * @returns its products, or a sentence that says what else reads it
 */
export function productsOf(graph: Graph, name: string, outputAxis: number): Product[] | string {
  if (graph.outputs.some((output) => output.name === name)) return 'it is an output of the model';
  const products: Product[] = [];
  for (const [at, node] of graph.nodes.entries()) {
    if (node.captures?.includes(name)) return `a graph within ${node.op} reads it`;
    if (!node.inputs.includes(name)) continue;
    const found = isTurn(node) ? turned(graph, at, outputAxis) : [asProduct(node, at, name, outputAxis, [])];
    for (const product of found) {
      if (typeof product === 'string') return product;
      products.push(product);
    }
  }
  return products.length > 0 ? products : 'no operator reads it';
}

/** Products with what a Transpose makes of the matrix. */
function turned(graph: Graph, at: number, outputAxis: number): (Product | string)[] {
  const output = graph.nodes[at]!.outputs[0]!;
  const found = productsOf(graph, output, 1 - outputAxis);
  return typeof found === 'string' ? [found] : found.map((product) => ({ ...product, turns: [at, ...product.turns] }));
}

const isTurn = ({ op, domain, attributes }: GraphNode): boolean => {
  if (op !== 'Transpose' || domain) return false;
  const perm = attributes?.perm;
  return !perm || ('ints' in perm && perm.ints.join() === '1,0');
};

function asProduct(node: GraphNode, at: number, name: string, outputAxis: number, turns: readonly number[]): Product | string {
  const [input = '', factor, addend = ''] = node.inputs;
  const [output = ''] = node.outputs;
  const other = `${node.op}${node.domain ? ` of ${node.domain}` : ''} reads it`;
  if (node.domain || factor !== name || input === name || addend === name) return other;
  if (node.op === 'MatMul') return outputAxis === 1 ? { at, input, output, addend: null, turns } : `${node.op} multiplies along its other dimension`;
  if (node.op !== 'Gemm') return other;
  const number = (attribute: string, otherwise: number): number => {
    const value = node.attributes?.[attribute];
    return value && 'int' in value ? value.int : value && 'float' in value ? value.float : otherwise;
  };
  if (number('transA', 0) !== 0 || number('alpha', 1) !== 1 || (addend !== '' && number('beta', 1) !== 1)) return 'Gemm turns or scales its operands';
  if (outputAxis !== (number('transB', 0) !== 0 ? 0 : 1)) return 'Gemm multiplies along its other dimension';
  return { at, input, output, addend: addend === '' ? null : addend, turns };
}
