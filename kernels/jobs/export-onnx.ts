/**
 * Export of a quantized ONNX model with ordinary values: the file as it is, byte for byte, with the dequantized weights in place of the
 * old ones. Files of values beside the model are copied along.
 */
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import path from 'node:path';
import { elementCount, openCheckpoint, removeUnfinished, TensorReader, type Checkpoint, type SafetensorsEntry, type TensorInfo, type TensorLocation } from '../checkpoint';
import { AtomicFile } from '../checkpoint/atomic-file';
import { FileSource } from '../checkpoint/byte-source';
import { DEFAULT_LIMITS } from '../checkpoint/limits';
import { kernelOps } from '../wasm/load';
import { asJobError } from './export';
import { dequantizedEntry, valuesEntry, type EntryContext } from './export-entries';
import { JobError, type JobContext, type QuantizeParams, type QuantizeResult } from './job';
import { refusal } from './onnx-refusal';
import type { QuantizedWeight } from './quantize';
import { filesOf, tensorsByName } from './weights';

type ExportParams = NonNullable<QuantizeParams['export']>;
type ExportResult = NonNullable<QuantizeResult['export']>;

const COPY_BYTES = 4 * 2 ** 20;

/** Why the weights of a file cannot be replaced by others of the same type in their places; null when they can. */
export function patchProblem(checkpoint: Checkpoint, tensors: Iterable<string>): string | null {
  const byName = tensorsByName(checkpoint);
  for (const name of tensors) {
    const tensor = byName.get(name);
    if (!tensor || tensor.encoding || !tensor.data || tensor.data.packed) return `${name} is not stored as plain values in ${path.basename(checkpoint.path)}, so that no others can stand in their place`;
  }
  return null;
}

/** Refuses, before anything is measured, a copy that could not be written in the end. @throws JobError */
export function refusePatch(checkpoint: Checkpoint, params: ExportParams, tensors: Iterable<string>): void {
  const problem = patchProblem(checkpoint, tensors);
  if (problem !== null) throw new JobError(`${problem}; choose another layout, or export safetensors`);
  placesOf(checkpoint, path.resolve(params.path));
}

/** Where each file of the model goes. @throws JobError where one is there already */
function placesOf(checkpoint: Checkpoint, target: string): string[] {
  const folder = path.dirname(target);
  const from = path.dirname(checkpoint.files[0]!.path);
  return checkpoint.files.map((file, index) => {
    if (index === 0) return target;
    const place = path.join(folder, path.relative(from, file.path));
    if (realpathSync(folder) === realpathSync(from)) throw new JobError(`${path.basename(checkpoint.path)} keeps its values in ${path.basename(file.path)} beside it, under a name that the copy would have too; export into another folder`);
    if (existsSync(place)) throw new JobError(`${place} is there already, and would be written with the values of the exported model; export into another folder`);
    return place;
  });
}

/** Values that stand in the place of a tensor's. */
interface Patch { readonly tensor: TensorInfo; readonly entry: SafetensorsEntry }

function patchesOf(checkpoint: Checkpoint, quantized: readonly QuantizedWeight[], changed: ReadonlyMap<string, Float32Array>, context: EntryContext): Patch[] {
  const byName = tensorsByName(checkpoint);
  return [
    ...quantized.map((weight) => ({ tensor: weight.weight.tensor, entry: dequantizedEntry(weight.task.tensor, weight, context) })),
    ...[...changed].map(([name, values]) => ({ tensor: byName.get(name)!, entry: valuesEntry(name, byName.get(name)!, values, context) })),
  ];
}

/**
 * @param changed values, in storage order, of other tensors that differ from the checkpoint's
 * @throws JobError when a file cannot be written or does not read back as it should.
 */
