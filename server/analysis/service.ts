/**
 * The analysis library: what the command line and the language server both call. One instance per process; every answer
 * is plain, immutable data. Code and headers are read here, numbers come from the kernel process.
 */
import path from 'node:path';
import type { ScaleRule } from '../../kernels/formats/format';
import { JobCancelled, type ConvertParams, type ConvertResult, type JobProgress, type OnnxResult, type WeightScan } from '../../kernels/jobs/job';
import { elementCount, FLOAT_DTYPES, modelTensors, type Checkpoint } from '../../kernels/checkpoint/checkpoint';
import { listedFormats } from '../../kernels/formats/registry';
import type { LayoutId } from '../../kernels/jobs/layouts';
import type { Recipe } from '../../kernels/recipe/recipe';
import { weightLayers } from '../linking/link';
import type { Layer } from '../linking/layer';
import { DEFAULT_SETTINGS, type AllocationSummary, type CheckpointDiff, type CheckpointSummary, type LayerDetail, type ModelSummary, type QuantizeLayerSummary, type ReportData, type Settings, type TensorDetail, type TrialSummary } from '../protocol';
import { buildReport } from '../report/report-data';
import type { Finding } from '../rules/rule';
import { allocate, checkBudget, weightErrors, type Allocation, type Budget } from './allocation';
import { allocateModel, type AllocateOptions } from './allocate-model';
import { CheckpointCache, identityOf } from './checkpoint-cache';
import { couplingsNamed } from './coupling';
import { diffCheckpoints } from './diff';
import { modelFolder } from './families';
import { checkpointSummary, openForUser, scannable, whyNotScanned } from './inspect';
import { record } from './json-reader';
import { MeasurementCache, specOf, weightEvidence } from './measurements';
import { originOf, ownRecipe, placeOf, type MeasurementState, type ModelAnalysis } from './model-analysis';
import type { ModelData } from './model-data';
import { ModelFinder, type AnalyseOptions } from './model-finder';
import type { AnalysisHost, KernelPort, OpenCheckpoint, RunOptions, RunRules, TracingPort } from './ports';
import { readRecipe, refuseStrangeLayers, writeRecipeFile } from './recipe-file';
import { ruleSettingsOf, summaryOf } from './summary';
import { Running } from './running';
import { stepTitle, withSteps, type NamedSteps } from './trial-steps';
import { judgedOf, planFormat, planRecipe, selectLayers, trialSummary, type TrialPlan } from './trial';
import { graphBeside, knownTrace, traceAnalysis, type TraceOptions } from './trace';
import type { TraceResult } from '../trace/trace';
import { messageOf, UserError } from './user-error';
import { allocatorNamed, DEFAULT_FORMATS_MEASURED, DEFAULT_METHOD, isMeasuredMetric, methodNamed, metricNamed, recipeVocabulary, userFormats } from './vocabulary';

export type { AnalyseOptions } from './model-finder';

export interface AnalysisOptions {
  readonly kernel: KernelPort;
  readonly python: TracingPort;
  readonly openCheckpoint: OpenCheckpoint;
  readonly runRules: RunRules;
  readonly host: AnalysisHost;
  readonly settings?: Settings;
  readonly log?: (message: string) => void;
  /** How a class or checkpoint that the caller names came here, for the reasons shown: `on the command line`. */
  readonly caller?: string;
}

export interface TrialOptions {
  /** Runs the model before and after on this; weights alone are measured when absent. */
  readonly data?: ModelData;
  readonly recipe?: string;
  readonly format?: string;
  readonly method?: string;
  readonly layers?: readonly string[];
  readonly steps?: NamedSteps;
  readonly out?: string;
  readonly layout?: LayoutId;
}
export interface CheckpointScan {
  readonly formats: readonly string[];
  /** In file order. */
  readonly scans: readonly WeightScan[];
  readonly skipped: readonly { readonly key: string; readonly reason: string }[];
  /** Tensors that are not weights, with the reason: vectors, integers. In file order. */
  readonly notScanned: readonly { readonly key: string; readonly reason: string }[];
  readonly weights: number;
  readonly seconds: number;
  readonly evidence: string;
}
export interface ReportOptions {
  readonly formats?: readonly string[];
  readonly metric?: string;
  /** Histograms and channel ranges of every layer, for exports. */
  readonly details?: boolean;
  /** With `details`: a sweep over every format for every layer. */
  readonly sweep?: boolean;
}

