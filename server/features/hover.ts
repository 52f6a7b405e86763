/** Hover on a layer: what it is, what each format costs it, and where the numbers come from. */
import type { FormatError, WeightScan } from '../../kernels/jobs/job';
import { elementCount, shownDtype } from '../../kernels/checkpoint/checkpoint';
import type { ModelAnalysis } from '../analysis/model-analysis';
import { method } from '../../kernels/methods/registry';
import { paretoSet } from '../../kernels/formats/pareto';
import { shownFormat } from '../analysis/summary';
import type { Layer } from '../linking/layer';
import type { Range } from '../protocol';
import { compressPaths } from '../rules/layer-names';
import { formatOf } from '../rules/facts';
import { bitsText, bytesText, countText, decibelText, numberText, percentText, shapeText } from '../rules/text';
import type { DocumentView } from './document';
import { layersAt, type Position } from './layers-at';
import { cellCode, code, escapeText, table } from './markdown';

const MOST_NAMES = 4;

const codeList = (names: readonly string[], most = MOST_NAMES): string => {
  const shown = names.slice(0, most).map((name) => code(name)).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
};

/** The weight that a layer's numbers are about: its own, or that of the layer it is tied to. */
const scanOf = (analysis: ModelAnalysis, layer: Layer): WeightScan | undefined =>
  (analysis.measurements.state === 'ready' ? analysis.measurements.scans.get(layer.tiedTo ?? layer.path) : undefined);

function title(className: string, layers: readonly Layer[]): string {
  const names = compressPaths(layers.map(({ path }) => (path === '' ? '(root)' : path)));
  return `**${escapeText(className, 80)}** ${codeList(names)}${layers.length > 1 ? ` · ${countText(layers.length, 'layer')}` : ''}`;
}

function shapes(layers: readonly Layer[]): string | null {
  const lines = new Map<string, number>();
  let bytes = 0;
  for (const { weight, tiedTo } of layers) {
    const shape = weight?.info?.shape ?? weight?.parameter?.shape;
    if (!weight || !shape) continue;
    const text = `${shapeText(shape)}${weight.info ? ` ${shownDtype(weight.info)}` : ''}`;
    lines.set(text, (lines.get(text) ?? 0) + 1);
    if (tiedTo === null) bytes += weight.info?.bytes ?? 0;
  }
  if (lines.size === 0) return null;
  const listed = [...lines].slice(0, MOST_NAMES).map(([text, count]) => `${count > 1 ? `${count} × ` : ''}${code(text)}`).join(', ');
  return `Weight ${listed}${lines.size > MOST_NAMES ? ', …' : ''}${bytes > 0 ? ` · ${bytesText(bytes)}` : ''}`;
}

interface Row { readonly id: string; readonly worst: FormatError; readonly bits: number; readonly bytes: number }

/** One row per format: the worst SQNR, average bits per weight and the size of all the layers. Only formats that all have. */
function rows(scans: readonly WeightScan[]): Row[] {
  const first = scans[0];
  if (!first) return [];
  return Object.keys(first.formats).flatMap((id): Row[] => {
    const errors = scans.map((scan) => (Object.hasOwn(scan.formats, id) ? scan.formats[id]! : null));
    if (errors.some((error) => error === null)) return [];
    const all = errors as FormatError[];
    const worst = all.reduce((low, error) => ((error.sqnrDb ?? Infinity) < (low.sqnrDb ?? Infinity) ? error : low));
    const counts = scans.map(({ view }) => view.rows * view.cols);
    const weights = counts.reduce((a, b) => a + b, 0);
    const bits = all.reduce((sum, error, index) => sum + error.bitsPerWeight * counts[index]!, 0);
    return [{ id, worst, bits: weights > 0 ? bits / weights : 0, bytes: all.reduce((sum, error) => sum + error.bytes, 0) }];
  }).sort((a, b) => a.bits - b.bits);
}

const sqnrText = (error: FormatError): string => (error.sqnrDb !== null ? decibelText(error.sqnrDb) : error.mse === 0 ? 'exact' : 'no signal');

function formatTable(view: DocumentView, analysis: ModelAnalysis, layers: readonly Layer[]): string | null {
  const measured = layers.filter((layer) => layer.weight !== null && scanOf(analysis, layer));
  const scans = [...new Set(measured.map((layer) => scanOf(analysis, layer)!))];
  const list = rows(scans);
  if (list.length === 0) return null;
  const shown = new Map<string, { source: string; count: number }>();
  for (const layer of measured) {
    const format = shownFormat(analysis, layer, view.settings);
    if (!format) continue;
    const id = formatOf(format.format)?.id ?? format.format;
    shown.set(id, { source: format.source, count: (shown.get(id)?.count ?? 0) + 1 });
  }
  const target = formatOf(view.settings.targetFormat)?.id;
  const mark = (id: string): string => {
    const own = shown.get(id);
    const share = own && own.count < measured.length ? ` for ${own.count} of ${measured.length}` : '';
    const marks = [...(own ? [`${own.source === 'recipe' ? 'in the recipe' : 'suggested'}${share}`] : []), ...(id === target ? ['target'] : [])];
    return marks.length > 0 ? ` (${marks.join(', ')})` : '';
  };
  // Of the measured formats, those that no other one beats at its cost.
  const best = new Set(paretoSet(list.map(({ bits, worst }) => ({ bitsPerWeight: bits, mse: worst.mse }))));
  return table(
    ['Format', scans.length > 1 ? `SQNR (worst of ${scans.length})` : 'SQNR', 'bits/weight', 'Size', 'Best at its size'],
    list.map(({ id, worst, bits, bytes }, index) => [`${cellCode(id)}${mark(id)}`,
      worst.sqnrDb !== null && worst.sqnrDb < view.settings.minimumSqnrDb ? `${sqnrText(worst)} ⚠` : sqnrText(worst), bitsText(bits), bytesText(bytes), best.has(index) ? '✓' : '']),
  );
}

