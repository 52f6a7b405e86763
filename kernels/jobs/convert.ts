/** Convert: a checkpoint of any format as one safetensors file; quantized weights as the values they stand for. Read back and compared. */
import path from 'node:path';
import { canStore, DTYPE_BITS, elementCount, FLOAT_DTYPES, modelTensors, removeUnfinished, TensorReader, writeSafetensors, type DType, type SafetensorsEntry, type TensorInfo } from '../checkpoint';
import { encodeFloats } from '../numerics/codecs';
import { kernelOps } from '../wasm/load';
import { asJobError, refuseTarget, verify } from './export';
import { copyEntry, type EntryContext } from './export-entries';
import { JobError, type ConvertParams, type ConvertResult, type Job, type JobContext } from './job';
import { numberReader } from './numbers';
import { assertUnchanged } from './scan';
import { filesOf, openForJob } from './weights';

const PIECE_ELEMENTS = 2 ** 18;

export const convertJob: Job<'convert'> = {
  kind: 'convert',
  async run(params: ConvertParams, context: JobContext): Promise<ConvertResult> {
    const started = performance.now();
    const checkpoint = await openForJob(params.checkpoint);
    const target = path.resolve(params.path);
    refuseTarget(checkpoint, target);
    const tensors = modelTensors(checkpoint);
    const readable = (tensor: TensorInfo): boolean => tensor.data !== null && !tensor.quantizer && canStore(tensor.dtype);
    const [kept, left] = [tensors.filter(readable), tensors.filter((tensor) => !readable(tensor))];
    if (kept.length === 0) throw new JobError(`${params.checkpoint} holds no tensor that can be converted`);
    const total = 2 * kept.reduce((sum, { bytes }) => sum + bytes, 0);
    const reader = TensorReader.open(filesOf(checkpoint));
    let done = 0;
    let label = `Writing ${path.basename(target)}`;
    const entryContext: EntryContext = {
      reader, ops: await kernelOps(), memoryCapBytes: context.memoryCapBytes,
      throwIfCancelled: () => { context.throwIfCancelled(); },
      async pause(bytes) {
        done += bytes;
        context.progress(Math.min(done, total), total, label);
        await new Promise<void>((resolve) => { setImmediate(resolve); });
        context.throwIfCancelled();
      },
    };
    try {
      const entries = kept.map((tensor) => (params.dtype && FLOAT_DTYPES.has(tensor.dtype) && tensor.dtype !== params.dtype ? castEntry(tensor, params.dtype, entryContext) : copyEntry(tensor.name, tensor, entryContext)));
      context.writesInto(path.dirname(target));
      await removeUnfinished(path.dirname(target));
      const metadata = checkpoint.format.startsWith('safetensors') ? checkpoint.metadata.filter(([key]) => key !== 'quantization_config') : [];
      const pairs: [string, string][] = [...new Map<string, string>([['format', 'pt'], ...metadata])];
      const written = await asJobError(target, () => writeSafetensors(target, entries, pairs, {
        prove: (temporary) => {
          label = `Reading back ${path.basename(target)}`;
          return verify(temporary, target, entries, [], entryContext, context);
        },
      }));
      await assertUnchanged(checkpoint);
      return {
        path: target, bytes: written.bytes, sha256: written.sha256, verifiedTensors: entries.length, decoded: kept.filter(({ encoding }) => encoding).length,
        left: left.map(({ name }) => name), seconds: (performance.now() - started) / 1000,
      };
    } finally {
      reader.close();
    }
  },
};

/** The values of a floating-point tensor in another type, nearest with ties to even. */
function castEntry(tensor: TensorInfo, dtype: DType, context: EntryContext): SafetensorsEntry {
  const total = elementCount(tensor.shape);
  return {
    name: tensor.name, dtype, shape: tensor.shape,
    async write(sink) {
      const read = numberReader(tensor, context.reader);
      const values = new Float64Array(Math.min(total, PIECE_ELEMENTS));
      for (let first = 0; first < total; first += PIECE_ELEMENTS) {
        const count = Math.min(PIECE_ELEMENTS, total - first);
        read(first, count, values);
        const bytes = new Uint8Array((count * DTYPE_BITS[dtype]) / 8);
        encodeFloats(dtype, Float32Array.from(values.subarray(0, count)), count, bytes);
        sink(bytes);
        await context.pause((count * DTYPE_BITS[tensor.dtype]) / 8);
      }
    },
  };
}
