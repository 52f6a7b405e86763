import { observedPlaces, valueNamed } from './activation-facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { numberText, sentence } from './text';

/** At 16 times, four of eight bits are lost to the smaller side under a common scale. */
const RATIO = 16;

export const unequalTerms: Rule = {
  code: 'BL206',
  name: 'unequal-terms',
  title: 'Sum or concatenation of values with unequal ranges',
  defaultSeverity: 'hint',
  needs: 'activations',
  explanation: `
An integer sum or concatenation has one scale for all its parts. Where one part is many times as large as another, the smaller
one keeps few codes.

Measured: the 99.9th percentile of magnitudes of one part is at least ${RATIO} times that of another.

**What to do:** keep the sum in 16 bits, give the parts scales of their own and rescale before the sum, or equalize the branches.
`,
  * check(analysis) {
    const seen = [...observedPlaces(analysis, 'sum')].flatMap(({ layer, value, evidence }) => {
      const ranges = (value.terms ?? []).flatMap((name) => valueNamed(analysis, name)?.statistics.magnitude.p999 ?? []);
      const [low, high] = [Math.min(...ranges), Math.max(...ranges)];
      return ranges.length > 1 && low > 0 && high >= RATIO * low ? [{ layer, badness: high / low, low, high, op: value.op, evidence }] : [];
    });
    for (const line of perLine(seen)) {
      const { badness, low, high, op, evidence } = line.worst;
      yield {
        message: sentence(`${line.names}: the parts of this ${op === 'Add' ? 'sum' : 'concatenation'} reach ${numberText(high)} and ${numberText(low)}${line.atWorst}; under one scale the smaller loses ${Math.log2(badness).toFixed(1)} bits (${evidence})`),
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
      };
    }
  },
};
