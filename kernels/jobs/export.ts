/** Export: writes a quantized checkpoint atomically, reads it back and proves that every tensor is what was meant. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { existsSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { canStore, DTYPE_BITS, elementCount, locationKey, modelTensors, openCheckpoint, removeUnfinished, TensorReader, unfinishedName, writeSafetensors, type Checkpoint, type SafetensorsEntry, type TensorInfo } from '../checkpoint';
import { blockLayout } from '../formats/blocks';
import { kernelOps } from '../wasm/load';
import { columnConfig, columnEntries, columnProblem, refuseMixed } from './export-columns';
import { canPack, copyEntry, dequantizedEntry, eachTile, packedEntries, valuesEntry, type EntryContext, type PackableWeight } from './export-entries';
import { JobCancelled, JobError, type JobContext, type QuantizeParams, type QuantizeResult } from './job';
import type { QuantizedWeight } from './quantize';
import { storedValues } from '../stored/registry';
import { filesOf } from './weights';

type ExportParams = NonNullable<QuantizeParams['export']>;
type ExportResult = NonNullable<QuantizeResult['export']>;

/** @param changed values, in storage order, of other tensors that differ from the checkpoint's */
export async function exportCheckpoint(checkpoint: Checkpoint, weights: readonly QuantizedWeight[], params: ExportParams, context: JobContext, changed: ReadonlyMap<string, Float32Array> = new Map()): Promise<ExportResult> {
  const target = path.resolve(params.path);
  refuseTarget(checkpoint, target);
  const reader = TensorReader.open(filesOf(checkpoint));
  const total = 2 * modelTensors(checkpoint).reduce((sum, tensor) => sum + tensor.bytes, 0);
  let done = 0;
  let label = `Writing ${path.basename(target)}`;
  const entryContext: EntryContext = {
    reader,
    ops: await kernelOps(),
    memoryCapBytes: context.memoryCapBytes,
    throwIfCancelled: () => { context.throwIfCancelled(); },
    async pause(bytes) {
      done += bytes;
      context.progress(Math.min(done, total), total, label);
      await new Promise<void>((resolve) => { setImmediate(resolve); });
      context.throwIfCancelled();
    },
  };
  try {
    const { entries, packed, notes } = entriesOf(checkpoint, weights, changed, params, entryContext);
    const config = packed.length === 0 ? null : params.layout === 'gptq' || params.layout === 'awq' ? columnConfig(params.layout, packed) : quantizationConfig(packed);
    context.writesInto(path.dirname(target));
    await removeUnfinished(path.dirname(target));
    const written = await asJobError(target, () => writeSafetensors(target, entries, metadataOf(checkpoint, params, config), {
      // The file takes its name only once it has been read back: nobody ever meets one that was not proven.
      prove: (temporary) => {
        label = `Reading back ${path.basename(target)}`;
        return verify(temporary, target, entries, packed, entryContext, context);
      },
    }));
    if (config) notes.push(await writeConfigBeside(target, config));
    return { path: target, bytes: written.bytes, verifiedTensors: entries.length, sha256: written.sha256, ...(notes.length > 0 ? { notes } : {}) };
  } finally {
    reader.close();
  }
}

/**
 * Refuses, before anything is measured, a target that could not be written in the end.
 * @throws JobError
 */
export function refuseTarget(checkpoint: Checkpoint, file: string): void {
  const target = path.resolve(file);
  const folder = path.dirname(target);
  const facts = statSync(target, { throwIfNoEntry: false });
  if (facts?.isDirectory()) throw new JobError(`${target} could not be written: it is a folder. Name a file in it`);
  if (facts && !facts.isFile()) throw new JobError(`${target} could not be written: it is a device or a pipe, and the result is read back from a file. Name a file`);
  if (!existsSync(folder)) throw new JobError(`${target} could not be written: the folder ${folder} does not exist. Create it or name another file`);
  if (facts && checkpoint.files.some((read) => realpathSync(read.path) === realpathSync(target))) {
    throw new JobError(`${target} is the checkpoint that is being read; choose another file for the export`);
  }
}

/** Disk and header errors are about the user's input and say what to do; cancelling stays cancelling. */
export async function asJobError<T>(target: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof JobError || error instanceof JobCancelled || !(error instanceof Error) || error.name === 'JobCancelled') throw error;
    throw new JobError(`${target} could not be written: ${error.message}`);
  }
}

/** Tensors that share one place in the file are one weight under several names. */
function placeOf(tensor: TensorInfo): string | null {
  const { data } = tensor;
  return data && data.storage !== undefined ? JSON.stringify([locationKey(data), tensor.dtype, tensor.shape]) : null;
}

/**
 * What the tensors are called in the export. Where all quantized weights lie in one dict of a pickle (`state_dict`), they
 * are called by their keys there, so that the file loads as that dict did; unless two tensors would share a name.
 */
