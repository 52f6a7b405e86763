/** bitlens sensitivity: what quantizing one layer does, measured on data. */
import { measuredMetricNamed } from '../../analysis/vocabulary';
import { selectLayers } from '../../analysis/trial';
import { numberText } from '../../rules/text';
import type { Verb } from '../context';
import { DATA_FLAGS, readData, readSamples } from '../data-flags';
import { readFormats } from '../formats-flag';
import { plain, plural, table } from '../output';
import { analyseTarget, CHECKPOINT, FORMATS, TARGET } from '../target';

export const sensitivity: Verb = {
  command: {
    name: 'sensitivity',
    summary: 'Quantizes one layer at a time, runs the model on data, and says what each layer and format costs, with error bars.',
    positionals: [TARGET],
    flags: [CHECKPOINT,
      { name: 'metric', value: 'M', help: 'what is measured (kl; model-nsr for tasks without classes); "bitlens methods" lists them' },
      FORMATS, ...DATA_FLAGS,
      { name: 'layer', value: 'PATH', help: 'only this layer, or everything below this path; may be repeated', repeated: true }],
    notes: ['JSON: {metric, unit, baseline: {loss, accuracy}, layers: [{path, formats: {<id>: {value, stderr, loss, accuracy, bitsPerWeight}}}], skipped, samples, seconds, data}',
      'value is the metric\'s mean over the samples, stderr its standard error; loss and accuracy are the model\'s with that layer quantized.'],
  },
  async run(context) {
    const { args } = context;
    const samples = readSamples(args);
    const list = args.list('formats');
    const analysis = await analyseTarget(context);
    const data = readData(analysis, args);
    const named = args.text('metric');
    const asked = list && [...new Set(readFormats(list).map(({ id }) => id))];
    const names = args.all('layer');
    const layers = names.length > 0 && analysis.link ? selectLayers(analysis.link, names) : undefined;
    const result = await context.service().running.sensitivity(analysis, { data, ...(named === undefined ? {} : { metric: named }), ...(asked ? { formats: asked } : {}), ...(layers ? { layers } : {}), ...(samples === undefined ? {} : { samples }) }, context);
    if (context.json) {
      context.printJson({ ...result, layers: result.layers.map(({ key, formats: measured }) => ({ path: key, formats: measured })), skipped: result.skipped.map(({ key, reason }) => ({ path: key, reason })), root: analysis.root?.name ?? null });
      return 0;
    }
    const metric = measuredMetricNamed(result.metric);
    const formats = Object.keys(result.layers[0]!.formats);
    context.print(table([{ title: 'Layer' }, ...formats.map((title) => ({ title, right: true }))],
      result.layers.map(({ key, formats: measured }) => [plain(key), ...formats.map((id) => { const { value, stderr } = measured[id]!; return `${numberText(value)}${stderr === null ? '' : ` ± ${numberText(stderr)}`}`; })])));
    const { loss, accuracy } = result.baseline;
    context.print(`\n${metric.title} (${metric.unit}), mean ± standard error over ${plural(result.samples, 'sample')} (${plain(result.data)}); lower is better. ${result.seconds.toFixed(1)} s\n`);
    if (loss !== null) context.print(`Unquantized: loss ${loss.toFixed(4)}${accuracy === null ? '' : `, accuracy ${accuracy.toFixed(4)}`}\n`);
    for (const { key, reason } of result.skipped) context.print(`Not measured: ${plain(key.replace(/\0.*/s, ''))}: ${plain(reason, 300)}\n`);
    return 0;
  },
};