const HISTOGRAM_BINS = 64;
export class AnalysisService {
  private settingsNow: Settings;
  private readonly checkpoints: CheckpointCache;
  private readonly measurements: MeasurementCache;
  private readonly details = new Map<string, LayerDetail>();
  /** Everything that runs the model on data. */
  readonly running: Running;
  private readonly finder: ModelFinder;

  constructor(private readonly options: AnalysisOptions) {
    this.settingsNow = options.settings ?? DEFAULT_SETTINGS;
    this.checkpoints = new CheckpointCache(options.openCheckpoint);
    this.measurements = new MeasurementCache(options.kernel);
    this.running = new Running(options.kernel, options.python);
    this.finder = new ModelFinder(options.python, options.host, this.checkpoints, options.caller ?? 'by the caller');
  }

  get settings(): Settings {
    return this.settingsNow;
  }
  set settings(settings: Settings) {
    this.settingsNow = settings;
    this.finder.forgetDiscovery();
  }

  /** Forgets which checkpoints lie where: call it when files appear or vanish. */
  forgetDiscovery(): void {
    this.finder.forgetDiscovery();
  }

  /**
   * Reads the code and the checkpoint's header and joins them. Fast, and never asks the kernel; measurements that are
   * already known are in the answer. A refused checkpoint is in `checkpointError`, not thrown.
   *
   * @throws UserError when the file or the class named does not exist.
   */
  async analyse(file: string, options: AnalyseOptions = {}): Promise<ModelAnalysis> {
    const analysis = await this.finder.find(path.resolve(file), this.settings, options);
    const traced = knownTrace(this.options.python, analysis);
    return { ...analysis, ...(traced ? { traced } : {}), measurements: this.knownMeasurements(analysis), ...this.running.known(analysis) };
  }

  /** Formats that are measured: those of the settings, the target format, and those the recipe gives. */
  formatsOf(analysis: ModelAnalysis, formats: readonly string[] = this.settings.formats): string[] {
    const inRecipe = analysis.recipe ? [analysis.recipe.default, ...Object.values(analysis.recipe.layers)].map((scheme) => scheme.weights).filter((id) => id !== 'keep') : [];
    return userFormats([...formats, this.settings.targetFormat, ...inRecipe]);
  }

  private knownMeasurements(analysis: ModelAnalysis): MeasurementState {
    if (!analysis.checkpoint || !analysis.link) return analysis.measurements;
    let formats: string[];
    try {
      formats = this.formatsOf(analysis);
    } catch (error) {
      return { state: 'failed', message: messageOf(error) };
    }
    const layers = weightLayers(analysis.link);
    if (layers.length === 0) return { state: 'none', reason: 'no layer has a weight in the checkpoint' };
    const known = this.measurements.known(identityOf(analysis.checkpoint), layers.map((layer) => specOf(layer)), formats, 'absmax');
    return known ? { state: 'ready', scans: known.scans, evidence: weightEvidence(analysis.checkpoint, 'absmax', known) } : analysis.measurements;
  }

  /**
   * Measures every quantizable layer, asking the kernel for what is not known yet. A kernel that fails gives the state
   * `failed` with the message.
   *
   * @throws the signal's reason (or JobCancelled) when cancelled.
   */
  async measure(analysis: ModelAnalysis, formats?: readonly string[], options: RunOptions = {}): Promise<ModelAnalysis> {
    const { checkpoint, link: linked } = analysis;
    if (!checkpoint || !linked) return analysis;
    const layers = weightLayers(linked);
    if (layers.length === 0) return { ...analysis, measurements: { state: 'none', reason: 'no layer has a weight in the checkpoint' } };
    try {
      const measured = await this.measurements.measure(checkpoint, identityOf(checkpoint), layers.map((layer) => specOf(layer)), this.formatsOf(analysis, formats), 'absmax', options);
      return { ...analysis, measurements: { state: 'ready', scans: measured.scans, evidence: weightEvidence(checkpoint, 'absmax', measured) } };
    } catch (error) {
      if (options.signal?.aborted || error instanceof JobCancelled) throw error;
      this.options.log?.(`measuring ${analysis.source}: ${messageOf(error)}`);
      return { ...analysis, measurements: { state: 'failed', message: messageOf(error) } };
    }
  }

