/** Sensitivity: what quantizing one layer does to outputs, measured by running the model on data. */
import { parseFormat } from '../formats/registry';
import type { MeasuredMetric } from '../methods/method';
import { methodOfKind } from '../methods/registry';
import { pruned, SPARSITIES } from '../methods/sensitivity/prune-kl';
import { initializersOf } from '../graph/cut';
import { figuresOf, isLabelled, labelsOf, scoreBatch, trimmed, type Estimate, type SampleScore } from '../run/judge';
import type { NamedArray } from '../run/run-model';
import { sitesOf } from '../run/sites';
import { reaches, varyLayers, type VariedLayer } from '../run/vary-layers';
import { noiseToSignal, quantized, times } from '../run/noise';
import { toMatrix, toStored } from '../run/weight-matrix';
import { JobError, type Job, type JobContext, type LayerSensitivity, type SensitivityParams, type SensitivityResult } from './job';
import { usedData, withRun, type OpenRun } from './model-run';
import { formatForJob, resolveWeight, tensorsByName, type ResolvedWeight } from './weights';

/** Share of the memory limit that kept values may take. */
const KEPT_SHARE = 0.25;

interface MeasuredLayer extends VariedLayer { readonly key: string; readonly weight: ResolvedWeight }

export const sensitivityJob: Job<'sensitivity'> = {
  kind: 'sensitivity',
  run: (params: SensitivityParams, context: JobContext): Promise<SensitivityResult> => withRun(params, context, async (run) => {
    const started = performance.now();
    const metric = metricForJob(params.metric);
    if (metric.tasks && !metric.tasks.includes(params.task)) throw new JobError(`${metric.id} is defined for ${metric.tasks.join(' and ')}, not for ${params.task}; use model-nsr or output-nsr`);
    const judge = new Judge(params, run);
    if (metric.labels && !judge.hasLabels) throw new JobError(`${metric.id} needs labels, and ${run.dataset.title} has none; use kl or model-nsr`);
    const formats = params.formats.map((id) => formatForJob(id).id);
    if (formats.length === 0) throw new JobError('there is nothing to measure: no format was named');
    const { layers, skipped } = layersOf(params, run, metric, formats);
    if (layers.length === 0) throw new JobError(`no layer can be measured${skipped.length > 0 ? `: ${skipped[0]!.key.replace(/\0.*/s, '')}: ${skipped[0]!.reason}` : ''}`);
    const given = (i: number, of: (format: number) => Measured): Record<string, LayerSensitivity> => Object.fromEntries(formats.map((id, f) => [id, { ...of(f), bitsPerWeight: parseFormat(id).storage(layers[i]!.weight.layout).bitsPerWeight }]));
    const measured = metric.changes === 'pruned' ? null : metric.changes === 'one' ? await measureOne(run, judge, metric, layers, formats, context) : await measureKept(run, judge, metric, layers, formats, context);
    const figures = measured ? null : await measurePruned(run, judge, metric, layers, context);
    return {
      metric: metric.id, unit: metric.unit, baseline: judge.baseline(),
      layers: layers.map(({ key, weight }, i) => {
        const figure = figures?.[i];
        if (!figure) return { key, formats: given(i, (f) => measured![i]![f]!) };
        const values = toMatrix(run.model.values(weight.tensor.name), weight.layout);
        return { key, figure, formats: given(i, (f) => times(figure, noiseToSignal(values, quantized(values, weight.layout, formats[f]!, params.scaleRule)))) };
      }),
      skipped, samples: run.indices.length, seconds: (performance.now() - started) / 1000, ...usedData(run.dataset),
    };
  }),
};

type Measured = Omit<LayerSensitivity, 'bitsPerWeight'>;

/** One layer quantized at a time. */
async function measureOne(run: OpenRun, judge: Judge, metric: MeasuredMetric, layers: readonly MeasuredLayer[], formats: readonly string[], context: JobContext): Promise<Measured[][]> {
  const scores = layers.map(() => formats.map((): SampleScore[] => []));
  await varyLayers(run.model, run.feed, run.indices, run.output.name, layers, {
    memory: context.memoryCapBytes * KEPT_SHARE,
    step: (done, total) => { context.throwIfCancelled(); context.progress(done, total, 'Quantizing one layer at a time'); },
    base: (batch, outputs) => judge.addBase(batch, outputs.get(run.output.name)!),
    varied: (layer, variant, batch, output, base) => { scores[layer]![variant]!.push(...(metric.observes === 'model' ? judge.score(batch, output, base) : distances(batch, output, base))); },
  });
  return scores.map((variants) => variants.map((each) => ({ ...metric.score(each, judge.base), ...(metric.observes === 'model' ? judge.figures(each) : {}) })));
}

/** One layer pruned at a time, at several sparsities: of each sample the mean over them. */
async function measurePruned(run: OpenRun, judge: Judge, metric: MeasuredMetric, layers: readonly MeasuredLayer[], context: JobContext): Promise<Estimate[]> {
  const scores = layers.map(() => SPARSITIES.map((): SampleScore[] => []));
  await varyLayers(run.model, run.feed, run.indices, run.output.name, layers.map((layer) => ({ ...layer, variants: SPARSITIES.map((share) => () => pruned(run.model.values(layer.tensor), share)) })), {
    memory: context.memoryCapBytes * KEPT_SHARE,
    step: (done, total) => { context.throwIfCancelled(); context.progress(done, total, 'Pruning one layer at a time'); },
    base: (batch, outputs) => judge.addBase(batch, outputs.get(run.output.name)!),
    varied: (layer, variant, batch, output, base) => { scores[layer]![variant]!.push(...judge.score(batch, output, base)); },
  });
  return scores.map((levels) => metric.score(levels[0]!.map((first, n) => ({ ...first, kl: levels.reduce((sum, level) => sum + level[n]!.kl, 0) / levels.length })), judge.base));
}

