/** bitlens evaluate: the model on data, without Python. */
import type { Verb } from '../context';
import { plain, plural } from '../output';
import { DATA_FLAGS, readData, readSamples } from '../data-flags';
import { analyseTarget, CHECKPOINT, TARGET } from '../target';

export const evaluate: Verb = {
  command: {
    name: 'evaluate',
    summary: 'Runs the model on data and says how good it is: accuracy, perplexity or mean squared error, with the loss.',
    positionals: [TARGET],
    flags: [CHECKPOINT, ...DATA_FLAGS],
    notes: ['JSON: {metric, value, stderr, loss, lossStderr, accuracy, samples, positions, seconds, data, root, checkpoint}',
      'loss is the mean negative log likelihood in nats (classification, language-model) or the mean squared error (regression); stderr is the standard error of the mean.'],
  },
  async run(context) {
    const samples = readSamples(context.args);
    const analysis = await analyseTarget(context);
    const data = readData(analysis, context.args);
    const result = await context.service().running.evaluate(analysis, { data, ...(samples === undefined ? {} : { samples }) }, context);
    if (context.json) {
      context.printJson({ ...result, root: analysis.root?.name ?? null, checkpoint: analysis.checkpointPath });
      return 0;
    }
    const bar = (stderr: number | null): string => (stderr === null ? '' : ` ± ${stderr.toPrecision(2)}`);
    context.print(`${result.metric} ${result.value.toFixed(4)}${bar(result.stderr)}, loss ${result.loss.toFixed(4)}${bar(result.lossStderr)}\n${plural(result.samples, 'sample')} (${plain(result.data)}), ${plural(result.positions, 'position')} in ${result.seconds.toFixed(1)} s; ± is the standard error\n`);
    return 0;
  },
};
