/** Mean and variance of each channel of a value over many samples. */
import type { NamedArray } from './run-model';

export class ChannelMoments {
  private readonly sums: Float64Array;
  private readonly squares: Float64Array;
  private count = 0;

  constructor(private readonly channels: number, private readonly axis: number) {
    this.sums = new Float64Array(channels);
    this.squares = new Float64Array(channels);
  }

  add({ shape, data }: NamedArray): void {
    const { channels, axis, sums, squares } = this;
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    for (let at = 0, channel = 0; at < data.length; at += inner, channel = channel + 1 === channels ? 0 : channel + 1) {
      let [sum, square] = [0, 0];
      for (let i = at; i < at + inner; i += 1) { const x = data[i] as number; sum += x; square += x * x; }
      sums[channel]! += sum;
      squares[channel]! += square;
    }
    this.count += data.length / channels;
  }

  get positions(): number { return this.count; }
  mean(): Float64Array { return this.sums.map((sum) => sum / Math.max(1, this.count)); }
  /** Of the population that the samples are drawn from (divided by n - 1), as PyTorch keeps it. */
  variance(): Float64Array {
    const n = this.count;
    return this.sums.map((sum, channel) => Math.max(0, (this.squares[channel]! - sum ** 2 / n) / Math.max(1, n - 1)));
  }
}
