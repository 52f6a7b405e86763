/** Two checkpoints side by side: what differs, the worst first; what only one of them holds. */
import './style.css';
import type { CheckpointDiff, DiffMessageIn, DiffMessageOut, DiffRow, DiffSide } from '../../server/protocol';
import { findHost } from '../report/view-state';
import { announce, h } from '../shared/dom';
import { integer, shape, short } from '../shared/numbers';
import { sortableTable, type SortState } from '../shared/sortable-table';

/** Rows drawn at once; the filter reaches the rest. */
const MOST_ROWS = 2000;

const host = findHost();
const main = document.querySelector('main') ?? document.body.appendChild(h('main'));
const send = (message: DiffMessageOut): void => host?.postMessage(message);
const sort: SortState = { column: 4, descending: false };
let filter = '';
let onlyDifferent = true;

/** Where a row stands when sorted by error: what cannot be compared first, then by SQNR, equal ones last. */
function severity(row: DiffRow): number {
  if (row.equal) return 1e6;
  return row.differing === null ? -1e6 : row.sqnrDb ?? -1e5;
}

function remark(row: DiffRow): string {
  return [
    row.a.name === row.b.name ? '' : `is ${row.b.name}`,
    row.order === 'transposed' ? 'transposed' : row.order === 'heads' ? 'rows in llama.cpp order' : '',
    row.by === 'values' ? 'matched by values' : '',
    row.reason ?? '',
  ].filter((part) => part !== '').join(', ');
}

function table(diff: CheckpointDiff): HTMLElement {
  const wanted = filter.trim().toLowerCase();
  const rows = diff.rows.filter((row) => (!onlyDifferent || !row.equal) && (!wanted || `${row.a.name} ${row.b.name} ${row.a.dtype} ${row.b.dtype}`.toLowerCase().includes(wanted)));
  const drawn = rows.slice(0, MOST_ROWS);
  if (rows.length === 0) return h('p', { role: 'status' }, onlyDifferent && diff.counts.different === 0 ? 'No tensor differs.' : 'No tensor matches the filter.');
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Tensors' }, sortableTable<DiffRow>({
    caption: drawn.length < rows.length ? `The worst ${integer(MOST_ROWS)} of ${integer(rows.length)} tensors; filter to see others.` : `${integer(rows.length)} of ${integer(diff.rows.length)} tensors, the worst first until sorted.`,
    rowHeader: 0, rows: drawn, sort,
    columns: [
      { title: 'Tensor', value: (row) => row.a.name, cell: (row) => h('code', {}, row.a.name) },
      { title: 'Shape', value: (row) => row.a.shape.reduce((a, b) => a * b, 1), cell: (row) => shape(row.a.shape) },
      { title: 'First', value: (row) => row.a.dtype, help: 'How the first file stores it' },
      { title: 'Second', value: (row) => row.b.dtype, help: 'How the second file stores it' },
      { title: 'SQNR dB', numeric: true, help: 'Signal to error, relative to the first', value: severity, cell: (row) => (row.equal ? 'equal' : row.sqnrDb === null ? '–' : row.sqnrDb.toFixed(1).replace('-', '−')) },
      { title: 'Max error', numeric: true, value: (row) => row.maxError, cell: (row) => (row.equal ? '0' : short(row.maxError)) },
      { title: 'Values that differ', numeric: true, value: (row) => row.differing, cell: (row) => (row.differing === null ? '–' : integer(row.differing)) },
      { title: 'Remarks', value: remark },
    ],
  }));
}

function missing(title: string, tensors: readonly DiffSide[]): HTMLElement[] {
  if (tensors.length === 0) return [];
  return [h('section', {}, h('h2', {}, `${title} (${integer(tensors.length)})`), h('ul', { class: 'findings' },
    ...tensors.slice(0, 500).map((tensor) => h('li', { class: 'warning' }, h('code', {}, tensor.name), ` ${tensor.dtype} ${shape(tensor.shape)}`)),
    tensors.length > 500 && h('li', {}, `and ${integer(tensors.length - 500)} more`)))];
}

function draw(diff: CheckpointDiff): void {
  const list = h('div', {}, table(diff));
  const redraw = (): void => { list.replaceChildren(table(diff)); };
  const tiles: readonly (readonly [string, number])[] = [
    ['Equal', diff.counts.equal], ['Different', diff.counts.different], ['Only in the first', diff.counts.onlyA], ['Only in the second', diff.counts.onlyB],
  ];
  main.replaceChildren(
    h('header', {}, h('div', {},
      h('h1', { class: diff.equal ? 'verdict' : 'verdict different' }, diff.equal ? 'The checkpoints are equal' : 'The checkpoints differ'),
      h('dl', { class: 'files statistics' }, h('dt', {}, 'First'), h('dd', {}, h('code', {}, diff.a.path), ` (${diff.a.format})`), h('dt', {}, 'Second'), h('dd', {}, h('code', {}, diff.b.path), ` (${diff.b.format})`)))),
    h('dl', { class: 'tiles' }, ...tiles.map(([term, value]) => h('div', { class: 'tile' }, h('dt', {}, term), h('dd', {}, integer(value))))),
    ...(diff.mapping.length ? [h('section', {}, h('h2', {}, 'How names were brought together'), h('ul', { class: 'findings' }, ...diff.mapping.slice(0, 200).map((line) => h('li', {}, line))))] : []),
    h('section', {}, h('div', { class: 'bar-row' }, h('h2', {}, 'Tensors'),
      h('label', {}, h('input', { type: 'checkbox', checked: onlyDifferent, change: (event) => { onlyDifferent = (event.target as HTMLInputElement).checked; redraw(); } }), ' Only those that differ'),
      h('input', { type: 'search', placeholder: 'Filter tensors', 'aria-label': 'Filter tensors by name or type', value: filter, input: (event) => { filter = (event.target as HTMLInputElement).value; redraw(); } })), list),
    ...missing('Only in the first', diff.onlyA), ...missing('Only in the second', diff.onlyB));
  announce(diff.equal ? 'the checkpoints are equal' : `${diff.counts.different} tensors differ`);
}

function isMessage(value: unknown): value is DiffMessageIn {
  if (typeof value !== 'object' || value === null) return false;
  const message = value as Record<string, unknown>;
  const diff = message.diff as Record<string, unknown> | undefined;
  if (message.type === 'data') return typeof diff === 'object' && Array.isArray(diff.rows) && Array.isArray(diff.onlyA) && Array.isArray(diff.onlyB) && Array.isArray(diff.mapping);
  return message.type === 'error' && typeof message.message === 'string';
}

window.addEventListener('message', (event: MessageEvent<unknown>) => {
  const message = event.data;
  if (!isMessage(message)) return;
  if (message.type === 'data') draw(message.diff);
  else main.replaceChildren(h('h1', {}, 'Compare checkpoints'), h('p', { class: 'message', role: 'alert' }, message.message));
});
main.replaceChildren(h('h1', {}, 'Compare checkpoints'), h('p', { role: 'status' }, 'Comparing…'));
send({ type: 'ready' });
