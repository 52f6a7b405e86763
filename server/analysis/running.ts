/** Running the model: evaluate, sensitivity and trials on data. Traces the source, and hands graph, weights and data to the kernel process. */
import { sampleShapeOf } from '../../kernels/data/shape';
import { findRuntime, NO_RUNTIME } from '../../kernels/run/onnx-runtime';
import { isSynthetic, type DatasetSpec } from '../../kernels/data/data';
import type { Graph } from '../../kernels/graph/graph';
import { withDecodedWeights } from '../../kernels/graph/onnx/decoded-weights';
import type { ActivationsResult, EvaluateResult, JudgeResult, ModelRun, QuantizeResult, SensitivityResult, TrialResult } from '../../kernels/jobs/job';
import { weightLayers } from '../linking/link';
import type { Layer } from '../linking/layer';
import { CannotRun, followed } from './cannot-run';
import { specOf } from './measurements';
import type { ModelAnalysis } from './model-analysis';
import { orientedBy } from './orientation';
import { requireData, trialData, type ModelData } from './model-data';
import type { KernelPort, TracingPort, RunOptions } from './ports';
import { RunCache, type RunResults } from './run-cache';
import type { Scorecard } from '../protocol';
import { layerPlaces } from './layer-places';
import { scorecard, type ScorecardRequest } from './scorecard';
import { runMetrics, type MetricsResult } from './sensitivities';
import { withSampleShapes } from './synthetic-data';
import { graphBeside, traceAnalysis } from './trace';
import { planTasks, runPlan, SEED, type TrialExport, type TrialPlan } from './trial';
import { NO_STEPS, type TrialSteps } from './trial-steps';
import { messageOf, UserError } from './user-error';
import { DEFAULT_FORMATS_MEASURED, defaultMeasuredMetric, methodNamed, sensitivityMetricNamed } from './vocabulary';

export interface RunRequest {
  readonly data: ModelData;
  readonly samples?: number;
}
export interface SensitivityRequest extends RunRequest {
  /** What suits the task when absent. */
  readonly metric?: string;
  /** Canonical format ids; two to eight bits per output channel when absent. */
  readonly formats?: readonly string[];
  readonly layers?: readonly Layer[];
}
export interface JudgeRequest extends RunRequest {
  readonly layers: readonly Layer[];
  /** Format id of each layer by path; those not named stay as they are. */
  readonly recipes: readonly { readonly title: string; readonly formats: Readonly<Record<string, string>> }[];
}
export interface ModelTrialRequest extends RunRequest {
  readonly plan: TrialPlan;
  readonly calibrationSamples?: number;
  readonly sequential: boolean;
  /** What is done beside rounding weights; nothing when absent. */
  readonly steps?: TrialSteps;
  readonly export?: TrialExport;
}

export class Running {
  private readonly results = new RunCache();
  /** Graphs of files with the types of all their values. */
  private readonly typed = new WeakMap<Graph, Graph>();
  constructor(private readonly kernel: KernelPort, private readonly python: TracingPort) {}

  /** The model as a graph for this data. @throws UserError when the source cannot be followed to its end. */
  private async graph(analysis: ModelAnalysis, spec: DatasetSpec, whole: boolean, options: RunOptions): Promise<Graph> {
    if (analysis.graph) return this.ofFile(analysis as ModelAnalysis & { graph: Graph }, whole, options);
    let data: { shape: readonly number[]; whole: boolean };
    try {
      const { shape, whole, count } = await sampleShapeOf(spec);
      data = { shape: [count, ...shape], whole };
    } catch (error) {
      throw new UserError(messageOf(error));
    }
    return followed(await traceAnalysis(this.python, analysis, { data })).graph;
  }

  /** The graph of a model that is one, its weights decoded and every type known. @throws CannotRun without onnxruntime, which finds them out */
  async typedGraph(analysis: ModelAnalysis & { readonly graph: Graph }, options: RunOptions): Promise<Graph> {
    if (findRuntime() === null) throw new CannotRun(NO_RUNTIME);
    return this.ofFile(analysis, false, options);
  }