  private async measured(analysis: ModelAnalysis, formats: readonly string[] | undefined, options: RunOptions): Promise<{ analysis: ModelAnalysis; ready: Extract<MeasurementState, { state: 'ready' }> }> {
    requireModel(analysis);
    const done = await this.measure(analysis, formats, options);
    const { measurements } = done;
    if (measurements.state === 'ready') return { analysis: done, ready: measurements };
    throw new UserError(measurements.state === 'failed' ? measurements.message : measurements.state === 'none' ? `nothing to measure: ${measurements.reason}` : 'still measuring');
  }

  /** The model as a graph of operators, as far as the source can be followed. That of an ONNX file is the file's own. */
  async trace(analysis: ModelAnalysis, options: TraceOptions = {}): Promise<TraceResult> {
    if (analysis.graph) {
      if (options.inputs) throw new UserError(`${analysis.source} says itself which inputs it takes; inputs are named for models in source`);
      const { graph, link } = analysis;
      return { graph, inputs: graph.inputs.map(({ name, type, shape }) => ({ name, type, shape })), reached: (link?.layers ?? []).map((layer) => layer.modulePath ?? layer.path), stopped: null, assumptions: [], shapes: [] };
    }
    return traceAnalysis(this.options.python, analysis, options);
  }

  /**
   * Writes a complete trace with the checkpoint's weights as an ONNX model.
   * @throws UserError without a checkpoint; the job's error when the file cannot be written.
   */
  writeOnnx(analysis: ModelAnalysis, traced: TraceResult, out: string, options: RunOptions = {}): Promise<OnnxResult> {
    if (!analysis.checkpoint) throw new UserError('an ONNX model needs weights: name a checkpoint with --checkpoint');
    return this.options.kernel.run('onnx', { graph: traced.graph, checkpoint: analysis.checkpoint.path, path: path.resolve(out), metadata: originOf(analysis) }, options);
  }

  /** Findings of every rule, with the user's thresholds and severities. Suppression comments are applied by the caller's face. */
  findings(analysis: ModelAnalysis): Finding[] {
    return this.options.runRules(analysis, ruleSettingsOf(this.settings));
  }

  /**
   * Suggests bits per layer under a budget. The summary holds the recipe, and the uniform recipe of the same size.
   *
   * @throws UserError for a budget that cannot be met, unknown metrics or formats, or a model without weights.
   */
  async allocate(analysis: ModelAnalysis, request: AllocateOptions, options: RunOptions = {}): Promise<AllocationSummary> {
    const runs = request.metric !== undefined && isMeasuredMetric(request.metric);
    if (request.drop !== undefined && !runs) throw new UserError('a target is kept or not by the model\'s output, so the metric must be one that runs the model: kl, loss or model-nsr');
    const minimized = request.minimize === undefined || request.minimize === 'size' ? request.bits ?? request.bytes : request[request.minimize];
    if (request.drop !== undefined && minimized !== undefined) throw new UserError(`what is made as small as a target allows (${request.minimize ?? 'size'}) cannot have a budget too`);
    if (request.drop === undefined) checkBudget(request);
    const coupling = couplingsNamed(request.couple ?? []);
    const chosenFormats = request.formats ? userFormats(request.formats) : runs ? [...DEFAULT_FORMATS_MEASURED] : undefined;
    const { analysis: done, ready } = await this.measured(analysis, chosenFormats, options);
    const wanted = new Set(chosenFormats ?? this.formatsOf(done));
    const scans = new Map([...ready.scans].map(([key, scan]) => [key, { ...scan, formats: record(Object.entries(scan.formats).filter(([id]) => wanted.has(id))) }]));
    const layers = weightLayers(done.link!);
    return allocateModel({ ...this.options, running: this.running }, { analysis: done, layers, scans, formats: [...wanted], coupling, readBy: ready.evidence }, request, options);
  }

