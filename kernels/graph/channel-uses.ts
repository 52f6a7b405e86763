/** Parameters that hold one number or one slice for each channel of a value, and multiplying them by factors of the channels. */
import type { GraphInitializer } from './graph';

/** Channels lie along `axis` of the parameter; of a grouped convolution, runs of dimension 0 hold the channels of one group each. */
export interface ChannelUse {
  readonly initializer: GraphInitializer;
  readonly axis: number;
  /** Runs of dimension 0 with channels of their own; 1 for all but grouped convolutions. */
  readonly groups: number;
  /** What the parameter is to the channels: a weight that makes them, one that is applied to them, or a number for each of them. */
  readonly role: 'makes' | 'takes' | 'scales' | 'shifts' | 'mean' | 'variance';
  /** Of a variance: what the batch norm adds to it. */
  readonly epsilon?: number;
}

export const tensorOf = ({ initializer: { data } }: ChannelUse): string | null => ('checkpoint' in data ? data.checkpoint : null);

/** Calls with each element and its channel, in storage order. */
export function eachChannel({ initializer: { shape }, axis, groups }: ChannelUse, visit: (element: number, channel: number) => void): void {
  const total = shape.reduce((a, b) => a * b, 1);
  const size = shape[axis] ?? 1;
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const perGroup = total / groups;
  for (let i = 0; i < total; i += 1) visit(i, (Math.floor(i / inner) % size) + (groups > 1 ? Math.floor(i / perGroup) * size : 0));
}

/**
 * The parameter after the values of its group were divided by `factors`: what makes them is divided, what takes them is multiplied.
 * A variance is divided by the square, with what the batch norm adds to it: (var + eps) / s^2 - eps.
 */
export function movedFactors(values: Float32Array, use: ChannelUse, factors: Float64Array): Float32Array {
  const { role, epsilon = 0 } = use;
  if (role === 'takes') return scaledChannels(values, use, (channel) => factors[channel]!);
  if (role !== 'variance') return scaledChannels(values, use, (channel) => 1 / factors[channel]!);
  const out = new Float32Array(values.length);
  eachChannel(use, (i, channel) => { out[i] = (values[i]! + epsilon) / factors[channel]! ** 2 - epsilon; });
  return out;
}

/** Values with each element multiplied by its channel's factor. @param values in storage order; not changed */
function scaledChannels(values: Float32Array, use: ChannelUse, factorOf: (channel: number) => number): Float32Array {
  const out = new Float32Array(values.length);
  eachChannel(use, (i, channel) => { out[i] = values[i]! * factorOf(channel); });
  return out;
}

/** Largest magnitude of each channel. */
export function channelAbsmax(values: Float32Array, use: ChannelUse, channels: number): Float64Array {
  const out = new Float64Array(channels);
  eachChannel(use, (i, channel) => { const magnitude = Math.abs(values[i]!); if (magnitude > out[channel]!) out[channel] = magnitude; });
  return out;
}
