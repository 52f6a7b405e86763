/** Evaluate: the model on data, as it is. */
import { figuresOf, isLabelled, labelsOf, scoreBatch, trimmed, type SampleScore } from '../run/judge';
import { JobError, type EvaluateParams, type EvaluateResult, type Job, type JobContext } from './job';
import { usedData, withRun } from './model-run';

export const evaluateJob: Job<'evaluate'> = {
  kind: 'evaluate',
  run: (params: EvaluateParams, context: JobContext): Promise<EvaluateResult> => withRun(params, context, async ({ model, dataset, feed, output, indices }) => {
    const started = performance.now();
    if (params.task === 'features') throw new JobError('the task "features" compares a quantized model with the unquantized one, so that there is nothing to evaluate of one model alone; run a sensitivity or a trial, or give the task classification, language-model or regression');
    if (!isLabelled(params.task, dataset)) throw new JobError(`${dataset.title} has no labels, and evaluating a ${params.task} needs them; name them beside the inputs`);
    const running = await model.start();
    try {
      const scores: SampleScore[] = [];
      for (const batch of feed.batches(indices)) {
        context.throwIfCancelled();
        const inputs = feed.inputs(batch);
        const out = (await running.run(inputs)).get(output.name)!;
        scores.push(...scoreBatch(params.task, trimmed(out, batch.length), labelsOf(params.task, dataset, batch), null));
        context.progress(scores.length, indices.length, `Running ${dataset.title}`);
      }
      return { ...figuresOf(params.task, scores), samples: scores.length, seconds: (performance.now() - started) / 1000, ...usedData(dataset) };
    } finally { await running.close(); }
  }),
};