  /** @param whole the model runs as it is; else its quantized weights are decoded, and every value has a type, so that parts can be run */
  private async ofFile(analysis: ModelAnalysis & { readonly graph: Graph }, whole: boolean, options: RunOptions): Promise<Graph> {
    const { graph, checkpoint, source } = analysis;
    if (whole && graph.outputs.every(({ ranked }) => ranked !== false)) return graph;
    const known = this.typed.get(graph);
    if (known) return known;
    const typed = (await this.kernel.run('types', { graph: whole ? graph : withDecodedWeights(graph, checkpoint!), checkpoint: source }, options)).graph;
    if (!whole) this.typed.set(graph, typed);
    return typed;
  }

  async evaluate(analysis: ModelAnalysis, request: RunRequest, options: RunOptions = {}): Promise<EvaluateResult> {
    return this.kernel.run('evaluate', await this.runOf(analysis, request, options, true), options);
  }

  /** What quantizing one layer at a time does to outputs. Hovers and reports show the result from then on (`known`). */
  async sensitivity(analysis: ModelAnalysis, { metric, ...request }: SensitivityRequest, options: RunOptions = {}): Promise<SensitivityResult> {
    const { results: [result], refused: [refusal] } = await this.sensitivities(analysis, { ...request, metrics: [metric ?? defaultMeasuredMetric(request.data.task)] }, options);
    if (!result) throw new UserError(refusal!.reason);
    return result;
  }

  /** The same by several metrics, of any kind, side by side; those that say nothing about the model or its data are named with the reason. */
  async sensitivities(analysis: ModelAnalysis, request: Omit<SensitivityRequest, 'metric'> & { readonly metrics: readonly string[] }, options: RunOptions = {}): Promise<MetricsResult> {
    const metrics = [...new Set(request.metrics.map(sensitivityMetricNamed))];
    const { checkpoint, link } = checkpointOf(analysis);
    const layers = weightLayers(link);
    const found = await runMetrics(this.kernel, {
      checkpoint: checkpoint.path, metrics, layers: request.layers ?? layers, formats: request.formats ?? DEFAULT_FORMATS_MEASURED,
      placeOf: layerPlaces(layers.map(({ path }) => path)), run: () => this.runOf(analysis, request, options),
    }, options);
    for (const result of found.results) this.results.addSensitivity(analysis, result);
    return found;
  }

  /** How well sensitivity metrics order random recipes of this model by what they lose. */
  scorecard(analysis: ModelAnalysis, request: ScorecardRequest, options: RunOptions = {}): Promise<Scorecard> {
    return scorecard(this.kernel, this, analysis, request, options);
  }

  /** What values of the model look like on data. Findings (BL2xx) rest on the result from then on. */
  async activations(analysis: ModelAnalysis, request: RunRequest, options: RunOptions = {}): Promise<ActivationsResult> {
    const run = await this.runOf(analysis, request, options);
    const result = await this.kernel.run('activations', { ...run, weights: weightLayers(analysis.link!).map((layer) => specOf(layer)) }, options);
    this.results.addActivations(analysis, result);
    return result;
  }

  /** What was found so far, as long as source and checkpoint are the same. */
  known(analysis: ModelAnalysis): RunResults {
    return this.results.of(analysis);
  }

  /** Recipes as wholes, on the same data, weights rounded to nearest. */
  async judge(analysis: ModelAnalysis, request: JudgeRequest, options: RunOptions = {}): Promise<JudgeResult> {
    const run = await this.runOf(analysis, request, options);
    return this.kernel.run('judge', { ...run, weights: request.layers.map((layer) => specOf(layer)).map(orientedBy(run.graph)), recipes: request.recipes, scaleRule: 'absmax' }, options);
  }

