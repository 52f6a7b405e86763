/** Measured sensitivities as the report shows them, and how far they agree on the order of layers with each other and with the weights. */
import type { SensitivityResult, WeightScan } from '../../kernels/jobs/job';
import type { SensitivityMetric } from '../../kernels/methods/method';
import { method } from '../../kernels/methods/registry';
import type { ReportSensitivity } from '../protocol';
import { layerPlaces } from '../analysis/layer-places';
import { kendallTau } from './agreement';

interface Ranking { readonly metric: string; readonly title: string; readonly score: (path: string, format: string) => number | undefined }

export function reportSensitivities(results: readonly SensitivityResult[], scans: ReadonlyMap<string, WeightScan>, byWeights: SensitivityMetric): ReportSensitivity[] {
  const placeOf = layerPlaces([...scans.keys()]);
  const title = (id: string): string => method(id)?.title ?? id;
  const rankings: Ranking[] = [
    ...results.some(({ metric }) => metric === byWeights.id) ? [] : [{ metric: byWeights.id, title: byWeights.title, score: (path, format) => { const scan = scans.get(path); const error = scan?.formats[format]; return scan && error ? byWeights.score(scan.statistics, error, placeOf(path)) : undefined; } }] satisfies Ranking[],
    ...results.map((result): Ranking => {
      const byPath = new Map(result.layers.map(({ key, formats }) => [key, formats]));
      return { metric: result.metric, title: title(result.metric), score: (path, format) => byPath.get(path)?.[format]?.value };
    }),
  ];
  return results.map((result) => {
    const formats = Object.keys(result.layers[0]?.formats ?? {});
    const own = rankings.find(({ metric }) => metric === result.metric)!;
    const paths = result.layers.map(({ key }) => key);
    return {
      metric: result.metric, title: title(result.metric), unit: result.unit, formats, samples: result.samples, data: result.data,
      layers: result.layers.map(({ key, formats: measured }) => ({ path: key, values: formats.map((id) => (measured[id] ? { value: measured[id].value, stderr: measured[id].stderr } : null)) })),
      agreement: rankings.filter((other) => other !== own).flatMap((other) => formats.flatMap((format) => {
        const both = paths.flatMap((path) => { const [x, y] = [own.score(path, format), other.score(path, format)]; return x !== undefined && y !== undefined ? [[x, y] as const] : []; });
        return both.length < 3 ? [] : [{ metric: other.metric, title: other.title, format, tau: kendallTau(both.map(([x]) => x), both.map(([, y]) => y)) }];
      })),
    };
  });
}
