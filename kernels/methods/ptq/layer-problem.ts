/** What every method that calibrates does first and last. */
import type { NumberFormat, Quantized, WeightView } from '../../formats/format';
import { QuadraticLoss } from '../../run/products';
import type { LayerInputs } from '../method';

export interface LayerProblem {
  /** The weight that is approximated: the stored one, or what makes up for errors before it. */
  readonly weights: Float32Array;
  readonly view: WeightView;
  readonly inputs: LayerInputs;
  /** Second moment of each row's inputs. */
  momentOf(row: number): Float64Array;
}

/** @throws Error when calibration saw nothing, or a weight is not a number. */
export function layerProblem(weights: Float32Array, view: WeightView, inputs: LayerInputs | null | undefined, method: string): LayerProblem {
  if (!inputs || inputs.positions < 1) throw new Error(`${method} calibrates on inputs, and there were none`);
  const target = inputs.target ?? weights;
  if (!target.every(Number.isFinite)) throw new Error(`${method}: the weight holds NaN or infinite values`);
  const each = view.rows / inputs.groups.length;
  return { weights: target, view, inputs, momentOf: (row) => inputs.groups[Math.floor(row / each)]!.moment };
}

/** The weighted error of each input: the diagonal of the moment, with a floor so that no weight is free. */
export function importanceOf(moment: Float64Array, cols: number): Float64Array {
  const diagonal = Float64Array.from({ length: cols }, (_, i) => moment[i * cols + i]!);
  const mean = diagonal.reduce((a, b) => a + b, 0) / Math.max(1, cols);
  return diagonal.map((value) => Math.max(value, 1e-6 * mean, 1e-30));
}

/** Of several results, the one whose output error on the calibration inputs is least; the first of equals. */
export async function leastLoss(problem: LayerProblem, format: NumberFormat, results: readonly Quantized[], loss?: QuadraticLoss): Promise<Quantized> {
  const quadratic = loss ?? await QuadraticLoss.open(problem.view, problem.inputs);
  try {
    let [best, least] = [results[0]!, Infinity];
    for (const result of results) {
      const decoded = format.decode(result);
      const found = await quadratic.loss(decoded.map((value, i) => value - problem.weights[i]!));
      if (found < least) { best = result; least = found; }
    }
    return best;
  } finally { if (!loss) await quadratic.close(); }
}
