/**
 * The sensitivity report. As a webview it asks the editor for its data (`ready`); as a self-contained file it finds the
 * data in `<script id="bitlens-data" type="application/json">`.
 */
import './style.css';
import type { LayerDetail, ReportData, ReportLayer, ReportMessageOut } from '../../server/protocol';
import { announce, h } from '../shared/dom';
import { bytes, decibel, integer } from '../shared/numbers';
import { curve } from './curve';
import { reportCsv } from '../../server/report-csv';
import { download } from './download';
import { heatMap } from './heat-map';
import { layerDetail } from './layer-detail';
import { layerTable, shownError } from './layer-table';
import { isReport, readMessage } from './messages';
import { sensitivities } from './sensitivities';
import { findHost, restore } from './view-state';

const host = findHost();
const state = restore(host);
const details = new Map<string, LayerDetail>();
let report: ReportData | null = null;

const send = (message: ReportMessageOut): void => host?.postMessage(message);
const keep = (): void => host?.setState({ ...state });
const main = document.querySelector('main') ?? document.body.appendChild(h('main'));

function show(...content: readonly (Node | null)[]): void {
  main.replaceChildren(...content.filter((node): node is Node => node !== null));
}

function matching(data: ReportData): readonly ReportLayer[] {
  const wanted = state.filter.trim().toLowerCase();
  return wanted ? data.layers.filter((layer) => `${layer.path} ${layer.className}`.toLowerCase().includes(wanted)) : data.layers;
}

function heading(data: ReportData): HTMLElement {
  const exports = host
    ? (['csv', 'json', 'html'] as const).map((kind) => h('button', { type: 'button', class: 'action', click: () => send({ type: 'export', kind }) }, `Export ${kind.toUpperCase()}`))
    : [h('button', { type: 'button', class: 'action', click: () => download('sensitivity.csv', 'text/csv', reportCsv(data)) }, 'Save CSV'),
      h('button', { type: 'button', class: 'action', click: () => download('sensitivity.json', 'application/json', JSON.stringify(data, null, 2)) }, 'Save JSON')];
  return h('header', {},
    h('div', {},
      h('h1', {}, data.title),
      h('p', { class: 'dim' }, h('code', {}, data.target.source), ' with ', h('code', {}, data.target.checkpoint), ` · ${data.target.rootReason}`),
      h('p', { class: 'dim' }, data.evidence),
      ...data.notes.map((note) => h('p', { class: 'dim' }, note))),
    h('div', { class: 'actions' }, ...exports));
}

function tiles(data: ReportData): HTMLElement {
  const { totals } = data;
  const worst = data.layers.reduce<ReportLayer | null>((least, layer) => {
    const a = shownError(data, layer)?.sqnrDb;
    const b = least && shownError(data, least)?.sqnrDb;
    return a !== null && a !== undefined && (b === null || b === undefined || a < b) ? layer : least;
  }, null);
  const entries: readonly (readonly [string, string, string])[] = [
    ['Layers', integer(totals.layers), ''],
    ['Weights', integer(totals.weights), ''],
    ['Size now', bytes(totals.bytes), ''],
    ['Size shown', totals.bytesAfter === null ? '–' : bytes(totals.bytesAfter), totals.bytesAfter ? `${(totals.bytes / totals.bytesAfter).toFixed(1)}× smaller` : ''],
    ['Bits per weight', totals.averageBits === null ? '–' : totals.averageBits.toFixed(2), 'scales counted'],
    ['Weakest layer', worst ? `${decibel(shownError(data, worst)?.sqnrDb)} dB` : '–', worst?.path ?? ''],
  ];
  return h('dl', { class: 'tiles' }, ...entries.map(([term, value, note]) => h('div', { class: 'tile' }, h('dt', {}, term), h('dd', {}, value, note ? h('small', {}, ` ${note}`) : null))));
}

