/**
 * Allocation on what quantizing one layer was measured to do to the model, and its judgement: the whole recipe on held-out
 * data beside uniform, first/last-high and random recipes of the same size.
 */
import type { AllocateResult, JudgedRecipe, JudgeResult, SensitivityResult, WeightScan } from '../../kernels/jobs/job';
import type { MeasuredMetric } from '../../kernels/methods/method';
import type { Layer } from '../linking/layer';
import type { AllocationJudgement } from '../protocol';
import { allocate, type Allocation, type Budget, type ErrorOf } from './allocation';
import type { ModelAnalysis } from './model-analysis';
import type { ModelData } from './model-data';
import type { KernelPort, RunOptions } from './ports';
import type { Running } from './running';
import { UserError } from './user-error';

/** Samples that one layer at a time is measured on when the caller names no number: enough for a ranking, minutes at most. */
export const DEFAULT_SAMPLES = 256;
const RANDOM_RECIPES = 20;
/** Halvings of the range of sizes when a target is searched: to 1/256 of it. */
const HALVINGS = 8;

export interface MeasuredRequest {
  readonly metric: MeasuredMetric;
  readonly formats: readonly string[];
  readonly allocator: string;
  readonly data: ModelData;
  /** To measure layers on. */
  readonly calibrationSamples?: number;
  /** To judge recipes on; all when absent. */
  readonly samples?: number;
  /** Either a budget or a drop: the share of the task's figure that may be lost. */
  readonly budget: Budget | null;
  readonly drop: number | null;
}
export interface MeasuredAllocation {
  readonly allocation: Allocation;
  readonly budget: Budget;
  readonly sensitivity: SensitivityResult;
  readonly judgement: AllocationJudgement;
  readonly notes: readonly string[];
}

interface Setting {
  readonly kernel: KernelPort;
  readonly running: Running;
  readonly analysis: ModelAnalysis;
  readonly layers: readonly Layer[];
  readonly scans: ReadonlyMap<string, WeightScan>;
  readonly groups: readonly (readonly string[])[];
}

/** @throws UserError without data, for a budget that cannot be met, or a target that no recipe reaches. */
export async function allocateMeasured(setting: Setting, request: MeasuredRequest, options: RunOptions): Promise<MeasuredAllocation> {
  const { running, analysis, kernel } = setting;
  const { calibration, evaluation } = request.data;
  const notes: string[] = [];
  const measuring: ModelData = { ...request.data, evaluation: calibration ?? evaluation, calibration: null };
  if (!calibration || !evaluation) notes.push('layers were measured and the recipe judged on the same data; name data.calibration and data.evaluation in bitlens.json to judge on data that was not chosen by');
  const sensitivity = await running.sensitivity(analysis, { data: measuring, samples: request.calibrationSamples ?? DEFAULT_SAMPLES, metric: request.metric.id, formats: request.formats, layers: setting.layers }, options);
  const errorOf = errorsOf(sensitivity);
  const allocated = (budget: Budget): Promise<Allocation> => allocate(kernel, setting.layers, setting.scans, errorOf, request.allocator, budget, setting.groups, options);
  const judging: ModelData = { ...request.data, evaluation: evaluation ?? calibration, calibration: null };
  const judge = (recipes: readonly { title: string; result: AllocateResult }[]): Promise<JudgeResult> =>
    running.judge(analysis, { data: judging, ...(request.samples === undefined ? {} : { samples: request.samples }), layers: setting.layers, recipes: recipes.map(({ title, result }) => ({ title, formats: formatsOf(result) })) }, options);
  const { allocation, budget } = request.drop === null ? { allocation: await allocated(request.budget!), budget: request.budget! }
    : await smallestWithin(request.drop, allocated, async ({ result }) => judge([{ title: `${(result.bits / weightsOf(setting)).toFixed(2)} bits`, result }]), request.data.task!);
  if (request.drop !== null) notes.push('the size was searched on the data that the recipe is judged on');
  const judgement = await judged(setting, allocation, judge, options);
  return { allocation, budget, sensitivity, judgement, notes };
}

const errorsOf = (sensitivity: SensitivityResult): ErrorOf => {
  const byKey = new Map(sensitivity.layers.map(({ key, formats }) => [key, formats]));
  // Noise can make the least of errors negative; no allocator takes that for a gain.
  return (layer, format) => Math.max(0, byKey.get(layer.path)?.[format]?.value ?? Number.NaN);
};
const formatsOf = (result: AllocateResult): Record<string, string> => Object.fromEntries(result.choice.map(({ key, format }) => [key, format]));
const weightsOf = ({ layers, scans }: Setting): number => layers.reduce((sum, layer) => { const scan = scans.get(layer.path); return sum + (scan ? scan.view.rows * scan.view.cols : 0); }, 0);

