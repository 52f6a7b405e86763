import { observedPlaces } from './activation-facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { numberText, sentence } from './text';

/** Largest channel over the median one: at 20, one scale for all costs the median channel more than four bits. */
const SPREAD = 20;

export const outlierChannels: Rule = {
  code: 'BL201',
  name: 'outlier-channels',
  title: 'A few input channels are far larger than the others',
  defaultSeverity: 'information',
  needs: 'activations',
  explanation: `
A few channels of what goes into the layer hold magnitudes many times those of the others. Activations are quantized with one
scale for all channels (a scale per channel could not be taken out of the sum), so that these few set the step, and the others
round to a handful of codes (Dettmers et al., LLM.int8(), 2022).

Measured: the largest magnitude of an input channel is at least ${SPREAD} times the median channel's.

**What to do:** with weights only in low precision, nothing. Before activations go to 8 bits: move the scale into the weights
(\`smoothquant\`), spread it over all channels (a Hadamard rotation), or keep these channels in higher precision.
`,
  * check(analysis) {
    const seen = [...observedPlaces(analysis, 'layer-input')].flatMap(({ layer, value, evidence }) => {
      const { channelSpread, outlierChannels: channels } = value.statistics;
      return channelSpread !== null && channelSpread >= SPREAD && channels.length > 0 ? [{ layer, badness: channelSpread, channels, total: value.statistics.channels!.total, evidence }] : [];
    });
    for (const line of perLine(seen)) {
      const { badness, channels, total, evidence } = line.worst;
      yield {
        message: sentence(`${line.names}: ${channels.length >= 16 ? 'at least 16' : channels.length} of ${total} input channels (${channels.slice(0, 4).join(', ')}${channels.length > 4 ? ', …' : ''}) reach ${numberText(badness)} times the median channel${line.atWorst}; `
          + `one scale for the activations would cost the median channel ${Math.log2(badness).toFixed(1)} bits (${evidence})`),
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
      };
    }
  },
};
