/** From what a job asks for to tensors that can be worked on, or the reason why not. */
import { CheckpointError, elementCount, FLOAT_DTYPES, openCheckpoint, type Checkpoint, type TensorInfo } from '../checkpoint';
import { weightLayout, type WeightLayout } from '../formats/blocks';
import { FormatIdError, type NumberFormat } from '../formats/format';
import { parseFormat } from '../formats/registry';
import { JobError, type WeightSpec } from './job';

/** Rows whose ranges are kept in memory, at most. */
export const MAX_ROWS = 2 ** 24;

export interface ResolvedWeight {
  readonly spec: WeightSpec;
  readonly tensor: TensorInfo;
  readonly layout: WeightLayout;
  readonly weights: number;
}

/** What a worker needs of a checkpoint to read tensors: its files. Small, because it travels with every task. */
export function filesOf(checkpoint: Checkpoint): Checkpoint {
  return { format: checkpoint.format, path: checkpoint.path, files: checkpoint.files, tensors: [], problems: [], imports: [], metadata: [] };
}

/** Runs work on a checkpoint; what is wrong with the file becomes the job's error, which is shown and not retried. */
export async function withCheckpointErrors<T>(work: () => Promise<T> | T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CheckpointError) throw new JobError(error.message);
    throw error;
  }
}

export function openForJob(path: string): Promise<Checkpoint> {
  return withCheckpointErrors(() => openCheckpoint(path));
}

/** @throws JobError for an id that is no format. */
export function formatForJob(id: string): NumberFormat {
  try {
    return parseFormat(id);
  } catch (error) {
    if (error instanceof FormatIdError) throw new JobError(error.message);
    throw error;
  }
}

/**
 * Finds the tensor of a spec and its view.
 * @returns the weight, or a sentence why it cannot be quantized.
 * @throws JobError when the checkpoint has no tensor of that name.
 */
export function resolveWeight(checkpoint: Checkpoint, byName: ReadonlyMap<string, TensorInfo>, spec: WeightSpec): ResolvedWeight | string {
  const tensor = byName.get(spec.tensor);
  if (!tensor) throw new JobError(`the checkpoint ${checkpoint.path} has no tensor "${spec.tensor.slice(0, 200)}"; list its tensors with "bitlens inspect"`);
  if (!FLOAT_DTYPES.has(tensor.dtype)) return `${tensor.dtype} values are not measured: only floating-point types of 8 to 64 bits are`;
  if (tensor.shape.length === 0) return 'a single number has nothing to quantize';
  const weights = elementCount(tensor.shape);
  if (weights === 0) return 'the tensor is empty';
  if (!tensor.data) return 'the checkpoint declares the tensor but holds no values for it';
  let layout: WeightLayout;
  try {
    layout = weightLayout(tensor.shape, spec.outputAxis, spec.groups);
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
  if (layout.rows > MAX_ROWS) return `${layout.rows} output channels are more than the ${MAX_ROWS} that can be measured`;
  return { spec, tensor, layout, weights };
}

/** Tensors of the file and the weights derived from them, by name; a derived weight wins over a tensor of its name. */
export function tensorsByName(checkpoint: Checkpoint): Map<string, TensorInfo> {
  return new Map([...checkpoint.tensors, ...(checkpoint.derived ?? [])].map((tensor) => [tensor.name, tensor]));
}
