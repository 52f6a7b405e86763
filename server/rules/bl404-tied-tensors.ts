import { headerEvidence } from './facts';
import { layersText } from './layer-names';
import { spanKey } from './per-line';
import type { Layer } from '../linking/layer';
import type { Rule } from './rule';
import { plain, sentence } from './text';

export const tiedTensors: Rule = {
  code: 'BL404',
  name: 'tied-tensors',
  title: 'Layers share one tensor',
  defaultSeverity: 'information',
  needs: 'checkpoint',
  explanation: `
Tied layers (most often an embedding and the output projection) are one tensor: it is counted, measured and given bits once,
on the layer that owns it. A format that suits an embedding may not suit the projection.

Ties come from the source (\`self.head.weight = self.emb.weight\`), from tensors that share a storage in the checkpoint, and from
the configuration beside it.
`,
  * check(analysis) {
    const { link } = analysis;
    if (!link) return;
    const owners = new Map(link.layers.map((layer) => [layer.path, layer]));
    const evidence = headerEvidence(analysis);
    const lines = new Map<string, { layers: Layer[]; owner: Layer }>();
    for (const layer of link.layers) {
      const owner = layer.tiedTo === null ? undefined : owners.get(layer.tiedTo);
      if (!owner) continue;
      const key = spanKey(layer.span);
      const line = lines.get(key);
      if (line) line.layers.push(layer);
      else lines.set(key, { layers: [layer], owner });
    }
    for (const { layers, owner } of lines.values()) {
      const first = layers[0]!;
      yield {
        message: sentence(`${layersText(layers.map(({ path }) => path))} ${layers.length === 1 ? 'shares its' : 'share their'} weight with ${plain(owner.path)}${layers.length > 1 ? ' and others' : ''}: measured and given bits there (${evidence})`),
        span: first.span, layer: first.path, layers: layers.map(({ path }) => path), evidence,
        related: [{ span: owner.span, message: `${plain(owner.path)} is made here` }],
      };
    }
  },
};
