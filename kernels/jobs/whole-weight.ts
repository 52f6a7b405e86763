/** Methods that hold a whole weight: what a method makes of one, and the error beside round-to-nearest. */
import { TensorReader, type Checkpoint } from '../checkpoint';
import { isBlockScaled, type NumberFormat, type Quantized } from '../formats/format';
import type { PtqMethod } from '../methods/method';
import { valueErrorSums } from '../wasm/errors.ref';
import { formatError } from './format-error';
import { JobError, type FormatError, type JobContext, type QuantizedLayer, type QuantizeTask } from './job';
import { toMatrix } from '../run/weight-matrix';
import { wholeValues } from './numbers';
import type { QuantizedWeight } from './quantize';
import type { ResolvedWeight } from './weights';

/** Copies of a weight that a method may hold at once, as float32. */
const COPIES = 8;

export interface WholeTask { readonly task: QuantizeTask; readonly weight: ResolvedWeight; readonly format: NumberFormat; readonly method: PtqMethod }

/** A quantized layer's errors beside those of round-to-nearest with absmax scales in the same format. */
export function layerResult({ task, weight, format, method }: WholeTask, matrix: Float32Array, decoded: Float32Array): QuantizedLayer {
  let signal = 0;
  for (const value of matrix) signal += value * value;
  const rtn = format.decode(format.encode(matrix, weight.layout, 'absmax'));
  const error = (values: Float32Array): FormatError => formatError(format, weight.layout, 'absmax', matrix.length, signal, valueErrorSums(matrix, values));
  return { key: task.key, tensor: task.tensor, format: format.id, method: method.id, before: error(rtn), after: error(decoded) };
}

/** What an export needs of a weight that was held whole. */
export function wholeWeight({ task, weight, format }: WholeTask, whole: Quantized): QuantizedWeight {
  return { task, weight, format, rule: 'absmax', whole, scales: isBlockScaled(format) ? { scales: whole.scales, zeroPoints: whole.zeroPoints } : null };
}

/** Runs methods that need nothing but the weights, one weight after another. @throws JobError for one that memory cannot hold. */
export async function quantizeWhole(checkpoint: Checkpoint, tasks: readonly WholeTask[], context: JobContext): Promise<{ layer: QuantizedLayer; quantized: Quantized }[]> {
  const reader = TensorReader.open(checkpoint);
  try {
    const results: { layer: QuantizedLayer; quantized: Quantized }[] = [];
    for (const each of tasks) {
      const { task, weight, format, method } = each;
      context.throwIfCancelled();
      context.progress(results.length, tasks.length, `Quantizing ${task.key.replace(/\0.*/s, '')} with ${method.id}`);
      const bytes = weight.weights * 4 * COPIES;
      if (bytes > context.memoryCapBytes) throw new JobError(`${task.key}: ${method.id} holds the whole weight, which needs about ${bytes} bytes of memory; the limit is ${context.memoryCapBytes}. Leave this layer out, choose rtn or mse-clip, or raise the memory limit`);
      const matrix = toMatrix(wholeValues(weight.tensor, reader), weight.layout);
      const quantized = await method.run(matrix, weight.layout, format, task.options ?? {}, null, () => context.throwIfCancelled());
      results.push({ layer: layerResult(each, matrix, format.decode(quantized)), quantized });
    }
    return results;
  } finally { reader.close(); }
}
