import { Random } from '../../numerics/random';
import { vocabularyOf } from '../../synthetic/vocabulary';
import type { Generator } from '../method';

/** Inputs that know nothing of the model but its shapes: what other synthetic data is compared with. */
export const noise: Generator = {
  id: 'noise',
  kind: 'calibration',
  title: 'Noise: standard normal inputs, or tokens drawn uniformly',
  source: 'Definition: inputs of mean 0 and deviation 1, as preprocessing makes them; every token id as likely as any other',
  needs: 'graph',
  catalogue: [],
  parameters: {},
  usual: 256,
  refuses: ({ model, input, sample }) => (sample.whole && input.type !== 'U8' && vocabularyOf(model.graph, input.name) === null ? 'no table is found in which the model looks its tokens up, so that it is not known which there are' : null),
  async run({ model, input, sample, count, seed }) {
    const random = new Random(seed);
    const shape = [count, ...sample.shape];
    const size = shape.reduce((a, b) => a * b, 1);
    if (input.type === 'U8') return { samples: { type: 'U8', shape, data: Uint8Array.from({ length: size }, () => random.integer(256)) }, what: 'bytes drawn uniformly' };
    if (!sample.whole) return { samples: { type: 'F32', shape, data: Float32Array.from({ length: size }, () => random.normal()) }, what: 'standard normal noise' };
    const tokens = vocabularyOf(model.graph, input.name)!;
    return { samples: { type: 'I64', shape, data: BigInt64Array.from({ length: size }, () => BigInt(random.integer(tokens))) }, what: 'tokens drawn uniformly' };
  },
};
