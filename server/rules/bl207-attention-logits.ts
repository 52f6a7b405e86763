import { observedPlaces } from './activation-facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { numberText, sentence } from './text';

/** From 64 on, neighbouring bf16 numbers are half a unit apart: weights of places are wrong by a factor of exp(1/4) and more. */
const LEAST = 64;

export const attentionLogits: Rule = {
  code: 'BL207',
  name: 'attention-logits',
  title: 'Attention logits are large',
  defaultSeverity: 'information',
  needs: 'activations',
  explanation: `
What goes into a softmax is compared by differences, and those are as exact as the largest logit allows: from 64 on neighbouring
bf16 numbers are half a unit apart, a factor of 1.65 between two probabilities. Logits that grow from layer to layer are
also the usual sign of training that is about to diverge (Dehghani et al., Scaling ViTs to 22B, 2023).

Measured: the largest finite magnitude that goes into a softmax is at least ${LEAST}.

**What to do:** compute the logits in fp32 or fp16, normalize queries and keys, or cap the logits.
`,
  * check(analysis) {
    const seen = [...observedPlaces(analysis, 'logits')].flatMap(({ layer, value, evidence }) => {
      // Masks written as large negative numbers are no logits.
      const { max, min } = value.statistics;
      const badness = min <= -1e4 ? max : Math.max(max, -min);
      return badness >= LEAST ? [{ layer, badness, evidence }] : [];
    });
    for (const line of perLine(seen)) {
      const { badness, evidence } = line.worst;
      yield {
        message: sentence(`${line.names}: logits reach ${numberText(badness)}${line.atWorst}, where bf16 numbers are ${2 ** (Math.floor(Math.log2(badness)) - 7)} apart (${evidence})`),
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
      };
    }
  },
};
