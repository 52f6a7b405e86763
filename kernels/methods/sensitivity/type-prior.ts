import type { SensitivityMetric } from '../method';
import { weightNsr } from './weight-nsr';

/**
 * What a layer is by its path, the first that fits, with how much the same noise counts. The order is the paper's (experts stand
 * more noise than dense layers, routers least); the numbers are choices of ours.
 */
const KINDS: readonly { readonly pattern: RegExp; readonly factor: number }[] = [
  { pattern: /(^|\.)(router|gate|switch)(\.(weight|wg|classifier|layer))?$/, factor: 4 },
  { pattern: /(^|\.)(shared_experts?|shared_mlp)(\.|$)/, factor: 1 },
  { pattern: /(^|\.)experts?(\.|$)/, factor: 0.5 },
  { pattern: /(^|\.)(embed\w*|wte|wpe|lm_head|head|classifier|fc_out)$/, factor: 2 },
];

/** Without any data: routers of a mixture of experts keep most, embeddings and heads more than the rest, experts least. */
export const typePrior: SensitivityMetric = {
  id: 'type-prior',
  kind: 'sensitivity',
  title: 'Noise-to-signal ratio by the kind of layer: experts less, routers, embeddings and heads more (a prior)',
  source: 'Kim et al., Mixture of Quantized Experts (MoQE): Complementary Effect of Low-bit Quantization and Robustness, 2023',
  needs: 'weights',
  catalogue: ['moqe'],
  parameters: {},
  unit: 'ratio',
  score: (statistics, error, place) => weightNsr.score(statistics, error, place) * (KINDS.find(({ pattern }) => pattern.test(place.path))?.factor ?? 1),
};
