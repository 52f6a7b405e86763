/** From stored samples to the model's inputs: x * scale, then (x - mean) / std per channel, in the order of dimensions the model takes. */
import type { Preprocess } from './data';

export interface Preparation {
  /** Shape of a sample as the model gets it. */
  readonly shape: readonly number[];
  /** Whole numbers that stay what they are: token ids. */
  readonly whole: boolean;
  apply(stored: Float64Array, out: Float32Array): void;
}

/**
 * @param shape of a stored sample
 * @param ids whether the stored type is one that token ids come in
 * @throws Error when mean or std do not fit the channels.
 */
export function preprocessing(spec: Preprocess | undefined, shape: readonly number[], ids: boolean, file: string): Preparation {
  const { scale = 1, mean, std, layout = 'NCHW' } = spec ?? {};
  const plain = scale === 1 && !mean && !std && layout === 'NCHW';
  if (plain && ids) return { shape, whole: true, apply: () => undefined };
  if (plain) return { shape, whole: false, apply: (stored, out) => out.set(stored) };
  const last = layout === 'NHWC' && shape.length >= 2;
  const channels = last ? shape.at(-1)! : shape[0] ?? 1;
  for (const [name, list] of [['mean', mean], ['std', std]] as const) {
    if (list && list.length !== 1 && list.length !== channels) throw new Error(`${file}: preprocess.${name} has ${list.length} values for samples of shape [${shape.join(', ')}], which have ${channels} channels${last ? '' : '; if the channels come last, say "layout": "NHWC"'}`);
  }
  const places = shape.reduce((a, b) => a * b, 1) / Math.max(1, channels);
  const of = (list: readonly number[] | undefined, channel: number, absent: number): number => (list ? list[list.length === 1 ? 0 : channel]! : absent);
  return {
    shape: last ? [channels, ...shape.slice(0, -1)] : shape, whole: false,
    apply(stored, out) {
      for (let c = 0; c < channels; c += 1) {
        const [m, s] = [of(mean, c, 0), of(std, c, 1)];
        for (let p = 0; p < places; p += 1) out[c * places + p] = (stored[last ? p * channels + c : c * places + p]! * scale - m) / s;
      }
    },
  };
}
