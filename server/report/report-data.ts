/** The sensitivity report as data: what the webview shows and what the exported JSON and HTML hold. */
import path from 'node:path';
import { elementCount, shownDtype } from '../../kernels/checkpoint/checkpoint';
import { parseFormat } from '../../kernels/formats/registry';
import type { WeightScan } from '../../kernels/jobs/job';
import type { SensitivityMetric } from '../../kernels/methods/method';
import type { Allocation } from '../analysis/allocation';
import { placeOf, type ModelAnalysis } from '../analysis/model-analysis';
import { isAbout, recipeFormat } from '../analysis/summary';
import { weightLayers } from '../linking/link';
import type { LayerDetail, ReportData, ReportLayer } from '../protocol';
import type { Finding } from '../rules/rule';
import { reportSensitivities } from './sensitivities';

export interface ReportInput {
  readonly analysis: ModelAnalysis;
  /** Formats of the columns, canonical ids. */
  readonly formats: readonly string[];
  readonly metric: SensitivityMetric;
  /** The curve, and the formats shown where there is no recipe. */
  readonly allocation: Allocation;
  /** False when the allocation only draws the curve, and no point of it is what the rows show. */
  readonly chosen: boolean;
  readonly findings: readonly Finding[];
  readonly evidence: string;
  readonly details: ReadonlyMap<string, LayerDetail>;
  readonly notes: readonly string[];
  readonly generatedAt: Date;
  readonly thresholdDb: number;
}

/** Builds the report. Every weight-carrying layer is a row; tied partners are rows that point at the one that is stored. */
export function buildReport(input: ReportInput): ReportData {
  const { analysis, formats, metric, allocation, details } = input;
  const { link, checkpoint, measurements } = analysis;
  const scans = measurements.state === 'ready' ? measurements.scans : new Map<string, WeightScan>();
  const given = new Map(allocation.result.choice.map(({ key, format }) => [key, format]));
  const rows = link!.layers.flatMap((layer): ReportLayer[] => {
    const info = layer.weight?.info;
    const scan = scans.get(layer.tiedTo ?? layer.path);
    if (!info || !scan) return [];
    const detail = details.get(layer.path);
    return [{
      // Relative, so that a report that is passed on does not tell where it was made.
      path: layer.path, className: layer.className, file: path.relative(path.dirname(analysis.source), layer.span.file).split(path.sep).join('/'), line: layer.span.startLine + 1,
      tensor: info.name, dtype: shownDtype(info), shape: info.shape,
      weights: elementCount(info.shape), bytes: info.bytes,
      statistics: scan.statistics,
      errors: formats.map((format) => scan.formats[format] ?? null),
      format: recipeFormat(analysis.recipe, layer.path) ?? given.get(layer.tiedTo ?? layer.path) ?? null,
      tiedTo: layer.tiedTo,
      findings: input.findings.filter((finding) => isAbout(finding, layer.path)).map(({ code, severity, message }) => ({ code, severity, message })),
      ...(detail ? { detail } : {}),
    }];
  });
  const owned = rows.filter((row) => row.tiedTo === null);
  const weights = owned.reduce((sum, row) => sum + row.weights, 0);
  const bits = owned.reduce<number | null>((sum, row) => {
    const error = row.format === null ? null : row.errors[formats.indexOf(row.format)] ?? null;
    const each = error?.bitsPerWeight ?? (row.format === null ? null : storedOrExact(row, scans.get(row.path)!.view));
    return sum === null || each === null ? null : sum + each * row.weights;
  }, 0);
  return {
    version: 1,
    title: `${analysis.root!.name}: sensitivity to low precision`,
    generatedAt: input.generatedAt.toISOString(),
    target: {
      source: path.basename(placeOf(analysis)), root: analysis.root!.name, rootReason: analysis.root!.reason,
      checkpoint: path.basename(checkpoint!.path),
      identity: checkpoint!.files.map((file) => `${path.basename(file.path)}, ${file.identity.size} bytes, of ${new Date(file.identity.mtimeMs).toISOString()}`).slice(0, 4).join('; '),
    },
    evidence: input.evidence,
    formats: formats.map((id) => ({ id, title: parseFormat(id).title, codeBits: parseFormat(id).codeBits })),
    thresholdDb: input.thresholdDb,
    layers: rows,
    metric: { id: metric.id, title: metric.title, unit: metric.unit },
    ...(analysis.sensitivities?.length ? { sensitivities: reportSensitivities(analysis.sensitivities, scans, metric) } : {}),
    curve: input.chosen ? curveOf(allocation) : { ...curveOf(allocation), chosen: null },
    totals: {
      layers: owned.length, weights, bytes: owned.reduce((sum, row) => sum + row.bytes, 0),
      bytesAfter: bits === null ? null : Math.ceil(bits / 8), averageBits: bits === null || weights === 0 ? null : bits / weights,
    },
    unlinkedTensors: link!.unlinkedTensors.map((tensor) => tensor.name),
    notes: notesOf(input),
  };
}

/** Bits per weight of a format that is not a column, or of the stored precision for `keep`. */
function storedOrExact(row: ReportLayer, view: { rows: number; cols: number }): number {
  if (row.format === 'keep') return row.bytes * 8 / row.weights;
  return parseFormat(row.format!).storage(view).bitsPerWeight;
}

/** The optimum over sizes, with the allocation shown as one of its points. */
export function curveOf(allocation: Allocation): ReportData['curve'] {
  const { result, weights } = allocation;
  const all = [...result.frontier];
  if (!all.some((point) => point.bits === result.bits)) all.push({ bits: result.bits, objective: result.objective });
  all.sort((a, b) => a.bits - b.bits || b.objective - a.objective);
  const point = ({ bits, objective }: { bits: number; objective: number }) => ({ bytes: Math.ceil(bits / 8), averageBits: bits / weights, objective });
  return {
    points: all.map(point),
    chosen: all.findIndex((candidate) => candidate.bits === result.bits),
    uniform: allocation.uniform.map((entry) => ({ format: entry.format, ...point(entry) })),
  };
}

function notesOf({ analysis, allocation, notes }: ReportInput): string[] {
  const { link, tree } = analysis;
  const counted = weightLayers(link!).length;
  const measured = allocation.layers.length + allocation.kept.length;
  return [
    ...notes,
    ...(measured < counted ? [`${counted - measured} layers could not be measured`] : []),
    ...(link!.elsewhere ?? []).map(({ prefix, tensors }) => `${tensors} tensors under "${prefix}" are outside this model (other state dicts, optimizer state)`),
    ...(link!.missing.length > 0 ? [`${link!.missing.length} parameters of the source are not in the checkpoint: ${link!.missing.slice(0, 5).map(({ name }) => name).join(', ')}`] : []),
    ...(tree?.assumptions ?? []).slice(0, 10).map(({ text }) => `Assumed: ${text}`),
    ...(tree?.unknowns ?? []).slice(0, 10).map(({ reason }) => `Not known from the source: ${reason}`),
  ];
}
