/** Evaluate: the model on data, as it is. */
import { estimate, scoreBatch, type SampleScore } from '../run/judge';
import { JobError, type EvaluateParams, type EvaluateResult, type Job, type JobContext } from './job';
import { withRun } from './model-run';

export const evaluateJob: Job<'evaluate'> = {
  kind: 'evaluate',
  run: (params: EvaluateParams, context: JobContext): Promise<EvaluateResult> => withRun(params, context, async ({ model, dataset, feed, output, indices }) => {
    const started = performance.now();
    if (params.task === 'features') throw new JobError('the task "features" compares a quantized model with the unquantized one, so that there is nothing to evaluate of one model alone; run a sensitivity or a trial, or give the task classification, language-model or regression');
    if (params.task !== 'language-model' && !dataset.hasLabels) throw new JobError(`${dataset.title} has no labels, and evaluating a ${params.task} needs them; name them beside the inputs`);
    const running = await model.start();
    try {
      const scores: SampleScore[] = [];
      for (const batch of feed.batches(indices)) {
        context.throwIfCancelled();
        const inputs = feed.inputs(batch);
        const out = (await running.run(inputs)).get(output.name)!;
        const labels = params.task === 'language-model' ? dataset.inputs(batch) : dataset.labels(batch);
        scores.push(...scoreBatch(params.task, trimmed(out, batch.length), labels, null));
        context.progress(scores.length, indices.length, `Running ${dataset.title}`);
      }
      return { ...judged(params.task, scores), samples: scores.length, seconds: (performance.now() - started) / 1000, data: dataset.title };
    } finally { await running.close(); }
  }),
};

/** Without the samples that only filled up a batch. */
export function trimmed<T extends { readonly shape: readonly number[]; readonly data: unknown }>(array: T, samples: number): T {
  if (array.shape[0] === samples) return array;
  if (array.shape.length === 0 || array.shape[0]! < samples) throw new Error(`the model gives an output of shape [${array.shape.join(', ')}] for ${samples} samples; its first dimension must be the sample`);
  const per = (array.data as Float32Array).length / array.shape[0]!;
  return { ...array, shape: [samples, ...array.shape.slice(1)], data: (array.data as Float32Array).subarray(0, samples * per) };
}

/** The figures of a task. */
export function judged(task: EvaluateParams['task'], scores: readonly SampleScore[]): Pick<EvaluateResult, 'metric' | 'value' | 'stderr' | 'loss' | 'lossStderr' | 'accuracy' | 'positions'> {
  const places = scores.map(({ positions }) => positions);
  const positions = places.reduce((a, b) => a + b, 0);
  if (positions === 0) throw new Error('no label counts: all are negative, or every row is a single token');
  const loss = estimate(scores.map((score) => score.loss), places);
  const common = { loss: loss.value, lossStderr: loss.stderr, positions };
  if (task === 'regression') return { metric: 'mse', value: loss.value, stderr: loss.stderr, accuracy: null, ...common };
  const accuracy = estimate(scores.map(({ right }) => right), places);
  if (task === 'classification') return { metric: 'accuracy', value: accuracy.value, stderr: accuracy.stderr, accuracy: accuracy.value, ...common };
  const perplexity = Math.exp(loss.value);
  return { metric: 'perplexity', value: perplexity, stderr: loss.stderr === null ? null : perplexity * loss.stderr, accuracy: accuracy.value, ...common };
}