function draw(): void {
  const data = report;
  if (!data) return;
  if (data.layers.length === 0) {
    show(heading(data), h('p', { class: 'message' }, 'No layer of this model has weights that can be quantized.'), notes(data));
    return;
  }
  const heat = h('div');
  const table = h('div');
  const detail = h('div');
  const drawLists = (): void => {
    const layers = matching(data);
    heat.replaceChildren(layers.length ? heatMap(data, layers, data.thresholdDb, open) : h('p', { class: 'dim' }, 'No layer matches the filter.'));
    table.replaceChildren(layerTable(data, layers, state.sort, keep, open));
  };
  const drawDetail = (): void => {
    const layer = data.layers.find((candidate) => candidate.path === state.selected) ?? data.layers[0]!;
    const known = layer.detail ?? details.get(layer.path) ?? null;
    if (!known) send({ type: 'detail', path: layer.path });
    detail.replaceChildren(layerDetail(data, layer, known, {
      reveal: host ? () => send({ type: 'open', path: layer.path }) : null,
      sweep: host ? () => send({ type: 'sweep', path: layer.path }) : null,
      quantize: host ? () => send({ type: 'quantize', path: layer.path }) : null,
    }));
  };
  function open(path: string): void {
    state.selected = path;
    keep();
    drawDetail();
    document.getElementById('layer')?.scrollIntoView({ block: 'start' });
    document.getElementById('layer-title')?.focus();
    announce(`showing ${path}`);
  }
  redrawDetail = drawDetail;
  const filter = h('input', { type: 'search', placeholder: 'Filter layers', 'aria-label': 'Filter layers by name or class', value: state.filter, input: (event) => {
    state.filter = (event.target as HTMLInputElement).value;
    keep();
    drawLists();
  } });
  show(heading(data), tiles(data),
    h('section', { 'aria-labelledby': 'heat-title' },
      h('h2', { id: 'heat-title' }, 'Each layer in each format'),
      h('div', { class: 'bar-row' },
        h('p', { class: 'legend' }, h('span', {}, 'SQNR in dB, measured on the weights:'), h('span', {}, '8', h('span', { class: 'ramp', 'aria-hidden': 'true' }), '40'), h('span', {}, `▾ below ${data.thresholdDb} dB`), h('span', {}, '● chosen')),
        filter),
      heat),
    sensitivities(data, open),
    h('section', { 'aria-labelledby': 'curve-title' }, h('h2', { id: 'curve-title' }, 'Size against error'),
      h('p', { class: 'dim' }, `${data.metric.title} (${data.metric.unit}), summed over the layers; lower is better.`), curve(data)),
    h('section', { id: 'layer', 'aria-labelledby': 'layer-title' }, h('h2', { id: 'layer-title', tabindex: -1 }, 'One layer'), detail),
    h('section', { 'aria-labelledby': 'table-title' }, h('h2', { id: 'table-title' }, 'All numbers'), table),
    notes(data));
  drawLists();
  drawDetail();
}

function notes(data: ReportData): HTMLElement | null {
  const unlinked = data.unlinkedTensors.length;
  if (!unlinked) return null;
  return h('section', { 'aria-labelledby': 'notes-title' }, h('h2', { id: 'notes-title' }, 'Notes'),
    h('ul', {}, h('li', {}, `${unlinked} tensors of the checkpoint belong to no layer of the source: `, h('code', {}, data.unlinkedTensors.slice(0, 20).join(', ')), unlinked > 20 ? ' …' : '')));
}

let redrawDetail: () => void = () => undefined;

window.addEventListener('message', (event: MessageEvent<unknown>) => {
  const message = readMessage(event.data);
  if (!message) return;
  if (message.type === 'data') { report = message.report; details.clear(); draw(); }
  else if (message.type === 'detail') { details.set(message.detail.path, message.detail); redrawDetail(); }
  else if (report) announce(message.message);
  else show(h('h1', {}, 'Sensitivity report'), h('p', { class: 'message', role: 'alert' }, message.message));
});

const embedded = document.getElementById('bitlens-data');
if (embedded) {
  const parsed: unknown = JSON.parse(embedded.textContent ?? 'null');
  if (isReport(parsed)) { report = parsed; draw(); }
  else show(h('h1', {}, 'Sensitivity report'), h('p', { class: 'message' }, 'The data in this file is damaged or of another version; export the report again.'));
} else {
  show(h('h1', {}, 'Sensitivity report'), h('p', { role: 'status' }, 'Measuring…'));
  send({ type: 'ready' });
}
