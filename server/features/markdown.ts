/**
 * Markdown from names that nobody vouches for. Names stand in code spans, which no markup, HTML or link can leave;
 * everything else that comes from a file is escaped character by character. No command links are ever made.
 */
import { plain } from '../rules/text';

/** A code span whose fence is longer than any run of back-ticks inside. */
export function code(name: string, longest = 160): string {
  const text = plain(name, longest);
  const fence = '`'.repeat(Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length)) + 1);
  // A space is needed beside a back-tick, and an empty span is no span.
  const pad = text === '' || text.startsWith('`') || text.endsWith('`') ? ' ' : '';
  return `${fence}${pad}${text}${pad}${fence}`;
}

/** A code span inside a cell of a table, where a bar ends the cell even in code. */
export function cellCode(name: string): string {
  return code(name).replace(/\|/g, '\\|');
}

/** Text outside code spans: every character that could be markup is escaped. */
export function escapeText(text: string, longest = 600): string {
  return plain(text, longest).replace(/[\\`*_{}[\]()#+\-!|<>~&$@:.]/g, (character) => `\\${character}`);
}

/** A table with the first column left and the others right aligned. Cells are Markdown already. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), `|${head.map((_, index) => (index === 0 ? ':--' : '--:')).join('|')}|`, ...rows.map(line)].join('\n');
}