  /** Puts one layer through a method and compares with round-to-nearest. Writes nothing. */
  async quantizeLayer(analysis: ModelAnalysis, request: { path: string; format: string; method?: string; data?: ModelData }, options: RunOptions = {}): Promise<QuantizeLayerSummary> {
    requireModel(analysis);
    const method = methodNamed(request.method);
    const [layer, ...more] = selectLayers(analysis.link!, [request.path]);
    if (more.length > 0) throw new UserError(`${JSON.stringify(request.path)} has ${more.length + 1} weights; name one of ${[layer!, ...more].slice(0, 4).map((each) => each.path).join(', ')}`);
    const plan = planFormat([layer!], userFormats([request.format])[0]!, method.id, true);
    const { result, note } = await this.running.tryPlan(analysis, plan, request.data, null, options);
    const done = result.layers.find((each) => each.key === layer!.path);
    if (!done) throw new Error('the kernel process left the layer out of its answer');
    const ran = judgedOf(result);
    const evidence = ran?.evidence ?? `Measured on the weights of this layer in ${path.basename(analysis.checkpoint!.path)}; the model was not run`;
    return {
      path: layer!.path, format: done.format, method: done.method, before: done.before, after: done.after,
      bytesBefore: layer!.weight!.info!.bytes, seconds: result.seconds,
      evidence: note === null ? evidence : `${evidence}: ${note}`,
      ...(ran ? { judged: ran.judged } : {}),
    };
  }

  /**
   * Runs a PTQ trial: a recipe, or one format for the layers named. With `out`, the checkpoint is written atomically, read
   * back and compared by the kernel.
   *
   * @throws UserError when nothing would change, or the recipe does not fit the model.
   */
  async trial(analysis: ModelAnalysis, request: TrialOptions, options: RunOptions = {}): Promise<TrialSummary> {
    requireModel(analysis);
    const planned = await this.plan(analysis, request);
    const title = stepTitle(request.steps ?? {});
    const { plan, steps } = withSteps(title === '' ? planned : { ...planned, title: `${planned.title}, ${title}` }, request.steps ?? {});
    const startedAt = new Date();
    const target = request.out === undefined ? null : { path: path.resolve(request.out), ...(request.layout ? { layout: request.layout } : {}) };
    if (target && analysis.checkpoint!.files.some((file) => path.resolve(file.path) === target.path)) {
      throw new UserError(`${target.path} is the checkpoint that is read; write the result to another path`);
    }
    const { result, note } = await this.running.tryPlan(analysis, plan, request.data, target, options, steps);
    return trialSummary(analysis, note === null ? plan : { ...plan, notes: [...plan.notes, note] }, result, startedAt);
  }

  /** What a trial would do: a format and a method for each layer. @throws UserError */
  async plan(analysis: ModelAnalysis, request: TrialOptions): Promise<TrialPlan> {
    requireModel(analysis);
    if ((request.recipe === undefined) === (request.format === undefined)) throw new UserError('a trial needs either a recipe or a format');
    const method = request.method === undefined ? undefined : methodNamed(request.method).id;
    const named = request.layers !== undefined && request.layers.length > 0;
    const layers = named ? selectLayers(analysis.link!, request.layers!) : weightLayers(analysis.link!);
    if (request.format !== undefined) return planFormat(layers, userFormats([request.format])[0]!, method ?? DEFAULT_METHOD, named);
    const file = path.resolve(request.recipe!);
    const recipe = await readRecipe(file, recipeVocabulary());
    refuseStrangeLayers(recipe, file, new Set(analysis.link!.layers.filter((layer) => layer.weight).map((layer) => layer.path)));
    return planRecipe(layers, recipe, file, method);
  }

  /** The model as rows for views. Uses the measurements that the analysis holds. */
  summary(analysis: ModelAnalysis): ModelSummary {
    const { measurements } = analysis;
    const evidence = measurements.state === 'ready' ? measurements.evidence : measurements.state === 'failed' ? measurements.message : 'Read from code and the checkpoint\'s header; nothing is measured yet';
    return summaryOf(analysis, this.settings, this.findings(analysis), evidence);
  }

