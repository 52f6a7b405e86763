/** What the verbs print with: tables, sizes, numbers. Names come from untrusted files and are stripped of control characters. */

/** Removes what could steer a terminal or break a line. */
export function plain(text: string, limit = 200): string {
  // eslint-disable-next-line no-control-regex
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\uFFFD');
  return clean.length > limit ? `${clean.slice(0, limit - 1)}…` : clean;
}

export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`;
}

export const countText = (count: number): string => String(count).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
export const shapeText = (shape: readonly (number | null)[]): string => (shape.length === 0 ? 'scalar' : shape.map((dim) => dim ?? '?').join('×'));
export const decibelText = (value: number | null): string => (value === null ? 'exact' : value.toFixed(1));
export const bitsText = (value: number): string => value.toFixed(2);
export const plural = (count: number, noun: string): string => `${countText(count)} ${noun}${count === 1 ? '' : 's'}`;

/** Items of a list that are written together. */
const ITEMS_AT_ONCE = 2000;

/**
 * A document as JSON in pieces, lists at its top level a few thousand items at a time: a checkpoint can have a million
 * tensors. Such a list may be any iterable, so that nothing need be made twice.
 */
export function* jsonPieces(document: object): Generator<string> {
  let before = '{';
  for (const [key, value] of Object.entries(document) as [string, unknown][]) {
    if (value === undefined) continue;
    yield `${before}${JSON.stringify(key)}:`;
    before = ',';
    if (!isList(value)) {
      yield JSON.stringify(value);
      continue;
    }
    yield '[';
    let items: unknown[] = [];
    let separator = '';
    for (const item of value) {
      if (items.push(item) < ITEMS_AT_ONCE) continue;
      yield separator + JSON.stringify(items).slice(1, -1);
      separator = ',';
      items = [];
    }
    yield `${items.length > 0 ? separator + JSON.stringify(items).slice(1, -1) : ''}]`;
  }
  yield before === '{' ? '{}' : '}';
}

/** An array, or anything that gives its items one after another. */
export function isList(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/** Columns under their titles. Long cells are cut in the middle, where names differ least. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], widest = 60): string {
  const cells = rows.map((row) => row.map((cell) => cut(plain(cell), widest)));
  const widths = columns.map((column, index) => Math.max(column.title.length, ...cells.map((row) => row[index]?.length ?? 0)));
  const line = (row: readonly string[]): string => row.map((cell, index) => (columns[index]!.right ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!))).join('  ').trimEnd();
  return [line(columns.map((column) => column.title)), line(widths.map((width) => '─'.repeat(width))), ...cells.map(line)].map((text) => `${text}\n`).join('');
}

function cut(text: string, widest: number): string {
  if (text.length <= widest) return text;
  const head = Math.floor((widest - 1) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (widest - 1 - head))}`;
}

const SIZES: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1e3, kb: 1e3, m: 1e6, mb: 1e6, g: 1e9, gb: 1e9, t: 1e12, tb: 1e12, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40 };

/** `1500000`, `12MB` (millions of bytes), `1.5MiB` (2^20 bytes). Null when it is none of these. */
export function parseSize(text: string): number | null {
  const match = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)\s*$/i.exec(text);
  const unit = match ? SIZES[match[2]!.toLowerCase()] : undefined;
  if (!match || unit === undefined) return null;
  const bytes = Math.floor(Number(match[1]) * unit);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null;
}
