/** Numbers and names as text for people. Names come from untrusted files and are only ever shown as text. */
import type { FormatError, JudgedTrial } from '../../server/protocol';

/** Decimal units, as on the box of the storage: 1 kB is 1000 bytes. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) { value /= 1000; unit++; }
  return `${unit === 0 ? value : value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2)} ${units[unit]}`;
}

export function formatCount(count: number): string {
  return count.toLocaleString('en');
}

/** Bits per weight, without trailing zeros: 4.125, 8, 4.25. */
export function formatBits(bits: number): string {
  return String(Math.round(bits * 1000) / 1000);
}

/** An average over layers: two digits, since more would say nothing. */
export function formatAverageBits(bits: number): string {
  return bits.toFixed(2);
}

/** A share with two digits after the point: accuracies of thousands of samples are that exact. */
export function formatPercent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

/** What quantizing did to the model's output, shortest first: accuracy of classifiers, loss, divergence, else noise. */
export function formatJudged({ before, after }: JudgedTrial): string {
  if (before.loss === null || after.loss === null) return after.kl === null ? `noise/signal ${after.nsr.toPrecision(3)}` : `KL ${after.kl.toPrecision(3)}`;
  const accuracy = before.accuracy !== null && after.accuracy !== null ? `accuracy ${formatPercent(before.accuracy)} → ${formatPercent(after.accuracy)}, ` : '';
  return `${accuracy}loss ${before.loss.toFixed(4)} → ${after.loss.toFixed(4)}${after.kl === null ? '' : `, KL ${after.kl.toPrecision(3)}`}`;
}

/** SQNR with its unit; an error of exactly zero has no finite SQNR. */
export function formatSqnr(error: Pick<FormatError, 'sqnrDb' | 'mse'>): string {
  if (error.sqnrDb !== null) return `${error.sqnrDb.toFixed(2)} dB`;
  return error.mse === 0 ? 'exact' : 'no signal';
}

/** Parses "1.5 MB", "800kB", "1 GiB", "123456"; null when it is no size. */
export function parseSize(text: string): number | null {
  const match = /^\s*(\d+(?:[.,]\d+)?)\s*([kmgt]?i?b?)\s*$/i.exec(text);
  if (!match) return null;
  const unit = match[2]!.toLowerCase();
  const power = ['', 'k', 'm', 'g', 't'].indexOf(unit.replace(/i?b?$/, ''));
  if (power < 0) return null;
  const bytes = Number(match[1]!.replace(',', '.')) * (unit.includes('i') ? 1024 : 1000) ** power;
  return bytes > 0 ? Math.floor(bytes) : null;
}

/** A name on one line: control characters and line breaks would let a tensor name draw over its neighbours. */
export function oneLine(name: string, longest = 200): string {
  // Also the marks that turn the direction of text round: a name must not read as another one.
  // eslint-disable-next-line no-control-regex
  const clean = name.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
  return clean.length > longest ? `${clean.slice(0, longest - 1)}…` : clean;
}

/** Text for a place where VS Code turns `$(name)` into an icon. */
export function withoutIcons(text: string): string {
  return oneLine(text).replace(/\$\(/g, '$\u200b(');
}

/** Text inside a cell of a Markdown table. */
export function markdownCell(text: string): string {
  return oneLine(text).replace(/[\\`*_{}[\]()#+\-.!|<>~&$@:]/g, (character) => `\\${character}`);
}

/** What figures rest on, without the notes that follow: a notification is read in passing, and the trial's document has them all. */
export function evidenceInShort(evidence: string): string {
  const [first = '', second = ''] = evidence.split('; ');
  return second.startsWith('calibrated') ? `${first}; ${second}` : first;
}