function exportNames(checkpoint: Checkpoint, weights: readonly QuantizedWeight[]): { nameOf: (tensor: TensorInfo) => string; note: string | null } {
  const container = weights[0]?.weight.tensor.container;
  const asStored = { nameOf: (tensor: TensorInfo): string => tensor.name, note: null };
  if (container === undefined || weights.some(({ weight }) => weight.tensor.container !== container)) return asStored;
  const nameOf = (tensor: TensorInfo): string => {
    const rest = tensor.name.startsWith(`${container}.`) ? tensor.name.slice(container.length + 1) : '';
    return rest === '' ? tensor.name : rest;
  };
  const tensors = modelTensors(checkpoint);
  if (new Set(tensors.map(nameOf)).size !== tensors.length) return asStored;
  return { nameOf, note: `names are the keys of ${container}` };
}

function entriesOf(checkpoint: Checkpoint, weights: readonly QuantizedWeight[], changed: ReadonlyMap<string, Float32Array>, params: ExportParams, context: EntryContext): { entries: SafetensorsEntry[]; packed: PackableWeight[]; notes: string[] } {
  const byTensor = new Map(weights.map((weight) => [weight.task.tensor, weight]));
  const byPlace = new Map(weights.flatMap((weight) => { const place = placeOf(weight.weight.tensor); return place ? [[place, weight] as const] : []; }));
  const notes: string[] = [];
  const packed: PackableWeight[] = [];
  const unpacked: string[] = [];
  const { nameOf, note } = exportNames(checkpoint, weights);
  // What cannot be read (sparse tensors, those on the meta device) or stored is left out, and told.
  const left: string[] = [];
  const unknownToSafetensors: string[] = [];
  if (note) notes.push(note);
  const entries = modelTensors(checkpoint).flatMap((tensor): SafetensorsEntry[] => {
    const name = nameOf(tensor);
    const place = placeOf(tensor);
    const weight = byTensor.get(tensor.name) ?? (place ? byPlace.get(place) : undefined);
    if (!weight && !(tensor.data && canStore(tensor.dtype))) {
      (tensor.data ? unknownToSafetensors : left).push(tensor.name);
      return [];
    }
    const values = changed.get(tensor.name);
    if (values) return [valuesEntry(name, tensor, values, context)];
    if (!weight) return [copyEntry(name, tensor, context)];
    if (weight.task.tensor !== tensor.name) notes.push(`${tensor.name} is tied to ${weight.task.tensor} and gets the same values`);
    const { layout = 'dequantized' } = params;
    if (layout === 'dequantized') return [dequantizedEntry(name, weight, context)];
    const columns = layout === 'gptq' || layout === 'awq' ? layout : null;
    const problem = columns ? columnProblem(columns, weight) : null;
    if (!canPack(weight) || problem !== null) {
      unpacked.push(problem === null ? tensor.name : `${tensor.name} (${problem})`);
      return [dequantizedEntry(name, weight, context)];
    }
    packed.push({ ...weight, task: { ...weight.task, tensor: name } });
    return columns ? columnEntries(columns, name, weight, context) : packedEntries(name, weight, context);
  });
  if (params.layout === 'gptq' || params.layout === 'awq') {
    if (packed.length === 0) throw new JobError(`the ${params.layout} layout can pack no layer: ${unpacked.slice(0, 3).join('; ')}; choose another format, or the dequantized layout`);
    refuseMixed(params.layout, packed);
    if (packed.some(({ format }) => format.scaleStorage === 'f32')) notes.push('scales are stored as F32; programs that keep them as F16 round them. A format with -sf16 (int4-asym-g128-sf16) stores what they use');
  }
  if (params.layout === 'compressed-tensors' && packed.length === 0) {
    throw new JobError('the compressed-tensors layout packs integer formats of linear and embedding weights only, and no layer is one that it can pack; choose the dequantized layout');
  }
  if (unpacked.length > 0) notes.push(`stored as dequantized values, because the packed layout holds only integers in matrices named weight with output channels first: ${unpacked.slice(0, 50).join(', ')}${unpacked.length > 50 ? `, and ${unpacked.length - 50} more` : ''}`);
  if (left.length > 0) notes.push(`left out, because the checkpoint holds no readable values for them: ${some(left)}`);
  if (unknownToSafetensors.length > 0) notes.push(`left out, because safetensors has no element type for them: ${some(unknownToSafetensors)}`);
  const dtypes = new Map(entries.map((entry) => [entry.name, entry]));
  if (dtypes.size !== entries.length) throw new JobError('two tensors of the export would have the same name; choose the dequantized layout');
  return { entries, packed, notes };
}

