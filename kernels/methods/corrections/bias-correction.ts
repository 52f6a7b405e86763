import { biasPlace } from '../../graph/bias';
import { ChannelMoments } from '../../run/channel-moments';
import { sitesOf, type LayerSite } from '../../run/sites';
import { Walk } from '../../run/walk';
import type { Correction, TransformLayer } from '../method';

export const biasCorrection: Correction = {
  id: 'bias-correction',
  kind: 'correction',
  title: 'Bias correction: outputs of each layer keep the mean they had',
  source: 'Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, section 4.2 (measured on calibration data, layer after layer)',
  needs: 'calibration',
  catalogue: [],
  parameters: {},
  async run({ model, layers, feed, indices, step }, original) {
    const { graph } = model;
    const places = layers.flatMap((layer) => {
      const sites = sitesOf(graph, layer.tensor);
      const [site] = sites;
      if (sites.length !== 1 || site!.kind === 'lookup') return [];
      const axis = site!.kind === 'linear' ? (graph.values?.find(({ name }) => name === site!.output) ?? graph.outputs.find(({ name }) => name === site!.output))!.shape.length - 1 : 1;
      const bias = biasPlace(graph, site!.node, axis, layer.layout.rows);
      return bias ? [{ layer, site: site!, axis, bias }] : [];
    }).sort((a, b) => a.site.at - b.site.at);
    const changed = new Map<string, Float32Array>();
    const batches = feed!.batches(indices);
    // The quantized model as it becomes, and beside it the one it was made of.
    const [state, clean] = [new Walk(model, feed!, batches), new Walk(original, feed!, batches)];
    for (const [i, { layer, site, axis, bias }] of places.entries()) {
      const shift = await drift(state, clean, site, axis, layer, changed, batches.length, (share) => { step((i + share) / places.length); });
      const values = model.values(bias.tensor).slice();
      shift.forEach((each, channel) => { values[channel]! += bias.sign * each; });
      changed.set(bias.tensor, values);
    }
    const notes = places.length < layers.length ? [`biases of ${places.length} of ${layers.length} layers are corrected: the others have none of their own, nor a batch norm behind them`] : [];
    return { changed, places: places.length, of: layers.length, notes };
  },
};

/** How much the mean of each output channel lies below what it was. */
async function drift(state: Walk, clean: Walk, { output }: LayerSite, axis: number, { layout }: TransformLayer, changed: ReadonlyMap<string, Float32Array>, batches: number, step: (share: number) => void): Promise<Float64Array> {
  const [own, before] = [new ChannelMoments(layout.rows, axis), new ChannelMoments(layout.rows, axis)];
  try {
    await state.start(state.at(output) + 1, [output], changed);
    await clean.start(clean.at(output) + 1, [output], new Map());
    for (let b = 0; b < batches; b += 1) {
      step(b / batches);
      own.add((await state.advance(b)).get(output)!);
      before.add((await clean.advance(b)).get(output)!);
    }
  } finally { await state.end(); await clean.end(); }
  const now = own.mean();
  return before.mean().map((mean, channel) => mean - now[channel]!);
}
