/** What the features see of one document: its text, its model, and the findings that are about it. Plain and immutable. */
import type { ModelAnalysis } from '../analysis/model-analysis';
import type { ModelSummary, Range, Settings } from '../protocol';
import type { SourceSpan } from '../python/module-tree';
import type { Finding } from '../rules/rule';
import type { TraceResult } from '../trace/trace';

export interface DocumentView {
  readonly uri: string;
  /** Absolute path that spans name. */
  readonly path: string;
  readonly lines: readonly string[];
  /** Null when the file defines no model, or could not be analysed. */
  readonly analysis: ModelAnalysis | null;
  readonly summary: () => ModelSummary | null;
  /** Forward, followed now if it was not before; null where there is none. */
  readonly trace: () => Promise<TraceResult | null>;
  /** Findings on this file, suppression comments applied: of its own model and of open models that import it. */
  readonly findings: readonly Finding[];
  readonly settings: Settings;
  /** The URI of another file of the model. */
  uriOf(path: string): string;
}

/**
 * The range to underline for a span: constructions over several lines, and classes, are underlined on their first line only.
 * Spans of an older text may lie outside the present one; they are clamped.
 */
export function firstLineRange(span: SourceSpan, lines: readonly string[] | null): Range {
  if (!lines) {
    return { start: { line: span.startLine, character: span.startColumn }, end: { line: span.startLine, character: span.endLine === span.startLine ? span.endColumn : span.startColumn + 1 } };
  }
  const line = Math.min(span.startLine, Math.max(0, lines.length - 1));
  const text = (lines[line] ?? '').replace(/\s+$/, '');
  const start = Math.min(span.startColumn, text.length);
  const end = span.endLine > span.startLine ? text.length : Math.min(span.endColumn, text.length);
  return { start: { line, character: start }, end: { line, character: Math.max(start, end) } };
}

/** The line of the class that the model's own findings sit on, when it is in this file. */
export function rootSpan(view: Pick<DocumentView, 'analysis' | 'path'>): SourceSpan | null {
  const span = view.analysis?.root?.span;
  return span && span.file === view.path ? span : null;
}

/** Position order: true when `position` lies in the span, end included (a caret after the last character is still on it). */
export function spanContains(span: SourceSpan, position: { readonly line: number; readonly character: number }): boolean {
  const { line, character } = position;
  if (line < span.startLine || line > span.endLine) return false;
  if (line === span.startLine && character < span.startColumn) return false;
  return !(line === span.endLine && character > span.endColumn);
}
