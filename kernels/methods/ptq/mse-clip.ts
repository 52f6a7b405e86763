import type { PtqMethod } from '../method';

/**
 * Round to nearest with clipped scales: per block, the fraction of the range (1.00, 0.99, ... 0.20) with the least sum of
 * squared errors; ties keep the larger range, so a block is never worse than with absmax.
 */
export const mseClip: PtqMethod = {
  id: 'mse-clip',
  kind: 'ptq',
  title: 'Round to nearest (clip of least squared error per block)',
  source: 'Range search by mean squared error, as in Choukroun et al., Low-bit Quantization of Neural Networks for Efficient Inference, 2019',
  needs: 'weights',
  catalogue: [],
  parameters: {},
  scaleRule: 'mse',
  run: (weights, view, format) => format.encode(weights, view, 'mse'),
};