  async trial(analysis: ModelAnalysis, request: ModelTrialRequest, options: RunOptions = {}): Promise<TrialResult> {
    const data = await withSampleShapes(this.python, analysis, request.data);
    const run = await this.runOf(analysis, { ...request, data }, options);
    const { calibration } = data;
    const { transforms, range, corrections } = request.steps ?? NO_STEPS;
    const rounded = request.plan.layers.flatMap(({ layer, activations }) => (activations === undefined ? [] : [{ key: layer.path, tensor: specOf(layer).tensor, format: activations }]));
    return this.kernel.run('trial', {
      ...run, tasks: planTasks(analysis, request.plan, request.export ?? null).map(orientedBy(run.graph)), seed: SEED, sequential: request.sequential,
      calibration: calibration ? { data: calibration, ...(request.calibrationSamples === undefined ? {} : { samples: request.calibrationSamples }) } : null,
      ...(transforms.length > 0 ? { transforms } : {}), ...(corrections.length > 0 ? { corrections } : {}), ...(rounded.length > 0 ? { activations: { layers: rounded, ...(range ? { range } : {}) } } : {}),
      ...(request.export ? { export: { ...request.export, ...await graphBeside(this.python, analysis, request.export.path, run.graph) } } : {}),
    }, options);
  }

  /**
   * Puts a plan through its methods: on data where some is given and the model can be run, else on the weights alone, with a note
   * that says why it was not run.
   */
  async tryPlan(analysis: ModelAnalysis, plan: TrialPlan, data: ModelData | undefined, target: TrialExport | null, options: RunOptions, steps: TrialSteps = NO_STEPS): Promise<{ result: QuantizeResult | TrialResult; note: string | null }> {
    const changes = steps.transforms.length + steps.corrections.length > 0;
    if (!data && changes) throw new UserError('transforms and corrections change the model as a whole, which is judged by running it: name data, in bitlens.json or with "Bitlens: Name Data…"');
    const onWeights = async (): Promise<QuantizeResult> => runPlan(this.kernel, analysis, plan, target && { ...target, ...await graphBeside(this.python, analysis, target.path) }, options);
    if (!data) return { result: await onWeights(), note: null };
    try {
      return { result: await this.trial(analysis, { ...trialData(data), plan, steps, sequential: true, ...(target ? { export: target } : {}) }, options), note: null };
    } catch (error) {
      if (!(error instanceof CannotRun) || changes || plan.layers.some(({ method }) => methodNamed(method).needs !== 'weights')) throw error;
      return { result: await onWeights(), note: error.message };
    }
  }

  /** @param whole see {@link ofFile}; a whole model is judged, and that on evaluation data alone */
  private async runOf(analysis: ModelAnalysis, { data, samples }: RunRequest, options: RunOptions, whole = false): Promise<ModelRun> {
    const { checkpoint } = checkpointOf(analysis);
    const asked = requireData(data, !whole);
    if (whole && isSynthetic(asked.spec)) throw new UserError('an evaluation says how often the model is right, and of synthetic data nobody knows what is right: name data with labels. A trial or a sensitivity on synthetic data compares the quantized model with the unquantized one');
    const { task, spec } = requireData(await withSampleShapes(this.python, analysis, data), !whole);
    if (findRuntime() === null) throw new CannotRun(NO_RUNTIME);
    const graph = await this.graph(analysis, spec, whole, options);
    return { graph, checkpoint: checkpoint.path, task, data: spec, ...(samples === undefined ? {} : { samples }) };
  }
}

/** @throws UserError for a model without weights */
function checkpointOf({ checkpoint, link, source, checkpointReason }: ModelAnalysis): { checkpoint: NonNullable<ModelAnalysis['checkpoint']>; link: NonNullable<ModelAnalysis['link']> } {
  if (!checkpoint || !link) throw new UserError(`running ${source} needs weights: name a checkpoint with --checkpoint${checkpointReason ? ` (${checkpointReason})` : ''}`);
  return { checkpoint, link };
}
