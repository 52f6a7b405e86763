import type { SensitivityMetric } from '../method';
import { weightNsr } from './weight-nsr';

/** Share of the layers at either end that count for more. */
const EDGE = 0.3;
/** How much more. A choice of ours: the paper gives an order and no number. */
const EDGE_FACTOR = 2;

/** Without any data: the layers of the first and last 30 % of the model lose twice as much by the same noise as those between. */
export const depthPrior: SensitivityMetric = {
  id: 'depth-prior',
  kind: 'sensitivity',
  title: 'Noise-to-signal ratio, more at both ends of the model (a prior)',
  source: 'Nanda et al., CPTQuant: A Novel Mixed Precision Post-Training Quantization Techniques for Large Language Models, 2024 (the first and last 30 % are the most sensitive)',
  needs: 'weights',
  catalogue: ['cptquant'],
  parameters: {},
  unit: 'ratio',
  score: (statistics, error, place) => weightNsr.score(statistics, error, place) * (place.depth < EDGE || place.depth > 1 - EDGE ? EDGE_FACTOR : 1),
};
