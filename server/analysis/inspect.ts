/** A checkpoint as a table, without any model. */
import path from 'node:path';
import { CheckpointError, elementCount, FLOAT_DTYPES, modelTensors, shownDtype, type Checkpoint, type TensorInfo } from '../../kernels/checkpoint/checkpoint';
import type { CheckpointSummary } from '../protocol';
import type { OpenCheckpoint } from './ports';
import { UserError } from './user-error';

/**
 * Opens a checkpoint for somebody who named it.
 * @param file as it was written: the message repeats it.
 * @throws UserError with the reader's message when the file is refused; the signal's reason when aborted.
 */
export async function openForUser(file: string, open: OpenCheckpoint, signal?: AbortSignal): Promise<Checkpoint> {
  try {
    return await open(path.resolve(file), signal ? { signal } : {});
  } catch (error) {
    if (error instanceof CheckpointError) throw new UserError(`${file}: ${error.message}`, error.problem);
    throw error;
  }
}

/** @throws as {@link openForUser} does. */
export async function inspectCheckpoint(file: string, open: OpenCheckpoint, signal?: AbortSignal): Promise<CheckpointSummary> {
  return checkpointSummary(await openForUser(file, open, signal));
}

/** Elements of all tensors, those that share bytes counted once. */
export function parameterCount(tensors: readonly TensorInfo[]): number {
  const seen = new Set<string>();
  let count = 0;
  for (const { data, dtype, shape } of tensors) {
    if (data && data.storage !== undefined) {
      const key = `${data.file}:${data.storage}:${data.offset}:${dtype}:${shape.join('x')}`;
      if (seen.has(key)) continue;
      seen.add(key);
    }
    count += elementCount(shape);
  }
  return count;
}

function row(tensor: TensorInfo): CheckpointSummary['tensors'][number] {
  const { name, dtype, shape, bytes, encoding } = tensor;
  return { name, dtype: shownDtype(tensor), shape, bytes, float: FLOAT_DTYPES.has(dtype), ...(encoding?.format ? { format: encoding.format } : {}) };
}

export function checkpointSummary(checkpoint: Checkpoint): CheckpointSummary {
  return {
    path: checkpoint.path,
    format: checkpoint.format,
    bytes: checkpoint.files.reduce((sum, file) => sum + file.identity.size, 0),
    parameters: parameterCount(modelTensors(checkpoint)),
    tensors: checkpoint.tensors.map(row),
    ...(checkpoint.derived ? { weights: checkpoint.derived.map((weight) => ({ ...row(weight), replaces: weight.replaces })) } : {}),
    problems: checkpoint.problems.map(({ code, grade, message, fix, offset }) => ({ code, grade, message, fix, ...(offset === undefined ? {} : { offset }) })),
    imports: checkpoint.imports.map(({ module, name, kind }) => ({ module, name, kind })),
    metadata: checkpoint.metadata,
  };
}

/** Tensors that a number format can replace: floating point, two or more dimensions, bytes present. */
export function scannable(tensors: readonly TensorInfo[]): TensorInfo[] {
  return tensors.filter((tensor) => whyNotScanned(tensor) === null);
}

/** Why a tensor is none of the {@link scannable} ones, in a few words; null when it is one. */
export function whyNotScanned({ dtype, shape, data }: TensorInfo): string | null {
  if (!FLOAT_DTYPES.has(dtype)) return `${dtype} values are not measured: only floating-point types of 8 to 64 bits are`;
  if (shape.length === 0) return 'a single number has nothing to quantize';
  if (shape.length === 1) return 'vectors (biases, weights of norms) are not quantized: they keep their precision';
  if (elementCount(shape) === 0) return 'the tensor is empty';
  return data === null ? 'the checkpoint declares the tensor but holds no values for it' : null;
}
