import type { ProxyMetric } from '../method';

/**
 * LIM score of LayerwiseQuant: how much the block that a layer is part of changes what goes through it. The paper's score is
 * -cos(input, output); ours is 1 - cos, which orders blocks in the same way and is 0 for one that changes nothing. Layers of one
 * block get the same figure.
 */
export const lim: ProxyMetric = {
  id: 'lim',
  kind: 'sensitivity',
  title: 'Change from the block\'s input to its output (LIM)',
  source: 'Dumitru et al., Layer-Wise Quantization: A Pragmatic and Effective Method for Quantizing LLMs Beyond Integer Bit-Levels, 2024',
  needs: 'calibration',
  catalogue: ['lim-zd'],
  parameters: {},
  unit: '1 - cosine',
  per: 'layer',
  looksAt: 'block',
  leastSamples: 1,
  open(layers, folds) {
    const sums = layers.map(() => Array.from({ length: folds }, () => ({ change: 0, positions: 0 })));
    return {
      add(layer, fold, rows, after) {
        const sum = sums[layer]![fold]!;
        for (let at = 0; at < rows.data.length; at += rows.channels) {
          let [product, before, then] = [0, 0, 0];
          for (let i = at; i < at + rows.channels; i += 1) {
            const [x, y] = [rows.data[i]!, after!.data[i]!];
            product += x * y; before += x * x; then += y * y;
          }
          // Nothing in and nothing out is no change; of one of them alone there is no direction.
          sum.change += before > 0 && then > 0 ? Math.max(0, 1 - product / Math.sqrt(before * then)) : before === then ? 0 : 1;
        }
        sum.positions += rows.positions;
      },
      scores: (without) => sums.map((folded) => {
        const used = folded.filter((_, fold) => fold !== without);
        return [used.reduce((total, { change }) => total + change, 0) / Math.max(1, used.reduce((total, { positions }) => total + positions, 0))];
      }),
    };
  },
};
