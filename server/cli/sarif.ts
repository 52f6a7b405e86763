/** Findings as SARIF 2.1.0 (OASIS standard), for code scanning services. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Rule } from '../rules/rule';
import type { CheckedFinding } from './checking';

const LEVEL = { error: 'error', warning: 'warning', information: 'note', hint: 'note', off: 'none' } as const;

/** Relative to the base, with forward slashes and percent escapes, when inside it; else an absolute file URI. */
function artifact(file: string, base: string): { uri: string; uriBaseId?: string } {
  const relative = path.relative(base, file);
  if (relative === '' || relative.startsWith('..') || path.isAbsolute(relative)) return { uri: pathToFileURL(file).href };
  return { uri: relative.split(path.sep).map(encodeURIComponent).join('/'), uriBaseId: 'SRCROOT' };
}

const region = ({ startLine, startColumn, endLine, endColumn }: CheckedFinding['span']) =>
  ({ startLine: startLine + 1, startColumn: startColumn + 1, endLine: endLine + 1, endColumn: endColumn + 1 });

/** One log with one run. Suppressed findings are in it, marked as such, as the standard asks. */
export function sarifLog(findings: readonly CheckedFinding[], rules: readonly Rule[], base: string, version: string): object {
  const index = new Map(rules.map((rule, position) => [rule.code, position]));
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [{
      tool: {
        driver: {
          name: 'Bitlens', version, semanticVersion: version,
          rules: rules.map((rule) => ({
            id: rule.code, name: rule.name,
            shortDescription: { text: rule.title },
            fullDescription: { text: rule.title },
            help: { text: rule.explanation.trim(), markdown: rule.explanation.trim() },
            defaultConfiguration: rule.defaultSeverity === 'off' ? { enabled: false } : { enabled: true, level: LEVEL[rule.defaultSeverity] },
          })),
        },
      },
      columnKind: 'utf16CodeUnits',
      originalUriBaseIds: { SRCROOT: { uri: `${pathToFileURL(base).href.replace(/\/$/, '')}/` } },
      results: findings.map((finding) => ({
        ruleId: finding.code,
        ruleIndex: index.get(finding.code) ?? -1,
        level: LEVEL[finding.severity],
        message: { text: finding.message },
        locations: [{
          physicalLocation: { artifactLocation: artifact(finding.span.file, base), region: region(finding.span) },
          ...(finding.layer ? { logicalLocations: [{ fullyQualifiedName: finding.layer, kind: 'member' }] } : {}),
        }],
        ...(finding.related && finding.related.length > 0 ? {
          relatedLocations: finding.related.map(({ span, message }, id) => ({ id, message: { text: message }, physicalLocation: { artifactLocation: artifact(span.file, base), region: region(span) } })),
        } : {}),
        // Stable while lines move: the rule, the file's place and the layers.
        partialFingerprints: { 'bitlens/v1': createHash('sha256').update(JSON.stringify([finding.code, artifact(finding.span.file, base).uri, finding.layers ?? finding.layer ?? ''])).digest('hex') },
        ...(finding.suppressed ? { suppressions: [{ kind: 'inSource' }] } : {}),
        properties: { evidence: finding.evidence },
      })),
    }],
  };
}
