import { formatOf, intendedFormat, scannedLayers } from './facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { numberText, sentence } from './text';

export const channelRanges: Rule = {
  code: 'BL103',
  name: 'channel-ranges',
  title: 'Channel ranges are too unequal for one scale per tensor',
  defaultSeverity: 'hint',
  needs: 'measurements',
  explanation: `
With one scale for the whole tensor, the widest output channel sets the step, and narrow channels round to a few codes or
to zero. Depthwise convolutions and layers before a folded batch norm are the usual cases.

Measured: the largest range of an output channel over the median range (dead channels left out) is above
\`bitlens.channelRangeSpread\` (default 16, which costs the median channel four bits). A **warning** when the layer's format
(the recipe's, else \`bitlens.targetFormat\`) has one scale per tensor; otherwise a hint, for formats you may try later.

**What to do:** use \`channel\` or \`g<n>\` granularity, or equalize the ranges across layers before quantizing.
`,
  * check(analysis, settings) {
    const unequal = [];
    for (const { layer, scan: { statistics, view }, evidence } of scannedLayers(analysis)) {
      const spread = statistics.channelRangeSpread;
      if (view.rows < 2 || !(spread > settings.channelRangeSpread)) continue;
      const format = formatOf(intendedFormat(analysis, layer, settings.targetFormat).id);
      const perTensor = format?.granularity?.kind === 'tensor';
      unequal.push({ layer, badness: (perTensor ? 1e12 : 0) + spread, spread, perTensor, format: format?.id ?? '', evidence });
    }
    for (const line of perLine(unequal)) {
      const { spread, perTensor, format, evidence } = line.worst;
      const lost = Math.log2(spread).toFixed(1);
      yield {
        message: sentence(`${line.names}: ${line.layers.length > 1 ? 'worst ' : ''}channel range is ${numberText(spread)} times the median${line.atWorst}; `
          + (perTensor ? `${format} has one scale for all channels, which costs the median channel ${lost} bits` : `one scale per tensor would cost the median channel ${lost} bits`)
          + ` (${evidence})`),
        ...(perTensor ? { severity: 'warning' as const } : {}),
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
      };
    }
  },
};
