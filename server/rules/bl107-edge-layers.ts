import { schemeOf } from '../../kernels/recipe/recipe';
import type { Layer } from '../linking/layer';
import { formatOf, recipeEvidence, weightLayers } from './facts';
import { perLine } from './per-line';
import type { Rule } from './rule';
import { countText, sentence } from './text';

const LEAST_BITS = 8;

/** The layers where a model meets its input and output, with the reason. Models of one or two layers have no inner ones to compare with. */
export function edgeLayers(layers: readonly Layer[]): ReadonlyMap<Layer, string> {
  const edges = new Map<Layer, string>();
  if (layers.length < 3) return edges;
  edges.set(layers[0]!, 'the first layer');
  edges.set(layers.at(-1)!, 'the last layer');
  for (const layer of layers) if (/embedding/i.test(layer.className)) edges.set(layer, 'an embedding');
  return edges;
}

export const edgeLayersBelow8: Rule = {
  code: 'BL107',
  name: 'edge-layers',
  title: 'First, last or embedding layer below 8 bits in the recipe',
  defaultSeverity: 'information',
  needs: 'recipe',
  explanation: `
The first layer sees the raw input, the last one makes the logits, and embeddings are looked up row by row: their errors
are not averaged out by what follows. Published recipes keep them at 8 bits or more, and they are seldom large.

Said when the recipe gives the first, the last, or an embedding layer fewer than ${LEAST_BITS} bits per code. First and last go by the order
of construction in the source. Models with fewer than three weight layers are left out.

**What to do:** give them an 8-bit format (quick fix), then compare the two recipes in a trial.
`,
  * check(analysis) {
    const { recipe } = analysis;
    if (!recipe) return;
    const low = [];
    for (const [layer, reason] of edgeLayers(weightLayers(analysis))) {
      const format = formatOf(schemeOf(recipe, layer.path).weights);
      if (format && format.codeBits < LEAST_BITS) low.push({ layer, badness: LEAST_BITS - format.codeBits, format, reason });
    }
    const evidence = recipeEvidence(analysis);
    for (const line of perLine(low)) {
      const { format, reason } = line.worst;
      yield {
        message: sentence(`${line.names}: ${reason} gets ${countText(format.codeBits, 'bit')} (${format.id})${line.atWorst}; ${LEAST_BITS} or more are usual there (${evidence})`),
        span: line.span, layer: line.layer, layers: line.layers, evidence, ...(line.related && { related: line.related }),
        suggestion: { layer: line.layer, format: 'int8-sym-channel', layers: line.layers.map((path) => ({ path, format: 'int8-sym-channel' })) },
      };
    }
  },
};