  /** Everything the sensitivity report shows. Measures what is not known yet. */
  async report(analysis: ModelAnalysis, request: ReportOptions = {}, options: RunOptions = {}): Promise<ReportData> {
    const metric = metricNamed(request.metric);
    const { analysis: done, ready } = await this.measured(analysis, request.formats, options);
    const layers = weightLayers(done.link!);
    const formats = this.formatsOf(done, request.formats);
    const { allocation, note, chosen } = await this.shownAllocation(done, layers, ready.scans, formats, metric, options);
    const details = new Map<string, LayerDetail>();
    if (request.details) {
      let count = 0;
      for (const layer of allocation.layers) {
        const progress: JobProgress = { done: count, total: allocation.layers.length, message: request.sweep ? `Every format on ${layer.path}` : `Histogram of ${layer.path}` };
        options.onProgress?.(progress);
        details.set(layer.path, await this.layerDetail(done, layer.path, { ...options, onProgress: undefined, sweep: request.sweep }));
        count += 1;
      }
    }
    return buildReport({
      analysis: done, formats, metric, allocation, chosen, findings: this.findings(done), evidence: ready.evidence, details,
      notes: [...(done.notes ?? []), ...(note ? [note] : [])], generatedAt: new Date(), thresholdDb: this.settings.minimumSqnrDb,
    });
  }

  /** The allocation a report shows: the optimum of the recipe's size, else of the size of the target format everywhere. */
  private async shownAllocation(analysis: ModelAnalysis, layers: readonly Layer[], scans: ReadonlyMap<string, WeightScan>, formats: readonly string[], metric: ReturnType<typeof metricNamed>, options: RunOptions): Promise<{ allocation: Allocation; note: string | null; chosen: boolean }> {
    const run = (budget: Budget | 'uniform-only') => allocate({ kernel: this.options.kernel, layers, scans, errorOf: weightErrors(metric, layers), allocator: allocatorNamed().id, groups: [], tables: [] }, budget, options);
    const sizeOf = (format: (layer: Layer) => string): number | null => layers.reduce<number | null>((sum, layer) => {
      const scan = scans.get(layer.path);
      const error = scan?.formats[format(layer)];
      return sum === null || !error || !scan ? null : sum + error.bitsPerWeight * scan.view.rows * scan.view.cols;
    }, 0);
    const { recipe } = analysis;
    const size = recipe ? sizeOf((layer) => (Object.hasOwn(recipe.layers, layer.path) ? recipe.layers[layer.path]! : recipe.default).weights) : null;
    if (size !== null) return { allocation: await run({ bytes: Math.ceil(size / 8) }), note: 'The point marked on the curve is the optimum of the recipe\'s size', chosen: true };
    const [target] = userFormats([this.settings.targetFormat]);
    const uniform = formats.includes(target!) ? sizeOf(() => target!) : null;
    if (uniform !== null && !recipe) return { allocation: await run({ bytes: Math.ceil(uniform / 8) }), note: `Formats are the optimum at the size of ${target} everywhere`, chosen: true };
    return { allocation: await run('uniform-only'), note: recipe ? 'The recipe keeps layers in their stored precision, so its size is no point of the curve' : null, chosen: recipe === null };
  }

  /** Histogram and channel ranges of one layer; with `sweep`, every listed format on a sample of its rows as well. */
  async layerDetail(analysis: ModelAnalysis, layerPath: string, options: RunOptions & { readonly sweep?: boolean } = {}): Promise<LayerDetail> {
    requireModel(analysis);
    const [layer] = selectLayers(analysis.link!, [layerPath]);
    return this.detail(analysis.checkpoint!, specOf(layer!), layerPath, options);
  }

