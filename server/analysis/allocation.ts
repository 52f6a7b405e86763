/** Bits for every layer under a budget: the kernel's exact allocator, judged beside the uniform recipe of the same size. */
import path from 'node:path';
import type { AllocateParams, AllocateResult, AllocationLayer, WeightScan } from '../../kernels/jobs/job';
import type { SensitivityMetric } from '../../kernels/methods/method';
import type { Recipe, Scheme } from '../../kernels/recipe/recipe';
import type { AllocationSummary } from '../protocol';
import type { Layer } from '../linking/layer';
import type { CoupledGroup } from './coupling';
import { layerPlaces } from './layer-places';
import type { CostTable, LayerCosts } from './layer-costs';
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
  /** Bit operations of the quantizable layers, for one sample. */
  readonly bops?: number;
  /** Milliseconds of the quantizable layers, for one sample, on this machine. */
  readonly latency?: number;
}

/** What is allocated, and by what. */
export interface AllocationSetting {
  readonly kernel: KernelPort;
  readonly layers: readonly Layer[];
  readonly scans: ReadonlyMap<string, WeightScan>;
  readonly errorOf: ErrorOf;
  readonly allocator: string;
  /** Paths of layers that must share a format. */
  readonly groups: readonly (readonly string[])[];
  /** Costs beside size that are known, whether the budget limits them or not. */
  readonly tables: readonly CostTable[];
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
  readonly tables: readonly CostTable[];
}

const countOf = (scan: WeightScan): number => scan.view.rows * scan.view.cols;

/** Error of a layer in a format: lower is better, additive over layers; not finite when it is not known. */
export type ErrorOf = (layer: Layer, format: string, scan: WeightScan) => number;

/** By a metric that reads weights alone. @param layers of the model, in its order */
export function weightErrors(metric: SensitivityMetric, layers: readonly Layer[]): ErrorOf {
  const placeOf = layerPlaces(layers.map(({ path }) => path));
  return (layer, format, scan) => metric.score(scan.statistics, scan.formats[format]!, placeOf(layer.path));
}

/** Layers as choices: exact bits and the error for every format measured. */
function choicesOf({ layers, scans, errorOf, tables }: AllocationSetting): { choices: AllocationLayer[]; kept: Layer[] } {
  const choices: AllocationLayer[] = [];
  const kept: Layer[] = [];
  for (const layer of layers) {
    const scan = scans.get(layer.path);
    // A weight with NaN or infinite values has errors of its other values only, and no export of it could be made.
    const options = scan && scan.statistics.nan + scan.statistics.inf === 0 ? Object.keys(scan.formats)
      .map((format) => ({ format, bits: storageBits(format, scan.view), error: errorOf(layer, format, scan), ...(tables.length > 0 ? { costs: tables.map((table) => table.of(layer.path, format)?.value ?? 0) } : {}) }))
      .filter(({ error }) => Number.isFinite(error)) : [];
    if (!scan || options.length === 0) kept.push(layer);
    else choices.push({ key: layer.path, weights: countOf(scan), choices: options });
  }
  return { choices, kept };
}

/** @throws UserError for a budget that says nothing, what is not possible, or two things of the same. */
export function checkBudget(budget: Budget): void {
  if (budget.bits !== undefined && budget.bytes !== undefined) throw new UserError('give the size either as average bits per weight or as bytes');
  const given = [budget.bits, budget.bytes, budget.bops, budget.latency].filter((value) => value !== undefined);
  if (given.length === 0) throw new UserError('give a budget: average bits per weight, bytes, bit operations or latency');
  for (const value of given) if (!Number.isFinite(value) || value <= 0) throw new UserError(`a budget of ${value} is not possible; it must be larger than 0`);
}

function budgetBits(budget: Budget, weights: number): number {
  checkBudget(budget);
  return budget.bits !== undefined ? budget.bits * weights : budget.bytes !== undefined ? budget.bytes * 8 : Number.MAX_SAFE_INTEGER;
}

/** The limit of a cost in whole numbers; no number of this size is reached where there is none. */
export function limitOf(budget: Budget, { id, perUnit }: Pick<CostTable, 'id' | 'perUnit'>): number {
  const limit = id === 'bops' ? budget.bops : budget.latency;
  return limit === undefined ? Number.MAX_SAFE_INTEGER : Math.min(Number.MAX_SAFE_INTEGER, Math.floor(id === 'bops' ? limit : limit * perUnit));
}

/** A budget in words. */
export function budgetText({ bits, bytes, bops, latency }: Budget): string {
  return [
    bits === undefined ? null : `${bits} bits per weight on average`, bytes === undefined ? null : `${bytes} bytes of quantizable weights`,
    bops === undefined ? null : `${bops / 1e9} GBOPs`, latency === undefined ? null : `${latency} ms on the machine that allocated`,
  ].filter((part) => part !== null).join(', ');
}

/**
 * Allocates formats to layers.
 *
 * @throws UserError when the budget is below what the formats can reach.
 */
