/**
 * Suppression comments: `# bitlens: ignore[BL101, BL103]`, `# bitlens: ignore`, `# bitlens: ignore-file[BL101]`.
 * A comment silences the findings that are on its line; for a construction over several lines it may stand on any of them.
 */
import type { Finding } from './rule';
import { plain } from './text';

/** `null` stands for every code. */
type Codes = ReadonlySet<string> | null;

export interface Suppressions {
  readonly lines: ReadonlyMap<number, Codes>;
  /** Undefined when the file has no `ignore-file`. */
  readonly file: Codes | undefined;
  /** Codes that are no rule's, with their place. */
  readonly unknown: readonly { readonly line: number; readonly start: number; readonly end: number; readonly code: string }[];
  isSuppressed(code: string, startLine: number, endLine: number): boolean;
}

const COMMENT = /#[^#\n]*?\bbitlens:\s*ignore(-file)?\b\s*(?:\[([^\]\n]*)\])?/g;
const NONE: Suppressions = { lines: new Map(), file: undefined, unknown: [], isSuppressed: () => false };
/** A multi-line span longer than this is a class, whose body may hold comments that are not about it. */
const LONGEST_CONSTRUCTION = 40;

/**
 * Reads the suppression comments of a file. `known` are the codes of the registry.
 * `bitlens: ignore[]` with empty brackets silences nothing: it names no code.
 */
export function readSuppressions(text: string, known: ReadonlySet<string>): Suppressions {
  if (!text.includes('bitlens:')) return NONE;
  const lines = new Map<number, Codes>();
  let file: Codes | undefined;
  const unknown: { line: number; start: number; end: number; code: string }[] = [];
  const add = (old: Codes | undefined, codes: Codes): Codes => (old === null || codes === null ? null : new Set([...(old ?? []), ...codes]));

  text.split(/\r\n|\r|\n/).forEach((content, line) => {
    if (!content.includes('bitlens:')) return;
    for (const match of content.matchAll(COMMENT)) {
      const [whole, wholeFile, list] = match;
      let codes: Set<string> | null = null;
      if (list !== undefined) {
        codes = new Set();
        const listStart = match.index + whole.lastIndexOf('[') + 1;
        for (const entry of list.matchAll(/[^\s,]+/g)) {
          const code = entry[0].toUpperCase();
          if (known.has(code)) codes.add(code);
          else unknown.push({ line, start: listStart + entry.index, end: listStart + entry.index + entry[0].length, code: entry[0] });
        }
      }
      if (wholeFile) file = add(file, codes);
      else lines.set(line, add(lines.get(line), codes));
    }
  });

  const covers = (codes: Codes | undefined, code: string): boolean => codes === null || (codes?.has(code) ?? false);
  return {
    lines, file, unknown,
    isSuppressed(code, startLine, endLine) {
      if (covers(file, code)) return true;
      const last = endLine - startLine <= LONGEST_CONSTRUCTION ? endLine : startLine;
      for (let line = startLine; line <= last; line++) if (lines.has(line) && covers(lines.get(line), code)) return true;
      return false;
    },
  };
}

/** The hint about a code that does not exist. */
export function unknownCodeMessage(code: string, known: Iterable<string>): string {
  return `${plain(code, 40)} is not the code of a finding; there are ${[...known].join(', ')}.`;
}

/**
 * The findings of one file that its comments leave standing.
 * @param rootLine line of the root class in this file, for findings about the checkpoint as a whole; null when it is elsewhere.
 */
export function withoutSuppressed(findings: readonly Finding[], suppressions: Suppressions, rootLine: number | null): Finding[] {
  return findings.filter(({ code, span }) => {
    if (span) return !suppressions.isSuppressed(code, span.startLine, span.endLine);
    return rootLine === null || !suppressions.isSuppressed(code, rootLine, rootLine);
  });
}
