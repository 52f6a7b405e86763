import { observedPlaces } from './activation-facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { numberText, sentence } from './text';

/** Share of the range on the smaller side below which a symmetric grid wastes nearly half of its codes. */
const SHARE = 0.2;

export const asymmetricRange: Rule = {
  code: 'BL202',
  name: 'asymmetric-range',
  title: 'Activations after GELU, SiLU or their like are nearly one-sided',
  defaultSeverity: 'hint',
  needs: 'activations',
  explanation: `
GELU, SiLU and their like cut the negative side to a small remainder. A symmetric grid gives both sides as many codes, and
nearly half of them are never used: one bit is lost.

Measured: the smaller side of the range is less than ${SHARE * 100} % of the larger.

**What to do:** quantize these activations with a zero point (asymmetric), or with a grid of its own for each side.
`,
  * check(analysis) {
    const seen = [...observedPlaces(analysis, 'activation')].flatMap(({ layer, value, evidence }) => {
      const { min, max } = value.statistics;
      const [small, large] = [Math.min(-min, max), Math.max(-min, max)];
      return large > 0 && small >= 0 && small < SHARE * large ? [{ layer, badness: large / Math.max(small, 1e-30), min, max, evidence }] : [];
    });
    for (const line of perLine(seen)) {
      const { min, max, evidence } = line.worst;
      const used = (max - min) / (2 * Math.max(-min, max));
      yield {
        message: sentence(`${line.names}: values run from ${numberText(min)} to ${numberText(max)}${line.atWorst}; a symmetric grid would use ${Math.round(used * 100)} % of its codes, one with a zero point all (${evidence})`),
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
      };
    }
  },
};