/** All layers quantized but one. */
async function measureKept(run: OpenRun, judge: Judge, metric: MeasuredMetric, layers: readonly MeasuredLayer[], formats: readonly string[], context: JobContext): Promise<Measured[][]> {
  const original = await run.model.start();
  try {
    const references = new Map<number, NamedArray>();
    for (const batch of run.feed.batches(run.indices)) {
      context.throwIfCancelled();
      const out = (await original.run(run.feed.inputs(batch))).get(run.output.name)!;
      references.set(batch[0]!, out);
      judge.addBase(batch, out);
    }
    const found: Measured[][] = layers.map(() => []);
    for (const [f] of formats.entries()) {
      const replaced = new Map(layers.map(({ tensor, variants }) => [tensor, variants[f]!()] as const));
      const all: SampleScore[] = [];
      const scores = layers.map((): SampleScore[] => []);
      await varyLayers(run.model, run.feed, run.indices, run.output.name, layers.map((layer) => ({ ...layer, variants: [() => run.model.values(layer.tensor)] })), {
        replaced, memory: context.memoryCapBytes * KEPT_SHARE,
        step: (done, total) => { context.throwIfCancelled(); context.progress(f * total + done, formats.length * total, 'Keeping one layer at a time'); },
        base: (batch, outputs) => { all.push(...judge.score(batch, outputs.get(run.output.name)!, references.get(batch[0]!)!)); },
        varied: (layer, _variant, batch, output) => { scores[layer]!.push(...judge.score(batch, output, references.get(batch[0]!)!)); },
      });
      scores.forEach((each, i) => { found[i]!.push({ ...metric.score(each, all), ...judge.figures(each) }); });
    }
    return found;
  } finally { await original.close(); }
}

/** Scores batches of the model's output against labels and the unquantized model. */
class Judge {
  readonly base: SampleScore[] = [];
  readonly hasLabels: boolean;
  constructor(private readonly params: SensitivityParams, private readonly run: OpenRun) {
    this.hasLabels = isLabelled(params.task, run.dataset);
  }
  private labels(batch: readonly number[]): NamedArray | null {
    return labelsOf(this.params.task, this.run.dataset, batch);
  }
  addBase(batch: readonly number[], output: NamedArray): void {
    this.base.push(...scoreBatch(this.params.task, trimmed(output, batch.length), this.labels(batch), null));
  }
  score(batch: readonly number[], output: NamedArray, base: NamedArray): SampleScore[] {
    return scoreBatch(this.params.task, trimmed(output, batch.length), this.labels(batch), trimmed(base, batch.length));
  }
  figures(scores: readonly SampleScore[]): { loss?: number; accuracy?: number } {
    if (!this.hasLabels) return {};
    const { loss, accuracy } = figuresOf(this.params.task, scores);
    return { loss, ...(accuracy === null ? {} : { accuracy }) };
  }
  baseline(): SensitivityResult['baseline'] {
    const { loss = null, accuracy = null } = this.figures(this.base);
    return { loss, accuracy };
  }
}

/** Distances of a layer's own output, whose first dimension need not be the sample: the batch is then one sample. */
function distances(batch: readonly number[], output: NamedArray, base: NamedArray): SampleScore[] {
  const samples = output.shape[0]! % batch.length === 0 && output.shape[0]! > 0 ? batch.length : 1;
  const split = (array: NamedArray): NamedArray => ({ ...array, shape: [samples, array.data.length / samples] });
  return scoreBatch('features', split(output), null, split(base));
}

function layersOf(params: SensitivityParams, run: OpenRun, metric: MeasuredMetric, formats: readonly string[]): { layers: MeasuredLayer[]; skipped: { key: string; reason: string }[] } {
  const byName = tensorsByName(run.model.checkpoint);
  const skipped: { key: string; reason: string }[] = [];
  const layers = params.weights.flatMap((spec): MeasuredLayer[] => {
    const skip = (reason: string): [] => { skipped.push({ key: spec.key, reason }); return []; };
    const weight = resolveWeight(run.model.checkpoint, byName, spec);
    if (typeof weight === 'string') return skip(weight);
    if (initializersOf(params.graph, spec.tensor).length === 0) return skip('the graph does not use its weight');
    const output = metric.observes === 'model' ? run.output.name : sitesOf(params.graph, spec.tensor).at(-1)?.output;
    if (output === undefined) return skip('no operator whose output is the layer\'s own');
    if (metric.observes === 'model' && !reaches(params.graph, spec.tensor, output)) return skip('the model\'s output does not depend on it');
    const { layout } = weight;
    const matrix = (): Float32Array => toMatrix(run.model.values(spec.tensor), layout);
    if (matrix().some((value) => !Number.isFinite(value))) return skip('its weight holds NaN or infinite values');
    return [{ key: spec.key, tensor: spec.tensor, output, weight, variants: formats.map((id) => () => toStored(quantized(matrix(), layout, id, params.scaleRule), layout)) }];
  });
  return { layers, skipped };
}

function metricForJob(id: string): MeasuredMetric {
  try {
    return methodOfKind('measured', id);
  } catch (error) {
    if (error instanceof RangeError) throw new JobError(error.message);
    throw error;
  }
}
