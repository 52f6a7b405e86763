/**
 * Quantize: each weight with a method in a format, compared with round-to-nearest, and a checkpoint of the result when asked.
 * Weights are measured on the workers as in a scan; the scales they find are the ones that are exported.
 */
import type { TensorInfo } from '../checkpoint';
import type { BlockScales, NumberFormat, Quantized, ScaleRule } from '../formats/format';
import type { PtqMethod } from '../methods/method';
import { formatError } from './format-error';
import { refuseTarget } from './export';
import { exportQuantized, refuseExport } from './export-target';
import { JobError, type Job, type JobContext, type QuantizeParams, type QuantizeResult, type QuantizeTask } from './job';
import { measureWeights, type MeasuredWeight } from './measure';
import { assertUnchanged } from './scan';
import { methodOfTask, refuseContradictions } from './quantize-plan';
import type { FormatRequest } from './scan-tasks';
import { formatForJob, openForJob, resolveWeight, tensorsByName, type ResolvedWeight } from './weights';
import { quantizeWhole, wholeWeight, type WholeTask } from './whole-weight';

/** A weight, what it becomes, and (for an export) its scales. */
export interface QuantizedWeight {
  readonly task: QuantizeTask;
  readonly weight: ResolvedWeight;
  readonly format: NumberFormat;
  /** Of block-scaled formats; others find what they need when they encode. */
  readonly scales: BlockScales | null;
  readonly rule: ScaleRule;
  /** What a method made of the whole weight; absent when the scales and the rule say all. */
  readonly whole?: Quantized;
}

/** A method whose whole effect is how scales are found: weights stream through it and are never held. */
const streams = (method: PtqMethod): method is PtqMethod & { readonly scaleRule: ScaleRule } => method.scaleRule !== null;

export const quantizeJob: Job<'quantize'> = {
  kind: 'quantize',
  async run(params: QuantizeParams, context: JobContext): Promise<QuantizeResult> {
    const started = performance.now();
    if (params.tasks.length === 0) throw new JobError('there is nothing to quantize: no layer was named');
    const checkpoint = await openForJob(params.checkpoint);
    if (params.export) refuseTarget(checkpoint, params.export.path);
    const byName = tensorsByName(checkpoint);
    const kept: { key: string; reason: string }[] = [];
    const resolved = params.tasks.flatMap((task): WholeTask[] => {
      const format = formatForJob(task.format);
      const method = methodForJob(task);
      const weight = resolveWeight(checkpoint, byName, task);
      if (typeof weight !== 'string') return [{ task, weight, format, method }];
      if (!task.orKeep) throw new JobError(`${task.key}: ${weight}; leave this layer out`);
      kept.push({ key: task.key, reason: weight });
      return [];
    });
    refuseContradictions(resolved);
    if (params.export && resolved.length > 0) await refuseExport(checkpoint, params.export, resolved);
    const keepScales = params.export !== undefined;
    const all = await measureWeights(checkpoint, resolved.map(({ weight, format, method }) => ({ weight, formats: requestsOf(format, method, keepScales) })), context);
    const usable = resolved.map(({ task }, i) => {
      const reason = keepScales ? notFinite(all[i]!) : null;
      if (reason === null) return true;
      if (!task.orKeep) throw new JobError(`${task.key} holds ${reason}, which no quantized format can store; repair the checkpoint or leave this layer out`);
      kept.push({ key: task.key, reason: `it holds ${reason}` });
      return false;
    });
    const planned = resolved.filter((_, i) => usable[i]);
    const measured = all.filter((_, i) => usable[i]);
    if (planned.length === 0) throw new JobError(`no weight can be quantized: ${kept[0]!.key.replace(/\0.*/s, '')}: ${kept[0]!.reason}${kept.length > 1 ? `, and ${kept.length - 1} more` : ''}`);
    // Methods that hold a whole weight come after what streams.
    const held = planned.filter(({ method }) => !streams(method));
    const whole = new Map((await quantizeWhole(checkpoint, held, context)).map((result, i) => [held[i]!, result]));
    const layers = planned.map((each, i) => {
      const { task, weight, format, method } = each;
      if (!streams(method)) return whole.get(each)!.layer;
      const { summary, errors } = measured[i]!;
      const error = (at: number, rule: ScaleRule) => formatError(format, weight.layout, rule, summary.moments.count, summary.signal, errors[at]!);
      return { key: task.key, tensor: task.tensor, format: format.id, method: method.id, before: error(0, 'absmax'), after: error(errors.length - 1, method.scaleRule) };
    });
    const totals = totalsOf(planned);
    const exported = params.export && await exportQuantized(checkpoint, planned.map((each, i): QuantizedWeight => {
      const { task, weight, format, method } = each;
      return streams(method) ? { task, weight, format, scales: measured[i]!.scales.at(-1)!, rule: method.scaleRule } : wholeWeight(each, whole.get(each)!.quantized);
    }), params.export, context);
    await assertUnchanged(checkpoint);
    return { layers, ...(kept.length > 0 ? { kept } : {}), ...totals, seconds: (performance.now() - started) / 1000, ...(exported ? { export: exported } : {}) };
  },
};

/** Round-to-nearest first, then what the method does where that differs and streams. */
function requestsOf(format: NumberFormat, { scaleRule: rule }: PtqMethod, keepScales: boolean): FormatRequest[] {
  if (rule === 'absmax') return [{ id: format.id, rule, keepScales }];
  return [{ id: format.id, rule: 'absmax' }, ...(rule === null ? [] : [{ id: format.id, rule, keepScales }])];
}

/** @throws JobError for a method that needs data, which this job is not given. */
function methodForJob(task: QuantizeTask): PtqMethod {
  const method = methodOfTask(task);
  if (method.needs !== 'weights') throw new JobError(`${method.id} calibrates on data; name some in bitlens.json under data.calibration, or run it with "bitlens trial ptq --calibration FILE"`);
  return method;
}

/** What of a weight no quantized format can store; null when there is no such value. */
function notFinite({ summary: { nan, inf } }: MeasuredWeight): string | null {
  return nan + inf > 0 ? `${nan} NaN and ${inf} infinite values` : null;
}

/** Sizes over distinct tensors: tied weights are stored once. */
function totalsOf(planned: readonly WholeTask[]): { weights: number; bytesBefore: number; bytesAfter: number; averageBits: number } {
  const distinct = [...new Map<TensorInfo, WholeTask>(planned.map((each) => [each.weight.tensor, each])).values()];
  const sum = (of: (each: WholeTask) => number): number => distinct.reduce((total, each) => total + of(each), 0);
  const weights = sum(({ weight }) => weight.weights);
  return {
    weights,
    bytesBefore: sum(({ weight }) => weight.tensor.bytes),
    bytesAfter: sum(({ weight, format }) => Math.ceil(format.storage(weight.layout).totalBits / 8)),
    averageBits: sum(({ weight, format }) => format.storage(weight.layout).totalBits) / weights,
  };
}
