import type { ProxyMetric } from '../method';

/** Per fold: sum of squares of each channel, and positions. */
interface Energy { readonly squares: Float64Array; positions: number }

/**
 * sum over weights of e^2 E[x^2], x being the input that the weight is multiplied by: the error of the layer's output, summed over
 * its channels, if inputs were uncorrelated. Padding of convolutions is not looked at: every tap sees its channel.
 */
export const activationWeighted: ProxyMetric = {
  id: 'activation-weighted',
  kind: 'sensitivity',
  title: 'Squared weight error weighted by the second moment of the inputs',
  source: 'Definition: sum of e^2 E[x^2] over the weights, the diagonal of the layer-wise Hessian (LeCun et al., Optimal Brain Damage, 1989, for one layer)',
  needs: 'calibration',
  catalogue: [],
  parameters: {},
  unit: 'output^2',
  per: 'format',
  looksAt: 'input',
  leastSamples: 1,
  open(layers, folds) {
    const energies = layers.map(({ formats }) => Array.from({ length: folds }, (): Energy => ({ squares: new Float64Array(formats[0]?.channelErrors.length ?? 0), positions: 0 })));
    return {
      add(layer, fold, { data, positions, channels }) {
        const energy = energies[layer]![fold]!;
        for (let i = 0, c = 0; i < data.length; i += 1, c = c + 1 === channels ? 0 : c + 1) energy.squares[c]! += data[i]! * data[i]!;
        energy.positions += positions;
      },
      scores: (without) => layers.map(({ formats }, layer) => {
        const used = energies[layer]!.filter((_, fold) => fold !== without);
        const positions = used.reduce((sum, each) => sum + each.positions, 0);
        return formats.map(({ channelErrors }) => channelErrors.reduce((sum, error, c) => sum + error * used.reduce((total, { squares }) => total + squares[c]!, 0), 0) / Math.max(1, positions));
      }),
    };
  },
};
