/** Trial: layers quantized with methods that may calibrate on data, and the whole model judged on other data before and after. */
import type { Dataset } from '../data/data';
import type { Quantized } from '../formats/format';
import type { LayerInputs } from '../methods/method';
import { calibrate } from '../run/calibrate';
import { byContent, Feed, firstSamples } from '../run/feed';
import { openData } from '../synthetic/open-data';
import { Judging } from '../run/judging';
import { toMatrix, toStored } from '../run/weight-matrix';
import { exportCheckpoint, refuseTarget } from './export';
import { exportOnnx, isOnnxTarget, refuseOnnxTarget } from './export-onnx';
import { JobError, type Job, type JobContext, type QuantizedLayer, type TrialParams, type TrialResult, type UsedData } from './job';
import { usedData, withRun, type OpenRun } from './model-run';
import { methodOfTask, refuseContradictions } from './quantize-plan';
import { assertUnchanged } from './scan';
import { formatForJob, resolveWeight, tensorsByName } from './weights';
import { layerResult, wholeWeight, type WholeTask } from './whole-weight';

/** Share of the memory limit that moments may take, and that kept values may take. */
const MEMORY_SHARE = 0.3;

export const trialJob: Job<'trial'> = {
  kind: 'trial',
  run: (params: TrialParams, context: JobContext): Promise<TrialResult> => withRun(params, context, async (run) => {
    const started = performance.now();
    if (params.export) refuseTarget(run.model.checkpoint, params.export.path);
    const { planned, kept } = plan(params, run);
    if (params.export && isOnnxTarget(params.export)) refuseOnnxTarget(run.model.checkpoint, params.export, planned.map(({ task }) => task.tensor));
    const notes: string[] = run.dataset.synthetic ? ['judged on synthetic data, on which the quantized model is compared with the unquantized one: how often either is right is not known'] : [];
    const needs = planned.some(({ method }) => method.needs !== 'weights');
    if (needs && !params.calibration) throw new JobError(`${planned.find(({ method }) => method.needs !== 'weights')!.method.id} calibrates on data, and none was named; give calibration inputs, in bitlens.json under data.calibration or with --calibration (--calibration synthetic makes them up)`);
    const quantized = new Map<string, Quantized>();
    const replaced = new Map<string, Float32Array>();
    const layers: QuantizedLayer[] = [];
    const work = async (each: WholeTask, inputs: LayerInputs | null): Promise<Float32Array> => {
      const { matrix, result } = await quantizeOne(each, run, inputs, context, notes);
      const decoded = each.format.decode(result);
      quantized.set(each.task.tensor, result);
      layers.push(layerResult(each, matrix, decoded));
      const stored = toStored(decoded, each.weight.layout);
      replaced.set(each.task.tensor, stored);
      return stored;
    };
    const distinct = [...new Map(planned.map((each) => [each.task.tensor, each])).values()];
    let calibration: TrialResult['calibration'] = null;
    if (needs) calibration = await calibrated(params, run, distinct, work, context);
    else for (const [i, each] of distinct.entries()) { context.throwIfCancelled(); context.progress(i, distinct.length, `Quantizing ${each.task.key}`); await work(each, null); }
    const order = new Map(planned.map(({ task }, i) => [task.tensor, i]));
    layers.sort((a, b) => order.get(a.tensor)! - order.get(b.tensor)!);
    const figures = await judgeBoth(params, run, replaced, context);
    const exported = params.export && await (isOnnxTarget(params.export) ? exportOnnx : exportCheckpoint)(run.model.checkpoint, planned.map((each) => wholeWeight(each, quantized.get(each.task.tensor)!)), params.export, context);
    await assertUnchanged(run.model.checkpoint);
    return { ...figures, ...(exported ? { export: exported } : {}), layers, ...(kept.length > 0 ? { kept } : {}), ...sizes(distinct), calibration, notes: [...new Set(notes)], seconds: (performance.now() - started) / 1000 };
  }),
};

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

async function quantizeOne({ task, weight, format, method }: WholeTask, run: OpenRun, inputs: LayerInputs | null, context: JobContext, notes: string[]): Promise<{ matrix: Float32Array; result: Quantized }> {
  const matrix = toMatrix(run.model.values(task.tensor), weight.layout);
  const poll = (): void => context.throwIfCancelled();
  if (method.needs === 'weights' || inputs) return { matrix, result: await method.run(matrix, weight.layout, format, task.options ?? {}, inputs, poll) };
  notes.push(`${task.key}: no operator multiplies this weight with values that could be observed, so that ${method.id} fell back to scales of least weight error`);
  return { matrix, result: format.encode(matrix, weight.layout, 'mse', poll) };
}

async function calibrated(params: TrialParams, run: OpenRun, distinct: readonly WholeTask[], work: (each: WholeTask, inputs: LayerInputs | null) => Promise<Float32Array>, context: JobContext): Promise<TrialResult['calibration']> {
  const started = performance.now();
  const { data, samples } = params.calibration!;
  const dataset: Dataset = await openData(data, run.model, params.task, context);
  try {
    const feed = new Feed(params.graph, dataset);
    const indices = byContent(dataset, firstSamples(dataset, samples));
    const byTensor = new Map(distinct.map((each) => [each.task.tensor, each]));
    let at = 0;
    await calibrate(run.model, feed, indices, distinct.map(({ task, weight }) => ({ tensor: task.tensor, shape: weight.tensor.shape, layout: weight.layout })), {
      sequential: params.sequential, memory: context.memoryCapBytes * MEMORY_SHARE, threads: context.threads,
      step: (done, total) => { context.throwIfCancelled(); context.progress(at * total + done, distinct.length * total, `Calibrating on ${dataset.title}`); },
      quantize: async (layer, inputs) => {
        const each = byTensor.get(layer.tensor)!;
        context.throwIfCancelled();
        context.progress(at, distinct.length, `Quantizing ${each.task.key} with ${each.method.id}`);
        at += 1;
        return work(each, inputs);
      },
    });
    return { samples: indices.length, ...usedData(dataset), seconds: (performance.now() - started) / 1000 };
  } finally { dataset.close(); }
}

/** The unquantized and the quantized model side by side on the evaluation data. */
async function judgeBoth(params: TrialParams, run: OpenRun, replaced: ReadonlyMap<string, Float32Array>, context: JobContext): Promise<Pick<TrialResult, 'before' | 'after' | 'samples' | keyof UsedData>> {
  const { indices, dataset } = run;
  const step = (from: number) => (done: number): void => { context.throwIfCancelled(); context.progress(from + done, 2 * indices.length, `Judging on ${dataset.title}`); };
  const judging = await Judging.open({ ...run, task: params.task, output: run.output.name, memory: context.memoryCapBytes * MEMORY_SHARE }, step(0));
  try {
    return { before: judging.baseline, after: await judging.judge(replaced, step(indices.length)), samples: indices.length, ...usedData(dataset) };
  } finally { await judging.close(); }
}

function sizes(distinct: readonly WholeTask[]): Pick<TrialResult, 'weights' | 'bytesBefore' | 'bytes' | 'averageBits'> {
  const sum = (of: (each: WholeTask) => number): number => distinct.reduce((total, each) => total + of(each), 0);
  const weights = sum(({ weight }) => weight.weights);
  const bits = ({ weight, format }: WholeTask): number => format.storage(weight.layout).totalBits;
  return { weights, bytesBefore: sum(({ weight }) => weight.tensor.bytes), bytes: sum((each) => Math.ceil(bits(each) / 8)), averageBits: sum(bits) / weights };
}
