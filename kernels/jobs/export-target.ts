/** Where the result of a trial goes: which kind of file, and how it is written. */
import type { Checkpoint } from '../checkpoint';
import { exportCheckpoint, refuseTarget } from './export';
import type { PlannedWeight } from './export-codes';
import { exportGraph, planGraphExport } from './export-graph';
import { patchOnnx, patchProblem, refusePatch } from './export-onnx';
import { JobError, type JobContext, type QuantizeParams, type QuantizeResult } from './job';
import { defaultLayout, kindOfFile, layoutProblem } from './layouts';
import type { QuantizedWeight } from './quantize';

type ExportParams = NonNullable<QuantizeParams['export']>;
type ExportResult = NonNullable<QuantizeResult['export']>;

const complete = (params: ExportParams): ExportParams & { layout: NonNullable<ExportParams['layout']> } => ({ ...params, layout: params.layout ?? defaultLayout(kindOfFile(params.path)) });
const tensorsOf = (weights: readonly PlannedWeight[]): string[] => weights.map(({ task }) => task.tensor);
/** Other values in the places of the old ones: the rest of the file stays as it is, byte for byte. */
const patches = (checkpoint: Checkpoint, { layout, graph }: ExportParams): boolean => layout === 'dequantized' && !graph && checkpoint.format === 'onnx';

/** Refuses, before anything is measured, an export that could not be written in the end. @throws JobError */
export async function refuseExport(checkpoint: Checkpoint, given: ExportParams, weights: readonly PlannedWeight[]): Promise<void> {
  const params = complete(given);
  refuseTarget(checkpoint, params.path);
  const problem = layoutProblem(params.path, params.layout);
  if (problem !== null) throw new JobError(problem);
  if (kindOfFile(params.path) === 'safetensors') return;
  if (patches(checkpoint, params)) refusePatch(checkpoint, params, tensorsOf(weights));
  else await planGraphExport(checkpoint, params, weights);
}

/**
 * Writes, reads back and compares.
 * @param changed values, in storage order, of other tensors that differ from the checkpoint's
 * @throws JobError
 */
export async function exportQuantized(checkpoint: Checkpoint, weights: readonly QuantizedWeight[], given: ExportParams, context: JobContext, changed: ReadonlyMap<string, Float32Array> = new Map()): Promise<ExportResult> {
  const params = complete(given);
  if (kindOfFile(params.path) === 'safetensors') return exportCheckpoint(checkpoint, weights, params, context, changed);
  if (patches(checkpoint, params)) return patchOnnx(checkpoint, weights, params, context, changed);
  if (params.layout === 'auto' && patches(checkpoint, { ...params, layout: 'dequantized' }) && patchProblem(checkpoint, [...tensorsOf(weights), ...changed.keys()]) === null) {
    const { choices, notes } = await planGraphExport(checkpoint, params, weights, changed.keys());
    if (choices.every(({ how }) => 'why' in how)) {
      const written = await patchOnnx(checkpoint, weights, params, context, changed);
      return { ...written, notes: [...notes, ...written.notes ?? []] };
    }
  }
  return exportGraph(checkpoint, weights, params, context, changed);
}
