import type { Rule } from './rule';
import { plain, sentence } from './text';
import { SOURCE_EVIDENCE } from './facts';

export const notTraced: Rule = {
  code: 'BL503',
  name: 'not-traced',
  title: 'The trace of forward ends here',
  defaultSeverity: 'information',
  needs: 'source',
  explanation: `
Bitlens follows \`forward\` without running it and turns it into a graph of operators. Where it meets a function, a method or a
construct that it does not know, or a decision that depends on the values of a tensor, it stops and names it. Layers that come
before are traced all the same.

**What to do:** where the line depends on a value, compute it from shapes or configuration instead; where a function is not known,
write the step with functions of PyTorch. A model that is given other inputs than its source shows can be told so:
\`bitlens trace model.py --input x=batch,3,32,32\`.
`,
  * check({ traced, root }) {
    const stopped = traced?.stopped;
    if (!stopped || stopped.noForward) return;
    yield { message: sentence(`the trace of ${plain(root?.name ?? 'the model')} ends here: ${plain(stopped.reason, 400)} (${SOURCE_EVIDENCE})`), span: stopped.span ?? root?.span ?? null, evidence: SOURCE_EVIDENCE };
  },
};
