/** Exports made by the page itself, for the file that is opened in a browser without an editor behind it. */
import type { ReportData } from '../../server/protocol';
import { shownError } from './layer-table';

/** One row a layer, formats as columns, by RFC 4180. A cell that a spreadsheet would run as a formula gets a leading quote. */
export function toCsv(report: ReportData): string {
  const quote = (value: unknown): string => {
    const text = value === null || value === undefined ? '' : String(value);
    const inert = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
  };
  const header = ['layer', 'class', 'tensor', 'dtype', 'shape', 'weights', 'bytes', 'format', 'bits_per_weight', 'kurtosis', 'outlier_share', 'absmax_over_rms', 'channel_range_spread', 'dead_channels', 'zd',
    ...report.formats.map((format) => `sqnr_db ${format.id}`)];
  const rows = report.layers.map((layer) => [layer.path, layer.className, layer.tensor, layer.dtype, layer.shape.join('x'), layer.weights, layer.bytes, layer.format, shownError(report, layer)?.bitsPerWeight,
    layer.statistics.kurtosis, layer.statistics.outlierShare, layer.statistics.absmaxOverRms, layer.statistics.channelRangeSpread, layer.statistics.deadChannelCount, layer.statistics.zd,
    ...layer.errors.map((error) => error?.sqnrDb)]);
  return [header, ...rows].map((row) => row.map(quote).join(',')).join('\r\n') + '\r\n';
}

/** Hands a text to the browser as a download. */
export function download(name: string, type: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
