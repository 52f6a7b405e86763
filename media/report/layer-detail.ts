/** One layer: its numbers, its findings, its weights as a histogram and by channel, and every format it was measured in. */
import type { LayerDetail, ReportData, ReportLayer } from '../../server/protocol';
import { h } from '../shared/dom';
import { bytes, decibel, integer, shape, short } from '../shared/numbers';
import { statisticsList } from '../shared/statistics-list';
import { formatSweep } from './format-sweep';
import { channelRanges, histogram } from '../shared/weight-charts';

export interface LayerActions {
  /** Null where the page has no editor behind it. */
  readonly reveal: (() => void) | null;
  readonly quantize: (() => void) | null;
  /** Asks for every format; null where nobody can answer. */
  readonly sweep: (() => void) | null;
}

export function layerDetail(report: ReportData, layer: ReportLayer, detail: LayerDetail | null, actions: LayerActions): HTMLElement {
  const rows = report.formats.map((format, column) => ({ format, error: layer.errors[column] ?? null })).filter((row) => row.error);
  return h('div', {},
    h('div', { class: 'layer-head' },
      h('p', {}, h('code', {}, layer.path || '(root)'), ` · ${layer.className} · ${shape(layer.shape)} · ${layer.dtype} · ${bytes(layer.bytes)}`,
        layer.tiedTo ? ` · shares its tensor with ${layer.tiedTo}` : ''),
      h('div', { class: 'actions' },
        actions.reveal ? h('button', { type: 'button', class: 'action', click: actions.reveal }, `Go to line ${layer.line}`) : null,
        actions.quantize ? h('button', { type: 'button', class: 'action primary', click: actions.quantize }, 'Quantize layer…') : null)),
    layer.findings.length
      ? h('ul', { class: 'findings' }, ...layer.findings.map((finding) => h('li', { class: finding.severity }, h('span', { class: 'code' }, finding.code), finding.message)))
      : h('p', { class: 'dim' }, 'No findings for this layer.'),
    h('div', { class: 'columns' },
      h('div', {},
        h('h3', {}, 'Weights'), statisticsList(layer.statistics),
        h('h3', {}, 'Formats'),
        h('table', {},
          h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Format'), ...['SQNR dB', 'Cosine', 'Bits', 'Size'].map((title) => h('th', { scope: 'col', class: 'number' }, title)))),
          h('tbody', {}, ...rows.map(({ format, error }) => h('tr', { class: layer.format === format.id ? 'selected' : null },
            h('th', { scope: 'row' }, h('code', {}, `${layer.format === format.id ? '● ' : ''}${format.id}`)),
            h('td', { class: 'number' }, decibel(error!.sqnrDb)),
            h('td', { class: 'number' }, error!.cosine === null ? '–' : error!.cosine.toFixed(5)),
            h('td', { class: 'number' }, error!.bitsPerWeight.toFixed(2)),
            h('td', { class: 'number' }, bytes(error!.bytes))))))),
      h('div', {},
        detail
          ? h('div', { class: 'charts' }, histogram(detail), channelRanges(detail))
          : h('p', { class: 'dim', role: 'status' }, `Reading ${integer(layer.weights)} weights…`),
        detail && layer.statistics.kurtosis !== null
          ? h('p', { class: 'hint' }, `Kurtosis ${short(layer.statistics.kurtosis)}; absmax is ${short(layer.statistics.absmaxOverRms)} times the rms.`)
          : null)),
    h('h3', {}, 'Every format'),
    detail?.sweep ? formatSweep(detail.sweep)
      : actions.sweep && detail ? h('p', {}, h('button', { type: 'button', class: 'action', click: (event) => {
        const button = event.currentTarget as HTMLButtonElement;
        button.disabled = true;
        button.textContent = 'Measuring every format…';
        actions.sweep!();
      } }, 'Measure every format on this layer'))
        : h('p', { class: 'dim' }, actions.sweep ? 'Reading…' : 'Not measured: write the report with --sweep, or open it in the editor.'));
}
