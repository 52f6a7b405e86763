import type { SensitivityMetric } from '../method';

/** P(z > 1) of a normal distribution. */
export const NORMAL_ZD = 0.15865525393145707;
/** Layers whose z-scores are nearly all small (a few huge outliers) count at most this many times a normal layer. */
const MOST = 100;

/**
 * ZD score of LayerwiseQuant: the share of weights with z > 1; the fewer, the more a layer matters. The ranking score
 * becomes additive by weighting the noise-to-signal ratio with NORMAL_ZD / ZD, which is 1 for normally distributed weights.
 * The other score of the paper (LIM, from layer inputs and outputs) needs calibration text and is not part of this entry.
 */
export const limZd: SensitivityMetric = {
  id: 'lim-zd',
  kind: 'sensitivity',
  title: 'Noise-to-signal ratio weighted by the ZD score',
  source: 'Dumitru et al., Layer-Wise Quantization: A Pragmatic and Effective Method for Quantizing LLMs Beyond Integer Bit-Levels, 2024',
  needs: 'weights',
  catalogue: ['lim-zd'],
  parameters: {},
  unit: 'ratio',
  score: (statistics, error) => {
    const signal = statistics.rms * statistics.rms;
    if (signal === 0) return 0;
    return (error.mse / signal) * Math.min(MOST, NORMAL_ZD / Math.max(statistics.zd, NORMAL_ZD / MOST));
  },
};
