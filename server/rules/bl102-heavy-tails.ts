import { scannedLayers } from './facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { numberText, percentText, sentence } from './text';

/** Share of values further than six standard deviations out that is reported whatever the kurtosis: a normal weight has 2e-9. */
const OUTLIER_SHARE = 1e-3;
/** Fewer values than this say nothing about tails. */
const LEAST_VALUES = 256;

export const heavyTails: Rule = {
  code: 'BL102',
  name: 'heavy-tails',
  title: 'Weights have heavy tails',
  defaultSeverity: 'information',
  needs: 'measurements',
  explanation: `
A few large values stretch the range of a quantizer, and all the others share the few codes that are left near zero.

Measured: kurtosis (3 for a normal distribution) above \`bitlens.kurtosis\` (default 10), or more than ${percentText(OUTLIER_SHARE)} of the values
further than six standard deviations from the mean. Weights with fewer than ${LEAST_VALUES} values are left out.

**What to do:** smaller groups keep an outlier's damage local; MSE-searched clipping (\`mse-clip\`) gives up the outliers
where that pays; a format with an exponent (\`fp8-e4m3\`) carries a long tail better than an integer of the same width.
`,
  * check(analysis, settings) {
    const heavy = [];
    for (const { layer, scan: { statistics }, evidence } of scannedLayers(analysis)) {
      const { count, kurtosis, outlierShare, absmaxOverRms } = statistics;
      if (count < LEAST_VALUES || kurtosis === null || (kurtosis <= settings.kurtosis && outlierShare <= OUTLIER_SHARE)) continue;
      heavy.push({ layer, badness: kurtosis, kurtosis, outlierShare, absmaxOverRms, evidence });
    }
    for (const line of perLine(heavy)) {
      const { kurtosis, outlierShare, absmaxOverRms, evidence } = line.worst;
      yield {
        message: sentence(`${line.names}: heavy tails, ${line.layers.length > 1 ? 'worst ' : ''}kurtosis ${numberText(kurtosis)}${line.atWorst} (a normal weight has 3); `
          + `${percentText(outlierShare)} of the values lie beyond 6 standard deviations, the largest is ${numberText(absmaxOverRms)} times the rms (${evidence})`),
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
      };
    }
  },
};
