import type { ChannelRanges } from '../../run/channel-ranges';
import type { ModelWork, Transform } from '../method';
import { eachScaledWeight, leftOut, moveFactors, rescalePlaces, usable, type RescalePlace } from './rescale';
import { rangesOf } from './smoothquant';

export const awq: Transform = {
  id: 'awq',
  kind: 'transform',
  title: 'AWQ: channels that see large activations get finer weights',
  source: 'Lin et al., AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration, 2024, eq. 4 and 5; the error of an output is taken channel by channel of the input',
  needs: 'calibration',
  catalogue: [],
  parameters: { steps: { type: 'integer', default: 20, minimum: 2, maximum: 100, description: 'Exponents that are tried at each place, from 0 to 1.' } },
  async run(work) {
    const { places, of } = rescalePlaces(work);
    const changed = new Map<string, Float32Array>();
    if (places.length === 0) return { changed, places: 0, of, notes: leftOut(0, of, 'scaled') };
    const ranges = await rangesOf(work, places, (share) => { work.step(share * 0.3); });
    const steps = Number(work.options.steps ?? 20);
    let moved = 0;
    for (const [i, place] of places.entries()) {
      const factors = search(work, place, ranges[i]!, steps, changed, (share) => { work.step(0.3 + (0.7 * (i + share)) / places.length); });
      if (!factors) continue;
      moveFactors(work, place.group, factors, changed);
      moved += 1;
    }
    const notes = leftOut(places.length, of, 'scaled');
    return { changed, places: moved, of, notes: moved < places.length ? [...notes, `at ${places.length - moved} places no factors made the weights better`] : notes };
  },
};

/** Factors mean|X_j|^r with the r of least error of the layers' outputs; null where plain weights are best. */
function search(work: ModelWork, place: RescalePlace, { magnitude, energy }: ChannelRanges, steps: number, changed: ReadonlyMap<string, Float32Array>, step: (share: number) => void): Float64Array | null {
  let [best, least]: [Float64Array | null, number] = [null, Infinity];
  for (let i = 0; i <= steps; i += 1) {
    step(i / (steps + 1));
    const raw = usable(magnitude.map((each) => (each > 0 ? each ** (i / steps) : 1)));
    // The factors' middle is 1, so that no format's range is left.
    const middle = Math.sqrt(Math.max(...raw) * Math.min(...raw));
    const factors = usable(raw.map((factor) => factor / middle));
    let loss = 0;
    eachScaledWeight(work, place, factors, changed, (value, rounded, channel) => { loss += ((rounded - value) / factors[channel]!) ** 2 * energy[channel]!; });
    if (loss < least) { least = loss; best = i === 0 ? null : factors; }
  }
  return best;
}
