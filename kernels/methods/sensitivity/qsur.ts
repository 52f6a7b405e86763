import type { ProxyMetric } from '../method';

/** Channels whose covariance is looked at, evenly spaced; the extent is that of all. */
const MOST_CHANNELS = 64;
/** What is added to each variance, of their mean: a direction in which nothing moves would leave no volume at all. */
const RIDGE = 1e-6;

/** Per fold. */
interface Sums { readonly first: Float64Array; readonly squares: Float64Array; readonly products: Float64Array; positions: number }

/**
 * The share of the quantization space that the layer's inputs leave unused, per dimension: 1 - QSUR^(1/d). The ellipsoid of the data
 * has a volume in proportion to sqrt(det Cov), the space one to extent^d, its extent being that of the channel that reaches furthest
 * (|mean| + standard deviation). 0 for inputs of the same variance in every direction, near 1 where few channels stand out.
 */
export const qsur: ProxyMetric = {
  id: 'qsur',
  kind: 'sensitivity',
  title: 'Quantization space that the layer\'s inputs leave unused',
  source: 'Hu et al., OstQuant: Refining Large Language Model Quantization with Orthogonal and Scaling Transformations for Better Distribution Fitting, 2025 (QSUR)',
  needs: 'calibration',
  catalogue: ['ostquant'],
  parameters: {},
  unit: 'share',
  per: 'layer',
  looksAt: 'input',
  leastSamples: 2,
  open(layers, folds) {
    const sums: Sums[][] = layers.map(() => []);
    return {
      add(layer, fold, { data, positions, channels }) {
        const picked = pickedOf(channels);
        const sum = sums[layer]![fold] ??= { first: new Float64Array(channels), squares: new Float64Array(channels), products: new Float64Array(picked.length ** 2), positions: 0 };
        for (let at = 0; at < data.length; at += channels) {
          for (let c = 0; c < channels; c += 1) { const x = data[at + c]!; sum.first[c]! += x; sum.squares[c]! += x * x; }
          for (let i = 0, k = 0; i < picked.length; i += 1) for (let j = 0; j < picked.length; j += 1, k += 1) sum.products[k]! += data[at + picked[i]!]! * data[at + picked[j]!]!;
        }
        sum.positions += positions;
      },
      scores: (without, poll) => Array.from({ length: layers.length }, (_, layer) => {
        poll();
        const used = Array.from({ length: folds }, (__, fold) => sums[layer]![fold]).filter((each, fold): each is Sums => each !== undefined && fold !== without);
        const positions = used.reduce((total, each) => total + each.positions, 0);
        const mean = (of: (each: Sums) => Float64Array): Float64Array => of(used[0]!).map((_value, i) => used.reduce((total, each) => total + of(each)[i]!, 0) / positions);
        const [first, squares, products] = [mean((each) => each.first), mean((each) => each.squares), mean((each) => each.products)];
        const picked = pickedOf(first.length);
        const covariance = products.map((value, k) => value - first[picked[Math.floor(k / picked.length)]!]! * first[picked[k % picked.length]!]!);
        const extent = first.reduce((most, value, c) => Math.max(most, Math.abs(value) + Math.sqrt(Math.max(0, squares[c]! - value * value))), 0);
        return [1 - utilization(covariance, picked.length, extent)];
      }),
    };
  },
};

const pickedOf = (channels: number): number[] => { const count = Math.min(channels, MOST_CHANNELS); return Array.from({ length: count }, (_, i) => Math.floor((i * channels) / count)); };

/**
 * QSUR^(1/d) = det(Cov)^(1/2d) / extent, over the directions in which anything moves.
 * @param covariance [d, d], symmetric
 */
export function utilization(covariance: Float64Array, d: number, extent: number): number {
  const live = Array.from({ length: d }, (_, i) => i).filter((i) => covariance[i * d + i]! > 0);
  if (live.length === 0 || extent <= 0) return 0;
  const ridge = (RIDGE * live.reduce((sum, i) => sum + covariance[i * d + i]!, 0)) / live.length;
  const factor: number[][] = [];
  let log = 0;
  // Cholesky: the determinant is the product of the squares on the diagonal.
  for (const [i, row] of live.entries()) {
    const own: number[] = [];
    for (let j = 0; j <= i; j += 1) {
      let rest = covariance[row * d + live[j]!]! + (i === j ? ridge : 0);
      for (let k = 0; k < j; k += 1) rest -= own[k]! * (i === j ? own : factor[j]!)[k]!;
      own.push(i === j ? Math.sqrt(Math.max(rest, ridge * RIDGE)) : rest / factor[j]![j]!);
    }
    factor.push(own);
    log += 2 * Math.log(own[i]!);
  }
  return Math.min(1, Math.exp(log / (2 * live.length)) / extent);
}
