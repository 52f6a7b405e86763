/**
 * Allocation on what quantizing one layer was measured to do to the model, and its judgement: the whole recipe on held-out
 * data beside uniform, first/last-high and random recipes that take no more.
 */
import { isSynthetic } from '../../kernels/data/data';
import { JobError, type AllocateResult, type JudgedRecipe, type JudgeResult, type SensitivityResult, type WeightScan } from '../../kernels/jobs/job';
import type { MeasuredMetric, ProxyMetric } from '../../kernels/methods/method';
import type { Layer } from '../linking/layer';
import type { AllocationJudgement } from '../protocol';
import { allocate, leastOf, limitOf, type Allocation, type Budget, type ErrorOf } from './allocation';
import type { CostTable } from './layer-costs';
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
  readonly metric: MeasuredMetric | ProxyMetric;
  readonly formats: readonly string[];
  readonly allocator: string;
  readonly data: ModelData;
  /** To measure layers on. */
  readonly calibrationSamples?: number;
  /** To judge recipes on; all when absent. */
  readonly samples?: number;
  /** Limits; with a drop those beside what is minimized. */
  readonly budget: Budget;
  /** The share of the task's figure that may be lost, and what is made as small as it allows. */
  readonly drop: { readonly share: number; readonly minimize: Minimized } | null;
}
export interface MeasuredAllocation {
  readonly allocation: Allocation;
  readonly budget: Budget;
  readonly sensitivity: SensitivityResult;
  readonly judgement: AllocationJudgement;
  readonly notes: readonly string[];
}

/** What a search for a target makes smallest. */
export type Minimized = 'size' | CostTable['id'];

interface Setting {
  readonly kernel: KernelPort;
  readonly running: Running;
  readonly analysis: ModelAnalysis;
  readonly layers: readonly Layer[];
  readonly scans: ReadonlyMap<string, WeightScan>;
  readonly groups: readonly (readonly string[])[];
  readonly tables: readonly CostTable[];
}

/** @throws UserError without data, for a budget that cannot be met, or a target that no recipe reaches. */
export async function allocateMeasured(setting: Setting, request: MeasuredRequest, options: RunOptions): Promise<MeasuredAllocation> {
  const { running, analysis, kernel } = setting;
  const { calibration, evaluation, task } = request.data;
  const notes: string[] = [];
  if (request.drop !== null && evaluation && isSynthetic(evaluation) && task !== 'features') throw new UserError('a target limits what is lost of the task\'s figure, and on synthetic data that is not known: name evaluation data, or give a budget');
  const measuring: ModelData = { ...request.data, evaluation: calibration ?? evaluation, calibration: null };
  if (!calibration || !evaluation) notes.push('layers were measured and the recipe judged on the same data; name data.calibration and data.evaluation in bitlens.json to judge on data that was not chosen by');
  const sensitivity = await running.sensitivity(analysis, { data: measuring, samples: request.calibrationSamples ?? DEFAULT_SAMPLES, metric: request.metric.id, formats: request.formats, layers: setting.layers }, options);
  const errorOf = errorsOf(sensitivity);
  const allocated = (budget: Budget): Promise<Allocation> => allocate({ ...setting, kernel, errorOf, allocator: request.allocator }, budget, options);
  const judging: ModelData = { ...request.data, evaluation: evaluation ?? calibration, calibration: null };
  const judge = (recipes: readonly { title: string; result: AllocateResult }[]): Promise<JudgeResult> =>
    running.judge(analysis, { data: judging, ...(request.samples === undefined ? {} : { samples: request.samples }), layers: setting.layers, recipes: recipes.map(({ title, result }) => ({ title, formats: formatsOf(result) })) }, options);
  const { allocation, budget } = request.drop === null ? { allocation: await allocated(request.budget), budget: request.budget }
    : await smallestWithin(request.drop, request.budget, setting.tables, allocated, async ({ result }) => judge([{ title: `${(result.bits / weightsOf(setting)).toFixed(2)} bits`, result }]), request.data.task!);
  if (request.drop !== null) notes.push(`the ${request.drop.minimize === 'size' ? 'size' : request.drop.minimize === 'bops' ? 'number of bit operations' : 'latency'} was searched on the data that the recipe is judged on`);
  const { judgement, missing } = await judged(setting, allocation, budget, judge, options);
  if (missing.length > 0) notes.push(`no recipe of these keeps the limits: ${missing.join(', ')}`);
  return { allocation, budget, sensitivity, judgement, notes };
}

const errorsOf = (sensitivity: SensitivityResult): ErrorOf => {
  const byKey = new Map(sensitivity.layers.map(({ key, formats }) => [key, formats]));
  // Noise can make the least of errors negative; no allocator takes that for a gain.
  return (layer, format) => Math.max(0, byKey.get(layer.path)?.[format]?.value ?? Number.NaN);
};
const formatsOf = (result: AllocateResult): Record<string, string> => Object.fromEntries(result.choice.map(({ key, format }) => [key, format]));
const weightsOf = ({ layers, scans }: Setting): number => layers.reduce((sum, layer) => { const scan = scans.get(layer.path); return sum + (scan ? scan.view.rows * scan.view.cols : 0); }, 0);

