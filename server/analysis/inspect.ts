/** A checkpoint as a table, without any model. */
import { elementCount, FLOAT_DTYPES, modelTensors, shownDtype, type Checkpoint, type TensorInfo } from '../../kernels/checkpoint/checkpoint';
import type { CheckpointSummary } from '../protocol';

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
  return tensors.filter((tensor) => FLOAT_DTYPES.has(tensor.dtype) && tensor.shape.length >= 2 && tensor.data !== null && elementCount(tensor.shape) > 0);
}
