/**
 * The scorecard of sensitivity metrics on one model: random mixed recipes of about one size are run as wholes, each metric predicts
 * their order by its sum over the layers, and Kendall's tau says how well it did.
 *
 * After Dong et al., EMQ: Evolving Training-free Proxies for Automated Mixed Precision Quantization, 2023, which scores by rank correlation.
 */
import { parseFormat } from '../../kernels/formats/registry';
import type { JudgedRecipe, SensitivityResult, WeightScan } from '../../kernels/jobs/job';
import { isMeasured } from '../../kernels/methods/method';
import { drawRecipes } from '../../kernels/recipe/random-recipes';
import type { Scorecard } from '../protocol';
import { kendallTau } from '../report/agreement';
import { specOf } from './measurements';
import type { ModelAnalysis } from './model-analysis';
import type { ModelData } from './model-data';
import type { KernelPort, RunOptions } from './ports';
import type { Running } from './running';
import type { AnyMetric } from './sensitivities';
import { UserError } from './user-error';
import { DEFAULT_FORMATS_MEASURED, sensitivityMetrics } from './vocabulary';
import { weightLayers } from '../linking/link';

/** Recipes that are drawn when no number is named: tau by chance is then within 0.14 two times out of three. */
export const SCORECARD_RECIPES = 24;
/** Samples that metrics and recipes are measured on when no number is named. */
const SAMPLES = 128;
const SEED = 0;

export interface ScorecardRequest {
  readonly data: ModelData;
  /** Ids; every metric that the task has when absent. */
  readonly metrics?: readonly string[];
  readonly formats?: readonly string[];
  readonly recipes?: number;
  readonly samples?: number;
}

/** @throws UserError without data, for fewer than three recipes, or a model that has no more of them. */
export async function scorecard(kernel: KernelPort, running: Running, analysis: ModelAnalysis, request: ScorecardRequest, options: RunOptions): Promise<Scorecard> {
  const { data, formats = DEFAULT_FORMATS_MEASURED, recipes: count = SCORECARD_RECIPES, samples = SAMPLES } = request;
  if (count < 3) throw new UserError(`${count} recipes have no order to speak of; draw at least 3`);
  const { calibration, evaluation, task } = data;
  // Metrics look at other samples than recipes are judged on, where there are any.
  const measuring: ModelData = { ...data, evaluation: calibration ?? evaluation, calibration: null };
  const judging: ModelData = { ...data, evaluation: evaluation ?? calibration, calibration: null };
  const metrics = request.metrics ?? sensitivityMetrics().filter((metric) => suits(metric, task)).map(({ id }) => id);
  const { results, refused } = await running.sensitivities(analysis, { data: measuring, metrics, formats, samples }, options);
  const layers = weightLayers(analysis.link!);
  const scan = await kernel.run('scan', { checkpoint: analysis.checkpoint!.path, weights: layers.map((layer) => specOf(layer)), formats: [], scaleRule: 'absmax' }, options);
  // A layer that no run reaches changes nothing: it would only blur the size.
  const reached = new Set(results.filter(({ samples: of }) => of > 0).flatMap((result) => result.layers.map(({ key }) => key)));
  const views = new Map(scan.weights.filter(({ key, statistics }) => statistics.nan + statistics.inf === 0 && (reached.size === 0 || reached.has(key))).map(({ key, view }) => [key, view]));
  const drawn = drawRecipes([...views].map(([key, view]) => ({ key, choices: formats.map((format) => ({ format, bits: bitsOf(format, view) })) })), count, SEED);
  if (drawn.length < 3) throw new UserError(`there are ${drawn.length} recipes of one size with these layers and formats; name more formats`);
  const judged = await running.judge(analysis, { data: judging, samples, layers: layers.filter(({ path }) => views.has(path)), recipes: drawn.map(({ formats: chosen }, i) => ({ title: `recipe ${i + 1}`, formats: chosen })) }, options);
  return {
    seed: SEED, formats, baseline: judged.baseline,
    recipes: judged.recipes.map(({ loss, accuracy, kl, nsr, bits }, i) => ({ formats: drawn[i]!.formats, bits, loss, accuracy, kl, nsr })),
    ...scores(results, judged.recipes, drawn.map(({ formats: chosen }) => chosen), views.size), refused,
    samples: judged.samples, data: judged.data, measuredOn: results.find((result) => result.samples > 0)?.data ?? null, secondsJudging: judged.seconds,
    ...(judged.synthetic ? { synthetic: judged.synthetic } : {}),
  };
}

const suits = (metric: AnyMetric, task: ModelData['task']): boolean => !isMeasured(metric) || !metric.tasks || task === null || metric.tasks.includes(task);
const bitsOf = (format: string, view: WeightScan['view']): number => parseFormat(format).storage(view).totalBits;

type Truth = Pick<JudgedRecipe, 'loss' | 'kl' | 'nsr'>;
const figures = ['kl', 'loss', 'nsr'] as const;

/**
 * Kendall's tau between what each metric predicts and what was measured, the best first.
 * @param chosen formats of each recipe, by layer
 * @param layers in a recipe; a metric that says nothing about some of them predicts by the others
 */
export function scores(results: readonly SensitivityResult[], truth: readonly Truth[], chosen: readonly Readonly<Record<string, string>>[], layers: number): Pick<Scorecard, 'metrics' | 'chance' | 'against'> {
  const known = figures.filter((figure) => truth.every((each) => each[figure] !== null));
  const against = known.includes('kl') ? 'kl' : known[0]!;
  const n = truth.length;
  const metrics = results.map((result) => {
    const values = new Map(result.layers.map(({ key, formats }) => [key, formats]));
    const sums = chosen.map((recipe) => Object.entries(recipe).reduce((sum, [key, format]) => sum + (values.get(key)?.[format]?.value ?? 0), 0));
    const tau = Object.fromEntries(known.map((figure) => [figure, kendallTau(sums, truth.map((each) => each[figure]!))]));
    return { metric: result.metric, basis: result.samples > 0 ? 'data' as const : 'weights' as const, tau, layers: Object.keys(chosen[0] ?? {}).filter((key) => values.has(key)).length, of: layers, seconds: result.seconds };
  });
  // Standard deviation of tau between orders that have nothing to do with each other (Kendall 1938).
  return { metrics: metrics.sort((a, b) => (b.tau[against] ?? -2) - (a.tau[against] ?? -2)), against, chance: Math.sqrt((2 * (2 * n + 5)) / (9 * n * (n - 1))) };
}
