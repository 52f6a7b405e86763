/** Runs a model in onnxruntime: named arrays in, named arrays out. */
import { movingValues } from '../graph/cut';
import type { Graph } from '../graph/graph';
import type { OnnxType } from '../graph/onnx-types';
import { encodeOnnx, type OnnxModel } from '../graph/write-onnx';
import { executionProviders, isProcessorOnly, refuseAbsent } from './execution-providers';
import { loadRuntime, type RuntimeSession } from './onnx-runtime';

export type ArrayData = Float32Array | Float64Array | BigInt64Array | Int32Array | Int16Array | Int8Array | Uint8Array | Uint16Array;
/** An array with its shape, row-major. BOOL is one byte each. */
export interface NamedArray { readonly type: OnnxType; readonly shape: readonly number[]; readonly data: ArrayData }

/** What onnxruntime calls element types. */
export const RUNTIME_NAMES: Readonly<Partial<Record<OnnxType, string>>> = {
  F32: 'float32', F64: 'float64', F16: 'float16', I64: 'int64', I32: 'int32', I16: 'int16', I8: 'int8', U8: 'uint8', U16: 'uint16', BOOL: 'bool',
};

export interface RunningModel {
  /** @throws Error for inputs that do not fit the model. */
  run(inputs: ReadonlyMap<string, NamedArray>): Promise<Map<string, NamedArray>>;
  close(): Promise<void>;
}

/**
 * Prepares a model for running. Memory goes back when a run ends, unless it is kept in an arena: many small models live side by side
 * in one process.
 *
 * @param threads of one operator; 0 lets onnxruntime choose.
 * @throws JobError when onnxruntime is not there, Error when it refuses the model.
 */
export async function startModel(model: OnnxModel, threads = 0, { arena = false }: { readonly arena?: boolean } = {}): Promise<RunningModel> {
  return start(model, await encodeOnnx(model), threads, arena);
}

/**
 * Products with weights of DequantizeLinear as they are defined: onnxruntime would round what is multiplied with them to 8 bits
 * (its default is level 4).
 */
const FLOAT_PRODUCTS = { session: { qdq_matmulnbits_accuracy_level: '1' } };

/** The same for a model that a file holds, which onnxruntime reads itself. */
export const startFile = (graph: Graph, file: string, threads = 0): Promise<RunningModel> => start(graph, file, threads);

async function start(model: Pick<OnnxModel, 'nodes' | 'inputs' | 'outputs'>, bytes: Uint8Array | string, threads: number, arena = false): Promise<RunningModel> {
  const runtime = loadRuntime();
  // Outputs that no input's values reach: onnxruntime computes them once, in memory that goes with the session, so they are copied;
  // and its extended optimizations are left out, which crash where such values are outputs beside others (1.30).
  const moving = movingValues(model);
  const folded = new Set(model.outputs.flatMap(({ name }) => (moving.has(name) ? [] : [name])));
  const providers = executionProviders();
  if (!isProcessorOnly(providers)) refuseAbsent(providers, runtime.listSupportedBackends().map(({ name }) => name));
  const session: RuntimeSession = await runtime.InferenceSession.create(bytes, { ...(isProcessorOnly(providers) ? {} : { executionProviders: providers }), intraOpNumThreads: threads, interOpNumThreads: 1, logSeverityLevel: 3, enableCpuMemArena: arena, extra: FLOAT_PRODUCTS, ...(folded.size > 0 ? { graphOptimizationLevel: 'basic' } : {}) }).catch((error: unknown) => { throw new Error(`onnxruntime refuses the model${isProcessorOnly(providers) ? '' : `, or could not start ${providers.join(', ')}, which needs the drivers and libraries of that device`}: ${error instanceof Error ? error.message : String(error)}`); });
  return {
    async run(inputs) {
      const feeds = Object.fromEntries([...inputs].map(([name, { type, shape, data }]) => [name, new runtime.Tensor(RUNTIME_NAMES[type] ?? type, data, shape)]));
      const results = await session.run(feeds).catch((error: unknown) => { throw inWordsOfData(error); });
      return new Map(Object.entries(results).map(([name, tensor]) => {
        const type = (Object.keys(RUNTIME_NAMES) as OnnxType[]).find((each) => RUNTIME_NAMES[each] === tensor.type) ?? 'F32';
        const data = tensor.data as ArrayData;
        return [name, { type, shape: tensor.dims, data: folded.has(name) ? data.slice() : data }];
      }));
    },
    close: () => session.release(),
  };
}

/** What goes wrong with data in words of the user's data; any other error as it is. */
function inWordsOfData(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const beyond = /indices element out of data bounds, idx=(-?\d+) must be within the inclusive range \[-?\d+,(\d+)\]/.exec(error.message);
  if (beyond) return new Error(`the data holds the id ${beyond[1]}, and the model's table ends at ${beyond[2]}: these tokens are of another vocabulary than the model's`);
  const node = /Name:'([^']*)'/.exec(error.message)?.[1] ?? 'a Reshape';
  const shapes = /cannot be reshaped to the requested shape\. Input shape:\{([\d,]*)\}, requested shape:\{([-\d,]*)\}/.exec(error.message);
  if (shapes) return new Error(`the model does not take samples of this shape, although it calls their sizes free: ${node} makes [${shapes[1]}] into [${shapes[2]}], with sizes fixed when it was exported; export it with the sizes of the data, or give samples of its own (--sequence, --crop)`);
  return error;
}
