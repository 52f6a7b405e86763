import type { RangeMethod } from '../method';

/** Everything seen. */
export const maxRange: RangeMethod = {
  id: 'max', kind: 'range', dynamic: false,
  title: 'Largest values seen (no value of the calibration data clips)',
  source: 'Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018',
  needs: 'calibration', catalogue: [], parameters: {},
  run: ({ minimum, maximum }) => ({ minimum, maximum }),
};

/** Nothing is looked up: every sample, token or group has the range it has. */
export const dynamicRange: RangeMethod = {
  id: 'dynamic', kind: 'range', dynamic: true,
  title: 'Ranges found while the model runs (of each sample, token or group)',
  source: 'Yao et al., ZeroQuant: Efficient and Affordable Post-Training Quantization for Large-Scale Transformers, 2022 (token-wise)',
  needs: 'graph', catalogue: [], parameters: {},
  run: ({ minimum, maximum }) => ({ minimum, maximum }),
};
