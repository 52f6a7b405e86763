import { Random } from '../../numerics/random';
import type { ProxyMetric } from '../method';

/** Directions of each layer's output that are compared, at most: a quarter of the samples, so that chance correlates little. */
const MOST_DIRECTIONS = 8;
const SAMPLES_PER_DIRECTION = 4;
const ROUNDS = 4;

/**
 * 1 - the mean squared canonical correlation of a layer's output with those of the other layers: a layer that says what others say
 * too matters less. Outputs are means over the positions of a sample, in their principal directions. Independent outputs of n
 * samples in k directions still correlate by about k / (n - 1).
 */
export const cca: ProxyMetric = {
  id: 'cca',
  kind: 'sensitivity',
  title: 'What the layer\'s output does not share with other layers\' (canonical correlation)',
  source: 'Nanda et al., CPTQuant, 2024 (CMPQ); Raghu et al., SVCCA: Singular Vector Canonical Correlation Analysis for Deep Learning Dynamics and Interpretability, 2017',
  needs: 'calibration',
  catalogue: ['cptquant'],
  parameters: {},
  unit: '1 - R^2',
  per: 'layer',
  looksAt: 'output',
  leastSamples: 2 * SAMPLES_PER_DIRECTION,
  open(layers) {
    const seen = layers.map((): { fold: number; vector: Float64Array }[] => []);
    return {
      add(layer, fold, { data, positions, channels }) {
        const vector = new Float64Array(channels);
        for (let i = 0, c = 0; i < data.length; i += 1, c = c + 1 === channels ? 0 : c + 1) vector[c]! += data[i]! / positions;
        seen[layer]!.push({ fold, vector });
      },
      scores(without, poll) {
        const bases = seen.map((samples) => { poll(); return directions(samples.filter(({ fold }) => fold !== without).map(({ vector }) => vector)); });
        return bases.map((own, i) => {
          poll();
          const others = bases.filter((other, j) => j !== i && other.length > 0);
          // An output that is always the same says nothing; one that is alone shares nothing.
          if (own.length === 0) return [0];
          return [others.length === 0 ? 1 : 1 - others.reduce((sum, other) => sum + correlation(own, other), 0) / others.length];
        });
      },
    };
  },
};

/** Mean squared canonical correlation of what two orthonormal bases span: |A^T B|^2 / min(a, b). */
export function correlation(a: readonly Float64Array[], b: readonly Float64Array[]): number {
  let sum = 0;
  for (const x of a) for (const y of b) sum += dot(x, y) ** 2;
  return sum / Math.min(a.length, b.length);
}

/**
 * Orthonormal basis, over the samples, of what the centred vectors span: of all of it, or of the directions of most variance
 * (subspace iteration from a seeded start).
 * @param vectors of the samples, all of one length
 */
export function directions(vectors: readonly Float64Array[]): Float64Array[] {
  const n = vectors.length;
  const width = vectors[0]?.length ?? 0;
  const columns = Array.from({ length: width }, (_, c) => {
    const mean = vectors.reduce((sum, vector) => sum + vector[c]!, 0) / n;
    return Float64Array.from(vectors, (vector) => vector[c]! - mean);
  });
  const most = Math.max(1, Math.min(MOST_DIRECTIONS, Math.floor(n / SAMPLES_PER_DIRECTION)));
  if (width <= most) return orthonormal(columns);
  const random = new Random(width);
  let basis = orthonormal(Array.from({ length: most }, () => Float64Array.from({ length: n }, () => random.normal())));
  for (let round = 0; round < ROUNDS; round += 1) {
    basis = orthonormal(basis.map((direction) => {
      const out = new Float64Array(n);
      for (const column of columns) { const by = dot(column, direction); for (let i = 0; i < n; i += 1) out[i]! += by * column[i]!; }
      return out;
    }));
  }
  return basis;
}

/** Gram-Schmidt, twice over for precision; what depends on the vectors before it is left out. */
function orthonormal(vectors: readonly Float64Array[]): Float64Array[] {
  const basis: Float64Array[] = [];
  for (const vector of vectors) {
    const rest = vector.slice();
    const before = Math.sqrt(dot(rest, rest));
    for (let time = 0; time < 2; time += 1) for (const other of basis) { const by = dot(rest, other); rest.forEach((_, i) => { rest[i]! -= by * other[i]!; }); }
    const norm = Math.sqrt(dot(rest, rest));
    if (norm > 1e-9 * before && norm > 0) basis.push(rest.map((value) => value / norm));
  }
  return basis;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += a[i]! * b[i]!;
  return sum;
}
