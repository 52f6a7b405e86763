import type { SensitivityMetric } from '../method';

/** Sum of squared weight errors: large layers count for more. */
export const weightSse: SensitivityMetric = {
  id: 'weight-sse',
  kind: 'sensitivity',
  title: 'Sum of squared weight errors',
  source: 'Definition: sum of squared differences between weight and dequantized weight',
  needs: 'weights',
  catalogue: [],
  parameters: {},
  unit: 'weight^2',
  score: (statistics, error) => error.mse * statistics.count,
};
