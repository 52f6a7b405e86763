import { schemeOf } from '../../kernels/recipe/recipe';
import type { Layer } from '../linking/layer';
import { recipeEvidence } from './facts';
import type { Rule } from './rule';
import { plain, sentence } from './text';

export const tiedBits: Rule = {
  code: 'BL109',
  name: 'tied-bits',
  title: 'Tied weights are given different formats',
  defaultSeverity: 'warning',
  needs: 'recipe',
  explanation: `
Tied layers are one tensor. A recipe that gives them different formats describes two tensors: either the tie is broken
and the checkpoint grows, or one of the two formats is not what runs.

Said when layers that share a tensor, or layers that the recipe itself puts in one of its \`groups\`, are given different weight formats.

**What to do:** give them the same format (quick fix).
`,
  * check(analysis) {
    const { recipe, link } = analysis;
    if (!recipe || !link) return;
    const byPath = new Map<string, Layer>(link.layers.map((layer) => [layer.path, layer]));
    const evidence = recipeEvidence(analysis);
    const told = new Set<string>();
    const pairs: { layer: Layer; other: Layer; why: string }[] = [];
    for (const layer of link.layers) {
      const owner = layer.tiedTo === null ? undefined : byPath.get(layer.tiedTo);
      if (owner) pairs.push({ layer, other: owner, why: 'share one tensor' });
    }
    for (const group of recipe.groups ?? []) {
      const members = group.flatMap((path) => byPath.get(path) ?? []);
      for (const layer of members.slice(1)) pairs.push({ layer, other: members[0]!, why: 'are one group of the recipe' });
    }
    for (const { layer, other, why } of pairs) {
      const [own, others] = [schemeOf(recipe, layer.path).weights, schemeOf(recipe, other.path).weights];
      if (own === others || told.has(layer.path)) continue;
      told.add(layer.path);
      yield {
        message: sentence(`${plain(layer.path)} gets ${plain(own)} but ${plain(other.path)} gets ${plain(others)}, and they ${why} (${evidence})`),
        span: layer.span, layer: layer.path, layers: [layer.path, other.path], evidence,
        related: [{ span: other.span, message: `${plain(other.path)} is made here` }],
        suggestion: { layer: layer.path, format: others, layers: [{ path: layer.path, format: others }] },
      };
    }
  },
};
