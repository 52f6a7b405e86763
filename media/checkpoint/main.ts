/** The read-only checkpoint view: what the header says at once, the statistics of one tensor on demand. */
import './style.css';
import type { CheckpointMessageIn, CheckpointMessageOut, CheckpointSummary, TensorDetail } from '../../server/protocol';
import { announce, h } from '../shared/dom';
import { bytes, decibel, integer, shape } from '../shared/numbers';
import { sortableTable, type SortState } from '../shared/sortable-table';
import { statisticsList } from '../shared/statistics-list';
import { channelRanges, histogram } from '../shared/weight-charts';
import { findHost } from '../report/view-state';

/** Rows drawn at once; the filter reaches the rest. */
const MOST_ROWS = 2000;

const host = findHost();
const main = document.querySelector('main') ?? document.body.appendChild(h('main'));
const detail = h('section', { class: 'tensor', 'aria-live': 'polite' });
const sort: SortState = { column: -1, descending: false };
let filter = '';

const send = (message: CheckpointMessageOut): void => host?.postMessage(message);

function open(name: string): void {
  detail.replaceChildren(h('p', { role: 'status' }, 'Reading ', h('code', {}, name), '…'));
  detail.scrollIntoView({ block: 'nearest' });
  send({ type: 'tensor', name });
}

type Row = CheckpointSummary['tensors'][number] & { readonly position: number };

function table(summary: CheckpointSummary): HTMLElement {
  const wanted = filter.trim().toLowerCase();
  const rows: Row[] = summary.tensors.map((tensor, position) => ({ ...tensor, position })).filter((tensor) => !wanted || `${tensor.name} ${tensor.dtype}`.toLowerCase().includes(wanted));
  const drawn = rows.slice(0, MOST_ROWS);
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Tensors' }, sortableTable<Row>({
    caption: drawn.length < rows.length ? `The first ${integer(MOST_ROWS)} of ${integer(rows.length)} tensors; filter to see others.` : `${integer(rows.length)} of ${integer(summary.tensors.length)} tensors, in file order until sorted.`,
    rowHeader: 0, rows: drawn, sort: sort.column < 0 ? { column: 4, descending: false } : sort,
    columns: [
      { title: 'Tensor', value: (t) => t.name, cell: (t) => (t.float ? h('button', { type: 'button', class: 'link', title: 'Show statistics', click: () => open(t.name) }, t.name) : h('code', {}, t.name)) },
      { title: 'Type', value: (t) => t.dtype },
      { title: 'Shape', value: (t) => t.shape.reduce((a, b) => a * b, 1), cell: (t) => shape(t.shape) },
      { title: 'Size', numeric: true, value: (t) => t.bytes, cell: (t) => bytes(t.bytes) },
      { title: 'Position', numeric: true, value: (t) => t.position, help: 'Order in the file' },
    ],
  }));
}

const weightSort: SortState = { column: 0, descending: false };

function weights(all: NonNullable<CheckpointSummary['weights']>): HTMLElement {
  const drawn = all.slice(0, MOST_ROWS);
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Quantized weights' }, sortableTable<(typeof all)[number]>({
    caption: drawn.length < all.length ? `The first ${integer(MOST_ROWS)} of ${integer(all.length)} weights.` : `${integer(all.length)} weights.`,
    rowHeader: 0, rows: drawn, sort: weightSort,
    columns: [
      { title: 'Weight', value: (w) => w.name, cell: (w) => h('button', { type: 'button', class: 'link', title: 'Show statistics', click: () => open(w.name) }, w.name) },
      { title: 'Stored as', value: (w) => w.dtype },
      { title: 'Shape', value: (w) => w.shape.reduce((a, b) => a * b, 1), cell: (w) => shape(w.shape) },
      { title: 'Size', numeric: true, value: (w) => w.bytes, cell: (w) => bytes(w.bytes) },
      { title: 'Tensors', value: (w) => w.replaces.length, numeric: true, help: 'Tensors of the file that hold its parts' },
    ],
  }));
}

