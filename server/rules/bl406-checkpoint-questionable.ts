import { checkpointName } from './facts';
import type { Rule } from './rule';
import { plain, sentence } from './text';

const MOST = 8;

export const checkpointQuestionable: Rule = {
  code: 'BL406',
  name: 'checkpoint-questionable',
  title: 'Checkpoint is readable but questionable',
  defaultSeverity: 'warning',
  needs: 'checkpoint',
  explanation: `
Something in the file is unusual enough that other programs may read it differently or not at all: a tensor without bytes,
a duplicate name, trailing bytes, a size in the index that does not fit. It is shown, with what to do.
`,
  * check(analysis) {
    const problems = (analysis.checkpoint?.problems ?? []).filter(({ code }) => code !== 'BL407');
    const file = checkpointName(analysis);
    for (const { message, fix, offset, grade } of problems.slice(0, MOST)) {
      yield {
        message: `${file}: ${plain(sentence(offset === undefined ? message : `${message} (byte ${offset})`), 600)} ${plain(sentence(fix), 400)}`,
        ...(grade === 'information' ? { severity: 'information' as const } : {}),
        span: null, evidence: 'read from the file',
      };
    }
    if (problems.length > MOST) yield { message: `${file}: ${problems.length - MOST} more problems; open the file to see them all.`, span: null, evidence: 'read from the file' };
  },
};