const some = (names: readonly string[]): string => `${names.slice(0, 8).join(', ')}${names.length > 8 ? `, and ${names.length - 8} more` : ''}`;

/** Metadata of the source, then what the caller adds, then the layout. Later pairs win. */
function metadataOf(checkpoint: Checkpoint, params: ExportParams, config: string | null): [string, string][] {
  const pairs = new Map<string, string>([['format', 'pt']]);
  if (checkpoint.format.startsWith('safetensors')) for (const [key, value] of checkpoint.metadata) if (key !== 'quantization_config') pairs.set(key, value);
  for (const [key, value] of params.metadata ?? []) pairs.set(key, value);
  if (config) pairs.set('quantization_config', config);
  return [...pairs];
}

/** The `quantization_config` that readers of compressed-tensors checkpoints expect in config.json: one group per kind of scheme. */
function quantizationConfig(weights: readonly PackableWeight[]): string {
  const groups = new Map<string, { weights: object; targets: string[] }>();
  for (const { format, weight: { layout }, task } of weights) {
    const grouped = format.granularity?.kind === 'group' && blockLayout(layout, format.granularity).size !== layout.cols;
    const scheme = {
      num_bits: format.codeBits, type: 'int', symmetric: format.element.kind === 'int' && format.element.symmetric,
      strategy: format.granularity?.kind === 'tensor' ? 'tensor' : grouped ? 'group' : 'channel',
      group_size: grouped && format.granularity?.kind === 'group' ? format.granularity.size : null,
      dynamic: false,
    };
    const key = JSON.stringify(scheme);
    const group = groups.get(key) ?? { weights: scheme, targets: [] };
    group.targets.push(task.tensor.replace(/\.weight$/, ''));
    groups.set(key, group);
  }
  return JSON.stringify({
    quant_method: 'compressed-tensors',
    format: 'pack-quantized',
    quantization_status: 'compressed',
    config_groups: Object.fromEntries([...groups.values()].map((group, i) => [`group_${i}`, { targets: group.targets, weights: group.weights, input_activations: null, output_activations: null }])),
    ignore: [],
  }, null, 2);
}

async function writeConfigBeside(target: string, config: string): Promise<string> {
  const file = `${target.replace(/\.safetensors$/, '')}.quantization_config.json`;
  const temporary = unfinishedName(file);
  await asJobError(file, async () => {
    try {
      await writeFile(temporary, `${config}\n`, { flag: 'wx' });
      await rename(temporary, file);
    } finally {
      await rm(temporary, { force: true });
    }
  });
  return `quantization_config for config.json is in ${path.basename(file)} and in the file's metadata`;
}

/**
 * Opens the file as any reader would and compares every tensor with what was to be written, byte for byte; and every packed
 * weight, recognised and decoded as in any checkpoint, with the values that the trial measured.
 */
export async function verify(file: string, target: string, entries: readonly SafetensorsEntry[], packed: readonly PackableWeight[], entryContext: EntryContext, context: JobContext): Promise<void> {
  const written = await openCheckpoint(file);
  const byName = new Map(written.tensors.map((tensor) => [tensor.name, tensor]));
  const wrong = (name: string): never => { throw new JobError(`${target} does not read back as it was written (${name}); the disk or the memory may be failing. Delete it and try again`); };
  if (byName.size !== entries.length) wrong('number of tensors');
  const reader = TensorReader.open(written);
  try {
    for (const entry of entries) {
      const tensor = byName.get(entry.name);
      if (!tensor || tensor.shape.join() !== entry.shape.join() || tensor.bytes !== (elementCount(entry.shape) * DTYPE_BITS[entry.dtype]) / 8) return wrong(entry.name);
      const bits = DTYPE_BITS[tensor.dtype];
      let at = 0;
      await entry.write((chunk) => {
        const count = (chunk.length * 8) / bits;
        const found = new Uint8Array(chunk.length);
        reader.readInto(tensor, at, count, found);
        at += count;
        if (Buffer.compare(found, chunk) !== 0) wrong(entry.name);
      });
      context.throwIfCancelled();
    }
    const recognised = new Map(written.derived?.map((weight) => [weight.name, weight]));
    for (const quantized of packed) {
      const weight = recognised.get(quantized.task.tensor);
      if (!weight || weight.shape.join() !== quantized.weight.tensor.shape.join()) return wrong(`${quantized.task.tensor} is not recognised`);
      const values = storedValues(weight, reader);
      await eachTile(quantized, entryContext, (codes, start) => {
        const expected = quantized.format.decode(codes);
        const found = new Float32Array(expected.length);
        values.read(start, found.length, found);
        // Zeros of either sign are one value.
        if (!expected.every((value, i) => value === found[i])) wrong(quantized.task.tensor);
      });
      context.throwIfCancelled();
    }
  } finally {
    reader.close();
  }
}
