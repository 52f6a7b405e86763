/**
 * The YAML that training scripts write configurations in: block mappings, block and flow lists of scalars. It is read for
 * hints only, so whatever is more than that (anchors, tags, multi-line strings) leaves out its key, never guesses a value.
 */
import { record } from './json-reader';

const MAX_LINES = 20_000;
const MAX_DEPTH = 16;

interface Line { readonly indent: number; readonly text: string }

/** The mapping a document holds; null when it is not one. */
export function parsePlainYaml(text: string): Record<string, unknown> | null {
  const lines = text.split(/\r?\n/, MAX_LINES).map(lineOf).filter((line): line is Line => line !== null);
  const reader = { lines, at: 0 };
  const first = lines[0];
  return first ? mapping(reader, first.indent, 0) : null;
}

function lineOf(raw: string): Line | null {
  const text = withoutComment(raw).trimEnd();
  const indent = text.length - text.trimStart().length;
  return text.trim() === '' || text.trim() === '---' ? null : { indent, text: text.trim() };
}
function withoutComment(raw: string): string {
  if (raw.trimStart().startsWith('#')) return '';
  return /["']/.test(raw) ? raw : raw.replace(/\s#.*$/, '');
}

interface Reader { readonly lines: readonly Line[]; at: number }

function mapping(reader: Reader, indent: number, depth: number): Record<string, unknown> | null {
  const entries: [string, unknown][] = [];
  while (reader.at < reader.lines.length) {
    const line = reader.lines[reader.at]!;
    if (line.indent < indent) break;
    const found = line.indent === indent ? /^(?:"([^"\\]*)"|'([^']*)'|([\w.\-/]+))\s*:(?:\s+(.*))?$/.exec(line.text) : null;
    reader.at += 1;
    if (!found) continue;
    const key = found[1] ?? found[2] ?? found[3]!;
    const value = found[4] === undefined || found[4] === '' ? block(reader, indent, depth) : scalar(found[4]);
    if (value !== undefined) entries.push([key, value]);
  }
  return entries.length > 0 ? record(entries) : null;
}

function block(reader: Reader, indent: number, depth: number): unknown {
  const next = reader.lines[reader.at];
  if (!next) return null;
  const listed = next.text === '-' || next.text.startsWith('- ');
  if (next.indent < indent || (next.indent === indent && !listed)) return null;
  if (depth >= MAX_DEPTH) return undefined;
  if (!listed) return mapping(reader, next.indent, depth + 1) ?? undefined;
  const items: unknown[] = [];
  let plain = true;
  while (reader.at < reader.lines.length) {
    const line = reader.lines[reader.at]!;
    if (line.indent < next.indent || (line.indent === next.indent && !line.text.startsWith('-'))) break;
    const item = line.indent === next.indent ? scalar(line.text.slice(1).trim()) : undefined;
    plain &&= item !== undefined && !/^-\s+["']?[\w.-]+["']?:(\s|$)/.test(line.text);
    items.push(item);
    reader.at += 1;
  }
  return plain ? items : undefined;
}

/** Undefined when it is more than a scalar or a list of them on one line. */
function scalar(text: string): unknown {
  if (/^(?:null|~)$/i.test(text)) return null;
  if (/^(?:true|false)$/i.test(text)) return text.toLowerCase() === 'true';
  if (/^[-+]?\d+$/.test(text)) return /^[-+]?0\d/.test(text) ? undefined : Number(text);
  if (/^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i.test(text)) return Number(text);
  if (text === '{}') return {};
  if (text.startsWith('[') && text.endsWith(']')) {
    const inner = text.slice(1, -1).trim();
    if (/[[\]{}"']/.test(inner)) return undefined;
    const items = inner === '' ? [] : inner.split(',').map((item) => scalar(item.trim()));
    return items.includes(undefined) ? undefined : items;
  }
  const quoted = /^"([^"\\]*)"$|^'([^']*)'$/.exec(text);
  if (quoted) return quoted[1] ?? quoted[2]!;
  return /^[\w./][^:#{}[\]&*!|>%@`"']*$/.test(text) ? text : undefined;
}
