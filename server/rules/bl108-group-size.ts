import { formatOf, headerEvidence, intendedFormat, SOURCE_EVIDENCE, viewOf, weightLayers } from './facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { sentence } from './text';

/** The largest power of two that divides the row and is no larger than the group asked for; null below 16, where scales cost too much. */
export function nearestGroup(cols: number, size: number): number | null {
  for (let group = 2 ** Math.floor(Math.log2(size)); group >= 16; group /= 2) if (cols % group === 0) return group;
  return null;
}

export const groupSize: Rule = {
  code: 'BL108',
  name: 'group-size',
  title: 'Group size does not divide the row',
  defaultSeverity: 'hint',
  needs: 'source',
  explanation: `
A group runs along the input dimension (for convolutions: the flattened kernel). Kernels on real hardware want rows that
are whole groups; where the group does not divide the row, Bitlens makes the whole row one group, which is coarser
than the format promises, and most runtimes refuse the layer or pad it.

Said for the layer's format (the recipe's: as information; else \`bitlens.targetFormat\`: as a hint) when its group size does not divide
the number of weights per output channel. The shape comes from the checkpoint, else from the source.

**What to do:** choose a group size that divides the row (the message names one when there is one), or a format with one
scale per channel.
`,
  * check(analysis, settings) {
    const uneven = [];
    for (const layer of weightLayers(analysis)) {
      const intended = intendedFormat(analysis, layer, settings.targetFormat);
      const granularity = formatOf(intended.id)?.granularity;
      const view = viewOf(layer);
      if (granularity?.kind !== 'group' || view === null || view.cols % granularity.size === 0) continue;
      uneven.push({ layer, badness: view.cols, cols: view.cols, size: granularity.size, inRecipe: intended.from === 'recipe', format: intended.id });
    }
    for (const line of perLine(uneven)) {
      const { cols, size, inRecipe, format, layer } = line.worst;
      const fitting = nearestGroup(cols, size);
      const evidence = layer.weight?.info ? headerEvidence(analysis) : SOURCE_EVIDENCE;
      yield {
        message: sentence(`${line.names}: ${cols} weights per output channel${line.atWorst} are not divisible by the group size ${size} of ${format}, so each row is one group; `
          + `${fitting === null ? 'no group size of 16 or more divides them, use one scale per channel' : `g${fitting} divides them`} (${evidence})`),
        ...(inRecipe ? { severity: 'information' as const } : {}),
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
      };
    }
  },
};
