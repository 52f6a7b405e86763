/** Findings as diagnostics of one document. */
import { createHash } from 'node:crypto';
import type { Range } from '../protocol';
import type { Finding } from '../rules/rule';
import { anchorOf, FINDINGS_PAGE } from '../rules/docs';
import { suppressions, ruleCodes } from '../rules/registry';
import { unknownCodeMessage, withoutSuppressed } from '../rules/suppressions';
import { firstLineRange, rootSpan, type DocumentView } from './document';

/** Numbers of the Language Server Protocol. */
const SEVERITY = { error: 1, warning: 2, information: 3, hint: 4 } as const;

export interface DiagnosticData {
  readonly code: string;
  readonly layers: readonly string[];
  readonly suggestion?: Finding['suggestion'];
}

export interface FindingDiagnostic {
  readonly range: Range;
  readonly severity: 1 | 2 | 3 | 4;
  readonly code: string;
  readonly codeDescription: { readonly href: string };
  readonly source: 'bitlens';
  readonly message: string;
  readonly relatedInformation?: { readonly location: { readonly uri: string; readonly range: Range }; readonly message: string }[];
  readonly data: DiagnosticData;
}

/** The findings of a model that are about one file, with its comments applied and slips in them added. */
export function findingsOfFile(findings: readonly Finding[], path: string, text: string, rootLine: number | null, unknownSeverity: Finding['severity'] | 'off'): Finding[] {
  const own = findings.filter(({ span }) => (span ? span.file === path : rootLine !== null));
  const comments = suppressions(text);
  const slips = unknownSeverity === 'off' ? [] : comments.unknown.map(({ line, start, end, code }): Finding => ({
    code: 'BL502', severity: unknownSeverity, message: unknownCodeMessage(code, ruleCodes), evidence: 'read from the source',
    span: { file: path, startLine: line, startColumn: start, endLine: line, endColumn: end },
  }));
  return withoutSuppressed([...own, ...slips], comments, rootLine);
}

/** Where a finding is underlined: its own span, else the line of the root class, else the first line. */
export function rangeOfFinding(finding: Finding, view: Pick<DocumentView, 'analysis' | 'path' | 'lines'>): Range {
  const span = finding.span ?? rootSpan(view);
  return span ? firstLineRange(span, view.lines) : { start: { line: 0, character: 0 }, end: { line: 0, character: Math.min(1, view.lines[0]?.length ?? 0) } };
}

export function diagnosticsOf(view: DocumentView): FindingDiagnostic[] {
  return view.findings.map((finding) => ({
    range: rangeOfFinding(finding, view),
    severity: SEVERITY[finding.severity],
    code: finding.code,
    codeDescription: { href: `${FINDINGS_PAGE}#${anchorOf(finding.code)}` },
    source: 'bitlens' as const,
    message: finding.message,
    ...(finding.related && finding.related.length > 0 ? {
      relatedInformation: finding.related.map(({ span, message }) => ({
        location: { uri: view.uriOf(span.file), range: firstLineRange(span, span.file === view.path ? view.lines : null) }, message,
      })),
    } : {}),
    data: { code: finding.code, layers: finding.layers ?? (finding.layer === undefined ? [] : [finding.layer]), ...(finding.suggestion && { suggestion: finding.suggestion }) },
  }));
}

/** Identity of a result: equal ids mean that the client may keep what it shows. */
export function resultIdOf(diagnostics: readonly FindingDiagnostic[]): string {
  return createHash('sha256').update(JSON.stringify(diagnostics)).digest('base64url').slice(0, 22);
}