  private async detail(checkpoint: NonNullable<ModelAnalysis['checkpoint']>, weight: ReturnType<typeof specOf>, shownPath: string, { sweep, ...options }: RunOptions & { readonly sweep?: boolean }): Promise<LayerDetail> {
    const key = JSON.stringify([identityOf(checkpoint), weight.tensor, weight.outputAxis, weight.groups ?? 1]);
    const known = this.details.get(key);
    if (known && (known.sweep || !sweep)) return { ...known, path: shownPath };
    const ids = sweep ? { sweep: listedFormats().map(({ id }) => id) } : {};
    const { histogram, channels, sweep: swept } = await this.options.kernel.run('detail', { checkpoint: checkpoint.path, weight, bins: HISTOGRAM_BINS, ...ids }, options);
    const made: LayerDetail = { path: shownPath, histogram, channels, ...(swept ? { sweep: swept } : {}) };
    this.details.set(key, made);
    if (this.details.size > 512) this.details.delete(this.details.keys().next().value!);
    return made;
  }

  /** @throws UserError with the reader's message when the file is refused. */
  async inspect(file: string, options: { readonly signal?: AbortSignal } = {}): Promise<CheckpointSummary> {
    return checkpointSummary(await this.openForUser(file, options.signal));
  }

  private async openForUser(file: string, signal?: AbortSignal): Promise<Checkpoint> {
    return openForUser(file, (path, options) => this.checkpoints.open(path, options?.signal), signal);
  }

  /**
   * Errors of every floating-point tensor of two or more dimensions in the given formats, without any model: dimension 0
   * is taken for the output channels where the file does not say which it is.
   *
   * @throws UserError for a refused checkpoint, an unknown format, or a checkpoint without such tensors.
   */
  async scan(file: string, request: { readonly formats?: readonly string[]; readonly scaleRule?: ScaleRule } = {}, options: RunOptions = {}): Promise<CheckpointScan> {
    const checkpoint = await this.openForUser(file, options.signal);
    const tensors = scannable(modelTensors(checkpoint));
    if (tensors.length === 0) throw new UserError(`${file} has no floating-point tensor of two or more dimensions to measure; "bitlens inspect" lists what it holds`);
    const formats = userFormats(request.formats ?? this.settings.formats);
    const started = performance.now();
    const specs = tensors.map(({ name, outputAxis }) => ({ key: name, tensor: name, outputAxis: outputAxis ?? 0 }));
    const { scans, skipped } = await this.measurements.measure(checkpoint, identityOf(checkpoint), specs, formats, request.scaleRule ?? 'absmax', options);
    const measured = tensors.flatMap(({ name }) => scans.get(name) ?? []);
    return {
      formats, scans: measured, skipped, notScanned: modelTensors(checkpoint).flatMap((tensor) => { const reason = whyNotScanned(tensor); return reason === null ? [] : [{ key: tensor.name, reason }]; }),
      weights: measured.reduce((sum, scan) => sum + scan.view.rows * scan.view.cols, 0),
      seconds: (performance.now() - started) / 1000,
      evidence: weightEvidence(checkpoint, request.scaleRule ?? 'absmax', { scans, skipped }),
    };
  }

  /**
   * Writes a checkpoint of any format in another file format, reads it back and compares.
   *
   * @throws UserError for a refused checkpoint; JobError when it cannot be written.
   */
  async convert(file: string, { out, method, ...request }: Omit<ConvertParams, 'checkpoint' | 'path'> & { readonly out: string }, options: RunOptions = {}): Promise<ConvertResult> {
    // A folder of a family that is built in is a model, with a graph.
    const model = request.to === 'onnx' && await modelFolder(path.resolve(file)) !== null ? await this.analyse(file, options) : null;
    const graph = model ? await graphBeside(this.options.python, model, out) : {};
    const checkpoint = model?.checkpoint ?? await this.openForUser(file, options.signal);
    return this.options.kernel.run('convert', { ...request, ...graph, ...(method === undefined ? {} : { method: methodNamed(method).id }), checkpoint: checkpoint.path, path: path.resolve(out) }, options);
  }

  /**
   * Compares two checkpoints of any formats tensor by tensor. The kernel reads the values.
   *
   * @throws UserError for a refused checkpoint.
   */
  async diff(a: string, b: string, options: RunOptions = {}): Promise<CheckpointDiff> {
    return diffCheckpoints(this.options.kernel, await this.openForUser(a, options.signal), await this.openForUser(b, options.signal), options);
  }

