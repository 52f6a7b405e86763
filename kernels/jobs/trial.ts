/** Trial: layers quantized with methods that may calibrate on data, and the whole model judged on other data before and after. */
import type { Quantized } from '../formats/format';
import type { LayerInputs } from '../methods/method';
import { calibrate } from '../run/calibrate';
import { Judging } from '../run/judging';
import type { PreparedModel } from '../run/prepared-model';
import { toMatrix, toStored } from '../run/weight-matrix';
import { refuseTarget } from './export';
import { refuseExport } from './export-target';
import { JobError, type Job, type JobContext, type QuantizedLayer, type TrialParams, type TrialResult, type UsedData } from './job';
import { usedData, withRun, type OpenRun } from './model-run';
import { methodOfTask, refuseContradictions } from './quantize-plan';
import { assertUnchanged } from './scan';
import { planActivations, quantizeActivations, type ActivationPlan } from './trial-activations';
import { required, withCalibration } from './trial-calibration';
import { exportTrial, refuseOperators } from './trial-export';
import { chosen, correct, transform, type TrialPlace } from './trial-steps';
import { formatForJob, resolveWeight, tensorsByName } from './weights';
import { layerResult, type WholeTask } from './whole-weight';

/** Share of the memory limit that moments may take, and that kept values may take. */
const MEMORY_SHARE = 0.3;
const ON_SYNTHETIC = 'judged on synthetic data, on which the quantized model is compared with the unquantized one: how often either is right is not known';

export const trialJob: Job<'trial'> = {
  kind: 'trial',
  run: (params: TrialParams, context: JobContext): Promise<TrialResult> => withRun(params, context, async (run) => {
    const started = performance.now();
    if (params.export) refuseTarget(run.model.checkpoint, params.export.path);
    refuseOperators(params);
    const { planned, kept } = plan(params, run);
    if (params.export) await refuseExport(run.model.checkpoint, params.export, planned);
    const rounding = planActivations(params);
    const figures = await withCalibration(params, run.model, context, needing(params, planned, rounding), async (calibration) => {
      const place = { params, run, calibration, context, planned };
      const { model: original, back, ...transformed } = await transform(place);
      const { quantized, replaced, layers, notes } = await quantizeWeights(place, original);
      let model = original.with({ changed: replaced });
      const rounded = rounding && await quantizeActivations(params, rounding, model, original, calibration, context);
      if (rounded) model = rounded.model;
      const corrected = await correct(place, model, original);
      const judged = await judgeBoth(params, run, corrected.model, context);
      const exported = params.export && await exportTrial(place, { quantized, back, model: corrected.model, rounded: rounded !== null });
      const said = [...run.dataset.synthetic ? [ON_SYNTHETIC] : [], ...transformed.notes, ...notes, ...rounding?.notes ?? [], ...corrected.notes];
      const steps = [...transformed.steps, ...corrected.steps];
      return {
        ...judged, ...(exported ? { export: exported } : {}), layers, ...(steps.length > 0 ? { steps } : {}), ...(transformed.equivalence ? { equivalence: transformed.equivalence } : {}),
        ...(rounded ? { activations: rounded.activations } : {}), calibration: calibration?.figures() ?? null, notes: [...new Set(said)],
      };
    });
    await assertUnchanged(run.model.checkpoint);
    return { ...figures, ...(kept.length > 0 ? { kept } : {}), ...sizes(distinctOf(planned)), seconds: (performance.now() - started) / 1000 };
  }),
};

const distinctOf = (planned: readonly WholeTask[]): WholeTask[] => [...new Map(planned.map((each) => [each.task.tensor, each])).values()];

/** What of a trial needs calibration data; null when nothing does. */
function needing({ transforms = [], corrections = [] }: TrialParams, planned: readonly WholeTask[], rounding: ActivationPlan | null): string | null {
  const methods = [...planned.map(({ method }) => method), ...transforms.map((choice) => chosen('transform', choice)), ...corrections.map((choice) => chosen('correction', choice))];
  return methods.find(({ needs }) => needs === 'calibration')?.id ?? (rounding?.needsData ? `the range of activations (${rounding.range.id})` : null);
}

/** Every weight in its format, by its method, on what transforms made of the model. */
async function quantizeWeights(place: TrialPlace, model: PreparedModel): Promise<{ quantized: Map<string, Quantized>; replaced: Map<string, Float32Array>; layers: QuantizedLayer[]; notes: string[] }> {
  const { planned, context } = place;
  const notes: string[] = [];
  const quantized = new Map<string, Quantized>();
  const replaced = new Map<string, Float32Array>();
  const layers: QuantizedLayer[] = [];
  const work = async (each: WholeTask, inputs: LayerInputs | null): Promise<Float32Array> => {
    const { matrix, result } = await quantizeOne(each, model, inputs, context, notes);
    const decoded = each.format.decode(result);
    quantized.set(each.task.tensor, result);
    layers.push(layerResult(each, matrix, decoded));
    const stored = toStored(decoded, each.weight.layout);
    replaced.set(each.task.tensor, stored);
    return stored;
  };
  const distinct = distinctOf(planned);
  if (planned.some(({ method }) => method.needs !== 'weights')) await calibrated(place, model, distinct, work);
  else for (const [i, each] of distinct.entries()) { context.throwIfCancelled(); context.progress(i, distinct.length, `Quantizing ${each.task.key}`); await work(each, null); }
  const order = new Map(planned.map(({ task }, i) => [task.tensor, i]));
  layers.sort((a, b) => order.get(a.tensor)! - order.get(b.tensor)!);
  return { quantized, replaced, layers, notes };
}

