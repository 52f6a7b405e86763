/** How large each channel of some values becomes on calibration data. */
import { subgraph } from '../graph/cut';
import type { Feed } from './feed';
import type { PreparedModel } from './prepared-model';

export interface ChannelRanges {
  /** Largest magnitude, mean magnitude and mean square of each channel. */
  readonly absmax: Float64Array;
  readonly magnitude: Float64Array;
  readonly energy: Float64Array;
}
export interface ChannelValue { readonly value: string; readonly axis: number; readonly channels: number }

/** @param step called before each run with the share of the work that is done; throws when cancelled */
export async function channelRanges(model: PreparedModel, feed: Feed, indices: readonly number[], values: readonly ChannelValue[], step: (share: number) => void): Promise<ChannelRanges[]> {
  const own = new Set(model.graph.inputs.map(({ name }) => name));
  const outside = [...new Set(values.map(({ value }) => value))].filter((name) => !own.has(name));
  const sums = values.map(({ channels }) => ({ absmax: new Float64Array(channels), magnitude: new Float64Array(channels), energy: new Float64Array(channels), seen: 0 }));
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
          let [most, total, squares] = [0, 0, 0];
          for (let k = at; k < at + inner; k += 1) {
            const magnitude = Math.abs(data[k] as number);
            if (!Number.isFinite(magnitude)) continue;
            if (magnitude > most) most = magnitude;
            total += magnitude;
            squares += magnitude * magnitude;
          }
          if (most > sum.absmax[channel]!) sum.absmax[channel] = most;
          sum.magnitude[channel]! += total;
          sum.energy[channel]! += squares;
        }
        sum.seen += data.length / channels;
      }
    }
  } finally { await running?.close(); }
  return sums.map(({ absmax, magnitude, energy, seen }) => ({ absmax, magnitude: magnitude.map((sum) => sum / Math.max(1, seen)), energy: energy.map((sum) => sum / Math.max(1, seen)) }));
}
