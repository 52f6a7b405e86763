/** Bits for every layer under a budget: the kernel's exact allocator, judged beside the uniform recipe of the same size. */
import path from 'node:path';
import type { AllocateParams, AllocateResult, AllocationLayer, WeightScan } from '../../kernels/jobs/job';
import type { SensitivityMetric } from '../../kernels/methods/method';
import type { Recipe, Scheme } from '../../kernels/recipe/recipe';
import type { AllocationSummary } from '../protocol';
import type { Layer } from '../linking/layer';
import { record } from './json-reader';
import { placeOf, type ModelAnalysis } from './model-analysis';
import type { KernelPort, RunOptions } from './ports';
import { KEEP } from './recipe-file';
import { storageBits } from './suggest';
import { UserError } from './user-error';

export interface Budget {
  /** Average bits per quantizable weight, scales counted. */
  readonly bits?: number;
  /** Bytes of the quantizable weights, scales counted; norms, biases and buffers are not part of it. */
  readonly bytes?: number;
}

/** Everything an allocation was computed from and gave. */
export interface Allocation {
  readonly result: AllocateResult;
  readonly weights: number;
  readonly layers: readonly Layer[];
  /** Layers that no finite error is known for; they keep their stored precision. */
  readonly kept: readonly Layer[];
  /** Every format given to all layers, for the report's comparison. */
  readonly uniform: readonly { readonly format: string; readonly bits: number; readonly objective: number }[];
  /** What the allocator was given. */
  readonly problem: Pick<AllocateParams, 'layers' | 'groups'>;
}

const countOf = (scan: WeightScan): number => scan.view.rows * scan.view.cols;

/** Error of a layer in a format: lower is better, additive over layers; not finite when it is not known. */
export type ErrorOf = (layer: Layer, format: string, scan: WeightScan) => number;

/** By a metric that reads weights alone. */
export const weightErrors = (metric: SensitivityMetric): ErrorOf => (_layer, format, scan) => metric.score(scan.statistics, scan.formats[format]!);

/** Layers as choices: exact bits and the error for every format measured. */
function choicesOf(layers: readonly Layer[], scans: ReadonlyMap<string, WeightScan>, errorOf: ErrorOf): { choices: AllocationLayer[]; kept: Layer[] } {
  const choices: AllocationLayer[] = [];
  const kept: Layer[] = [];
  for (const layer of layers) {
    const scan = scans.get(layer.path);
    // A weight with NaN or infinite values has errors of its other values only, and no export of it could be made.
    const options = scan && scan.statistics.nan + scan.statistics.inf === 0 ? Object.keys(scan.formats)
      .map((format) => ({ format, bits: storageBits(format, scan.view), error: errorOf(layer, format, scan) }))
      .filter(({ error }) => Number.isFinite(error)) : [];
    if (!scan || options.length === 0) kept.push(layer);
    else choices.push({ key: layer.path, weights: countOf(scan), choices: options });
  }
  return { choices, kept };
}

function budgetBits(budget: Budget, weights: number): number {
  if ((budget.bits === undefined) === (budget.bytes === undefined)) throw new UserError('give the budget either as average bits per weight or as bytes');
  const value = budget.bits ?? budget.bytes!;
  if (!Number.isFinite(value) || value <= 0) throw new UserError(`a budget of ${value} is not possible; it must be larger than 0`);
  return budget.bits !== undefined ? budget.bits * weights : budget.bytes! * 8;
}

/**
 * Allocates formats to layers.
 *
 * @throws UserError when the budget is below what the formats can reach.
 */
export async function allocate(
  kernel: KernelPort, layers: readonly Layer[], scans: ReadonlyMap<string, WeightScan>, errorOf: ErrorOf, allocator: string, budget: Budget | 'uniform-only',
  groups: readonly (readonly string[])[], options: RunOptions,
): Promise<Allocation> {
  const { choices, kept } = choicesOf(layers, scans, errorOf);
  if (choices.length === 0) throw new UserError('no layer of the model has a weight in this checkpoint that can be quantized, so there is nothing to allocate');
  const weights = choices.reduce((sum, layer) => sum + layer.weights, 0);
  const smallest = choices.reduce((sum, layer) => sum + Math.min(...layer.choices.map((choice) => choice.bits)), 0);
  const bits = budget === 'uniform-only' ? Number.MAX_SAFE_INTEGER : budgetBits(budget, weights);
  if (bits < smallest) {
    // Rounded up: the number that is named must be one that works.
    const least = `${counted(Math.ceil((smallest / weights) * 1000) / 1000, 'bit')} per weight or ${counted(Math.ceil(smallest / 8), 'byte')}`;
    const asked = (budget as Budget).bits !== undefined ? `${counted((budget as Budget).bits!, 'bit')} per weight` : counted((budget as Budget).bytes!, 'byte');
    throw new UserError(`a budget of ${asked} cannot be met: with these formats the ${choices.length === 1 ? 'one quantizable layer needs' : `${choices.length} quantizable layers need`} at least ${least}. Raise the budget or measure smaller formats`);
  }
  const known = new Set(choices.map((layer) => layer.key));
  const coupled = groups.map((group) => group.filter((key) => known.has(key))).filter((group) => group.length > 1);
  const result = await kernel.run('allocate', { layers: choices, groups: coupled, budgetBits: bits, allocator }, options);
  return { result, weights, layers: layers.filter((layer) => known.has(layer.path)), kept, uniform: uniformPoints(choices), problem: { layers: choices, groups: coupled } };
}

