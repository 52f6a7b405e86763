/** A table whose columns sort by clicking or by Enter on their heading; plain table semantics for screen readers. */
import { announce, h } from './dom';

export interface Column<Row> {
  readonly title: string;
  /** What the column measures, as a tooltip and description. */
  readonly help?: string;
  readonly numeric?: boolean;
  readonly value: (row: Row) => string | number | null;
  readonly cell?: (row: Row) => Node | string;
}

export interface SortState { column: number; descending: boolean }

/**
 * @param rowHeader which column is the row's heading.
 * @param sort kept by the caller, so that it survives a reload.
 */
export function sortableTable<Row>(options: {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowHeader: number;
  readonly sort: SortState;
  readonly onSort?: () => void;
  readonly rowAttributes?: (row: Row) => Readonly<Record<string, string | boolean | null>>;
}): HTMLTableElement {
  const { columns, rows, sort } = options;
  const body = h('tbody');
  const headings = columns.map((column, index) => {
    const button = h('button', { type: 'button', title: column.help ?? null, click: () => {
      sort.descending = sort.column === index ? !sort.descending : Boolean(column.numeric);
      sort.column = index;
      fill();
      announce(`sorted by ${column.title}, ${sort.descending ? 'descending' : 'ascending'}`);
      options.onSort?.();
    } }, column.title, h('span', { class: 'sort', 'aria-hidden': 'true' }));
    return h('th', { scope: 'col', class: column.numeric ? 'number' : null }, button);
  });

  function fill(): void {
    const column = columns[sort.column] ?? columns[0]!;
    const sorted = [...rows].sort((a, b) => compare(column.value(a), column.value(b)) * (sort.descending ? -1 : 1));
    headings.forEach((heading, index) => {
      if (index === sort.column) heading.setAttribute('aria-sort', sort.descending ? 'descending' : 'ascending');
      else heading.removeAttribute('aria-sort');
    });
    body.replaceChildren(...sorted.map((row) => h('tr', { ...options.rowAttributes?.(row) },
      ...columns.map((c, index) => {
        const content = c.cell ? c.cell(row) : String(c.value(row) ?? '–');
        return index === options.rowHeader ? h('th', { scope: 'row' }, content) : h('td', { class: c.numeric ? 'number' : null }, content);
      }))));
  }
  fill();
  return h('table', { class: 'data' }, h('caption', {}, options.caption), h('thead', {}, h('tr', {}, ...headings)), body);
}

/** Numbers before text, absent values last, names in natural order (`layer.2` before `layer.10`). */
function compare(a: string | number | null, b: string | number | null): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}
