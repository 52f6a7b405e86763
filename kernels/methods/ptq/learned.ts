/** What methods share that learn rounding by gradient descent on the layer's output error. */
import type { NumberFormat, Quantized } from '../../formats/format';
import { QuadraticLoss } from '../../run/products';
import type { ParameterSchema } from '../method';
import { descend } from './coordinate-descent';
import type { Grid } from './grid';
import { leastLoss, type LayerProblem } from './layer-problem';

export const POLISH: ParameterSchema = { type: 'boolean', default: true, description: 'end with coordinate descent on codes and scales, which never makes the error larger' };
export const stepsParameter = (steps: number): ParameterSchema => ({ type: 'integer', default: steps, minimum: 1, maximum: 20_000, description: 'steps of gradient descent' });

/** The descent: `gradient` is 2 (W' - W) M, the loss its product with W' - W. */
export class Descent {
  private readonly difference: Float32Array;
  private constructor(readonly problem: LayerProblem, private readonly quadratic: QuadraticLoss, private readonly poll?: () => void) {
    this.difference = new Float32Array(problem.weights.length);
  }

  /** Opens the loss, runs the work, closes it. */
  static async with<T>(problem: LayerProblem, poll: (() => void) | undefined, work: (descent: Descent) => Promise<T>): Promise<T> {
    const quadratic = await QuadraticLoss.open(problem.view, problem.inputs);
    try {
      return await work(new Descent(problem, quadratic, poll));
    } finally { await quadratic.close(); }
  }

  async at(values: Float32Array): Promise<{ gradient: Float32Array; loss: number }> {
    this.poll?.();
    const { difference, problem: { weights } } = this;
    for (let i = 0; i < values.length; i += 1) difference[i] = values[i]! - weights[i]!;
    const gradient = await this.quadratic.product(difference);
    let loss = 0;
    for (let i = 0; i < gradient.length; i += 1) { loss += gradient[i]! * difference[i]!; gradient[i]! *= 2; }
    return { gradient, loss };
  }

  /** What was learned, polished when asked for, unless round-to-nearest is better. */
  async finish(format: NumberFormat, grid: Grid, values: Float32Array, polish: boolean): Promise<Quantized> {
    const plain = format.encode(this.problem.weights, this.problem.view, 'absmax');
    if (polish) await descend(this.problem, grid, values, { rounds: 4, scales: true }, this.poll);
    return leastLoss(this.problem, format, [grid.encode(values), plain], this.quadratic);
  }
}
