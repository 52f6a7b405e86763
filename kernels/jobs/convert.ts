/** Convert: a checkpoint of any format as one file of another, its weights as they are or in a number format. Read back and compared. */
import path from 'node:path';
import { canStore, DTYPE_BITS, elementCount, FLOAT_DTYPES, modelTensors, removeUnfinished, TensorReader, writeSafetensors, type DType, type SafetensorsEntry, type TensorInfo } from '../checkpoint';
import { encodeFloats } from '../numerics/codecs';
import { kernelOps } from '../wasm/load';
import { asJobError, refuseTarget, verify } from './export';
import { copyEntry, type EntryContext } from './export-entries';
import { JobError, type ConvertParams, type ConvertResult, type Job, type JobContext } from './job';
import { layoutsOf } from './layouts';
import { numberReader } from './numbers';
import { convertToGguf } from './convert-gguf';
import { convertToOnnx } from './convert-onnx';
import { whyKept } from './convert-weights';
import { quantizeJob } from './quantize';
import { assertUnchanged } from './scan';
import { filesOf, formatForJob, openForJob } from './weights';

const PIECE_ELEMENTS = 2 ** 18;

export const convertJob: Job<'convert'> = {
  kind: 'convert',
  run(params: ConvertParams, context: JobContext): Promise<ConvertResult> {
    if (params.to === 'gguf') return convertToGguf(params, context);
    if (params.to === 'onnx') return convertToOnnx(params, context);
    return params.format === undefined ? convertToSafetensors(params, context) : convertQuantized(params, context);
  },
};

/** Weights in a number format: a trial of every weight in one format, whose export is the file. */
async function convertQuantized(params: ConvertParams, context: JobContext): Promise<ConvertResult> {
  const checkpoint = await openForJob(params.checkpoint);
  const format = formatForJob(params.format!);
  const layout = params.layout ?? 'dequantized';
  const known = layoutsOf('safetensors');
  if (!known.includes(layout)) throw new JobError(`a safetensors file has no layout "${layout}"; it has ${known.join(', ')}`);
  const tensors = modelTensors(checkpoint);
  const weights = tensors.filter((tensor) => whyKept(tensor) === null);
  const floats = tensors.filter(({ dtype }) => FLOAT_DTYPES.has(dtype));
  const kept = floats.flatMap((tensor) => { const reason = whyKept(tensor); return reason === null ? [] : [{ key: tensor.name, reason }]; });
  if (weights.length === 0) throw new JobError(`${params.checkpoint} holds no weight that ${format.id} could replace: ${kept.length > 0 ? `${kept[0]!.key} is ${kept[0]!.reason}` : 'it has no floating-point tensors'}`);
  const tasks = weights.map((tensor) => ({ key: tensor.name, tensor: tensor.name, outputAxis: tensor.outputAxis ?? 0, format: format.id, method: params.method ?? 'rtn', orKeep: true }));
  const result = await quantizeJob.run({ checkpoint: params.checkpoint, tasks, seed: 0, export: { path: params.path, layout } }, context);
  const written = result.export!;
  const sizes = new Map(weights.map(({ name, shape }) => [name, elementCount(shape)]));
  return {
    path: written.path, bytes: written.bytes, sha256: written.sha256, verifiedTensors: written.verifiedTensors,
    decoded: tensors.filter(({ encoding, name }) => encoding && !sizes.has(name)).length, left: [],
    quantized: result.layers.map(({ tensor, format: type, after }) => ({ tensor, type, bits: after.bitsPerWeight, sqnrDb: after.sqnrDb, weights: sizes.get(tensor)! })),
    kept: [...kept, ...(result.kept ?? [])], fallbacks: [], notes: written.notes ?? [], seconds: result.seconds,
  };
}

async function convertToSafetensors(params: ConvertParams, context: JobContext): Promise<ConvertResult> {
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
      left: left.map(({ name }) => name), quantized: [], kept: [], fallbacks: [], notes: [], seconds: (performance.now() - started) / 1000,
    };
  } finally {
    reader.close();
  }
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
