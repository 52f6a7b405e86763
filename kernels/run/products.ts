/** Products with a symmetric matrix that stays the same: D -> D M, on all cores. */
import type { LayerInputs } from '../methods/method';
import type { WeightView } from '../formats/format';
import { startModel, type RunningModel } from './run-model';

/** The quadratic loss of a layer: D -> D M for differences of weights, with each run of rows' own M. */
export class QuadraticLoss {
  private constructor(private readonly view: WeightView, private readonly groups: readonly RunningModel[]) {}

  static async open(view: WeightView, inputs: LayerInputs): Promise<QuadraticLoss> {
    const { cols } = view;
    const groups: RunningModel[] = [];
    for (const { moment } of inputs.groups) {
      const matrix = Float32Array.from(moment);
      groups.push(await startModel({
        name: 'product', opset: 17, inputs: [{ name: 'd', type: 'F32', shape: ['rows', cols] }], outputs: [{ name: 'p', type: 'F32', shape: ['rows', cols] }],
        nodes: [{ op: 'MatMul', inputs: ['d', 'm'], outputs: ['p'], module: '' }],
        initializers: [{ name: 'm', type: 'F32', shape: [cols, cols], write: (sink) => sink(new Uint8Array(matrix.buffer)) }],
      }));
    }
    return new QuadraticLoss(view, groups);
  }

  /** D M, [rows, cols]. */
  async product(difference: Float32Array): Promise<Float32Array> {
    const { rows, cols } = this.view;
    const each = rows / this.groups.length;
    if (this.groups.length === 1) return (await this.groups[0]!.run(new Map([['d', { type: 'F32', shape: [rows, cols], data: difference }]]))).get('p')!.data as Float32Array;
    const out = new Float32Array(rows * cols);
    for (const [g, model] of this.groups.entries()) {
      const part = difference.slice(g * each * cols, (g + 1) * each * cols);
      out.set((await model.run(new Map([['d', { type: 'F32', shape: [each, cols], data: part }]]))).get('p')!.data as Float32Array, g * each * cols);
    }
    return out;
  }

  /** trace(D M D^T): the sum over output channels of the mean squared error of the output. */
  async loss(difference: Float32Array): Promise<number> {
    const product = await this.product(difference);
    let sum = 0;
    for (let i = 0; i < product.length; i += 1) sum += product[i]! * difference[i]!;
    return Math.max(0, sum);
  }

  async close(): Promise<void> {
    for (const model of this.groups) await model.close();
  }
}
