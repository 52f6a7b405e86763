import { observedPlaces } from './activation-facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { numberText, sentence } from './text';

/** Largest finite fp16 value. */
const FP16_MAX = 65504;

export const normOverflow: Rule = {
  code: 'BL205',
  name: 'norm-overflow',
  title: 'Squares inside a normalization overflow fp16',
  defaultSeverity: 'warning',
  needs: 'activations',
  explanation: `
LayerNorm and RMSNorm square what goes into them. In fp16 a magnitude above 255.9 squares to infinity, the variance becomes
infinite, and the layer gives zeros or NaN.

Measured: the largest magnitude that goes into the normalization, squared, is above ${FP16_MAX}.

**What to do:** compute the normalization in fp32 (as most frameworks do when told to), use bf16, or scale the stream down before it.
`,
  * check(analysis) {
    const seen = [...observedPlaces(analysis, 'norm-input')].flatMap(({ layer, value, evidence }) =>
      (value.statistics.absmax ** 2 > FP16_MAX ? [{ layer, badness: value.statistics.absmax, evidence }] : []));
    for (const line of perLine(seen)) {
      const { badness, evidence } = line.worst;
      yield {
        message: sentence(`${line.names}: inputs reach ${numberText(badness)}${line.atWorst}, whose square ${numberText(badness ** 2)} overflows fp16 (${evidence})`),
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
      };
    }
  },
};