/** Recipes that take no more than the allocation of what was limited, all judged on the same data. A rule that gives none is named. */
async function judged(
  setting: Setting, { result, problem, tables }: Allocation, budget: Budget, judge: (recipes: readonly { title: string; result: AllocateResult }[]) => Promise<JudgeResult>, options: RunOptions,
): Promise<{ judgement: AllocationJudgement; missing: string[] }> {
  const sized = budget.bits !== undefined || budget.bytes !== undefined;
  const limits = tables.map((table, i) => (limitOf(budget, table) === Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : result.costs![i]!));
  const missing: string[] = [];
  const recipes = [{ title: 'allocation', result }];
  const add = async (title: string, allocator: string, seed = 0): Promise<void> => {
    try {
      recipes.push({ title, result: await setting.kernel.run('allocate', { ...problem, budgetBits: sized ? result.bits : Number.MAX_SAFE_INTEGER, ...(tables.length > 0 ? { limits } : {}), allocator, options: { seed } }, options) });
    } catch (error) {
      if (!(error instanceof JobError)) throw error;
      if (seed <= 1) missing.push(title.replace(/ 1$/, ''));
    }
  };
  if (result.uniform) await add(`uniform ${result.uniform.format}`, 'uniform');
  await add('first and last high', 'first-last-high');
  const fixed = recipes.length;
  for (let seed = 1; seed <= RANDOM_RECIPES; seed += 1) await add(`random ${seed}`, 'random', seed);
  const { baseline, recipes: found, samples, data, synthetic } = await judge(recipes);
  const plain = ({ title, loss, accuracy, kl, nsr, bits }: JudgedRecipe): AllocationJudgement['recipes'][number] => ({ title, loss, accuracy, kl, nsr, bytes: Math.ceil(bits / 8) });
  const random = found.slice(fixed).map(plain);
  const mean = (of: (each: (typeof random)[number]) => number | null): number | null => (random.some((each) => of(each) === null) ? null : random.reduce((sum, each) => sum + of(each)!, 0) / random.length);
  return {
    missing,
    judgement: {
      baseline, samples, data, ...(synthetic ? { synthetic } : {}), within: [...(sized ? ['size'] : []), ...tables.flatMap(({ id }, i) => (limits[i] === Number.MAX_SAFE_INTEGER ? [] : [id === 'bops' ? 'bit operations' : 'latency']))],
      recipes: [...found.slice(0, fixed).map(plain), ...(random.length === 0 ? [] : [{
        title: `random (mean of ${random.length})`, loss: mean((each) => each.loss), accuracy: mean((each) => each.accuracy), kl: mean((each) => each.kl), nsr: mean((each) => each.nsr)!, bytes: Math.round(mean((each) => each.bytes)!),
      }])],
    },
  };
}

/**
 * The allocation that keeps the task's figure and takes least of size, bit operations or latency, by bisection over that cost; the
 * other limits hold throughout.
 *
 * @throws UserError when even without a limit of it the figure is not kept
 */
async function smallestWithin(
  { share, minimize }: NonNullable<MeasuredRequest['drop']>, others: Budget, tables: readonly CostTable[], allocated: (budget: Budget) => Promise<Allocation>, judge: (allocation: Allocation) => Promise<JudgeResult>, task: NonNullable<ModelData['task']>,
): Promise<{ allocation: Allocation; budget: Budget }> {
  const at = tables.findIndex(({ id }) => id === minimize);
  const costOf = ({ result }: Allocation): number => (at < 0 ? result.bits : result.costs![at]!);
  const budgetOf = (cost: number): Budget => ({ ...others, ...(minimize === 'size' ? { bytes: Math.ceil(cost / 8) } : minimize === 'bops' ? { bops: Math.ceil(cost) } : { latency: (Math.ceil(cost) + 0.5) / tables[at]!.perUnit }) });
  const keeps = async (allocation: Allocation): Promise<boolean> => {
    const { baseline, recipes: [recipe] } = await judge(allocation);
    return withinDrop(task, share, baseline, recipe!);
  };
  /** Null where limits exclude each other: that is no recipe that keeps anything. */
  const tried = async (cost: number): Promise<Allocation | null> => {
    try { return await allocated(budgetOf(cost)); } catch (error) {
      if (error instanceof UserError || error instanceof JobError) return null;
      throw error;
    }
  };
  const everything = await allocated(budgetOf(Number.MAX_SAFE_INTEGER / 2));
  if (!await keeps(everything)) throw new UserError(`no recipe of these formats keeps the target: even the largest of each layer loses more than ${(share * 100).toPrecision(3)} %. Measure larger formats or allow more`);
  let [low, best] = [leastOf(everything.problem.layers, at + 1), everything];
  const smallest = await tried(low);
  if (smallest && await keeps(smallest)) return { allocation: smallest, budget: budgetOf(costOf(smallest)) };
  for (let step = 0; step < HALVINGS && costOf(best) > low; step += 1) {
    const cost = (low + costOf(best)) / 2;
    const middle = await tried(cost);
    if (middle && costOf(middle) >= costOf(best)) break;
    if (middle && await keeps(middle)) best = middle;
    else low = Math.ceil(cost);
  }
  return { allocation: best, budget: budgetOf(costOf(best)) };
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
