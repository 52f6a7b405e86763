/** Numbers and names as they stand in messages. Names come from untrusted files: they are shown as text on one line. */

/** Characters that would break a line, move a cursor or turn the direction of text round. */
// eslint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

/** A name out of a file as plain text: unprintable characters as escapes, long names cut in the middle of nowhere but visibly. */
export function plain(name: string, longest = 160): string {
  const cut = name.length > longest ? `${name.slice(0, longest)}…` : name;
  return cut.replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A sentence: ends with a full stop. */
export function sentence(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

/** Decimal units: 1 kB is 1000 bytes. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) { value /= 1000; unit++; }
  return `${unit === 0 ? Math.round(value) : value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2)} ${units[unit]}`;
}

/** Bits per weight without trailing zeros: 4.125, 8. */
export function bitsText(bits: number): string {
  return String(Math.round(bits * 1000) / 1000);
}

/** Three significant digits at most, exponent for the very large and small. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(1);
  return String(Number(value.toPrecision(size >= 1000 ? 4 : 3)));
}

/** `0.02 %`; a share that is not zero never reads as zero. */
export function percentText(share: number): string {
  const value = share * 100;
  if (value === 0) return '0 %';
  return value < 0.01 ? '< 0.01 %' : `${value.toFixed(value < 1 ? 2 : 1)} %`;
}

export const decibelText = (value: number): string => `${value.toFixed(1)} dB`;

/** `64 × 3 × 7 × 7`; dimensions that the source does not determine are `?`. */
export function shapeText(shape: readonly (number | null)[]): string {
  return shape.length === 0 ? 'scalar' : shape.map((dim) => (dim === null ? '?' : String(dim))).join(' × ');
}

export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;
}

/** `a`, `b` and 3 more. */
export function listText(items: readonly string[], most = 3): string {
  if (items.length <= most) return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
  return `${items.slice(0, most).join(', ')} and ${items.length - most} more`;
}
