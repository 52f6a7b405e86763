import { binCenter, type ValueHistogram } from '../../run/value-histogram';
import type { RangeMethod } from '../method';

/** The range that holds a share of the values; what lies outside clips. For symmetric formats the share of the magnitudes. */
export const percentileRange: RangeMethod = {
  id: 'percentile', kind: 'range', dynamic: false,
  title: 'Percentile of the values seen',
  source: 'Li et al., Fully Quantized Network for Object Detection, 2019 (percentile calibration)',
  needs: 'calibration', catalogue: ['nvidia-int8'],
  parameters: { percentile: { type: 'number', default: 99.99, minimum: 50, maximum: 100, description: 'Percent of the values that do not clip.' } },
  run(values, format, options) {
    const share = Number(options.percentile ?? 99.99) / 100;
    const symmetric = !(format.element.kind === 'int' && !format.element.symmetric);
    if (!symmetric) {
      const each = (1 - share) / 2;
      return { minimum: quantile(values, each), maximum: quantile(values, 1 - each) };
    }
    const magnitudes = Array.from(values.counts, (count, bin) => [Math.abs(binCenter(values, bin)), count] as const).sort(([a], [b]) => a - b);
    let left = share * values.counts.reduce((a, b) => a + b, 0);
    const most = Math.max(Math.abs(values.minimum), Math.abs(values.maximum));
    if (share >= 1) return { minimum: values.minimum, maximum: values.maximum };
    const reached = magnitudes.find(([, count]) => { left -= count; return left <= 0; })?.[0] ?? most;
    return { minimum: Math.max(values.minimum, -reached), maximum: Math.min(values.maximum, reached) };
  },
};

/** Upper end of the bin in which this share of the values is reached. */
function quantile(values: ValueHistogram, share: number): number {
  const { minimum, maximum, counts } = values;
  if (share <= 0) return minimum;
  if (share >= 1) return maximum;
  let left = share * counts.reduce((a, b) => a + b, 0);
  for (let bin = 0; bin < counts.length; bin += 1) {
    left -= counts[bin]!;
    if (left <= 0) return minimum + ((bin + 1) * (maximum - minimum)) / counts.length;
  }
  return maximum;
}
