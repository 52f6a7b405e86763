import type { SensitivityMetric } from '../method';

/** Mean squared weight error: every layer counts the same, whatever its size. */
export const weightMse: SensitivityMetric = {
  id: 'weight-mse',
  kind: 'sensitivity',
  title: 'Mean squared weight error',
  source: 'Definition: mean of squared differences between weight and dequantized weight',
  needs: 'weights',
  catalogue: [],
  parameters: {},
  unit: 'weight^2',
  score: (_statistics, error) => error.mse,
};