function draw(summary: CheckpointSummary): void {
  const list = h('div', {}, table(summary));
  const tiles: readonly (readonly [string, string])[] = [
    ['Format', summary.format], ['Tensors', integer(summary.tensors.length)], ['Parameters', integer(summary.parameters)], ['Size', bytes(summary.bytes)],
  ];
  const problems = summary.problems;
  main.replaceChildren(
    h('header', {}, h('div', {}, h('h1', {}, summary.path.split(/[\\/]/).pop() ?? summary.path), h('p', { class: 'dim' }, 'Read-only. The file is never executed.'))),
    h('dl', { class: 'tiles' }, ...tiles.map(([term, value]) => h('div', { class: 'tile' }, h('dt', {}, term), h('dd', {}, value)))),
    ...(problems.length ? [h('section', {}, h('h2', {}, 'What to know about this file'), h('ul', { class: 'findings' }, ...problems.map((p) => h('li', { class: p.grade === 'questionable' ? 'warning' : p.grade === 'malformed' ? 'error' : '' },
      h('span', { class: 'code' }, p.code), p.message, p.offset === undefined ? null : h('span', { class: 'offset' }, ` (byte ${p.offset})`), `. ${p.fix}`))))] : []),
    h('section', {}, h('div', { class: 'bar-row' }, h('h2', {}, 'Tensors'),
      h('input', { type: 'search', placeholder: 'Filter tensors', 'aria-label': 'Filter tensors by name or type', value: filter, input: (event) => {
        filter = (event.target as HTMLInputElement).value;
        list.replaceChildren(table(summary));
      } })), list, detail),
    ...(summary.weights?.length ? [h('section', {}, h('h2', {}, 'Quantized weights'), h('p', { class: 'dim' }, 'What several of these tensors stand for together: the layer as a model has it.'), weights(summary.weights))] : []),
    ...(summary.imports.length ? [h('details', {}, h('summary', {}, `${summary.imports.length} names this pickle would import in Python`),
      h('ul', {}, ...summary.imports.map((item) => h('li', {}, h('code', {}, `${item.module}.${item.name}`), item.kind === 'tensor' ? ' – tensor type' : item.kind === 'code' ? ' – known to run code' : ' – outside the tensor allow-list'))))] : []),
    ...(summary.metadata.length ? [h('details', {}, h('summary', {}, `Metadata (${summary.metadata.length})`),
      h('dl', { class: 'statistics' }, ...summary.metadata.flatMap(([key, value]) => [h('dt', {}, key), h('dd', { class: 'mono' }, value)])))] : []));
}

function drawTensor(tensor: TensorDetail): void {
  detail.replaceChildren(
    h('h2', {}, h('code', {}, tensor.name)),
    h('div', { class: 'charts' }, histogram(tensor.detail), channelRanges(tensor.detail)),
    h('h3', {}, 'Weights'), statisticsList(tensor.statistics),
    ...(tensor.formats.length ? [h('h3', {}, 'Formats, measured on the weights'), h('table', {},
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Format'), ...['SQNR dB', 'Bits', 'Size'].map((title) => h('th', { scope: 'col', class: 'number' }, title)))),
      h('tbody', {}, ...tensor.formats.map(({ id, error }) => h('tr', {}, h('th', { scope: 'row' }, h('code', {}, id)),
        h('td', { class: 'number' }, decibel(error.sqnrDb)), h('td', { class: 'number' }, error.bitsPerWeight.toFixed(2)), h('td', { class: 'number' }, bytes(error.bytes))))))] : []));
  detail.scrollIntoView({ block: 'nearest' });
  announce(`statistics of ${tensor.name}`);
}

function isMessage(value: unknown): value is CheckpointMessageIn {
  if (typeof value !== 'object' || value === null) return false;
  const message = value as Record<string, unknown>;
  const body = (message.summary ?? message.tensor) as Record<string, unknown> | undefined;
  switch (message.type) {
    case 'data': return typeof body === 'object' && Array.isArray(body.tensors) && Array.isArray(body.problems) && Array.isArray(body.imports) && Array.isArray(body.metadata);
    case 'tensor': return typeof body === 'object' && typeof body.statistics === 'object' && typeof body.detail === 'object' && Array.isArray(body.formats);
    case 'error': return typeof message.message === 'string';
    default: return false;
  }
}

window.addEventListener('message', (event: MessageEvent<unknown>) => {
  const message = event.data;
  if (!isMessage(message)) return;
  if (message.type === 'data') draw(message.summary);
  else if (message.type === 'tensor') drawTensor(message.tensor);
  else if (message.tensor) detail.replaceChildren(h('p', { class: 'message', role: 'alert' }, message.message));
  else main.replaceChildren(h('h1', {}, 'Checkpoint'), h('p', { class: 'message', role: 'alert' }, message.message));
});
main.replaceChildren(h('h1', {}, 'Checkpoint'), h('p', { role: 'status' }, 'Reading the header…'));
send({ type: 'ready' });