/** Recipes of at most the allocation's size, all judged on the same data. */
async function judged(setting: Setting, { result, problem }: Allocation, judge: (recipes: readonly { title: string; result: AllocateResult }[]) => Promise<JudgeResult>, options: RunOptions): Promise<AllocationJudgement> {
  const other = (allocator: string, seed = 0): Promise<AllocateResult> => setting.kernel.run('allocate', { ...problem, budgetBits: result.bits, allocator, options: { seed } }, options);
  const recipes = [{ title: 'allocation', result }];
  if (result.uniform) recipes.push({ title: `uniform ${result.uniform.format}`, result: await other('uniform') });
  recipes.push({ title: 'first and last high', result: await other('first-last-high') });
  const fixed = recipes.length;
  for (let seed = 1; seed <= RANDOM_RECIPES; seed += 1) recipes.push({ title: `random ${seed}`, result: await other('random', seed) });
  const { baseline, recipes: found, samples, data } = await judge(recipes);
  const plain = ({ title, loss, accuracy, kl, nsr, bits }: JudgedRecipe): AllocationJudgement['recipes'][number] => ({ title, loss, accuracy, kl, nsr, bytes: Math.ceil(bits / 8) });
  const random = found.slice(fixed).map(plain);
  const mean = (of: (each: (typeof random)[number]) => number | null): number | null => (random.some((each) => of(each) === null) ? null : random.reduce((sum, each) => sum + of(each)!, 0) / random.length);
  return {
    baseline, samples, data,
    recipes: [...found.slice(0, fixed).map(plain), {
      title: `random (mean of ${RANDOM_RECIPES})`, loss: mean((each) => each.loss), accuracy: mean((each) => each.accuracy), kl: mean((each) => each.kl), nsr: mean((each) => each.nsr)!, bytes: Math.round(mean((each) => each.bytes)!),
    }],
  };
}

/** The smallest allocation that keeps the task's figure, by bisection over sizes. @throws UserError when even the largest does not */
async function smallestWithin(drop: number, allocated: (budget: Budget) => Promise<Allocation>, judge: (allocation: Allocation) => Promise<JudgeResult>, task: NonNullable<ModelData['task']>): Promise<{ allocation: Allocation; budget: Budget }> {
  const everything = await allocated({ bytes: Number.MAX_SAFE_INTEGER / 16 });
  const keeps = async (allocation: Allocation): Promise<boolean> => {
    const { baseline, recipes: [recipe] } = await judge(allocation);
    return withinDrop(task, drop, baseline, recipe!);
  };
  if (!await keeps(everything)) throw new UserError(`no recipe of these formats keeps the target: even the largest of each layer loses more than ${(drop * 100).toPrecision(3)} %. Measure larger formats or allow more`);
  const sizes = everything.problem.layers.reduce((sum, { choices }) => sum + Math.min(...choices.map(({ bits }) => bits)), 0);
  let [low, best] = [sizes, everything];
  const smallest = await allocated({ bytes: Math.ceil(sizes / 8) });
  if (await keeps(smallest)) return { allocation: smallest, budget: { bytes: Math.ceil(smallest.result.bits / 8) } };
  for (let step = 0; step < HALVINGS && best.result.bits > low; step += 1) {
    const middle = await allocated({ bytes: Math.ceil((low + best.result.bits) / 16) });
    if (middle.result.bits >= best.result.bits) break;
    if (await keeps(middle)) best = middle;
    else low = Math.ceil((low + best.result.bits) / 2);
  }
  return { allocation: best, budget: { bytes: Math.ceil(best.result.bits / 8) } };
}

/**
 * Accuracy of at least (1 - drop) of the unquantized model's for a classifier, perplexity of at most (1 + drop) of it for a
 * language model, squared error of at most (1 + drop) for a regression, noise of at most `drop` of the signal else.
 */
export function withinDrop(task: NonNullable<ModelData['task']>, drop: number, baseline: JudgeResult['baseline'], recipe: Pick<JudgedRecipe, 'loss' | 'accuracy' | 'nsr'>): boolean {
  if (task === 'classification' && baseline.accuracy !== null) return recipe.accuracy! >= (1 - drop) * baseline.accuracy;
  if (task === 'language-model' && baseline.loss !== null) return recipe.loss! <= baseline.loss + Math.log1p(drop);
  if (task === 'regression' && baseline.loss !== null) return recipe.loss! <= (1 + drop) * baseline.loss;
  return recipe.nsr <= drop;
}
