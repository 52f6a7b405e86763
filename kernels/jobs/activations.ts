/** Activations: what values of the model look like on data. */
import { subgraph } from '../graph/cut';
import { ActivationSums } from '../run/activation-statistics';
import { observedValues } from '../run/observed';
import { trimmed } from '../run/judge';
import { JobError, type ActivationsParams, type ActivationsResult, type Job, type JobContext, type ObservedValue } from './job';
import { usedData, withRun } from './model-run';

export const activationsJob: Job<'activations'> = {
  kind: 'activations',
  run: (params: ActivationsParams, context: JobContext): Promise<ActivationsResult> => withRun(params, context, async ({ model, feed, indices, dataset }) => {
    const started = performance.now();
    const observed = observedValues(params.graph, params.weights);
    if (observed.length === 0) throw new JobError('the graph has no value to look at: no layer of the model is applied to anything that depends on its inputs');
    const axes = new Map(observed.toReversed().map(({ value, channelAxis }) => [value, channelAxis]));
    // Layers know best which dimension their channels are.
    for (const { value, role, channelAxis } of observed) if (role === 'layer-input' || role === 'layer-output') axes.set(value, channelAxis);
    const sums = new Map([...axes.keys()].map((value) => [value, new ActivationSums()]));
    const inputs = new Set(params.graph.inputs.map(({ name }) => name));
    const running = await model.start(subgraph(params.graph, [], [...axes.keys()].filter((value) => !inputs.has(value))));
    try {
      let done = 0;
      for (const batch of feed.batches(indices)) {
        context.throwIfCancelled();
        context.progress(done, indices.length, `Looking at activations on ${dataset.title}`);
        const given = feed.inputs(batch);
        const arrays = new Map([...given, ...await running.run(given)]);
        for (const [value, sum] of sums) {
          const whole = arrays.get(value)!;
          const array = whole.shape[0] === feed.batch && batch.length < feed.batch ? trimmed(whole, batch.length) : whole;
          sum.add(array.data as Float32Array, array.shape, axes.get(value)!);
          context.throwIfCancelled();
        }
        done += batch.length;
      }
    } finally { await running.close(); }
    const statistics = new Map([...sums].map(([value, sum]) => [value, sum.statistics()]));
    return {
      values: observed.flatMap(({ channelAxis: _axis, ...each }): ObservedValue[] => { const found = statistics.get(each.value); return found ? [{ ...each, statistics: found }] : []; }),
      samples: indices.length, seconds: (performance.now() - started) / 1000, ...usedData(dataset),
    };
  }),
};
