import { channelRanges, type ChannelRanges } from '../../run/channel-ranges';
import type { ModelWork, Transform } from '../method';
import { leftOut, moveFactors, rescalePlaces, usable, weightRanges, type RescalePlace } from './rescale';

/** max |X_j|^a / max |W_j|^(1-a), so that activations are smoother by as much as weights become rougher. */
export function smoothingFactors(absmax: Float64Array, weights: Float64Array, strength: number): Float64Array {
  return usable(absmax.map((range, j) => (range > 0 && weights[j]! > 0 ? range ** strength / weights[j]! ** (1 - strength) : 1)));
}

/** All places smoothed with one strength. */
export function smoothed(work: ModelWork, places: readonly RescalePlace[], ranges: readonly ChannelRanges[], strength: number): Map<string, Float32Array> {
  const changed = new Map<string, Float32Array>();
  for (const [i, { group }] of places.entries()) moveFactors(work, group, smoothingFactors(ranges[i]!.absmax, weightRanges(work, group, 'takes', changed), strength), changed);
  return changed;
}

export const rangesOf = (work: ModelWork, places: readonly RescalePlace[], step: (share: number) => void): Promise<ChannelRanges[]> =>
  channelRanges(work.model, work.feed!, work.indices, places.map(({ value, axis, group }) => ({ value, axis, channels: group.channels })), step);

export const smoothquant: Transform = {
  id: 'smoothquant',
  kind: 'transform',
  title: 'SmoothQuant: outlier channels of activations moved into weights',
  source: 'Xiao et al., SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models, 2023, eq. 4',
  needs: 'calibration',
  catalogue: [],
  parameters: { strength: { type: 'number', default: 0.5, minimum: 0, maximum: 1, description: 'Share of the difficulty that moves from activations to weights (alpha).' } },
  async run(work) {
    const { places, of } = rescalePlaces(work);
    if (places.length === 0) return { changed: new Map(), places: 0, of, notes: leftOut(0, of, 'smoothed') };
    const ranges = await rangesOf(work, places, work.step);
    return { changed: smoothed(work, places, ranges, Number(work.options.strength ?? 0.5)), places: places.length, of, notes: leftOut(places.length, of, 'smoothed') };
  },
};
