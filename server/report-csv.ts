/**
 * The report as CSV (RFC 4180): one row per layer, one column group per format. Beside protocol.ts, because the command line,
 * the editor and the page itself all write it.
 */
import type { ReportData } from './protocol';

/**
 * Quotes a cell where needed. A name that a spreadsheet would run as a formula (`=`, `+`, `-`, `@`, tab) is prefixed by an
 * apostrophe: names come from files that we do not trust. Numbers are left alone.
 */
function cell(value: string | number | null): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}

export function reportCsv(report: ReportData): string {
  const header = ['path', 'class', 'file', 'line', 'tensor', 'dtype', 'shape', 'weights', 'bytes', 'format', 'tiedTo',
    'absmax', 'mean', 'std', 'kurtosis', 'outlierShare', 'absmaxOverRms', 'channelRangeSpread', 'deadChannels', 'zd', 'nan', 'inf', 'findings',
    ...report.formats.flatMap(({ id }) => [`${id} mse`, `${id} sqnrDb`, `${id} bitsPerWeight`, `${id} bytes`])];
  const rows = report.layers.map((layer) => {
    const { statistics } = layer;
    return [layer.path, layer.className, layer.file, layer.line, layer.tensor, layer.dtype, layer.shape.join('x'), layer.weights, layer.bytes, layer.format, layer.tiedTo,
      statistics.absmax, statistics.mean, statistics.std, statistics.kurtosis, statistics.outlierShare, statistics.absmaxOverRms, statistics.channelRangeSpread,
      statistics.deadChannelCount, statistics.zd, statistics.nan, statistics.inf, layer.findings.map(({ code }) => code).join(' '),
      ...report.formats.flatMap((_, index) => {
        const error = layer.errors[index];
        return error ? [error.mse, error.sqnrDb, error.bitsPerWeight, error.bytes] : [null, null, null, null];
      })];
  });
  return [header, ...rows].map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n';
}
