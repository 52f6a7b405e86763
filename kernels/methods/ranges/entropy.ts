import { dequantizeElement, quantizeElement } from '../../formats/element';
import { binCenter } from '../../run/value-histogram';
import type { RangeMethod } from '../method';

/** Ranges are tried down to this share of the full one. */
const LEAST = 0.05;
const STEP = 0.01;

/**
 * The clipped range whose quantized values are distributed most like the values seen: the least Kullback-Leibler divergence, with
 * clipped values counted into the last bins, and the mass of each code spread over those of its bins that hold values. Zeros, which
 * every format holds exactly and of which there are many behind a ReLU, are left out.
 */
export const entropyRange: RangeMethod = {
  id: 'entropy', kind: 'range', dynamic: false,
  title: 'Range of least divergence between distributions',
  source: 'Migacz, 8-bit Inference with TensorRT, GTC 2017',
  needs: 'calibration', catalogue: ['nvidia-int8'], parameters: {},
  run(values, format) {
    const { minimum, maximum } = values;
    const counts = values.counts.slice();
    if (minimum <= 0 && maximum >= 0) counts[Math.min(counts.length - 1, Math.floor((-minimum / Math.max(maximum - minimum, Number.MIN_VALUE)) * counts.length))] = 0;
    const centers = Float64Array.from(counts, (_, bin) => binCenter(values, bin));
    const total = counts.reduce((a, b) => a + b, 0);
    let [best, least] = [1, Infinity];
    for (let clip = 1; clip > LEAST - STEP / 2; clip -= STEP) {
      const [low, high] = [Math.min(minimum, 0) * clip, Math.max(maximum, 0) * clip];
      const { scale, zeroPoint } = format.scaleOf(minimum, maximum, clip);
      const inside = centers.map((x) => (x >= low && x <= high ? 1 : 0));
      const [first, last] = [inside.indexOf(1), inside.lastIndexOf(1)];
      if (first < 0) continue;
      // P: what lies outside is at the ends. Q: made from what lies inside alone, so that clipping costs.
      const p = counts.slice(first, last + 1);
      for (let bin = 0; bin < first; bin += 1) p[0]! += counts[bin]!;
      for (let bin = last + 1; bin < counts.length; bin += 1) p[p.length - 1]! += counts[bin]!;
      const levels = new Map<number, { mass: number; bins: number }>();
      const codeOf = (bin: number): number => dequantizeElement(format.element, quantizeElement(format.element, centers[bin]!, scale, zeroPoint), scale, zeroPoint);
      for (let bin = first; bin <= last; bin += 1) {
        const code = codeOf(bin);
        const level = levels.get(code) ?? { mass: 0, bins: 0 };
        level.mass += counts[bin]!;
        if (p[bin - first]! > 0) level.bins += 1;
        levels.set(code, level);
      }
      const kept = [...levels.values()].reduce((sum, { mass }) => sum + mass, 0);
      if (kept === 0) continue;
      let divergence = 0;
      for (let bin = first; bin <= last; bin += 1) {
        const own = p[bin - first]! / total;
        if (own === 0) continue;
        const { mass, bins } = levels.get(codeOf(bin))!;
        const other = mass / bins / kept;
        divergence += other > 0 ? own * Math.log(own / other) : own * 50;
      }
      if (divergence < least) { least = divergence; best = clip; }
    }
    return { minimum: Math.min(minimum, 0) * best, maximum: Math.max(maximum, 0) * best };
  },
};
