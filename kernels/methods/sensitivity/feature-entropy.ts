import type { ProxyMetric } from '../method';

/** Bits of the finest grid, which coarser ones are nested in. */
const FINEST = 12;
/** Values of one sample that are looked at, evenly spaced. */
const PER_SAMPLE = 1024;

/**
 * Bits of information per value that the layer's output loses on a grid of as many levels as the format has codes: its entropy on
 * 2^12 levels between its smallest and largest value, less that on 2^b of them. A constant output loses nothing.
 */
export const featureEntropy: ProxyMetric = {
  id: 'feature-entropy',
  kind: 'sensitivity',
  title: 'Entropy of the layer\'s output that fewer levels lose',
  source: 'QuantMCU: Value-Driven Mixed-Precision Quantization for Patch-Based Inference on Microcontrollers, 2024 (entropy of the quantized feature map)',
  needs: 'calibration',
  catalogue: ['quantmcu'],
  parameters: {},
  unit: 'bits',
  per: 'format',
  looksAt: 'output',
  leastSamples: 1,
  open(layers, folds) {
    const seen = layers.map(() => Array.from({ length: folds }, (): Float32Array[] => []));
    return {
      add(layer, fold, { data }) {
        const step = Math.max(1, data.length / PER_SAMPLE);
        seen[layer]![fold]!.push(Float32Array.from({ length: Math.min(data.length, PER_SAMPLE) }, (_, i) => data[Math.floor(i * step)]!));
      },
      scores: (without, poll) => layers.map(({ formats }, layer) => {
        poll();
        const counts = histogram(seen[layer]!.filter((_, fold) => fold !== without).flat());
        const finest = entropy(counts, FINEST);
        return formats.map(({ codeBits }) => finest - entropy(counts, Math.min(FINEST, Math.ceil(codeBits))));
      }),
    };
  },
};

/** Values by their place between the smallest and the largest, on the finest grid. */
export function histogram(parts: readonly Float32Array[]): Float64Array {
  const counts = new Float64Array(2 ** FINEST);
  let [min, max] = [Infinity, -Infinity];
  for (const part of parts) for (const value of part) { min = Math.min(min, value); max = Math.max(max, value); }
  const scale = max > min ? counts.length / (max - min) : 0;
  for (const part of parts) for (const value of part) counts[Math.min(counts.length - 1, Math.floor((value - min) * scale))]! += 1;
  return counts;
}

/** Entropy in bits on 2^bits levels, each of which is a run of the finest ones. */
export function entropy(counts: Float64Array, bits: number): number {
  const run = counts.length / 2 ** bits;
  const total = counts.reduce((a, b) => a + b, 0);
  let sum = 0;
  for (let at = 0; at < counts.length; at += run) {
    let share = 0;
    for (let i = at; i < at + run; i += 1) share += counts[i]! / total;
    if (share > 0) sum -= share * Math.log2(share);
  }
  return sum;
}
