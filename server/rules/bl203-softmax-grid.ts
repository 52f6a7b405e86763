import { observedPlaces } from './activation-facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { percentText, sentence } from './text';

/** Half a step of 8 bits over [0, 1]. */
const HALF_STEP = 1 / 510;
const SHARE = 0.5;

export const softmaxGrid: Rule = {
  code: 'BL203',
  name: 'softmax-grid',
  title: 'Most attention probabilities are below half a step of 8 bits',
  defaultSeverity: 'hint',
  needs: 'activations',
  explanation: `
Probabilities of a softmax over many places are tiny, with a few near one. A uniform grid of 8 bits over [0, 1] has a step of
1/255: what lies below half of it becomes zero, and with it what many places together contribute.

Measured: more than half of the probabilities are above zero and below 1/510. Places that a mask rules out are exact zeros and do not count.

**What to do:** keep the probabilities in 16 bits, or use a logarithmic grid for them (\`log2\` formats); weights are not concerned.
`,
  * check(analysis) {
    const seen = [...observedPlaces(analysis, 'softmax')].flatMap(({ layer, value, evidence }) => {
      const { histogram: { edges, counts }, count, zeros } = value.statistics;
      const small = counts.reduce((sum, each, i) => (edges[i + 1]! <= HALF_STEP ? sum + each : sum), 0);
      const share = count > zeros ? small / (count - zeros) : 0;
      return share > SHARE ? [{ layer, badness: share, evidence }] : [];
    });
    for (const line of perLine(seen)) {
      yield {
        message: sentence(`${line.names}: ${percentText(line.worst.badness)} of the probabilities are below half a step of 8 bits${line.atWorst} and would become zero (${line.worst.evidence})`),
        span: line.span, layer: line.layer, layers: line.layers, evidence: line.worst.evidence, ...(line.related && { related: line.related }),
      };
    }
  },
};
