/** Products of float64 matrices on all cores: one small model of onnxruntime for each way the factors may lie. */
import type { Multiply, Operand } from '../numerics/matrix';
import { startModel, type RunningModel } from './run-model';

export class Multiplier {
  private readonly running = new Map<string, Promise<RunningModel>>();

  /** @param threads of one product; 0 lets onnxruntime choose. The result does not depend on it. */
  constructor(private readonly threads = 0) {}

  /** Opens, works, closes. */
  static async with<T>(work: (multiply: Multiply) => Promise<T>, threads = 0): Promise<T> {
    const multiplier = new Multiplier(threads);
    try {
      return await work(multiplier.multiply);
    } finally { await multiplier.close(); }
  }

  /**
   * onnxruntime splits the longer side of a result over its threads. Split by rows, each element is summed in the same order whatever
   * the number of threads; split by columns it need not be. So a wide result is computed as its transpose.
   */
  readonly multiply: Multiply = async (a, b) => {
    const [m, k, n] = [a.turned ? a.cols : a.rows, a.turned ? a.rows : a.cols, b.turned ? b.rows : b.cols];
    if (k !== (b.turned ? b.cols : b.rows)) throw new RangeError(`a product of [${m}, ${k}] and [${b.turned ? b.cols : b.rows}, ${n}]`);
    if (m * n * k === 0) return new Float64Array(m * n);
    if (n <= m) return this.run(a, b);
    return transpose(await this.run({ ...b, turned: !b.turned }, { ...a, turned: !a.turned }), n, m);
  };

  async close(): Promise<void> {
    for (const model of this.running.values()) await (await model).close();
    this.running.clear();
  }

  private async run(a: Operand, b: Operand): Promise<Float64Array> {
    const key = `${a.turned} ${b.turned}`;
    if (!this.running.has(key)) this.running.set(key, startModel({
      name: 'product', opset: 17, inputs: [{ name: 'a', type: 'F64', shape: ['ar', 'ac'] }, { name: 'b', type: 'F64', shape: ['br', 'bc'] }], outputs: [{ name: 'c', type: 'F64', shape: ['m', 'n'] }],
      nodes: [{ op: 'Gemm', inputs: ['a', 'b'], outputs: ['c'], module: '', attributes: { transA: { int: a.turned ? 1 : 0 }, transB: { int: b.turned ? 1 : 0 } } }], initializers: [],
    }, this.threads));
    const model = await this.running.get(key)!;
    const out = await model.run(new Map([a, b].map(({ data, rows, cols }, i) => [i === 0 ? 'a' : 'b', { type: 'F64', shape: [rows, cols], data }] as const)));
    return out.get('c')!.data as Float64Array;
  }
}

/** [rows, cols] as [cols, rows]. */
function transpose(from: Float64Array, rows: number, cols: number): Float64Array {
  const to = new Float64Array(from.length);
  for (let i = 0; i < rows; i += 1) for (let j = 0; j < cols; j += 1) to[j * rows + i] = from[i * cols + j]!;
  return to;
}
