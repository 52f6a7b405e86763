/** Scan: statistics of every weight and its error in every format, streamed from disk (see measure.ts). */
import { TensorReader, type Checkpoint } from '../checkpoint';
import type { NumberFormat, ScaleRule } from '../formats/format';
import { formatError } from './format-error';
import { JobError, type FormatError, type Job, type JobContext, type ScanParams, type ScanResult, type WeightScan } from './job';
import { isScaleRule, measureWeights, type MeasuredWeight } from './measure';
import { weightStatistics } from './weight-summary';
import { formatForJob, openForJob, resolveWeight, tensorsByName, withCheckpointErrors, type ResolvedWeight } from './weights';

export const scanJob: Job<'scan'> = {
  kind: 'scan',
  async run(params: ScanParams, context: JobContext): Promise<ScanResult> {
    const started = performance.now();
    const formats = params.formats.map(formatForJob);
    const { scaleRule } = params;
    if (!isScaleRule(scaleRule)) throw new JobError(`"${String(scaleRule)}" is not a scale rule; use absmax or mse`);
    const checkpoint = await openForJob(params.checkpoint);
    const byName = tensorsByName(checkpoint);
    const skipped: { key: string; reason: string }[] = [];
    const weights: ResolvedWeight[] = [];
    for (const spec of params.weights) {
      const resolved = resolveWeight(checkpoint, byName, spec);
      if (typeof resolved === 'string') skipped.push({ key: spec.key, reason: resolved });
      else weights.push(resolved);
    }
    const requests = formats.map(({ id }) => ({ id, rule: scaleRule }));
    const measured = await measureWeights(checkpoint, weights.map((weight) => ({ weight, formats: requests })), context);
    await assertUnchanged(checkpoint);
    return {
      weights: weights.map((weight, i) => weightScan(weight, measured[i]!, params.formats, formats, scaleRule)),
      skipped,
      elements: weights.reduce((total, { weights: count }) => total + count, 0),
      seconds: (performance.now() - started) / 1000,
    };
  },
};

/** @throws JobError when a file of the checkpoint changed since it was opened. */
export function assertUnchanged(checkpoint: Checkpoint): Promise<void> {
  return withCheckpointErrors(() => {
    const reader = TensorReader.open(checkpoint);
    try {
      reader.assertUnchanged();
    } finally {
      reader.close();
    }
  });
}

function weightScan(weight: ResolvedWeight, measured: MeasuredWeight, ids: readonly string[], formats: readonly NumberFormat[], rule: ScaleRule): WeightScan {
  const { layout, spec } = weight;
  const { summary } = measured;
  const byFormat: Record<string, FormatError> = {};
  ids.forEach((id, i) => { byFormat[id] = formatError(formats[i]!, layout, rule, summary.moments.count, summary.signal, measured.errors[i]!); });
  return { key: spec.key, tensor: spec.tensor, view: { rows: layout.rows, cols: layout.cols }, statistics: weightStatistics(layout, summary, measured), formats: byFormat };
}
