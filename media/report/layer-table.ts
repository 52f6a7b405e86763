/** Every layer with its numbers as a sortable table: all that the charts show can be read here. */
import type { ReportData, ReportLayer } from '../../server/protocol';
import { h } from '../shared/dom';
import { bytes, decibel, integer, percent, shape, short } from '../shared/numbers';
import { sortableTable, type Column, type SortState } from '../shared/sortable-table';

/** Error of a layer in the format it is shown with; null when it keeps its precision or was not measured. */
export function shownError(report: ReportData, layer: ReportLayer) {
  const column = report.formats.findIndex((format) => format.id === layer.format);
  return column < 0 ? null : layer.errors[column] ?? null;
}

export function layerTable(report: ReportData, layers: readonly ReportLayer[], sort: SortState, onSort: () => void, onOpen: (path: string) => void): HTMLElement {
  const columns: readonly Column<ReportLayer>[] = [
    { title: 'Layer', value: (l) => l.path, cell: (l) => h('button', { type: 'button', class: 'link', click: () => onOpen(l.path) }, l.path || '(root)') },
    { title: 'Class', value: (l) => l.className },
    { title: 'Shape', value: (l) => l.weights, cell: (l) => shape(l.shape), help: 'Sorted by the number of weights' },
    { title: 'Stored', value: (l) => l.dtype },
    { title: 'Size', numeric: true, value: (l) => l.bytes, cell: (l) => bytes(l.bytes) },
    { title: 'Format', value: (l) => l.format, cell: (l) => h('code', {}, l.format ?? 'stored') },
    { title: 'Bits', numeric: true, value: (l) => shownError(report, l)?.bitsPerWeight ?? null, cell: (l) => shownError(report, l)?.bitsPerWeight.toFixed(2) ?? '–', help: 'Bits per weight, scales counted' },
    { title: 'SQNR dB', numeric: true, value: (l) => shownError(report, l)?.sqnrDb ?? null, cell: (l) => (shownError(report, l) ? decibel(shownError(report, l)?.sqnrDb) : '–'), help: 'Signal to quantization noise in that format, measured on the weights' },
    { title: 'Kurtosis', numeric: true, value: (l) => l.statistics.kurtosis, cell: (l) => short(l.statistics.kurtosis), help: '3 for a normal distribution' },
    { title: 'Outliers', numeric: true, value: (l) => l.statistics.outlierShare, cell: (l) => percent(l.statistics.outlierShare), help: 'Further than 6 standard deviations from the mean' },
    { title: 'Absmax/rms', numeric: true, value: (l) => l.statistics.absmaxOverRms, cell: (l) => short(l.statistics.absmaxOverRms) },
    { title: 'Spread', numeric: true, value: (l) => l.statistics.channelRangeSpread, cell: (l) => short(l.statistics.channelRangeSpread), help: 'Largest channel absmax over the median one' },
    { title: 'Dead', numeric: true, value: (l) => l.statistics.deadChannelCount, cell: (l) => integer(l.statistics.deadChannelCount), help: 'Output channels of zeros only' },
    { title: 'ZD', numeric: true, value: (l) => l.statistics.zd, cell: (l) => percent(l.statistics.zd), help: 'Share of weights whose z-score exceeds 1' },
    { title: 'Findings', numeric: true, value: (l) => l.findings.length, cell: (l) => (l.findings.length ? l.findings.map((f) => f.code).join(' ') : '–') },
    { title: 'Source', value: (l) => `${l.file}:${String(l.line).padStart(6, '0')}`, cell: (l) => `${l.file.split(/[\\/]/).pop()}:${l.line}` },
  ];
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'All layers' }, sortableTable({
    caption: `${layers.length} of ${report.layers.length} layers; every number is measured on the weights.`,
    columns, rows: layers, rowHeader: 0, sort, onSort,
  }));
}
