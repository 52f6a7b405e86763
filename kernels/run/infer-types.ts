/**
 * Type and shape of every value of a graph, from onnxruntime's own inference, for graphs that were read from files: most do not
 * say them. Large weights are handed over as inputs, so that nothing but the graph is loaded.
 */
import { elementCount, openCheckpoint, TensorReader } from '../checkpoint';
import type { Graph, GraphDim, GraphValue } from '../graph/graph';
import type { OnnxType } from '../graph/onnx-types';
import { resolveGraph } from '../graph/resolve';
import { encodeOnnx, type OnnxModel } from '../graph/write-onnx';
import { loadRuntime } from './onnx-runtime';
import { RUNTIME_NAMES } from './run-model';

/** Initializers of so many elements hold shapes, axes and scales, which the types of other values depend on. */
const MOST_ELEMENTS = 256;

const byRuntimeName = new Map((Object.entries(RUNTIME_NAMES) as [OnnxType, string][]).map(([type, name]) => [name, type]));

/** Are there values between nodes whose type is not known? */
export function lacksTypes(graph: Graph): boolean {
  const known = new Set([...(graph.values ?? []), ...graph.outputs].map(({ name }) => name));
  return graph.nodes.some(({ outputs }) => outputs.some((name) => name !== '' && !known.has(name)));
}

/** @throws Error when onnxruntime refuses the graph; JobError when it is not there. */
export async function withTypes(graph: Graph, checkpointPath: string): Promise<Graph> {
  const checkpoint = await openCheckpoint(checkpointPath);
  const reader = TensorReader.open(checkpoint);
  try {
    const large = new Set(graph.initializers.flatMap(({ name, shape, type }) => (elementCount(shape) > MOST_ELEMENTS && RUNTIME_NAMES[type] !== undefined ? [name] : [])));
    const small = { ...graph, initializers: graph.initializers.filter(({ name }) => !large.has(name)) };
    const inputs = graph.initializers.flatMap(({ name, type, shape }): GraphValue[] => (large.has(name) ? [{ name, type, shape }] : []));
    const model: OnnxModel = { ...resolveGraph(small, checkpoint, reader), inputs: [...graph.inputs, ...inputs] };
    // Some operators want their weights as constants: then they are all loaded.
    const found = await inferred(model).catch(async (error: unknown) => inputs.length === 0 ? Promise.reject(error as Error) : inferred(resolveGraph(graph, checkpoint, reader)));
    const given = new Set(graph.outputs.map(({ name }) => name));
    return { ...graph, outputs: graph.outputs.map((output) => found.get(output.name) ?? output), values: [...found.values()].filter(({ name }) => !given.has(name)) };
  } finally { reader.close(); }
}

/** Operators that may give a type that onnxruntime's interface for JavaScript has no name for: floats of 8 bits, integers below a byte. */
const NARROWING: ReadonlySet<string> = new Set(['Cast', 'CastLike', 'QuantizeLinear']);

async function inferred(model: OnnxModel): Promise<Map<string, GraphValue>> {
  const names = (nodes: OnnxModel['nodes']): string[] => [...new Set(nodes.flatMap(({ outputs }) => outputs))].filter((name) => name !== '');
  try {
    return await typesOf(model, names(model.nodes));
  } catch (error) {
    if (!(error instanceof Error && /Unsupported data type/.test(error.message))) throw error;
    return typesOf(model, names(model.nodes.filter(({ op }) => !NARROWING.has(op))));
  }
}

async function typesOf(model: OnnxModel, names: readonly string[]): Promise<Map<string, GraphValue>> {
  const session = await loadRuntime().InferenceSession.create(
    await encodeOnnx({ ...model, outputs: names.map((name) => ({ name })), values: [] }), { graphOptimizationLevel: 'disabled', intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3, enableCpuMemArena: false }).catch((error: unknown) => { throw new Error(`onnxruntime refuses the model: ${error instanceof Error ? error.message : String(error)}`); });
  try {
    return new Map(session.outputMetadata.flatMap((value): [string, GraphValue][] => {
      const type = value.isTensor ? byRuntimeName.get(value.type) : undefined;
      return value.isTensor && type ? [[value.name, { name: value.name, type, ...(value.shape.length === 0 ? { ranked: false } : {}), shape: value.shape.map((dim, i): GraphDim => (typeof dim === 'string' ? (dim === '' ? `${value.name}.${i}` : dim) : dim < 0 ? `${value.name}.${i}` : dim)) }]] : [];
    }));
  } finally { await session.release(); }
}