  /** Statistics, histogram and errors of one tensor of a checkpoint. */
  async tensorDetail(file: string, tensor: string, options: RunOptions = {}): Promise<TensorDetail> {
    const checkpoint = await this.openForUser(file, options.signal);
    const info = [...(checkpoint.derived ?? []), ...checkpoint.tensors].find((candidate) => candidate.name === tensor);
    if (!info) throw new UserError(`${file} has no tensor ${JSON.stringify(tensor)}`);
    if (!FLOAT_DTYPES.has(info.dtype) || info.data === null || info.shape.length === 0 || elementCount(info.shape) === 0) {
      throw new UserError(`${tensor} is ${info.dtype} of shape [${info.shape.join(', ')}]; statistics are of floating-point tensors that hold values`);
    }
    const spec = { key: tensor, tensor, outputAxis: info.outputAxis ?? 0 };
    const formats = userFormats(this.settings.formats);
    const { scans, skipped } = await this.measurements.measure(checkpoint, identityOf(checkpoint), [spec], formats, 'absmax', options);
    const scan = scans.get(tensor);
    if (!scan) throw new UserError(`${tensor} cannot be measured: ${skipped[0]?.reason ?? 'it holds no values'}`);
    return {
      name: tensor, statistics: scan.statistics, detail: await this.detail(checkpoint, spec, tensor, options),
      formats: Object.entries(scan.formats).map(([id, error]) => ({ id, error })),
    };
  }

  /** Sets one layer's scheme in the model's recipe (or in `recipe`), which is made when there is none. Returns its path. */
  async writeRecipe(analysis: ModelAnalysis, request: { path: string; format: string; method?: string; recipe?: string }): Promise<{ recipe: string }> {
    requireModel(analysis);
    const layers = selectLayers(analysis.link!, [request.path]);
    const format = request.format === 'keep' ? 'keep' : userFormats([request.format])[0]!;
    const method = methodNamed(request.method).id;
    const file = request.recipe !== undefined ? path.resolve(request.recipe) : analysis.recipePath ?? ownRecipe(analysis);
    const before = await this.existingRecipe(file) ?? emptyRecipe(analysis, path.dirname(file));
    const tied = analysis.link!.layers.filter((layer) => layers.some((each) => each.path === layer.tiedTo));
    const scheme = { weights: format, ...(method === DEFAULT_METHOD || format === 'keep' ? {} : { method }) };
    const changed = record([...Object.entries(before.layers), ...[...layers, ...tied].map((layer) => [layer.path, scheme] as const)]);
    // The old provenance describes an allocation that this is no longer.
    const { provenance: _provenance, ...rest } = before;
    await writeRecipeFile(file, { ...rest, layers: changed });
    return { recipe: file };
  }

  private async existingRecipe(file: string): Promise<Recipe | null> {
    try {
      return await readRecipe(file, recipeVocabulary());
    } catch (error) {
      if (error instanceof UserError && /does not exist$/.test(error.message)) return null;
      throw error;
    }
  }
}

function emptyRecipe(analysis: ModelAnalysis, folder: string): Recipe {
  const relative = (file: string): string => path.relative(folder, file).split(path.sep).join('/');
  return {
    version: 1,
    model: { source: relative(placeOf(analysis)) || '.', class: analysis.root!.name, checkpoint: relative(analysis.checkpointPath!) },
    default: { weights: 'keep' },
    layers: record([]),
  };
}

/** @throws UserError with the reader's message when the checkpoint was refused. */
export function refuseBroken({ checkpointError: problem, checkpointPath }: ModelAnalysis): void {
  if (problem) throw new UserError(`${checkpointPath}: ${problem.message}${problem.offset === undefined ? '' : ` (byte ${problem.offset})`}. ${problem.fix}`, problem);
}

/** @throws UserError when the analysis has no model joined with a checkpoint. */
export function requireModel(analysis: ModelAnalysis): void {
  if (!analysis.root || !analysis.link) throw new UserError(`${analysis.source} has no module class that could be the model`);
  refuseBroken(analysis);
  if (!analysis.checkpoint) throw new UserError(`${analysis.source}: ${analysis.checkpointReason ?? 'there is no checkpoint'}`);
}