export async function patchOnnx(checkpoint: Checkpoint, quantized: readonly QuantizedWeight[], params: ExportParams, context: JobContext, changed: ReadonlyMap<string, Float32Array> = new Map()): Promise<ExportResult> {
  refusePatch(checkpoint, params, [...quantized.map(({ task }) => task.tensor), ...changed.keys()]);
  const target = path.resolve(params.path);
  const places = placesOf(checkpoint, target);
  const reader = TensorReader.open(filesOf(checkpoint));
  const total = checkpoint.files.reduce((sum, { identity }) => sum + identity.size, 0);
  let done = 0;
  const pause = async (bytes: number): Promise<void> => {
    done += bytes;
    context.progress(Math.min(done, total), total, `Writing ${path.basename(target)}`);
    await new Promise<void>((resolve) => { setImmediate(resolve); });
    context.throwIfCancelled();
  };
  const entryContext: EntryContext = { reader, ops: await kernelOps(), memoryCapBytes: context.memoryCapBytes, throwIfCancelled: () => { context.throwIfCancelled(); }, pause };
  const weights = patchesOf(checkpoint, quantized, changed, entryContext);
  const written: string[] = [];
  context.writesInto(path.dirname(target));
  await removeUnfinished(path.dirname(target));
  try {
    return await asJobError(target, async () => {
      // What the model names must be there before the model is.
      for (const [index, place] of places.entries()) {
        if (index === 0) continue;
        mkdirSync(path.dirname(place), { recursive: true });
        const file = await patched(checkpoint, index, place, weights, entryContext);
        await file.commit();
        written.push(place);
      }
      const model = await patched(checkpoint, 0, target, weights, entryContext);
      try {
        model.finish();
        await verify(model.temporary, target, checkpoint, weights);
        const sha256 = await model.commit();
        return { path: target, bytes: model.bytes, verifiedTensors: weights.length, sha256, ...(places.length > 1 ? { notes: [`its values are in ${places.slice(1).map((place) => path.basename(place)).join(', ')}`] } : {}) };
      } catch (error) { model.discard(); throw error; }
    });
  } catch (error) {
    for (const place of written) await unlink(place).catch(() => undefined);
    throw error;
  } finally { reader.close(); }
}

/** A copy of one file of the model, with the values of weights replaced. Not yet under its name. */
async function patched(checkpoint: Checkpoint, index: number, place: string, patches: readonly Patch[], context: EntryContext): Promise<AtomicFile> {
  const source = new FileSource(checkpoint.files[index]!.path, DEFAULT_LIMITS.readBytes);
  const file = new AtomicFile(place);
  try {
    const inside = patches.map((patch) => ({ ...patch, data: patch.tensor.data as TensorLocation })).filter(({ data }) => data.file === index).sort((a, b) => a.data.offset - b.data.offset);
    const copyTo = async (end: number): Promise<void> => {
      while (file.bytes < end) {
        const piece = source.read(file.bytes, Math.min(COPY_BYTES, end - file.bytes));
        file.write(piece);
        await context.pause(piece.length);
      }
    };
    for (const { entry, data } of inside) {
      await copyTo(data.offset);
      if (file.bytes !== data.offset) throw new JobError(`${entry.name} shares its bytes with another tensor; export safetensors instead`);
      await entry.write((chunk) => { file.write(chunk); });
    }
    await copyTo(source.size);
    return file;
  } catch (error) {
    file.discard();
    throw error;
  } finally { source.close(); }
}

/** Opens the copy as any reader would, compares every weight with what the trial judged, and lets onnxruntime load it where it is there and loads the original. */
async function verify(file: string, target: string, original: Checkpoint, patches: readonly Patch[]): Promise<void> {
  const copy = await openCheckpoint(file);
  const wrong = (name: string): never => { throw new JobError(`${target} does not read back as it was written (${name}); the disk or the memory may be failing. Try again`); };
  if (copy.tensors.length !== original.tensors.length) wrong('number of tensors');
  const byName = new Map(copy.tensors.map((tensor) => [tensor.name, tensor]));
  const reader = TensorReader.open(copy);
  try {
    for (const { entry } of patches) {
      const tensor = byName.get(entry.name) ?? wrong(entry.name);
      const each = tensor.bytes / Math.max(1, elementCount(entry.shape));
      let at = 0;
      await entry.write((chunk) => {
        const found = new Uint8Array(chunk.length);
        reader.readInto(tensor, at, chunk.length / each, found);
        at += chunk.length / each;
        if (Buffer.compare(found, chunk) !== 0) wrong(entry.name);
      });
    }
  } finally { reader.close(); }
  const refused = await refusal(file);
  // Types that onnxruntime does not run on a CPU (bfloat16) it refuses in the original as well.
  if (refused !== null && await refusal(original.path) === null) throw new JobError(`onnxruntime refuses ${target}: ${refused}`);
}
