import { checkpointName } from './facts';
import type { Rule } from './rule';
import { plain, sentence } from './text';

export const checkpointRefused: Rule = {
  code: 'BL405',
  name: 'checkpoint-refused',
  title: 'Checkpoint cannot be read',
  defaultSeverity: 'error',
  needs: 'source',
  explanation: `
The file is not what it claims to be: a header that does not fit, offsets that overlap or lie outside the file, a pickle that
does not end, a Git LFS pointer instead of the weights. Such a file is refused as a whole, because guessing at a damaged
checkpoint gives wrong numbers. The message says what is wrong, at which byte where one can be named, and what to do.

Findings that come from the source alone stay.
`,
  * check(analysis) {
    const problem = analysis.checkpointError;
    if (!problem) return;
    const at = problem.offset === undefined ? '' : ` (byte ${problem.offset})`;
    yield {
      message: `${checkpointName(analysis)} is refused: ${plain(sentence(`${problem.message}${at}`), 600)} ${plain(sentence(problem.fix), 400)}`,
      span: null, evidence: 'read from the file',
    };
  },
};