/** One line of statistics: of the layer, or the worst over the layers. */
function statistics(scans: readonly WeightScan[]): string | null {
  if (scans.length === 0) return null;
  const worst = (pick: (scan: WeightScan) => number): number => Math.max(...scans.map(pick));
  const kurtosis = worst(({ statistics: s }) => s.kurtosis ?? 0);
  const dead = scans.reduce((sum, { statistics: s }) => sum + s.deadChannelCount, 0);
  const broken = scans.reduce((sum, { statistics: s }) => sum + s.nan + s.inf, 0);
  return [
    `${scans.length > 1 ? 'Worst' : 'Weights'}: kurtosis ${numberText(kurtosis)}`,
    `largest ${numberText(worst(({ statistics: s }) => s.absmaxOverRms))} × rms`,
    `outliers ${percentText(worst(({ statistics: s }) => s.outlierShare))}`,
    `channel range ${numberText(worst(({ statistics: s }) => s.channelRangeSpread))} × median`,
    ...(dead > 0 ? [`${dead} dead channels`] : []),
    ...(broken > 0 ? [`${broken} NaN or infinite`] : []),
  ].join(' · ');
}

/** What quantizing the layers one by one did to the model's output: the largest over the layers, of the newest measurement. */
function measuredEffect(analysis: ModelAnalysis, layers: readonly Layer[]): string | null {
  const result = analysis.sensitivities?.at(-1);
  if (!result) return null;
  const paths = new Set(layers.map((layer) => layer.tiedTo ?? layer.path));
  const own = result.layers.filter(({ key }) => paths.has(key));
  if (own.length === 0) return null;
  const each = Object.keys(own[0]!.formats).map((format) => {
    const worst = own.reduce((most, layer) => (layer.formats[format]!.value > most.formats[format]!.value ? layer : most)).formats[format]!;
    return `${code(format)} ${numberText(worst.value)}${worst.stderr === null ? '' : ` ± ${numberText(worst.stderr)}`}`;
  });
  const what = method(result.metric)?.title ?? result.metric;
  return `${escapeText(what)} (${escapeText(result.unit)}), ${own.length > 1 ? `largest of ${own.length} layers, ` : ''}${result.samples === 0 ? 'from the weights' : `measured on ${countText(result.samples, 'sample')} of ${escapeText(result.data)}`}: ${each.join(' · ')}`;
}

function evidence(analysis: ModelAnalysis): string {
  const { measurements, checkpointError, checkpointReason } = analysis;
  if (measurements.state === 'ready') return escapeText(measurements.evidence);
  if (measurements.state === 'pending') return measurements.total > 0 ? `Measuring: ${Math.floor(100 * measurements.done / measurements.total)} %` : 'Measuring';
  if (measurements.state === 'failed') return `Not measured: ${escapeText(measurements.message)}`;
  if (checkpointError) return `The checkpoint is refused: ${escapeText(checkpointError.message)}`;
  return `Not measured: ${escapeText(checkpointReason !== undefined && !analysis.checkpoint ? checkpointReason : measurements.reason)}`;
}

/** The hover at a position, as Markdown without links, HTML or commands; null where there is no layer. */
export function hoverAt(view: DocumentView, position: Position): { readonly markdown: string; readonly range: Range } | null {
  const { analysis } = view;
  const found = layersAt(analysis, view.path, view.lines, position);
  if (!analysis || !found) return null;
  const { layers } = found;
  const weighty = layers.filter((layer) => layer.weight !== null);
  const scans = [...new Set(weighty.flatMap((layer) => scanOf(analysis, layer) ?? []))];
  const tensors = layers.flatMap((layer) => layer.tensors.flatMap(({ info }) => (info ? [info.name] : [])));
  const tied = layers.filter((layer) => layer.tiedTo !== null);
  const parameters = layers.reduce((sum, layer) => sum + layer.tensors.reduce((own, { info }) => own + (info && layer.tiedTo === null ? elementCount(info.shape) : 0), 0), 0);
  const parts = [
    title(found.className, weighty.length > 0 ? weighty : layers),
    shapes(layers) ?? (parameters > 0 ? `${countText(parameters, 'value')}, kept at the stored precision` : null),
    formatTable(view, analysis, layers),
    measuredEffect(analysis, weighty),
    statistics(scans),
    tied.length > 0 ? `Shares its weight with ${code(tied[0]!.tiedTo!)}` : null,
    tensors.length > 0 ? `Tensors ${codeList(compressPaths([...new Set(tensors)]))}` : analysis.checkpoint ? 'None of its tensors is in the checkpoint' : null,
    weighty.length > 0 ? `*${evidence(analysis)}*` : null,
  ];
  return { markdown: parts.filter((part) => part !== null).join('\n\n'), range: found.range };
}