/** Every format that all layers were measured in, given to all of them. */
function uniformPoints(choices: readonly AllocationLayer[]): Allocation['uniform'] {
  const totals = new Map<string, { bits: number; objective: number; layers: number }>();
  for (const layer of choices) {
    for (const { format, bits, error } of layer.choices) {
      const total = totals.get(format) ?? { bits: 0, objective: 0, layers: 0 };
      totals.set(format, { bits: total.bits + bits, objective: total.objective + error, layers: total.layers + 1 });
    }
  }
  return [...totals].filter(([, total]) => total.layers === choices.length)
    .map(([format, { bits, objective }]) => ({ format, bits, objective })).sort((a, b) => a.bits - b.bits);
}

const counted = (value: number, noun: string): string => `${value} ${noun}${value === 1 ? '' : 's'}`;
const round = (value: number): number => Math.round(value * 1000) / 1000;

/** The allocation as a recipe. Paths are relative to the folder the recipe will lie in, with forward slashes. */
export function recipeOf(analysis: ModelAnalysis, allocation: Allocation, metric: string, budget: Budget, evidence: string, folder: string, method?: string): Recipe {
  const given = new Map(allocation.result.choice.map(({ key, format }) => [key, format]));
  const scheme = (format: string): Scheme => ({ weights: format, ...(method ? { method } : {}) });
  const layers = analysis.link!.layers.flatMap((layer): [string, Scheme][] => {
    if (!layer.weight) return [];
    const format = given.get(layer.tiedTo ?? layer.path);
    return format === undefined ? [] : [[layer.path, scheme(format)]];
  });
  const { result, weights } = allocation;
  const relative = (file: string): string => path.relative(folder, file).split(path.sep).join('/') || '.';
  return {
    version: 1,
    model: { source: relative(placeOf(analysis)), class: analysis.root!.name, checkpoint: relative(analysis.checkpointPath!) },
    default: { weights: KEEP },
    layers: record(layers),
    provenance: {
      metric, evidence,
      budget: budget.bits !== undefined ? `${budget.bits} bits per weight on average` : `${budget.bytes} bytes of quantizable weights`,
      averageBits: round(result.bits / weights), bytes: Math.ceil(result.bits / 8), objective: result.objective,
      ...(result.uniform ? { uniform: { format: result.uniform.format, objective: result.uniform.objective, bytes: Math.ceil(result.uniform.bits / 8) } } : {}),
    },
  };
}

export function allocationSummary(allocation: Allocation, scans: ReadonlyMap<string, WeightScan>, recipe: Recipe, recipePath: string | null, more: readonly string[] = []): AllocationSummary {
  const { result, weights, kept } = allocation;
  const notes = [...more, result.note, kept.length > 0 ? `${kept.length} ${kept.length === 1 ? 'layer keeps its' : 'layers keep their'} stored precision because ${kept.length === 1 ? 'it holds' : 'they hold'} values that are not finite, or no finite error is known: ${kept.slice(0, 3).map((layer) => layer.path).join(', ')}` : null,
    result.uniform ? null : 'no uniform format fits this budget, so there is no baseline of the same size'].filter(Boolean);
  return {
    averageBits: result.bits / weights,
    bytes: Math.ceil(result.bits / 8),
    objective: result.objective,
    optimal: result.optimal,
    uniform: result.uniform ? { format: result.uniform.format, objective: result.uniform.objective, bytes: Math.ceil(result.uniform.bits / 8) } : null,
    layers: result.choice.map(({ key, format }) => {
      const error = scans.get(key)?.formats[format];
      return { path: key, format, bitsPerWeight: error?.bitsPerWeight ?? 0, sqnrDb: error?.sqnrDb ?? null };
    }),
    note: notes.length > 0 ? notes.join('; ') : null,
    recipe,
    recipePath,
  };
}
