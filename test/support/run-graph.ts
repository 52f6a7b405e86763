import { openCheckpoint, TensorReader, type Checkpoint, type TensorInfo } from '../../kernels/checkpoint';
import type { Graph } from '../../kernels/graph/graph';
import { resolveGraph } from '../../kernels/graph/resolve';
import { startModel, type ArrayData, type NamedArray } from '../../kernels/run/run-model';

const VIEWS: Readonly<Record<string, (buffer: ArrayBuffer) => ArrayData>> = {
  F32: (buffer) => new Float32Array(buffer), I64: (buffer) => new BigInt64Array(buffer), BOOL: (buffer) => new Uint8Array(buffer),
};

/** A tensor of a checkpoint in memory. */
export function readTensor(checkpoint: Checkpoint, info: TensorInfo): NamedArray {
  const reader = TensorReader.open(checkpoint);
  const bytes = new Uint8Array(info.bytes);
  reader.readInto(info, 0, info.shape.reduce((a, b) => a * b, 1), bytes);
  reader.close();
  return { type: info.dtype, shape: info.shape, data: VIEWS[info.dtype]!(bytes.buffer) };
}

/** Runs a graph on weights of a checkpoint; gives the outputs in order. */
export async function runGraph(graph: Graph, checkpoint: Checkpoint, inputs: readonly NamedArray[]): Promise<NamedArray[]> {
  const reader = TensorReader.open(checkpoint);
  const running = await startModel(resolveGraph(graph, checkpoint, reader), 1);
  reader.close();
  const outputs = await running.run(new Map(graph.inputs.map(({ name }, i) => [name, inputs[i]!] as const)));
  await running.close();
  return graph.outputs.map(({ name }) => outputs.get(name)!);
}

/** Largest difference over the largest value; equal infinities differ by nothing. */
export function relativeError(actual: ArrayData, expected: ArrayData): number {
  let [difference, scale] = [0, 0];
  for (let i = 0; i < expected.length; i += 1) {
    const [a, b] = [Number(actual[i]), Number(expected[i])];
    if (a === b) { if (Number.isFinite(b)) scale = Math.max(scale, Math.abs(b)); continue; }
    difference = Math.max(difference, Number.isNaN(a - b) ? Infinity : Math.abs(a - b));
    scale = Math.max(scale, Math.abs(b));
  }
  return difference === 0 ? 0 : difference / (scale || 1);
}
export { openCheckpoint };
