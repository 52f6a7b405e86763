/**
 * Layers of an ONNX model: its weights, by the operators that apply them. There is no source: a layer is named after its weight's
 * tensor, or after the module that the exporter wrote down where it renamed the tensor.
 */
import { elementCount, FLOAT_DTYPES, type Checkpoint, type TensorInfo } from '../../kernels/checkpoint/checkpoint';
import type { Graph, GraphNode } from '../../kernels/graph/graph';
import { allSites } from '../../kernels/run/sites';
import type { ModuleNode, ModuleTree, ParameterNode, SourceSpan } from '../python/module-tree';
import type { Layer, LinkedTensor, LinkResult } from './layer';

/** Names that say nothing: exporters give them to weights that they folded or transposed. */
const ANONYMOUS = /^(?:onnx::.*|\d+|_?val_\d+.*|.*\/(?:Constant|Transpose|Cast|Identity)(?:_\d+)?(?:_output_\d+)?)$/;
/** Weights of recurrent operators: [directions, gates x hidden, ...]. */
const RECURRENT: ReadonlySet<string> = new Set(['LSTM', 'GRU', 'RNN']);

interface Use { readonly node: GraphNode; readonly outputAxis: number; readonly input: number }

/** @param file the ONNX model; layers have no other place */
export function onnxLayers(graph: Graph, checkpoint: Checkpoint, file: string, title: string): { link: LinkResult; tree: ModuleTree; span: SourceSpan; note: string | null } {
  const span: SourceSpan = { file, startLine: 0, startColumn: 0, endLine: 0, endColumn: 0 };
  const tensors = new Map([...checkpoint.tensors, ...(checkpoint.derived ?? [])].map((tensor) => [tensor.name, tensor]));
  const uses = weightUses(graph, tensors);
  const nameOf = new Map(graph.initializers.flatMap(({ name, data }) => ('checkpoint' in data ? [[name, data.checkpoint] as const] : [])));
  const taken = new Set<string>();
  const paths = new Map([...uses].map(([tensor, use]) => [tensor, uniquePath(pathOf(tensor, use), tensor, taken)]));
  const rest = new Map<string, LinkedTensor[]>();
  const placed = new Set<string>();
  const missing: LinkResult['missing'][number][] = [];
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      const tensor = nameOf.get(input);
      if (tensor === undefined || uses.has(tensor) || placed.has(tensor)) continue;
      const info = tensors.get(tensor);
      // What the graph itself counts with (shapes, axes, numbers of formulas) is no parameter.
      if (!info || !FLOAT_DTYPES.has(info.dtype) || info.shape.length === 0 || (ANONYMOUS.test(tensor) && node.module === '')) continue;
      const main = node.inputs.map((name) => nameOf.get(name)).find((name) => name !== undefined && paths.has(name));
      const owner = main !== undefined ? paths.get(main)! : ANONYMOUS.test(tensor) ? node.module : ownerOf(tensor);
      placed.add(tensor);
      const list = rest.get(owner) ?? [];
      list.push({ name: tensor, info, parameter: null, shapeMismatch: false });
      rest.set(owner, list);
    }
  }
  const layers: Layer[] = [];
  for (const [tensor, { node, outputAxis }] of uses) {
    const path = paths.get(tensor)!;
    const info = tensors.get(tensor) ?? null;
    const module = moduleNode(path, node, span);
    if (!info) missing.push({ name: tensor, parameter: parameterOf(graph, tensor, span), module });
    const weight: LinkedTensor = { name: tensor, info: info && axisKept(info, outputAxis), parameter: null, shapeMismatch: false };
    layers.push({ path, module, className: node.op, span, tensors: [weight, ...(rest.get(path) ?? [])], linked: info !== null, weight, outputAxis, tiedTo: null });
    rest.delete(path);
  }
  for (const [owner, list] of rest) {
    const module = moduleNode(owner, null, span);
    layers.push({ path: taken.has(owner) ? `${owner} (rest)` : owner, module, className: module.className, span, tensors: list, linked: true, weight: null, outputAxis: 0, tiedTo: null });
  }
  const root: ModuleNode = { path: '', className: title, qualifiedName: 'onnx', kind: 'user', args: {}, span, parameters: [], children: layers.map(({ module }) => module) };
  const matched = layers.reduce((sum, layer) => sum + layer.tensors.length, 0);
  return {
    span, note: otherNote(graph, checkpoint, nameOf, uses), tree: { root, unknowns: [], assumptions: [], files: [file] },
    link: { layers, unlinkedTensors: [], missing, misshaped: [], tied: [], prefix: '', explained: 1, matched, considered: matched },
  };
}

