import type { Transform } from '../method';
import { leftOut, moveFactors, rescalePlaces, usable, weightRanges } from './rescale';

const MOST_ROUNDS = 20;
/** Factors closer to 1 than this change nothing any more. */
const CLOSE = 1e-3;

export const crossLayerEqualization: Transform = {
  id: 'cross-layer-equalization',
  kind: 'transform',
  title: 'Cross-layer equalization: channels of neighbouring layers get one range',
  source: 'Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, eq. 11; factors go through batch norms to the convolution before them',
  needs: 'graph',
  catalogue: [],
  parameters: {},
  async run(work) {
    const { places, of } = rescalePlaces(work, { throughBatchNorm: true });
    const pairs = places.filter(({ group }) => group.before.some(({ role }) => role === 'makes'));
    const changed = new Map<string, Float32Array>();
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      let farthest = 0;
      for (const { group } of pairs) {
        work.step(round / MOST_ROUNDS);
        const [makes, takes] = [weightRanges(work, group, 'makes', changed), weightRanges(work, group, 'takes', changed)];
        const factors = usable(makes.map((range, channel) => (range > 0 && takes[channel]! > 0 ? Math.sqrt(range / takes[channel]!) : 1)));
        for (const factor of factors) farthest = Math.max(farthest, Math.abs(Math.log(factor)));
        moveFactors(work, group, factors, changed);
      }
      if (farthest < CLOSE) break;
    }
    return { changed, places: pairs.length, of, notes: leftOut(pairs.length, of, 'equalized') };
  },
};
