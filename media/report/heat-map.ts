/** Layer x format: the measured SQNR in every cell, deeper colour for more damage, the chosen format framed. */
import type { ReportData, ReportLayer } from '../../server/protocol';
import { announce, h } from '../shared/dom';
import { bytes, decibel } from '../shared/numbers';

/** SQNR at or above which a cell has no colour, and at or below which it has the deepest. */
const HARMLESS_DB = 40;
const RUINOUS_DB = 8;

/** 0 (harmless) to 1 (ruinous). */
export function damage(sqnrDb: number | null): number {
  if (sqnrDb === null) return 0;
  return Math.min(1, Math.max(0, (HARMLESS_DB - sqnrDb) / (HARMLESS_DB - RUINOUS_DB)));
}

/** A grid with one tab stop; arrow keys, Home and End move, Enter opens the layer. */
export function heatMap(report: ReportData, layers: readonly ReportLayer[], thresholdDb: number, onOpen: (path: string) => void): HTMLElement {
  const cells: HTMLTableCellElement[][] = [];
  const table = h('table', { class: 'heat', role: 'grid', 'aria-label': 'SQNR in decibels of each layer in each format' },
    h('thead', {}, h('tr', { role: 'row' },
      h('th', { scope: 'col', role: 'columnheader' }, 'Layer'),
      ...report.formats.map((format) => h('th', { scope: 'col', role: 'columnheader', title: format.title }, format.id)))),
    h('tbody', {}, ...layers.map((layer) => {
      const row = report.formats.map((format, column) => {
        const error = layer.errors[column];
        const sqnr = error?.sqnrDb ?? null;
        const chosen = layer.format === format.id;
        const below = error !== null && error !== undefined && sqnr !== null && sqnr < thresholdDb;
        const words = error
          ? `${layer.path} in ${format.id}: ${error.sqnrDb === null ? 'no error' : `${decibel(sqnr)} dB`}, ${bytes(error.bytes)}${chosen ? ', chosen' : ''}${below ? `, below ${thresholdDb} dB` : ''}`
          : `${layer.path} in ${format.id}: not measured`;
        const cell = h('td', { role: 'gridcell', tabindex: -1, class: [chosen && 'chosen', below && 'below'].filter(Boolean).join(' ') || null, 'aria-label': words, title: words,
          click: () => onOpen(layer.path), focus: () => announce(words) }, error ? decibel(sqnr) : '–');
        cell.style.setProperty('--damage', damage(sqnr).toFixed(3));
        return cell;
      });
      cells.push(row);
      return h('tr', { role: 'row' },
        h('th', { scope: 'row', role: 'rowheader', title: layer.path }, h('button', { type: 'button', class: 'link', tabindex: -1, click: () => onOpen(layer.path) }, layer.path)),
        ...row);
    })));
  const first = cells[0]?.[0];
  if (first) first.tabIndex = 0;
  table.addEventListener('keydown', (event) => {
    const row = cells.findIndex((line) => line.includes(event.target as HTMLTableCellElement));
    if (row < 0) return;
    const column = cells[row]!.indexOf(event.target as HTMLTableCellElement);
    const moves: Record<string, readonly [number, number]> = {
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      Home: [row, 0], End: [row, cells[row]!.length - 1], PageUp: [Math.max(0, row - 10), column], PageDown: [Math.min(cells.length - 1, row + 10), column],
    };
    if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); onOpen(layers[row]!.path); return; }
    const move = moves[event.key];
    const next = move && cells[move[0]]?.[move[1]];
    if (!next) return;
    event.preventDefault();
    (event.target as HTMLTableCellElement).tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  // The scrolling box holds focusable cells, so the keyboard can scroll it.
  return h('div', { class: 'scroll' }, table);
}
