import { Random } from '../../numerics/random';
import { Feed } from '../../run/feed';
import { batchNormsOf, distanceGraph, type DistanceGraph } from '../../synthetic/batch-norm-distance';
import type { PreparedModel } from '../../run/prepared-model';
import { heldSamples } from '../../synthetic/held-samples';
import { Adam } from '../ptq/adam';
import type { Generator } from '../method';

/** Steps of gradient descent, and how far a value moves in the first ones. */
const STEPS = 40;
const RATE = 0.2;
/** Samples that share their statistics: of many, each may be of any kind; of few, means are noisy and memory is small. */
const MOST_TOGETHER = 32;
const LEAST_TOGETHER = 4;
const BYTES_TOGETHER = 2 ** 22;

/** Noise that is changed until the model's batch norms see the statistics that they stored in training. */
export const zeroq: Generator = {
  id: 'zeroq',
  kind: 'calibration',
  title: 'Inputs optimised until every batch norm sees its stored statistics (ZeroQ)',
  source: 'Cai et al., ZeroQ: A Novel Zero Shot Quantization Framework, 2020, eq. 3, each layer in units of its own variance',
  needs: 'gradients',
  catalogue: ['zeroq'],
  parameters: {},
  usual: 32,
  refuses({ model, input }) {
    if (batchNormsOf(model.graph, input.name).length === 0) return 'it matches the statistics that batch norms store, and this model has no batch norm that its input reaches';
    return input.type === 'F32' ? null : `the model takes ${input.type} as ${JSON.stringify(input.name)}, which cannot be changed by small steps`;
  },
  async run(target) {
    const { model, input, sample, count, seed } = target;
    const random = new Random(seed);
    const shape = [count, ...sample.shape];
    const per = sample.shape.reduce((a, b) => a * b, 1);
    const values = Float32Array.from({ length: count * per }, () => random.normal());
    const feed = new Feed(model.graph, heldSamples({ type: 'F32', shape, data: values }, 'noise', { method: zeroq.id, seed }));
    const together = typeof input.shape[0] === 'number' ? feed.batch : Math.max(LEAST_TOGETHER, Math.min(MOST_TOGETHER, Math.floor(BYTES_TOGETHER / (4 * per))));
    const { graph, distance, gradient } = differentiated(model, input.name);
    const total = { before: 0, after: 0 };
    const running = await model.start(graph);
    try {
      for (let from = 0; from < count; from += together) {
        const indices = Array.from({ length: Math.min(together, count - from) }, (_, i) => from + i);
        const own = values.subarray(from * per, (from + indices.length) * per);
        const adam = new Adam(own.length);
        for (let step = 0; step <= STEPS; step += 1) {
          target.throwIfCancelled();
          target.progress(from * (STEPS + 1) + step * indices.length, count * (STEPS + 1));
          const outputs = await running.run(feed.inputs(indices));
          const found = Number(outputs.get(distance)!.data[0]);
          if (!Number.isFinite(found)) throw new Error('the statistics of the model\'s batch norms, or what it makes of noise, are not finite');
          if (step === 0) total.before += found * indices.length;
          if (step === STEPS) total.after += found * indices.length;
          else adam.step(own, (outputs.get(gradient)!.data as Float32Array).subarray(0, own.length), RATE * (1 + Math.cos((Math.PI * step) / STEPS)) / 2);
        }
      }
    } finally { await running.close(); }
    return { samples: { type: 'F32', shape, data: values }, what: 'noise matched to batch-norm statistics', distance: { before: total.before / count, after: total.after / count } };
  },
};

/** @throws Error naming the operator that has no gradient, and what needs none */
function differentiated(model: PreparedModel, input: string): DistanceGraph {
  try {
    return distanceGraph(model.withNumbersWritten(), input);
  } catch (error) {
    if (!(error instanceof Error) || error.constructor !== Error) throw error;
    throw new Error(`zeroq changes inputs by gradients, and this model has a part without: ${error.message}. synthetic:noise needs none`, { cause: error });
  }
}
