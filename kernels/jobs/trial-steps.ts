/** Transforms before and corrections after quantization: methods that change a model as a whole. */
import { methodOfKind } from '../methods/registry';
import type { Changed, Correction, ModelWork, Transform } from '../methods/method';
import type { PreparedModel } from '../run/prepared-model';
import { JobError, type JobContext, type MethodChoice, type TrialParams, type TrialStep } from './job';
import type { OpenRun } from './model-run';
import { stepOf, type Calibration } from './trial-calibration';
import { formatForJob } from './weights';
import type { WholeTask } from './whole-weight';

/** Share of the memory limit for what a method keeps. */
const MEMORY_SHARE = 0.3;
/** Beyond this a transformed model is not the same model. */
const TOLERANCE = 1e-3;

export type Back = ReadonlyMap<string, (matrix: Float32Array) => Float32Array>;
export interface Transformed {
  readonly model: PreparedModel;
  /** From a weight's basis back to the model's own, where they differ. */
  readonly back: Back;
  readonly steps: readonly TrialStep[];
  readonly notes: readonly string[];
  readonly equivalence: { readonly difference: number; readonly samples: number } | null;
}
export interface TrialPlace { readonly params: TrialParams; readonly run: OpenRun; readonly calibration: Calibration | null; readonly context: JobContext; readonly planned: readonly WholeTask[] }

/** The method of a choice. @throws JobError for one that is none, or an option it does not have */
export function chosen<K extends 'transform' | 'correction' | 'range'>(kind: K, { method: id, options = {} }: MethodChoice): ReturnType<typeof methodOfKind<K>> {
  try {
    const method = methodOfKind(kind, id);
    const unknown = Object.keys(options).find((option) => !Object.hasOwn(method.parameters, option));
    if (unknown === undefined) return method;
    const known = Object.keys(method.parameters);
    throw new JobError(`${method.id} has no option "${unknown}"; ${known.length ? `it has ${known.join(', ')}` : 'it takes none'}`);
  } catch (error) {
    if (error instanceof RangeError) throw new JobError(error.message);
    throw error;
  }
}

/** The model rewritten by each transform in turn, and proven to give what it gave. @throws JobError when it does not */
export async function transform(place: TrialPlace): Promise<Transformed> {
  const { params: { transforms = [] }, run, planned } = place;
  let { model } = run;
  const steps: TrialStep[] = [];
  const notes: string[] = [];
  const back = new Map<string, (matrix: Float32Array) => Float32Array>();
  for (const choice of transforms) {
    const method: Transform = chosen('transform', choice);
    const before = model;
    const made = await timed(steps, 'transform', method.id, notes, () => method.run(workOf(place, before, choice, planned, method.title)));
    model = model.with({ ...(made.graph ? { graph: made.graph } : {}), changed: made.changed });
    for (const [tensor, turn] of made.back ?? []) { const later = back.get(tensor); back.set(tensor, later ? (matrix) => later(turn(matrix)) : turn); }
  }
  return { model, back, steps, notes, equivalence: transforms.length > 0 ? await equivalence(place, model) : null };
}

/** What corrections made of the quantized model. @param original what it was made of */
export async function correct(place: TrialPlace, quantized: PreparedModel, original: PreparedModel): Promise<{ model: PreparedModel; steps: readonly TrialStep[]; notes: readonly string[] }> {
  let model = quantized;
  const steps: TrialStep[] = [];
  const notes: string[] = [];
  for (const choice of place.params.corrections ?? []) {
    const method: Correction = chosen('correction', choice);
    const before = model;
    const { changed } = await timed(steps, 'correction', method.id, notes, () => method.run(workOf(place, before, choice, place.planned, method.title), original));
    model = model.with({ changed });
  }
  return { model, steps, notes };
}

function workOf({ params, run, calibration, context }: TrialPlace, model: PreparedModel, { options = {} }: MethodChoice, planned: readonly WholeTask[], title: string): ModelWork {
  const rounded = new Map(params.activations?.layers.map(({ tensor, format }) => [tensor, formatForJob(format)]));
  const layers = [...new Map(planned.map((each) => [each.task.tensor, each])).values()].map(({ task, weight, format }) => ({ tensor: task.tensor, shape: weight.tensor.shape, layout: weight.layout, format, activations: rounded.get(task.tensor) ?? null }));
  return { model, layers, feed: calibration?.feed ?? null, indices: calibration?.indices ?? [], task: params.task, output: run.output.name, options, memory: context.memoryCapBytes * MEMORY_SHARE, step: stepOf(context, title.split(':')[0]!) };
}

async function timed<T extends Changed>(steps: TrialStep[], kind: TrialStep['kind'], method: string, notes: string[], work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const made = await work();
  steps.push({ kind, method, places: made.places, of: made.of, seconds: (performance.now() - started) / 1000 });
  if (made.places === 0) notes.push(`${method} changed nothing`);
  notes.push(...made.notes.map((note) => `${method}: ${note}`));
  return made;
}

/** The largest difference of an output of the first samples, relative to the largest output. */
async function equivalence({ run, context }: TrialPlace, model: PreparedModel): Promise<{ difference: number; samples: number }> {
  context.throwIfCancelled();
  const batch = run.feed.batches(run.indices)[0]!;
  const outputs: ArrayLike<number>[] = [];
  for (const each of [run.model, model]) {
    const running = await each.start();
    try { outputs.push((await running.run(run.feed.inputs(batch))).get(run.output.name)!.data as Float32Array); } finally { await running.close(); }
  }
  const [before, after] = outputs as [ArrayLike<number>, ArrayLike<number>];
  let [most, difference] = [0, 0];
  for (let i = 0; i < before.length; i += 1) {
    most = Math.max(most, Math.abs(before[i]!));
    difference = Math.max(difference, Math.abs(before[i]! - after[i]!));
  }
  const relative = most > 0 ? difference / most : difference;
  if (!(relative <= TOLERANCE)) throw new JobError(`the transformed model gives other outputs than the model (by ${relative.toPrecision(2)} of the largest), so that nothing was measured; leave the transforms out`);
  return { difference: relative, samples: batch.length };
}
