import type { Rule } from './rule';

/** Its findings come from the text of a file (suppressions.ts), not from an analysis. */
export const unknownSuppression: Rule = {
  code: 'BL502',
  name: 'unknown-suppression',
  title: 'Suppression names a code that does not exist',
  defaultSeverity: 'hint',
  needs: 'source',
  explanation: `
\`# bitlens: ignore[BL101]\` silences a finding on its line (\`ignore[BL101, BL103]\` several, \`ignore\` all), and
\`# bitlens: ignore-file[BL101]\` in the whole file. A code that does not exist silences nothing; it is probably a slip of the keys.

**What to do:** correct the code, or remove the comment.
`,
  * check() { /* found in the text, see suppressions.ts */ },
};
