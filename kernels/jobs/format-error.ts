/** From sums to the figures that are shown. */
import type { NumberFormat, ScaleRule, WeightView } from '../formats/format';
import type { ErrorSums } from '../wasm/errors.ref';
import type { FormatError } from './job';

/** Below this share of the signal what is left of it is rounding noise of the sums. */
const NOTHING_LEFT = 1e-12;

/**
 * MSE over the finite values; SQNR = 10 log10(sum x^2 / sum e^2); cosine of x and y = x - e, from
 * x.y = (sum x^2 + sum y^2 - sum e^2) / 2 (well conditioned: the error is small beside the signal).
 */
export function formatError(format: NumberFormat, view: WeightView, rule: ScaleRule, count: number, signal: number, sums: ErrorSums): FormatError {
  const cost = format.storage(view);
  const product = (signal + sums.power - sums.squared) / 2;
  return {
    mse: count === 0 ? 0 : sums.squared / count,
    sqnrDb: sums.squared > 0 && signal > 0 ? 10 * Math.log10(signal / sums.squared) : null,
    cosine: signal > 0 && sums.power > signal * NOTHING_LEFT ? Math.max(-1, Math.min(1, product / Math.sqrt(signal * sums.power))) : null,
    bitsPerWeight: cost.bitsPerWeight,
    bytes: Math.ceil(cost.totalBits / 8),
    scaleRule: format.scaleRules.includes(rule) ? rule : 'absmax',
  };
}
