/** Hover on an expression of forward: the shape and type that the trace found, with the dimensions that stay free. */
import { compressPaths } from '../rules/layer-names';
import type { Range } from '../protocol';
import type { SourceSpan } from '../python/module-tree';
import type { TraceResult } from '../trace/trace';
import { spanContains } from './document';
import type { Position } from './layers-at';
import { code, escapeText } from './markdown';

const MOST_NAMES = 3;
const MOST_ASSUMPTIONS = 3;

const extent = (span: SourceSpan): number => (span.endLine - span.startLine) * 100_000 + span.endColumn - span.startColumn;

/** The innermost traced expression at a position, as Markdown; null where the trace met none. */
export function shapeAt(traced: TraceResult, path: string, position: Position): { readonly markdown: string; readonly range: Range } | null {
  const found = traced.shapes.filter(({ span }) => span.file === path && spanContains(span, position));
  if (found.length === 0) return null;
  const { span, values, more } = found.reduce((best, each) => (extent(each.span) < extent(best.span) ? each : best));
  const lines = values.map(({ text, modules }) => {
    const names = compressPaths(modules.filter((name) => name !== ''));
    // Where it was the same everywhere, there is nothing to tell apart.
    const where = values.length === 1 || names.length === 0 ? '' : ` in ${names.slice(0, MOST_NAMES).map((name) => code(name)).join(', ')}${names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : ''}`;
    return `${code(text, 400)}${where}`;
  });
  if (more) lines.push('and others');
  return {
    markdown: `${lines.join('  \n')}\n\n*${basis(traced)}*`,
    range: { start: { line: span.startLine, character: span.startColumn }, end: { line: span.endLine, character: span.endColumn } },
  };
}

function basis({ inputs, assumptions }: TraceResult): string {
  const given = inputs.map(({ name, shape }) => escapeText(`${name} [${shape.join(', ')}]`, 120)).join(', ');
  const taken = assumptions.slice(0, MOST_ASSUMPTIONS).map((text) => escapeText(text, 120)).join('; ');
  return `Traced from the source${given === '' ? '' : ` for ${given}`}${taken === '' ? '' : `, taking for granted: ${taken}${assumptions.length > MOST_ASSUMPTIONS ? '; …' : ''}`}`;
}