function plan(params: TrialParams, run: OpenRun): { planned: WholeTask[]; kept: { key: string; reason: string }[] } {
  if (params.tasks.length === 0) throw new JobError('there is nothing to quantize: no layer was named');
  const byName = tensorsByName(run.model.checkpoint);
  const kept: { key: string; reason: string }[] = [];
  const planned = params.tasks.flatMap((task): WholeTask[] => {
    const format = formatForJob(task.format);
    const method = methodOfTask(task);
    const found = resolveWeight(run.model.checkpoint, byName, task);
    const weight = typeof found !== 'string' && run.model.values(task.tensor).some((value) => !Number.isFinite(value)) ? 'it holds NaN or infinite values' : found;
    if (typeof weight !== 'string') return [{ task, weight, format, method }];
    if (!task.orKeep) throw new JobError(`${task.key}: ${weight}; leave this layer out`);
    kept.push({ key: task.key, reason: weight });
    return [];
  });
  if (planned.length === 0) throw new JobError(`no weight can be quantized: ${kept[0]!.key}: ${kept[0]!.reason}`);
  refuseContradictions(planned);
  return { planned, kept };
}

async function quantizeOne({ task, weight, format, method }: WholeTask, model: PreparedModel, inputs: LayerInputs | null, context: JobContext, notes: string[]): Promise<{ matrix: Float32Array; result: Quantized }> {
  const matrix = toMatrix(model.values(task.tensor), weight.layout);
  const poll = (): void => context.throwIfCancelled();
  if (method.needs === 'weights' || inputs) return { matrix, result: await method.run(matrix, weight.layout, format, task.options ?? {}, inputs, poll) };
  notes.push(`${task.key}: no operator multiplies this weight with values that could be observed, so that ${method.id} fell back to scales of least weight error`);
  return { matrix, result: format.encode(matrix, weight.layout, 'mse', poll) };
}

async function calibrated({ params, calibration, context }: TrialPlace, model: PreparedModel, distinct: readonly WholeTask[], work: (each: WholeTask, inputs: LayerInputs | null) => Promise<Float32Array>): Promise<void> {
  const { feed, indices, title } = required(calibration);
  const byTensor = new Map(distinct.map((each) => [each.task.tensor, each]));
  let at = 0;
  await calibrate(model, feed, indices, distinct.map(({ task, weight }) => ({ tensor: task.tensor, shape: weight.tensor.shape, layout: weight.layout })), {
    sequential: params.sequential, memory: context.memoryCapBytes * MEMORY_SHARE, threads: context.threads,
    step: (done, total) => { context.throwIfCancelled(); context.progress(at * total + done, distinct.length * total, `Calibrating on ${title}`); },
    quantize: async (layer, inputs) => {
      const each = byTensor.get(layer.tensor)!;
      context.throwIfCancelled();
      context.progress(at, distinct.length, `Quantizing ${each.task.key} with ${each.method.id}`);
      at += 1;
      return work(each, inputs);
    },
  });
}

/** The unquantized and the quantized model side by side on the evaluation data. */
async function judgeBoth(params: TrialParams, run: OpenRun, changed: PreparedModel, context: JobContext): Promise<Pick<TrialResult, 'before' | 'after' | 'samples' | keyof UsedData>> {
  const { indices, dataset } = run;
  const step = (from: number) => (done: number): void => { context.throwIfCancelled(); context.progress(from + done, 2 * indices.length, `Judging on ${dataset.title}`); };
  const judging = await Judging.open({ ...run, task: params.task, output: run.output.name, memory: context.memoryCapBytes * MEMORY_SHARE }, step(0));
  try {
    return { before: judging.baseline, after: await judging.judge(changed, step(indices.length)), samples: indices.length, ...usedData(dataset) };
  } finally { await judging.close(); }
}

function sizes(distinct: readonly WholeTask[]): Pick<TrialResult, 'weights' | 'bytesBefore' | 'bytes' | 'averageBits'> {
  const sum = (of: (each: WholeTask) => number): number => distinct.reduce((total, each) => total + of(each), 0);
  const weights = sum(({ weight }) => weight.weights);
  const bits = ({ weight, format }: WholeTask): number => format.storage(weight.layout).totalBits;
  return { weights, bytesBefore: sum(({ weight }) => weight.tensor.bytes), bytes: sum((each) => Math.ceil(bits(each) / 8)), averageBits: sum(bits) / weights };
}
