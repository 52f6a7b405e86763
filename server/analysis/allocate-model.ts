/** One allocation from end to end: coupled layers, costs, the metric asked for, and the recipe that is written. */
import path from 'node:path';
import type { WeightScan } from '../../kernels/jobs/job';
import type { Recipe } from '../../kernels/recipe/recipe';
import type { Layer } from '../linking/layer';
import type { AllocationSummary } from '../protocol';
import type { InputSpec } from '../trace/inputs';
import { allocate, allocationSummary, recipeOf, weightErrors, type Allocation, type Budget } from './allocation';
import { coupledLayers, type CoupledGroup, type Coupling } from './coupling';
import { layerCosts } from './layer-costs';
import { allocateMeasured, type Minimized } from './measured-allocation';
import { ownRecipe, type ModelAnalysis } from './model-analysis';
import { modelData, type ModelData } from './model-data';
import type { KernelPort, RunOptions, TracingPort } from './ports';
import { writeRecipeFile } from './recipe-file';
import type { Running } from './running';
import { traceAnalysis } from './trace';
import { isProxy } from '../../kernels/methods/method';
import { samplesText } from './trial';
import { allocatorNamed, COSTS, isMeasuredMetric, measuredMetricNamed, metricNamed } from './vocabulary';

export interface AllocateOptions extends Budget {
  readonly metric?: string;
  readonly allocator?: string;
  /** Of metrics that run the model; else what bitlens.json names. */
  readonly data?: ModelData;
  /** Samples to measure layers on, and to judge recipes on. */
  readonly calibrationSamples?: number;
  readonly samples?: number;
  /** The recipe that takes least and loses no more than this share of the task's figure; the budget limits what is not minimized. */
  readonly drop?: number;
  /** What `drop` makes smallest: the size when absent. */
  readonly minimize?: Minimized;
  /** Kinds of layers that must share a format. */
  readonly couple?: readonly string[];
  /** Of costs: inputs of forward with their sizes; bits of an activation. */
  readonly inputs?: readonly InputSpec[];
  readonly activationBits?: number;
  readonly formats?: readonly string[];
  /** Where the recipe is written; not written when absent. */
  readonly out?: string;
}

interface Setting {
  readonly kernel: KernelPort;
  readonly python: TracingPort;
  readonly running: Running;
}
/** A model whose weights were measured in the formats to choose from. */
export interface MeasuredModel {
  readonly analysis: ModelAnalysis;
  readonly layers: readonly Layer[];
  readonly scans: ReadonlyMap<string, WeightScan>;
  readonly formats: readonly string[];
  readonly coupling: readonly Coupling[];
  /** What the scans rest on. */
  readonly readBy: string;
}

/** @throws UserError for a budget that cannot be met, or a model that cannot be followed where its graph is needed */
export async function allocateModel(setting: Setting, model: MeasuredModel, request: AllocateOptions, options: RunOptions): Promise<AllocationSummary> {
  const { kernel, python, running } = setting;
  const { analysis, layers, scans, formats, readBy } = model;
  const { groups, coupled, notes: groupNotes } = await groupsOf(setting, model, options);
  const allocator = allocatorNamed(request.allocator).id;
  const out = request.out === undefined ? null : path.resolve(request.out);
  const folder = path.dirname(out ?? ownRecipe(analysis));
  const ids = COSTS.filter((id) => request[id] !== undefined || request.minimize === id);
  const data = request.data ?? modelData(analysis);
  const costs = ids.length === 0 ? null : await layerCosts(kernel, python, analysis, layers, scans, {
    ids, formats, data, ...(request.inputs ? { inputs: request.inputs } : {}), ...(request.activationBits === undefined ? {} : { activationBits: request.activationBits }),
  }, options);
  const problem = { kernel, layers, scans, groups, tables: costs?.tables ?? [] };
  const finish = async (allocation: Allocation, budget: Budget, recipe: Recipe, notes: readonly string[] = []): Promise<AllocationSummary> => {
    const together = [...analysis.recipe?.groups ?? [], ...coupled.map((group) => group.layers)];
    const kept = together.length > 0 ? { ...recipe, groups: together } : recipe;
    if (out) await writeRecipeFile(out, kept, options.signal);
    return allocationSummary(allocation, scans, { recipe: kept, recipePath: out, budget, groups: coupled, costs, notes: [...groupNotes, ...costs?.notes ?? [], ...notes] });
  };
  if (request.metric === undefined || !isMeasuredMetric(request.metric)) {
    const metric = metricNamed(request.metric);
    const allocation = await allocate({ ...problem, errorOf: weightErrors(metric, layers), allocator }, request, options);
    return finish(allocation, request, recipeOf(analysis, allocation, metric.id, request, readBy, folder));
  }
  const metric = measuredMetricNamed(request.metric);
  const measured = await allocateMeasured({ ...problem, running, analysis }, {
    metric, formats, allocator, data, ...(request.samples === undefined ? {} : { samples: request.samples }), ...(request.calibrationSamples === undefined ? {} : { calibrationSamples: request.calibrationSamples }),
    budget: budgetOf(request), drop: request.drop === undefined ? null : { share: request.drop, minimize: request.minimize ?? 'size' },
  }, options);
  const { sensitivity, allocation, budget, judgement, notes } = measured;
  const evidence = `${metric.title}: ${isProxy(metric) ? 'read off the unquantized model' : metric.changes === 'pruned' ? 'layers pruned one by one' : 'layers rounded to nearest one by one'} on ${samplesText(sensitivity.samples, sensitivity.data)}; recipes judged on ${samplesText(judgement.samples, judgement.data)}`;
  return { ...await finish(allocation, budget, recipeOf(analysis, allocation, metric.id, budget, evidence, folder), notes), judgement };
}

/** Groups the user has put into the recipe, in terms of the layers that carry the weights, and those found of the kinds asked for. */
async function groupsOf({ python, running }: Setting, { analysis, layers, coupling: kinds }: MeasuredModel, options: RunOptions): Promise<{ groups: string[][]; coupled: readonly CoupledGroup[]; notes: readonly string[] }> {
  const carrier = new Map(analysis.link!.layers.map((layer) => [layer.path, layer.tiedTo ?? layer.path]));
  const own = (analysis.recipe?.groups ?? []).map((group) => group.map((name) => carrier.get(name) ?? name));
  if (kinds.length === 0) return { groups: own, coupled: [], notes: [] };
  const graph = analysis.graph ? await running.typedGraph({ ...analysis, graph: analysis.graph }, options) : (await traceAnalysis(python, analysis)).graph;
  const { groups, notes } = coupledLayers(layers, graph.nodes.length > 0 ? graph : null, kinds);
  return { groups: [...own, ...groups.map((group) => [...group.layers])], coupled: groups, notes };
}

const budgetOf = ({ bits, bytes, bops, latency }: Budget): Budget => ({ ...(bits === undefined ? {} : { bits }), ...(bytes === undefined ? {} : { bytes }), ...(bops === undefined ? {} : { bops }), ...(latency === undefined ? {} : { latency }) });
