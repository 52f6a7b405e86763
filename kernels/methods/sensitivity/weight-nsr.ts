import type { SensitivityMetric } from '../method';

/** Noise to signal: sum e^2 / sum x^2. Comparable between layers of any size and scale; the inverse of SQNR, not in dB. */
export const weightNsr: SensitivityMetric = {
  id: 'weight-nsr',
  kind: 'sensitivity',
  title: 'Weight noise-to-signal ratio',
  source: 'Definition: sum of squared weight errors over sum of squared weights',
  needs: 'weights',
  catalogue: [],
  parameters: {},
  unit: 'ratio',
  score: (statistics, error) => {
    const signal = statistics.rms * statistics.rms;
    return signal > 0 ? error.mse / signal : 0;
  },
};
