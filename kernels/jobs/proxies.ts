/** Proxies: sensitivity read off one run of the unquantized model, any number of metrics at once. */
import { initializersOf, movingValues, subgraph, valueTypes } from '../graph/cut';
import { parseFormat } from '../formats/registry';
import type { ProxyLayer, ProxyMetric, ProxyRun } from '../methods/method';
import { methodOfKind } from '../methods/registry';
import { byContent } from '../run/feed';
import { foldsOf, jackknife } from '../run/folds';
import { groupsOf } from '../run/moments';
import { noiseToSignal, quantized, times } from '../run/noise';
import { blockAround, channelAxisOf, rowsOf } from '../run/sample-rows';
import { sitesOf } from '../run/sites';
import { toMatrix } from '../run/weight-matrix';
import { JobError, type Job, type JobContext, type ProxiesParams, type ProxiesResult, type SensitivityResult } from './job';
import { usedData, withRun, type OpenRun } from './model-run';
import { formatForJob, resolveWeight, tensorsByName, type ResolvedWeight } from './weights';

/** A value to look at, with the dimension of its channels. */
interface Looked { readonly value: string; readonly axis: number }
/** What one metric looks at of one layer. */
interface Target { readonly layer: ProxyLayer; readonly weight: ResolvedWeight; readonly at: Looked; readonly after?: Looked }
interface Skipped { readonly key: string; readonly reason: string }
interface OpenMetric { readonly metric: ProxyMetric; readonly targets: readonly Target[]; readonly skipped: Skipped[]; readonly run: ProxyRun }

export const proxiesJob: Job<'proxies'> = {
  kind: 'proxies',
  run: (params: ProxiesParams, context: JobContext): Promise<ProxiesResult> => withRun(params, context, async (run) => {
    const started = performance.now();
    const metrics = params.metrics.map(proxyForJob);
    const formats = params.formats.map((id) => formatForJob(id).id);
    if (metrics.length === 0 || formats.length === 0) throw new JobError('there is nothing to measure: name a metric and a format');
    // Sums are the same, bit for bit, in whatever order the samples lie.
    const indices = byContent(run.dataset, run.indices);
    const refused = metrics.filter(({ leastSamples }) => indices.length < leastSamples).map(({ id, leastSamples }) => ({ metric: id, reason: `${id} says something from ${leastSamples} samples on, and ${run.dataset.title} gives ${indices.length}` }));
    const folds = foldsOf(indices.length);
    const looked = targetsOf(params, run, metrics.filter(({ leastSamples }) => indices.length >= leastSamples), formats, context);
    for (const { metric: { id }, targets, skipped } of looked) if (targets.length === 0) refused.push({ metric: id, reason: `${id} can be read off no layer${skipped.length > 0 ? `: ${skipped[0]!.key.replace(/\0.*/s, '')}: ${skipped[0]!.reason}` : ''}` });
    const open = looked.filter(({ targets }) => targets.length > 0).map((each): OpenMetric => ({ ...each, run: each.metric.open(each.targets.map(({ layer }) => layer), folds) }));
    if (open.length === 0) return { results: [], refused };
    await look(run, indices, folds, open, context);
    const seconds = (performance.now() - started) / 1000;
    return { refused, results: open.map((each) => resultOf(each, formats, folds, context)).map((result): SensitivityResult => ({ ...result, baseline: { loss: null, accuracy: null }, samples: indices.length, seconds, ...usedData(run.dataset) })) };
  }),
};

/** Layers of each metric, and the values that it looks at. */
function targetsOf(params: ProxiesParams, run: OpenRun, metrics: readonly ProxyMetric[], formats: readonly string[], context: JobContext): Omit<OpenMetric, 'run'>[] {
  const byName = tensorsByName(run.model.checkpoint);
  const moving = movingValues(params.graph);
  const found = metrics.map((metric) => ({ metric, targets: [] as Target[], skipped: [] as Skipped[] }));
  for (const [i, spec] of params.weights.entries()) {
    context.throwIfCancelled();
    context.progress(i, params.weights.length, 'Rounding weights');
    const skip = (reason: string): void => found.forEach(({ skipped }) => { skipped.push({ key: spec.key, reason }); });
    const weight = resolveWeight(run.model.checkpoint, byName, spec);
    if (typeof weight === 'string') { skip(weight); continue; }
    if (initializersOf(params.graph, spec.tensor).length === 0) { skip('the graph does not use its weight'); continue; }
    const matrix = toMatrix(run.model.values(spec.tensor), weight.layout);
    if (matrix.some((value) => !Number.isFinite(value))) { skip('its weight holds NaN or infinite values'); continue; }
    const layer = proxyLayer(params, spec.key, weight, matrix, formats);
    for (const { metric, targets, skipped } of found) {
      const target = lookedAt(params, spec.tensor, metric, layer);
      // Tables of positions give every sample the same.
      if (typeof target !== 'string' && ![target.at, target.after ?? target.at].every(({ value }) => moving.has(value))) skipped.push({ key: spec.key, reason: 'what it gives or takes does not depend on the data' });
      else if (typeof target === 'string') skipped.push({ key: spec.key, reason: target });
      else targets.push({ layer, weight, ...target });
    }
  }
  return found;
}

