/**
 * The weight that, applied to the inputs of an already quantized model, comes closest to what the unquantized layer gives on the
 * unquantized inputs: W* = W + W E[(x - x') x'^T] (E[x' x'^T] + damping)^-1, the least squares solution of W x = W* x'
 * (Li et al., GPTAQ: Efficient Finetuning-Free Quantization for Asymmetric Calibration, 2025).
 */
import type { WeightView } from '../formats/format';
import type { LayerInputs } from '../methods/method';
import { solveSymmetric } from '../numerics/cholesky';

/** Share of the mean energy that keeps the correction from following noise. */
const DAMPING = 0.03;
/** Larger layers are left as they are: the solution would take longer than it gains. */
const MOST_WORK = 4e9;

/** Null where the correction would take too long or cannot be computed. @param drift E[(x - x') x'^T] for each group */
export function correctedTarget(weights: Float32Array, { rows, cols }: WeightView, { groups }: LayerInputs, drift: readonly Float64Array[]): Float32Array | null {
  if (rows * cols * cols + (groups.length * cols ** 3) / 3 > MOST_WORK) return null;
  const out = new Float32Array(weights.length);
  const each = rows / groups.length;
  for (const [g, { moment }] of groups.entries()) {
    let trace = 0;
    for (let i = 0; i < cols; i += 1) trace += moment[i * cols + i]!;
    if (!(trace > 0)) { out.set(weights.subarray(g * each * cols, (g + 1) * each * cols), g * each * cols); continue; }
    const damped = moment.slice();
    for (let i = 0; i < cols; i += 1) damped[i * cols + i]! += (DAMPING * trace) / cols;
    // Columns are rows of the weight: right-hand sides (W drift)^T.
    const sides = new Float64Array(cols * each);
    const d = drift[g]!;
    const line = new Float64Array(cols);
    for (let r = 0; r < each; r += 1) {
      const from = (g * each + r) * cols;
      line.fill(0);
      for (let k = 0; k < cols; k += 1) {
        const w = weights[from + k]!;
        if (w !== 0) for (let j = 0, at = k * cols; j < cols; j += 1) line[j]! += w * d[at + j]!;
      }
      for (let j = 0; j < cols; j += 1) sides[j * each + r] = line[j]!;
    }
    if (!solveSymmetric(damped, cols, sides, each)) return null;
    for (let r = 0; r < each; r += 1) for (let j = 0; j < cols; j += 1) out[(g * each + r) * cols + j] = weights[(g * each + r) * cols + j]! + sides[j * each + r]!;
  }
  return out.every(Number.isFinite) ? out : null;
}
