/** What transforms by factors of channels share: the places where factors can be moved, and moving them. */
import { ChannelGroups, type ChannelGroup, type GroupOptions } from '../../graph/channel-groups';
import { channelAbsmax, eachChannel, movedFactors, tensorOf } from '../../graph/channel-uses';
import { allSites, type LayerSite } from '../../run/sites';
import { toMatrix } from '../../run/weight-matrix';
import type { ModelWork, TransformLayer } from '../method';

/** A value that layers are applied to, whose channels can be scaled. */
export interface RescalePlace {
  readonly group: ChannelGroup;
  readonly value: string;
  readonly axis: number;
  /** Layers among those to be quantized that take the channels. */
  readonly layers: readonly TransformLayer[];
}

/** Places before the layers, each once, in the order in which they run; and how many inputs of layers there are at all. */
export function rescalePlaces({ model: { graph }, layers }: Pick<ModelWork, 'model' | 'layers'>, options: GroupOptions = {}): { places: RescalePlace[]; of: number } {
  const groups = new ChannelGroups(graph, options);
  const known = new Map(graph.initializers.map((each) => [each.name, each]));
  const shapes = new Map([...(graph.values ?? []), ...graph.inputs].map(({ name, shape }) => [name, shape]));
  const sites = allSites(graph);
  const byTensor = new Map(layers.map((layer) => [layer.tensor, layer]));
  const inputs = new Map<string, LayerSite>();
  for (const { tensor } of layers) for (const site of sites.get(tensor) ?? []) if (site.kind !== 'lookup' && !known.has(site.input) && !inputs.has(site.input)) inputs.set(site.input, site);
  const places: RescalePlace[] = [];
  for (const site of [...inputs.values()].sort((a, b) => a.at - b.at)) {
    // What was divided with an earlier place is done.
    if (places.some(({ group }) => group.values.has(site.input))) continue;
    const axis = site.kind === 'linear' ? (shapes.get(site.input)?.length ?? 0) - 1 : 1;
    const group = groups.of(site.input, axis);
    const taking = group?.after.flatMap((use) => byTensor.get(tensorOf(use) ?? '') ?? []) ?? [];
    if (group && taking.length > 0) places.push({ group, value: site.input, axis, layers: taking });
  }
  return { places, of: inputs.size };
}

/** Divides the values of a group by factors, in the parameters on both sides. @param changed tensors that are others already; those of the group are added */
export function moveFactors({ model }: Pick<ModelWork, 'model'>, { before, after }: ChannelGroup, factors: Float64Array, changed: Map<string, Float32Array>): void {
  for (const use of [...before, ...after]) {
    const tensor = tensorOf(use)!;
    changed.set(tensor, movedFactors(changed.get(tensor) ?? model.values(tensor), use, factors));
  }
}

/** Largest magnitude, for each channel, of the weights that are applied to it or that make it. */
export function weightRanges({ model }: Pick<ModelWork, 'model'>, group: ChannelGroup, side: 'makes' | 'takes', changed: ReadonlyMap<string, Float32Array>): Float64Array {
  const out = new Float64Array(group.channels);
  for (const use of side === 'takes' ? group.after : group.before) {
    if (use.role !== side) continue;
    const tensor = tensorOf(use)!;
    channelAbsmax(changed.get(tensor) ?? model.values(tensor), use, group.channels).forEach((each, channel) => { if (each > out[channel]!) out[channel] = each; });
  }
  return out;
}

/** Each weight of the layers after a place as factors would leave it: its value, what its format makes of it, and its channel. */
export function eachScaledWeight({ model }: Pick<ModelWork, 'model'>, { group, layers }: RescalePlace, factors: Float64Array, changed: ReadonlyMap<string, Float32Array>, visit: (value: number, rounded: number, channel: number, layer: TransformLayer) => void): void {
  for (const layer of layers) {
    const { tensor, layout, format } = layer;
    for (const use of group.after) {
      if (tensorOf(use) !== tensor) continue;
      const scaled = movedFactors(changed.get(tensor) ?? model.values(tensor), use, factors);
      const matrix = toMatrix(scaled, layout);
      const rounded = format.decode(format.encode(matrix, layout, 'absmax'));
      // Channels in the order of the matrix: those of the stored tensor, moved along.
      const channels = new Float32Array(scaled.length);
      eachChannel(use, (element, channel) => { channels[element] = channel; });
      const channelOf = toMatrix(channels, layout);
      for (let i = 0; i < matrix.length; i += 1) visit(matrix[i]!, rounded[i]!, channelOf[i]!, layer);
    }
  }
}

/** Factors that can be undone in float32: 1 where one is not a positive number, and none beyond 2^12 times another way. */
export function usable(factors: Float64Array): Float64Array {
  return factors.map((factor) => (Number.isFinite(factor) && factor > 0 ? Math.min(Math.max(factor, 2 ** -12), 2 ** 12) : 1));
}

/** Why places were left out, when any were. */
export function leftOut(places: number, of: number, what: string): string[] {
  return places < of ? [`${what} at ${places} of ${of} places: elsewhere the graph has no parameters before the layer that a factor per channel could be moved to exactly`] : [];
}
