/**
 * The weight that, applied to the inputs of an already quantized model, comes closest to what the unquantized layer gives on the
 * unquantized inputs: W* = W + W E[(x - x') x'^T] (E[x' x'^T] + damping)^-1, the least squares solution of W x = W* x'
 * (Li et al., GPTAQ: Efficient Finetuning-Free Quantization for Asymmetric Calibration, 2025).
 */
import type { WeightView } from '../formats/format';
import type { LayerInputs } from '../methods/method';
import { factorInPlace, solveFactored } from '../numerics/cholesky';
import { Multiplier } from './multiply';

/** Share of the mean energy that keeps the correction from following noise. */
const DAMPING = 0.03;
/** Floating-point operations beyond which a layer is left as it is (seconds on two cores): the solution would take longer than it gains. */
const MOST_WORK = 1e11;

/** Null where the correction would take too long or cannot be computed. @param drift E[(x - x') x'^T] for each group */
export async function correctedTarget(weights: Float32Array, { rows, cols }: WeightView, { groups }: LayerInputs, drift: readonly Float64Array[], poll?: () => void): Promise<Float32Array | null> {
  if (4 * rows * cols * cols + (groups.length * cols ** 3) / 3 > MOST_WORK) return null;
  const out = weights.slice();
  const each = rows / groups.length;
  return Multiplier.with(async (multiply) => {
    for (const [g, { moment }] of groups.entries()) {
      let trace = 0;
      for (let i = 0; i < cols; i += 1) trace += moment[i * cols + i]!;
      if (!(trace > 0)) continue;
      const from = g * each * cols;
      const own = { data: Float64Array.from(weights.subarray(from, from + each * cols)), rows: each, cols };
      const correction = await multiply(own, { data: drift[g]!, rows: cols, cols });
      const factor = moment.slice();
      if (!await factorInPlace(factor, cols, (DAMPING * trace) / cols, multiply, poll)) return null;
      await solveFactored(factor, cols, correction, each, multiply, poll);
      for (let i = 0; i < correction.length; i += 1) out[from + i] = weights[from + i]! + correction[i]!;
    }
    return out.every(Number.isFinite) ? out : null;
  });
}
