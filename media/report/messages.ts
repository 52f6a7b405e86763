/** Guards for what arrives from the editor or from the data element: the page draws nothing that does not have the right shape. */
import type { LayerDetail, ReportData, ReportMessageIn } from '../../server/protocol';

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isNumbers = (value: unknown): value is number[] => Array.isArray(value) && value.every((item) => typeof item === 'number');

export function isReport(value: unknown): value is ReportData {
  return isObject(value) && value.version === 1 && typeof value.title === 'string' && typeof value.thresholdDb === 'number' && isObject(value.target) && isObject(value.totals) && isObject(value.metric)
    && Array.isArray(value.formats) && value.formats.every((format) => isObject(format) && typeof format.id === 'string')
    && isObject(value.curve) && Array.isArray(value.curve.points) && Array.isArray(value.curve.uniform)
    && Array.isArray(value.layers) && value.layers.every((layer) => isObject(layer) && typeof layer.path === 'string' && Array.isArray(layer.shape) && isObject(layer.statistics) && Array.isArray(layer.errors) && Array.isArray(layer.findings));
}

export function isDetail(value: unknown): value is LayerDetail {
  return isObject(value) && typeof value.path === 'string' && isObject(value.histogram) && isNumbers(value.histogram.edges) && isNumbers(value.histogram.counts)
    && isObject(value.channels) && isNumbers(value.channels.index) && isNumbers(value.channels.min) && isNumbers(value.channels.max)
    && (value.sweep === undefined || (isObject(value.sweep) && Array.isArray(value.sweep.formats) && value.sweep.formats.every((each) => isObject(each) && typeof each.id === 'string' && typeof each.bitsPerWeight === 'number')));
}

/** The message, or null when it is not one of ours. */
export function readMessage(value: unknown): ReportMessageIn | null {
  if (!isObject(value)) return null;
  if (value.type === 'data' && isReport(value.report)) return { type: 'data', report: value.report };
  if (value.type === 'detail' && isDetail(value.detail)) return { type: 'detail', detail: value.detail };
  if (value.type === 'error' && typeof value.message === 'string') return { type: 'error', message: value.message };
  return null;
}