/** Weights in the order in which they are first applied. */
function weightUses(graph: Graph, tensors: ReadonlyMap<string, TensorInfo>): Map<string, Use> {
  const found: { tensor: string; at: number; use: Use }[] = [];
  const seen = new Set<string>();
  const add = (tensor: string, at: number, use: Use): void => { found.push({ tensor, at, use }); seen.add(tensor); };
  const fits = (tensor: string): boolean => { const info = tensors.get(tensor); return info === undefined || (FLOAT_DTYPES.has(info.dtype) && info.shape.length >= 2); };
  for (const [tensor, sites] of allSites(graph)) {
    // A table that is also multiplied with (tied embeddings) has the rows of the table.
    const site = sites.find(({ kind }) => kind === 'lookup') ?? sites[0];
    if (!site || !fits(tensor) || (sites.every(({ kind }) => kind === 'lookup') && ANONYMOUS.test(tensor))) continue;
    add(tensor, sites[0]!.at, { node: site.node, outputAxis: site.outputAxis ?? tensors.get(tensor)?.outputAxis ?? 0, input: 1 });
  }
  const nameOf = new Map(graph.initializers.flatMap(({ name, data }) => ('checkpoint' in data ? [[name, data.checkpoint] as const] : [])));
  graph.nodes.forEach((node, at) => {
    if (!RECURRENT.has(node.op) || node.domain) return;
    for (const input of [1, 2]) {
      const tensor = nameOf.get(node.inputs[input] ?? '');
      if (tensor !== undefined && fits(tensor) && !seen.has(tensor)) add(tensor, at, { node, outputAxis: 1, input });
    }
  });
  return new Map(found.sort((a, b) => a.at - b.at || a.use.input - b.use.input).map(({ tensor, use }) => [tensor, use]));
}

/** Operators that multiply with codes: their weights are no numbers that another format could stand for. */
const OF_CODES: ReadonlySet<string> = new Set(['MatMulInteger', 'ConvInteger', 'QLinearConv', 'QLinearMatMul', 'DequantizeLinear', 'Einsum']);
/** Smaller tensors are tables and constants. */
const LEAST_WEIGHTS = 64;

/** One sentence about weights that are no layers: those of operators which run as they are. */
function otherNote(graph: Graph, checkpoint: Checkpoint, nameOf: ReadonlyMap<string, string>, uses: ReadonlyMap<string, Use>): string | null {
  const sizes = new Map(checkpoint.tensors.map(({ name, shape }) => [name, shape]));
  const found = new Map<string, string>();
  for (const { op, domain, inputs, captures } of graph.nodes) {
    if (!domain && !captures && !OF_CODES.has(op)) continue;
    for (const input of [...inputs, ...captures ?? []]) {
      const tensor = nameOf.get(input);
      const shape = tensor === undefined ? undefined : sizes.get(tensor);
      if (tensor !== undefined && !uses.has(tensor) && shape && shape.length >= 2 && elementCount(shape) >= LEAST_WEIGHTS) found.set(tensor, op);
    }
  }
  if (found.size === 0) return null;
  const operators = [...new Set(found.values())].slice(0, 5).map((op) => op.slice(0, 80)).join(', ');
  return `${found.size} ${found.size === 1 ? 'weight is' : 'weights are'} applied by ${operators}, which ${found.size === 1 ? 'runs' : 'run'} as ${found.size === 1 ? 'it is' : 'they are'} stored and ${found.size === 1 ? 'is no layer' : 'are no layers'} that could be quantized`;
}

function pathOf(tensor: string, { node, input }: Use): string {
  if (!ANONYMOUS.test(tensor)) return tensor.replace(/^ConvBnFusion_W_/, '').replace(/[._/]weight$/, '') || tensor;
  if (node.module === '') return tensor;
  return RECURRENT.has(node.op) ? `${node.module}.${input === 1 ? 'weight_ih' : 'weight_hh'}` : node.module;
}

/** Two weights of one module are told apart by their tensors. */
function uniquePath(path: string, tensor: string, taken: Set<string>): string {
  const chosen = taken.has(path) ? `${path}.${tensor}` : path;
  taken.add(chosen);
  return chosen;
}

const ownerOf = (tensor: string): string => (tensor.includes('.') ? tensor.slice(0, tensor.lastIndexOf('.')) : tensor);

function moduleNode(path: string, node: GraphNode | null, span: SourceSpan): ModuleNode {
  const group = node?.attributes?.group;
  const groups = node?.op === 'ConvTranspose' && group && 'int' in group ? group.int : 1;
  return { path, className: node?.op ?? 'Parameter', qualifiedName: `onnx.${node?.op ?? 'Parameter'}`, kind: 'torch', args: groups > 1 ? { groups } : {}, span, parameters: [], children: [] };
}

function parameterOf(graph: Graph, tensor: string, span: SourceSpan): ParameterNode {
  const shape = graph.initializers.find(({ data }) => 'checkpoint' in data && data.checkpoint === tensor)?.shape ?? null;
  return { name: tensor, kind: 'parameter', shape, persistent: true, span };
}

const axisKept = (info: TensorInfo, outputAxis: number): TensorInfo => (outputAxis === 0 || info.outputAxis === outputAxis ? info : { ...info, outputAxis });
