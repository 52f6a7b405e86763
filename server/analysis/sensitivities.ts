/** Sensitivity by any metric: read off the weights, off a run of the model, or measured by running it with layers changed. */
import { parseFormat } from '../../kernels/formats/registry';
import { JobError, type ModelRun, type SensitivityResult, type WeightScan, type WeightSpec } from '../../kernels/jobs/job';
import { isMeasured, isProxy, type LayerPlace, type MeasuredMetric, type ProxyMetric, type SensitivityMetric } from '../../kernels/methods/method';
import { kendallTau } from '../report/agreement';
import type { Layer } from '../linking/layer';
import { specOf } from './measurements';
import { orientedBy } from './orientation';
import type { KernelPort, RunOptions } from './ports';

export type AnyMetric = SensitivityMetric | MeasuredMetric | ProxyMetric;

export interface MetricsRequest {
  readonly checkpoint: string;
  readonly metrics: readonly AnyMetric[];
  readonly layers: readonly Layer[];
  readonly formats: readonly string[];
  readonly placeOf: (path: string) => LayerPlace;
  /** The model on its data; asked for only when a metric needs it. */
  readonly run: () => Promise<ModelRun>;
}
/** Each metric in the order asked for, or the reason why it says nothing about this model and its data. */
export interface MetricsResult {
  readonly results: readonly SensitivityResult[];
  readonly refused: readonly { readonly metric: string; readonly reason: string }[];
}

/** @throws what the kernel throws; what the user can put right of a single metric is in `refused`. */
export async function runMetrics(kernel: KernelPort, { checkpoint, metrics, layers, formats, placeOf, run }: MetricsRequest, options: RunOptions): Promise<MetricsResult> {
  const found = new Map<string, SensitivityResult>();
  const refused: { metric: string; reason: string }[] = [];
  const attempt = async (ids: readonly string[], work: () => Promise<void>): Promise<void> => {
    try { await work(); } catch (error) {
      if (!(error instanceof JobError)) throw error;
      for (const metric of ids) refused.push({ metric, reason: error.message });
    }
  };
  const byWeights = metrics.filter((metric): metric is SensitivityMetric => !isMeasured(metric) && !isProxy(metric));
  const model = metrics.length > byWeights.length ? await run() : null;
  const specs = layers.map((layer) => specOf(layer));
  const weights = model ? specs.map(orientedBy(model.graph)) : specs;
  if (byWeights.length > 0) for (const result of await scanned(kernel, checkpoint, weights, formats, byWeights, placeOf, options)) found.set(result.metric, result);
  const proxies = metrics.filter(isProxy).map(({ id }) => id);
  if (model && proxies.length > 0) {
    await attempt(proxies, async () => {
      const answer = await kernel.run('proxies', { ...model, weights, formats, metrics: proxies, scaleRule: 'absmax' }, options);
      for (const result of answer.results) found.set(result.metric, result);
      refused.push(...answer.refused);
    });
  }
  for (const { id } of metrics.filter(isMeasured)) {
    await attempt([id], async () => { found.set(id, await kernel.run('sensitivity', { ...model!, weights, formats, metric: id, scaleRule: 'absmax' }, options)); });
  }
  return { results: metrics.flatMap(({ id }) => found.get(id) ?? []), refused };
}

/** Metrics that rest on no data: they have no error bar. */
async function scanned(kernel: KernelPort, checkpoint: string, weights: readonly WeightSpec[], formats: readonly string[], metrics: readonly SensitivityMetric[], placeOf: MetricsRequest['placeOf'], options: RunOptions): Promise<SensitivityResult[]> {
  const started = performance.now();
  const scan = await kernel.run('scan', { checkpoint, weights, formats, scaleRule: 'absmax' }, options);
  const whole = ({ statistics }: WeightScan): boolean => statistics.nan + statistics.inf === 0;
  const seconds = (performance.now() - started) / 1000;
  return metrics.map((metric) => ({
    metric: metric.id, unit: metric.unit, baseline: { loss: null, accuracy: null }, samples: 0, seconds, data: 'the weights alone',
    layers: scan.weights.filter(whole).map(({ key, statistics, formats: errors, view }) => ({
      key, formats: Object.fromEntries(formats.map((id) => [id, { value: metric.score(statistics, errors[id]!, placeOf(key)), stderr: null, bitsPerWeight: parseFormat(id).storage(view).bitsPerWeight }])),
    })),
    skipped: [...scan.skipped, ...scan.weights.filter((each) => !whole(each)).map(({ key }) => ({ key, reason: 'its weight holds NaN or infinite values' }))],
  }));
}

export interface MetricAgreement { readonly a: string; readonly b: string; readonly format: string; readonly tau: number | null }

/** Kendall's tau between the orders that each two metrics give the layers in each format; null where there is no order. */
export function agreementOf(results: readonly SensitivityResult[]): MetricAgreement[] {
  return results.flatMap((a, i) => results.slice(i + 1).flatMap((b) => Object.keys(a.layers[0]?.formats ?? {}).map((format): MetricAgreement => {
    const other = new Map(b.layers.map(({ key, formats }) => [key, formats[format]?.value]));
    const both = a.layers.flatMap(({ key, formats }) => { const [x, y] = [formats[format]?.value, other.get(key)]; return x !== undefined && y !== undefined ? [[x, y] as const] : []; });
    return { a: a.metric, b: b.metric, format, tau: kendallTau(both.map(([x]) => x), both.map(([, y]) => y)) };
  })));
}
