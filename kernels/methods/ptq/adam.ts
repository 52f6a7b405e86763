/** Adam (Kingma and Ba, 2015) over one array. */
export class Adam {
  private readonly first: Float32Array;
  private readonly second: Float32Array;
  private steps = 0;
  constructor(size: number, private readonly beta1 = 0.9, private readonly beta2 = 0.999, private readonly epsilon = 1e-8) {
    this.first = new Float32Array(size);
    this.second = new Float32Array(size);
  }

  /** values -= rate * m / (sqrt(v) + epsilon), both corrected for their start. */
  step(values: Float32Array, gradient: Float32Array, rate: number): void {
    const { first, second, beta1, beta2, epsilon } = this;
    this.steps += 1;
    const [a, b] = [1 - beta1 ** this.steps, 1 - beta2 ** this.steps];
    for (let i = 0; i < values.length; i += 1) {
      const g = gradient[i]!;
      const m = first[i] = beta1 * first[i]! + (1 - beta1) * g;
      const v = second[i] = beta2 * second[i]! + (1 - beta2) * g * g;
      values[i]! -= (rate * (m / a)) / (Math.sqrt(v / b) + epsilon);
    }
  }
}
