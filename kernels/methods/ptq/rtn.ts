import type { PtqMethod } from '../method';

/** Round to nearest: scales from the largest magnitude of each block, every value to its nearest code. */
export const rtn: PtqMethod = {
  id: 'rtn',
  kind: 'ptq',
  title: 'Round to nearest (absmax scales)',
  source: 'The baseline that every post-training method is compared with',
  needs: 'weights',
  catalogue: [],
  parameters: {},
  scaleRule: 'absmax',
  run: (weights, view, format) => format.encode(weights, view, 'absmax'),
};