export async function allocate(setting: AllocationSetting, budget: Budget | 'uniform-only', options: RunOptions): Promise<Allocation> {
  const { kernel, layers, allocator, groups, tables } = setting;
  const { choices, kept } = choicesOf(setting);
  if (choices.length === 0) throw new UserError('no layer of the model has a weight in this checkpoint that can be quantized, so there is nothing to allocate');
  const weights = choices.reduce((sum, layer) => sum + layer.weights, 0);
  const bits = budget === 'uniform-only' ? Number.MAX_SAFE_INTEGER : budgetBits(budget, weights);
  const limits = tables.map((table) => (budget === 'uniform-only' ? Number.MAX_SAFE_INTEGER : limitOf(budget, table)));
  if (budget !== 'uniform-only') refuseBelow(budget, choices, bits, weights, tables, limits);
  const known = new Set(choices.map((layer) => layer.key));
  const coupled = groups.map((group) => group.filter((key) => known.has(key))).filter((group) => group.length > 1);
  const result = await kernel.run('allocate', { layers: choices, groups: coupled, budgetBits: bits, ...(tables.length > 0 ? { limits } : {}), allocator }, options);
  return { result, weights, layers: layers.filter((layer) => known.has(layer.path)), kept, uniform: uniformPoints(choices), problem: { layers: choices, groups: coupled }, tables };
}

/** The least that choices take: of size (0) or of the further costs in their order. */
export const leastOf = (choices: readonly AllocationLayer[], cost: number): number =>
  choices.reduce((sum, layer) => sum + Math.min(...layer.choices.map((choice) => [choice.bits, ...choice.costs ?? []][cost]!)), 0);

/** @throws UserError naming what is possible. Rounded up: the number that is named must be one that works. */
function refuseBelow(budget: Budget, choices: readonly AllocationLayer[], bits: number, weights: number, tables: readonly CostTable[], limits: readonly number[]): void {
  const who = choices.length === 1 ? 'the one quantizable layer needs' : `the ${choices.length} quantizable layers need`;
  const smallest = leastOf(choices, 0);
  if (bits < smallest) {
    const least = `${counted(Math.ceil((smallest / weights) * 1000) / 1000, 'bit')} per weight or ${counted(Math.ceil(smallest / 8), 'byte')}`;
    const asked = budget.bits !== undefined ? `${counted(budget.bits, 'bit')} per weight` : counted(budget.bytes!, 'byte');
    throw new UserError(`a budget of ${asked} cannot be met: with these formats ${who} at least ${least}. Raise the budget or measure smaller formats`);
  }
  tables.forEach(({ id, unit, perUnit, sizes }, i) => {
    const least = leastOf(choices, i + 1);
    if (limits[i]! >= least) return;
    const scale = 10 ** (3 - Math.ceil(Math.log10(least / perUnit)));
    throw new UserError(`a budget of ${id === 'bops' ? budget.bops! / perUnit : budget.latency} ${unit} cannot be met: with these formats ${who} at least ${Number((Math.ceil((least / perUnit) * scale) / scale).toPrecision(4))} ${unit}${sizes === '' ? '' : ` for one sample with ${sizes} (--input says otherwise)`}. Raise the budget or add formats that take less`);
  });
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
      budget: budgetText(budget),
      averageBits: round(result.bits / weights), bytes: Math.ceil(result.bits / 8), objective: result.objective,
      ...(result.uniform ? { uniform: { format: result.uniform.format, objective: result.uniform.objective, bytes: Math.ceil(result.uniform.bits / 8) } } : {}),
    },
  };
}

/** What a summary says beside the allocation itself. */
export interface SummaryFacts {
  readonly recipe: Recipe;
  readonly recipePath: string | null;
  readonly budget: Budget;
  readonly groups: readonly CoupledGroup[];
  readonly costs: LayerCosts | null;
  readonly notes: readonly string[];
}

export function allocationSummary(allocation: Allocation, scans: ReadonlyMap<string, WeightScan>, { recipe, recipePath, budget, groups, costs, notes: more }: SummaryFacts): AllocationSummary {
  const { result, weights, kept, tables } = allocation;
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
      const taken = tables.map(({ id, perUnit, of }) => { const cost = of(key, format); return [id, { value: (cost?.value ?? 0) / perUnit, basis: cost?.basis ?? 'counted', ...(cost?.spread === undefined ? {} : { spread: cost.spread / perUnit }), ...(cost?.operator === undefined ? {} : { operator: cost.operator }) }] as const; });
      return { path: key, format, bitsPerWeight: error?.bitsPerWeight ?? 0, sqnrDb: error?.sqnrDb ?? null, ...(costs ? { macs: costs.macs.get(key) ?? 0, costs: Object.fromEntries(taken) } : {}) };
    }),
    ...(costs ? { costs: tables.map((table, i) => costTotal(allocation, table, i, budget)) } : {}),
    ...(groups.length > 0 ? { coupled: groups } : {}),
    note: notes.length > 0 ? notes.join('; ') : null,
    recipe,
    recipePath,
  };
}

/** What the allocation takes of one cost, and how much of it is measured. */
function costTotal({ result, problem }: Allocation, { id, unit, perUnit, of }: CostTable, at: number, budget: Budget): NonNullable<AllocationSummary['costs']>[number] {
  const limit = limitOf(budget, { id, perUnit });
  const uniform = result.uniform && problem.layers.reduce((sum, layer) => sum + (layer.choices.find(({ format }) => format === result.uniform!.format)?.costs?.[at] ?? 0), 0);
  return {
    id, unit, value: result.costs![at]! / perUnit, limit: limit === Number.MAX_SAFE_INTEGER ? null : limit / perUnit, uniform: uniform === null ? null : uniform / perUnit,
    estimated: result.choice.filter(({ key, format }) => of(key, format)?.basis === 'estimated').length,
  };
}
