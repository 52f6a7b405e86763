/** Guards for what arrives from the webview pages: a page shows data of untrusted files, so what it says is not believed. */
import type { CheckpointMessageOut, ReportMessageOut } from '../../server/protocol';

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

export function isReportMessage(value: unknown): value is ReportMessageOut {
  if (!isRecord(value)) return false;
  switch (value.type) {
    case 'ready': return true;
    case 'open': case 'detail': case 'sweep': case 'quantize': return typeof value.path === 'string';
    case 'export': return value.kind === 'csv' || value.kind === 'json' || value.kind === 'html';
    default: return false;
  }
}

export function isCheckpointMessage(value: unknown): value is CheckpointMessageOut {
  if (!isRecord(value)) return false;
  return value.type === 'ready' || (value.type === 'tensor' && typeof value.name === 'string');
}
