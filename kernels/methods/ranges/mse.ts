import { CLIP_FRACTIONS } from '../../formats/clip-search';
import { dequantizeElement, quantizeElement } from '../../formats/element';
import { binCenter } from '../../run/value-histogram';
import type { RangeMethod } from '../method';

/** The clipped range, of a fixed list, with the least squared error over the values seen; absmax unless clipping is strictly better. */
export const mseRange: RangeMethod = {
  id: 'mse', kind: 'range', dynamic: false,
  title: 'Range of least squared error',
  source: 'Banner et al., Post Training 4-bit Quantization of Convolutional Networks for Rapid-Deployment, 2019 (clipping for least squared error)',
  needs: 'calibration', catalogue: [], parameters: {},
  run(values, format) {
    const { minimum, maximum, counts } = values;
    let [best, least] = [1, Infinity];
    for (const clip of CLIP_FRACTIONS) {
      const { scale, zeroPoint } = format.scaleOf(minimum, maximum, clip);
      let error = 0;
      for (let bin = 0; bin < counts.length; bin += 1) {
        if (counts[bin] === 0) continue;
        const x = binCenter(values, bin);
        error += counts[bin]! * (dequantizeElement(format.element, quantizeElement(format.element, x, scale, zeroPoint), scale, zeroPoint) - x) ** 2;
      }
      if (error < least) { least = error; best = clip; }
    }
    return { minimum: Math.min(minimum, 0) * best, maximum: Math.max(maximum, 0) * best };
  },
};
