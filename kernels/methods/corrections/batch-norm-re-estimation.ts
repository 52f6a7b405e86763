import { ChannelMoments } from '../../run/channel-moments';
import { Walk } from '../../run/walk';
import type { GraphNode } from '../../graph/graph';
import type { Correction } from '../method';

export const batchNormReEstimation: Correction = {
  id: 'batch-norm-re-estimation',
  kind: 'correction',
  title: 'Batch-norm re-estimation: statistics of batch norms measured again on the quantized model',
  source: 'Sun et al., Hybrid 8-bit Floating Point Training and Inference for Deep Neural Networks, 2019, section 2.3; Nagel et al., Overcoming Oscillations in Quantization-Aware Training, 2022',
  needs: 'calibration',
  catalogue: [],
  parameters: {},
  async run({ model, feed, indices, step }) {
    const { graph } = model;
    const tensorOf = (name: string | undefined): string | null => {
      const data = graph.initializers.find((each) => each.name === name)?.data;
      return data && 'checkpoint' in data ? data.checkpoint : null;
    };
    const norms = graph.nodes.flatMap((node, at) => {
      if (node.op !== 'BatchNormalization' || node.domain) return [];
      const [mean, variance] = [tensorOf(node.inputs[3]), tensorOf(node.inputs[4])];
      return mean !== null && variance !== null ? [{ node, at, mean, variance }] : [];
    });
    const of = graph.nodes.filter(({ op }: GraphNode) => op === 'BatchNormalization').length;
    const changed = new Map<string, Float32Array>();
    if (norms.length === 0) return { changed, places: 0, of, notes: ['the model has no batch norm whose statistics could be measured again'] };
    const batches = feed!.batches(indices);
    const walk = new Walk(model, feed!, batches);
    for (const [i, { node, at, mean, variance }] of norms.entries()) {
      const [input] = node.inputs as [string];
      const moments = new ChannelMoments(model.values(mean).length, 1);
      await walk.to(at, [input], changed, async (arrays, b) => {
        step((i + b / batches.length) / norms.length);
        moments.add(arrays.get(input)!);
      });
      // Statistics of one value say nothing about a variance.
      if (moments.positions < 2) return { changed: new Map(), places: 0, of, notes: ['batch-norm statistics need at least two values of each channel; give more calibration samples'] };
      changed.set(mean, Float32Array.from(moments.mean()));
      changed.set(variance, Float32Array.from(moments.variance()));
    }
    return { changed, places: norms.length, of, notes: [] };
  },
};
