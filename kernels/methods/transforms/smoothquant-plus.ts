import { Judging } from '../../run/judging';
import { toMatrix, toStored } from '../../run/weight-matrix';
import type { Transform } from '../method';
import { leftOut, rescalePlaces } from './rescale';
import { rangesOf, smoothed } from './smoothquant';

/** Samples that a strength is judged on. */
const SAMPLES = 64;

export const smoothquantPlus: Transform = {
  id: 'smoothquant-plus',
  kind: 'transform',
  title: 'SmoothQuant+: one smoothing strength for the model, searched for the least loss of its output',
  source: 'Pan et al., SmoothQuant+: Accurate and Efficient 4-bit Post-Training WeightQuantization for LLM, 2023, section 3.2',
  needs: 'calibration',
  catalogue: ['smoothquant-plus'],
  parameters: { step: { type: 'number', default: 0.1, minimum: 0.02, maximum: 0.5, description: 'Distance of the strengths that are tried, from 0 to 1.' } },
  async run(work) {
    const { places, of } = rescalePlaces(work);
    if (places.length === 0) return { changed: new Map(), places: 0, of, notes: leftOut(0, of, 'smoothed') };
    const ranges = await rangesOf(work, places, (share) => { work.step(share * 0.3); });
    const size = Number(work.options.step ?? 0.1);
    const strengths = Array.from({ length: Math.floor(1 / size + 1e-9) + 1 }, (_, i) => i * size);
    const indices = work.indices.slice(0, SAMPLES);
    const judging = await Judging.open({ task: work.task, model: work.model, dataset: work.feed!.dataset, feed: work.feed!, output: work.output, indices, memory: work.memory }, () => { work.step(0.3); });
    try {
      let best: { strength: number | null; changed: Map<string, Float32Array>; loss: number } | null = null;
      for (const [i, strength] of [null, ...strengths].entries()) {
        const changed = strength === null ? new Map<string, Float32Array>() : smoothed(work, places, ranges, strength);
        const moved = work.model.with({ changed });
        const quantized = new Map(work.layers.map(({ tensor, layout, format }) => [tensor, toStored(format.decode(format.encode(toMatrix(moved.values(tensor), layout), layout, 'absmax')), layout)] as const));
        const { kl, nsr } = await judging.judge(moved.with({ changed: quantized }), () => { work.step(0.3 + (0.7 * i) / (strengths.length + 1)); });
        const loss = kl ?? nsr;
        if (!best || loss < best.loss) best = { strength, changed, loss };
      }
      const said = best!.strength === null ? 'no strength made the rounded model better, so that nothing was changed' : `strength ${best!.strength.toFixed(2)} of ${strengths.length} that were tried on ${indices.length} samples`;
      return { changed: best!.changed, places: best!.strength === null ? 0 : places.length, of, notes: [said, ...leftOut(places.length, of, 'smoothed')] };
    } finally { await judging.close(); }
  },
};
