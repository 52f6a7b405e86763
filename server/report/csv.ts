/** The report's table as CSV by RFC 4180. */
import type { ReportData } from '../protocol';

/** A cell that a spreadsheet would run as a formula gets a leading quote: names come from untrusted files. */
function cell(value: string | number | null): string {
  if (value === null) return '';
  const text = String(value);
  const inert = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}

export function reportCsv(report: ReportData): string {
  const header = ['layer', 'class', 'file', 'line', 'tensor', 'dtype', 'shape', 'weights', 'bytes', 'tied_to', 'format', 'kurtosis', 'outlier_share', 'absmax_over_rms', 'channel_range_spread', 'dead_channels', 'zd', 'findings',
    ...report.formats.flatMap(({ id }) => [`sqnr_db ${id}`, `mse ${id}`, `bits_per_weight ${id}`])];
  const rows = report.layers.map((layer) => {
    const s = layer.statistics;
    return [layer.path, layer.className, layer.file, layer.line, layer.tensor, layer.dtype, layer.shape.join('x'), layer.weights, layer.bytes, layer.tiedTo, layer.format,
      s.kurtosis, s.outlierShare, s.absmaxOverRms, s.channelRangeSpread, s.deadChannelCount, s.zd, layer.findings.map((finding) => finding.code).join(' '),
      ...layer.errors.flatMap((error) => (error ? [error.sqnrDb, error.mse, error.bitsPerWeight] : [null, null, null]))];
  });
  return [header, ...rows].map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n';
}