function proxyLayer(params: ProxiesParams, key: string, { spec, layout, tensor }: ResolvedWeight, matrix: Float32Array, formats: readonly string[]): ProxyLayer {
  const site = sitesOf(params.graph, spec.tensor).findLast(({ kind }) => kind !== 'lookup');
  const groups = site ? groupsOf(site) : 1;
  // A row of a convolution's matrix holds the taps of one input channel after those of another.
  const taps = site && site.kind !== 'linear' ? tensor.shape.slice(2).reduce((a, b) => a * b, 1) : 1;
  const perGroup = layout.cols / taps;
  return {
    key,
    formats: formats.map((id) => {
      const decoded = quantized(matrix, layout, id, params.scaleRule);
      const channelErrors = new Float64Array(groups * perGroup);
      for (let r = 0, i = 0; r < layout.rows; r += 1) {
        const from = Math.floor((r * groups) / layout.rows) * perGroup;
        for (let c = 0; c < layout.cols; c += 1, i += 1) channelErrors[from + Math.floor(c / taps)]! += (matrix[i]! - decoded[i]!) ** 2;
      }
      return { codeBits: parseFormat(id).codeBits, nsr: noiseToSignal(matrix, decoded), channelErrors };
    }),
  };
}

/** Where the metric looks; else the reason why it cannot. */
function lookedAt({ graph }: ProxiesParams, tensor: string, metric: ProxyMetric, layer: ProxyLayer): { at: Looked; after?: Looked } | string {
  const typeOf = valueTypes(graph);
  const look = (value: string, kind: Parameters<typeof channelAxisOf>[1]): Looked => ({ value, axis: channelAxisOf(typeOf(value).shape.length, kind) });
  const sites = sitesOf(graph, tensor);
  const site = sites.findLast(({ kind }) => kind !== 'lookup') ?? sites.at(-1);
  if (!site) return 'no operator is known that applies its weight';
  if (metric.looksAt === 'output') return { at: look(site.output, site.kind) };
  if (metric.looksAt === 'input') {
    if (site.kind === 'lookup') return 'a lookup multiplies nothing';
    const at = look(site.input, site.kind);
    const channels = typeOf(site.input).shape[at.axis];
    return typeof channels === 'number' && channels !== layer.formats[0]!.channelErrors.length ? 'its input has another number of channels than its weight' : { at };
  }
  const block = blockAround(graph, site.node.module);
  if (block) return { at: look(block.input, null), after: look(block.output, null) };
  const same = site.kind !== 'lookup' && String(typeOf(site.input).shape) === String(typeOf(site.output).shape);
  return same ? { at: look(site.input, site.kind), after: look(site.output, site.kind) } : 'it is in no repeated block, and what it gives is of another size than what it takes';
}

/** Runs the model and shows every metric what it looks at, sample by sample. */
async function look({ model, feed, dataset }: OpenRun, indices: readonly number[], folds: number, open: readonly OpenMetric[], context: JobContext): Promise<void> {
  const own = new Set(model.graph.inputs.map(({ name }) => name));
  const wanted = new Set(open.flatMap(({ targets }) => targets.flatMap(({ at, after }) => (after ? [at.value, after.value] : [at.value]))));
  const running = await model.start(subgraph(model.graph, [], [...wanted].filter((name) => !own.has(name))));
  try {
    let done = 0;
    for (const batch of feed.batches(indices)) {
      const given = feed.inputs(batch);
      const fed = feed.fed(batch.length);
      context.throwIfCancelled();
      const arrays = new Map([...given, ...await running.run(given)]);
      for (let sample = 0; sample < batch.length; sample += 1, done += 1) {
        context.throwIfCancelled();
        context.progress(done, indices.length, `Looking at ${dataset.title}`);
        const rows = ({ value, axis }: Looked) => {
          const found = rowsOf(arrays.get(value)!, axis, sample, fed);
          if (!found) throw new JobError(`${JSON.stringify(value)} has the shape [${arrays.get(value)!.shape.join(', ')}] for ${fed} samples; its first dimension must be the sample`);
          return found;
        };
        for (const { targets, run } of open) targets.forEach(({ at, after }, layer) => { run.add(layer, done % folds, rows(at), after && rows(after)); });
      }
    }
  } finally { await running.close(); }
}

function resultOf({ metric, targets, skipped, run }: OpenMetric, formats: readonly string[], folds: number, context: JobContext): Pick<SensitivityResult, 'metric' | 'unit' | 'layers' | 'skipped'> {
  const poll = (): void => context.throwIfCancelled();
  const all = run.scores(null, poll);
  const left = folds < 2 ? [] : Array.from({ length: folds }, (_, fold) => run.scores(fold, poll));
  return {
    metric: metric.id, unit: metric.unit, skipped,
    layers: targets.map(({ layer, weight }, i) => {
      const of = (f: number) => jackknife(all[i]![f]!, left.map((scores) => scores[i]![f]!));
      const bits = (id: string): number => parseFormat(id).storage(weight.layout).bitsPerWeight;
      const figure = metric.per === 'layer' ? of(0) : null;
      return { key: layer.key, ...(figure ? { figure } : {}), formats: Object.fromEntries(formats.map((id, f) => [id, { ...(figure ? times(figure, layer.formats[f]!.nsr) : of(f)), bitsPerWeight: bits(id) }])) };
    }),
  };
}

/** @throws JobError naming the proxies there are */
function proxyForJob(id: string): ProxyMetric {
  try {
    return methodOfKind('proxy', id);
  } catch (error) {
    if (error instanceof RangeError) throw new JobError(error.message);
    throw error;
  }
}
