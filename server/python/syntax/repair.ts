/**
 * Half-typed lines. An open bracket makes a parser swallow the rest of the file, so while `self.fc = nn.Linear(` is being
 * typed the whole model would vanish. Here a line that plainly starts a new statement ends what was left open before it:
 * the missing characters are added at the end of the earlier line, where they move no other position.
 */

/** Text to insert at an offset, in ascending order. */
export interface Insertion { readonly offset: number; readonly text: string }

/** A line that can only be a new statement: a keyword, a decorator, or an assignment to an attribute or name. */
const STATEMENT = /^(?:(?:def|class|return|if|elif|else|for|while|with|try|except|finally|import|from|raise|assert|del|pass|break|continue|async|global|nonlocal)\b|@\w|[A-Za-z_][\w.]*(?:\[[^\]]*\])?\s*(?::[^=]+)?=(?!=)|(?:self|super\(\))\.\w+)/;
const COMPOUND = /^(?:async\s+)?(?:def|class|if|elif|else|for|while|with|try|except|finally)\b/;
const CLOSER: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };
/** Stands where an operand is missing; it is not defined, so what is made of it is unknown. */
export const MISSING = '__missing__';

/** What would have to be added for the lines to stand on their own. Empty for text that needs nothing. */
export function findRepairs(text: string): Insertion[] {
  const insertions: Insertion[] = [];
  const open: string[] = [];
  /** Indentation of the logical line that is open, where its text starts, and the end of its last line with code. */
  let indent = 0;
  let start = 0;
  let end = 0;
  let tripled = '';
  let position = 0;
  const close = (nextIndent: number): void => {
    const line = text.slice(start, end);
    if (line === '') return;
    let added = '';
    const tail = line.trimEnd();
    if (/(^|[^.\w])\w[\w.]*\.$/.test(tail) || /\.$/.test(tail)) added += MISSING;
    else if (/(?:^|[^=!<>])=$/.test(tail) || /(?:[-+*/%|&^<>]|\b(?:and|or|not|in|is|if|else|lambda|for|return|import|from))$/.test(tail) && !/\b(?:return|else)$/.test(tail)) added += ` ${MISSING}`;
    for (const bracket of open.toReversed()) added += CLOSER[bracket]!;
    open.length = 0;
    if (COMPOUND.test(line)) {
      if (!/:/.test(tail.slice(-1)) && !/:\s*\S/.test(stripBrackets(line))) added += ':';
      if ((added.endsWith(':') || tail.endsWith(':')) && nextIndent <= indent) added += ' pass';
    }
    if (added !== '') insertions.push({ offset: end, text: added });
    start = end;
  };
  for (const raw of text.split('\n')) {
    const lineStart = position;
    position += raw.length + 1;
    const trimmed = raw.trimStart();
    const lineIndent = raw.length - trimmed.length;
    if (tripled === '') {
      if (trimmed === '' || trimmed.startsWith('#')) continue;
      if (start < end && (open.length === 0 || (lineIndent <= indent && STATEMENT.test(trimmed)))) close(lineIndent);
      if (open.length === 0) { indent = lineIndent; start = lineStart + lineIndent; }
    }
    // Strings and brackets of this line.
    let i = tripled === '' ? lineIndent : 0;
    let codeEnd = lineStart + lineIndent;
    while (i < raw.length) {
      const char = raw[i]!;
      if (tripled !== '') {
        const stop = raw.indexOf(tripled, i);
        if (stop < 0) { i = raw.length; codeEnd = lineStart + raw.length; continue; }
        i = stop + 3; tripled = ''; codeEnd = lineStart + i;
        continue;
      }
      if (char === '#') break;
      if (char === '"' || char === "'") {
        const triple = raw.slice(i, i + 3);
        if (triple === '"""' || triple === "'''") { tripled = triple; i += 3; continue; }
        let j = i + 1;
        while (j < raw.length && raw[j] !== char) j += raw[j] === '\\' ? 2 : 1;
        if (j >= raw.length && !raw.endsWith('\\')) {
          const at = lineStart + raw.trimEnd().length;
          insertions.push({ offset: at, text: char });
          codeEnd = at;
          break;
        }
        i = j + 1; codeEnd = lineStart + i;
        continue;
      }
      if (char in CLOSER) open.push(char);
      else if (char === ')' || char === ']' || char === '}') open.pop();
      if (char !== ' ' && char !== '\t' && char !== '\r') codeEnd = lineStart + i + 1;
      i += 1;
    }
    end = Math.max(end, codeEnd);
  }
  if (start < end) close(-1);
  return insertions.sort((a, b) => a.offset - b.offset);
}

/** A line without what is inside brackets and strings. */
function stripBrackets(line: string): string {
  let depth = 0;
  let result = '';
  for (const char of line.replace(/(["'])(?:\\.|(?!\1).)*\1?/g, '')) {
    if (char in CLOSER) depth += 1;
    else if (char === ')' || char === ']' || char === '}') depth -= 1;
    else if (depth === 0) result += char;
  }
  return result;
}

export function applyRepairs(text: string, insertions: readonly Insertion[]): string {
  let result = '';
  let from = 0;
  for (const { offset, text: added } of insertions) { result += text.slice(from, offset) + added; from = offset; }
  return result + text.slice(from);
}
