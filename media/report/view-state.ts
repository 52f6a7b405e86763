/** What the reader has chosen on the page: small, and kept over a reload of the page. */
import type { SortState } from '../shared/sortable-table';

export interface ViewState {
  selected: string | null;
  filter: string;
  sort: SortState;
}

/** Parts of the editor's webview API that the page uses. */
export interface Host {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare function acquireVsCodeApi(): Host;

/** The editor when the page is a webview; null when it is a file opened in a browser. */
export function findHost(): Host | null {
  return typeof acquireVsCodeApi === 'function' ? acquireVsCodeApi() : null;
}

/** The kept state, or a fresh one where it is absent or not of this shape. */
export function restore(host: Host | null): ViewState {
  const kept = host?.getState() as Partial<ViewState> | null | undefined;
  const sort = kept?.sort;
  return {
    selected: typeof kept?.selected === 'string' ? kept.selected : null,
    filter: typeof kept?.filter === 'string' ? kept.filter : '',
    sort: sort && typeof sort.column === 'number' && typeof sort.descending === 'boolean' ? { ...sort } : { column: 0, descending: false },
  };
}
