import { viewOf, weightLayers } from './facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { countText, sentence } from './text';

/** Largest product of two int8 codes, and what a signed 32-bit accumulator holds. */
const PRODUCT = 128 * 128;
const ACCUMULATOR = 2 ** 31 - 1;

export const accumulatorWidth: Rule = {
  code: 'BL208',
  name: 'accumulator-width',
  title: 'An int32 accumulator can overflow at this depth',
  defaultSeverity: 'information',
  needs: 'checkpoint',
  explanation: `
A dot product of K int8 weights and int8 activations needs at most log2(K) + 15 bits and a sign. Above a depth of 131,071 the bound is more
than an int32 accumulator holds (Colbert et al., A2Q: Accumulator-Aware Quantization, 2023, the data-type bound).

Read from the shape: inputs of one output channel, times 128 x 128, is above 2^31 - 1.

**What to do:** split the sum, keep the layer's weights within 7 bits, or constrain their l1 norm (\`a2q\`).
`,
  * check(analysis) {
    const seen = weightLayers(analysis).flatMap((layer) => {
      const view = viewOf(layer);
      return view && view.cols * PRODUCT > ACCUMULATOR && !/Embedding/.test(layer.className) ? [{ layer, badness: view.cols }] : [];
    });
    for (const line of perLine(seen)) {
      const evidence = 'read from the shape in the checkpoint';
      yield {
        message: sentence(`${line.names}: ${countText(line.worst.badness, 'input')} of one output${line.atWorst} need ${Math.ceil(Math.log2(line.worst.badness * PRODUCT)) + 1} bits in an int8 by int8 product, more than int32 has (${evidence})`),
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
      };
    }
  },
};
