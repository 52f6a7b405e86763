import { observedPlaces } from './activation-facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { numberText, sentence } from './text';

const LEAST = 100;
const RATIO = 1000;

export const massiveActivations: Rule = {
  code: 'BL204',
  name: 'massive-activations',
  title: 'The residual stream carries massive activations',
  defaultSeverity: 'information',
  needs: 'activations',
  explanation: `
A handful of places of the residual stream hold values thousands of times the typical one, in nearly every transformer that was
trained long; attention needs them (Sun et al., Massive Activations in Large Language Models, 2024). A quantizer that clips them
breaks the model, and one that does not spends its range on them.

Measured: the largest magnitude after a sum of two streams is above ${LEAST} and at least ${RATIO} times the median magnitude.

**What to do:** leave the stream itself in 16 bits, leave the first token out of calibration of activation ranges, or rotate the
stream (Hadamard). Quantizing weights alone is not concerned.
`,
  * check(analysis) {
    const seen = [...observedPlaces(analysis, 'sum')].flatMap(({ layer, value, evidence }) => {
      const { absmax, magnitude } = value.statistics;
      return value.op === 'Add' && absmax > LEAST && absmax >= RATIO * magnitude.p50 ? [{ layer, badness: absmax, median: magnitude.p50, evidence }] : [];
    });
    for (const line of perLine(seen)) {
      const { badness, median, evidence } = line.worst;
      yield {
        message: sentence(`${line.names}: the residual stream reaches ${numberText(badness)}, against a median magnitude of ${numberText(median)}${line.atWorst}; scales of activations here would be set by a few values (${evidence})`),
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
      };
    }
  },
};
