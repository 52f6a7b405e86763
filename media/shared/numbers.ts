/** Numbers as people read them. */

/** 3277824 -> `3.28 MB`. Decimal units, as everywhere in Bitlens: 1 kB is 1000 bytes. */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let scaled = value;
  while (scaled >= 1000 && unit < units.length - 1) { scaled /= 1000; unit++; }
  return `${unit === 0 ? scaled : scaled.toFixed(scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2)} ${units[unit]}`;
}

/** 811520 -> `811,520`. */
export function integer(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Three significant digits, exponent only where it is shorter. */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : value < 0 ? '−∞' : 'NaN';
  if (value === 0) return '0';
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(1) : size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(size >= 1 ? 2 : 3);
  return text.replace('-', '−');
}

/** SQNR in dB; an absent value means that nothing was lost. */
export function decibel(value: number | null | undefined): string {
  return value === null || value === undefined ? 'exact' : value.toFixed(1).replace('-', '−');
}

/** `768 × 3072`. */
export function shape(dims: readonly number[]): string {
  return dims.length ? dims.join(' × ') : 'scalar';
}

/** Share as a percentage: `0.02 %`. */
export function percent(share: number): string {
  const value = share * 100;
  return `${value === 0 ? '0' : value < 0.01 ? '<0.01' : value < 1 ? value.toFixed(2) : value.toFixed(1)} %`;
}
