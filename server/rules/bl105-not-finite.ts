import { scannedLayers } from './facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { countText, sentence } from './text';

export const notFinite: Rule = {
  code: 'BL105',
  name: 'not-finite',
  title: 'Weights hold NaN or infinity',
  defaultSeverity: 'error',
  needs: 'measurements',
  explanation: `
One NaN in a weight makes every output that uses it NaN. An infinity makes the scale of its block infinite, and every other
value of the block becomes zero. The usual causes are a diverged training run, a cast to fp16 that overflowed, and a file
that was damaged or read with the wrong dtype.

Measured: the number of NaN and infinite values. The other statistics of the layer are taken over its finite values.

**What to do:** take an earlier checkpoint, or export again from the original precision.
`,
  * check(analysis) {
    const broken = [];
    for (const { layer, scan: { statistics, view }, evidence } of scannedLayers(analysis)) {
      const { nan, inf } = statistics;
      if (nan + inf > 0) broken.push({ layer, badness: nan + inf, nan, inf, total: view.rows * view.cols, evidence });
    }
    for (const line of perLine(broken)) {
      const { nan, inf, total, evidence } = line.worst;
      const parts = [...(nan > 0 ? [`${nan} NaN`] : []), ...(inf > 0 ? [`${inf} infinite`] : [])];
      yield {
        message: sentence(`${line.names}: ${line.layers.length > 1 ? 'worst ' : ''}${parts.join(' and ')} of ${countText(total, 'value')}${line.atWorst} (${evidence})`),
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
      };
    }
  },
};
