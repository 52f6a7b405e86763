/** Samples in memory as a dataset. */
import type { Dataset, SyntheticFacts } from '../data/data';
import type { ArrayData, NamedArray } from '../run/run-model';

/** @param samples [count, ...sample]; what is written to its values later is what later batches hold */
export function heldSamples({ type, shape, data }: NamedArray, title: string, synthetic: SyntheticFacts): Dataset {
  const [count, ...sample] = shape as [number, ...number[]];
  const per = sample.reduce((a, b) => a * b, 1);
  return {
    title, count, hasLabels: false, sample: { shape: sample, whole: type !== 'F32' }, synthetic,
    inputs(indices) {
      const batch = new (data.constructor as new (length: number) => ArrayData)(indices.length * per);
      indices.forEach((index, n) => batch.set(data.subarray(index * per, (index + 1) * per) as never, n * per));
      return { type, shape: [indices.length, ...sample], data: batch };
    },
    labels() { throw new Error(`${title} has no labels`); },
    close: () => undefined,
  };
}
