/** How large each channel of some values becomes on calibration data. */
import { subgraph } from '../graph/cut';
import type { Feed } from './feed';
import type { PreparedModel } from './prepared-model';

export interface ChannelRanges {
  /** Least and largest value of each channel. */
  readonly minimum: Float64Array;
  readonly maximum: Float64Array;
  /** Largest magnitude; means of values, of magnitudes and of squares. */
  readonly absmax: Float64Array;
  readonly mean: Float64Array;
  readonly magnitude: Float64Array;
  readonly energy: Float64Array;
}
export interface ChannelValue { readonly value: string; readonly axis: number; readonly channels: number }

/** @param step called before each run with the share of the work that is done; throws when cancelled */
export async function channelRanges(model: PreparedModel, feed: Feed, indices: readonly number[], values: readonly ChannelValue[], step: (share: number) => void): Promise<ChannelRanges[]> {
  const own = new Set(model.graph.inputs.map(({ name }) => name));
  const outside = [...new Set(values.map(({ value }) => value))].filter((name) => !own.has(name));
  const sums = values.map(({ channels }) => ({ minimum: new Float64Array(channels).fill(Infinity), maximum: new Float64Array(channels).fill(-Infinity), mean: new Float64Array(channels), magnitude: new Float64Array(channels), energy: new Float64Array(channels), seen: 0 }));
  const running = outside.length > 0 ? await model.start(subgraph(model.graph, [], outside)) : null;
  try {
    const batches = feed.batches(indices);
    for (const [b, batch] of batches.entries()) {
      step(b / batches.length);
      const inputs = feed.inputs(batch);
      const arrays = new Map([...inputs, ...running ? await running.run(inputs) : []]);
      for (const [i, { value, axis, channels }] of values.entries()) {
        const { shape, data } = arrays.get(value)!;
        const inner = shape.slice(axis + 1).reduce((x, y) => x * y, 1);
        const sum = sums[i]!;
        for (let at = 0, channel = 0; at < data.length; at += inner, channel = channel + 1 === channels ? 0 : channel + 1) {
          let [low, high, signed, total, squares] = [Infinity, -Infinity, 0, 0, 0];
          for (let k = at; k < at + inner; k += 1) {
            const x = data[k] as number;
            if (!Number.isFinite(x)) continue;
            if (x < low) low = x;
            if (x > high) high = x;
            signed += x;
            total += Math.abs(x);
            squares += x * x;
          }
          if (low < sum.minimum[channel]!) sum.minimum[channel] = low;
          if (high > sum.maximum[channel]!) sum.maximum[channel] = high;
          sum.mean[channel]! += signed;
          sum.magnitude[channel]! += total;
          sum.energy[channel]! += squares;
        }
        sum.seen += data.length / channels;
      }
    }
  } finally { await running?.close(); }
  return sums.map(({ minimum, maximum, mean, magnitude, energy, seen }) => {
    const over = (total: Float64Array): Float64Array => total.map((sum) => sum / Math.max(1, seen));
    // A channel without finite values is one of zeros.
    const [low, high] = [minimum.map((each) => (each === Infinity ? 0 : each)), maximum.map((each) => (each === -Infinity ? 0 : each))];
    return { minimum: low, maximum: high, absmax: low.map((each, i) => Math.max(-each, high[i]!)), mean: over(mean), magnitude: over(magnitude), energy: over(energy) };
  });
}
