import type { Rule } from './rule';
import { plain, sentence } from './text';

const MOST = 5;

export const projectFile: Rule = {
  code: 'BL408',
  name: 'project-file',
  title: 'bitlens.json or a recipe cannot be used',
  defaultSeverity: 'warning',
  needs: 'source',
  explanation: `
The nearest \`bitlens.json\`, or a recipe beside the source, is not valid: the message names the file, the place in it, and what is
allowed there. Until it is corrected, Bitlens goes on as if the file were not there, so other findings may be about another
class or checkpoint than you meant.
`,
  * check(analysis) {
    for (const note of (analysis.notes ?? []).slice(0, MOST)) yield { message: plain(sentence(note), 800), span: null, evidence: 'read from the file' };
  },
};
