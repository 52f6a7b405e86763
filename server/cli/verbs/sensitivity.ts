/** bitlens sensitivity: what quantizing each layer does, by one metric or several; and which metric to trust on this model. */
import type { SensitivityResult } from '../../../kernels/jobs/job';
import { agreementOf } from '../../analysis/sensitivities';
import { selectLayers } from '../../analysis/trial';
import { UserError } from '../../analysis/user-error';
import { defaultMeasuredMetric, sensitivityMetricNamed, sensitivityMetrics } from '../../analysis/vocabulary';
import { scorecardText } from '../../report/scorecard-text';
import { numberText } from '../../rules/text';
import { UsageError } from '../arguments';
import type { Verb, VerbContext } from '../context';
import { DATA_FLAGS, readData, readSamples } from '../data-flags';
import { readFormats } from '../formats-flag';
import { plain, plural, table } from '../output';
import { analyseTarget, CHECKPOINT, FORMATS, TARGET } from '../target';

export const sensitivity: Verb = {
  command: {
    name: 'sensitivity',
    summary: 'Says what each layer costs in each format, with error bars: layers quantized one at a time and the model run on data, or a cheaper proxy of that.',
    positionals: [TARGET],
    flags: [CHECKPOINT,
      { name: 'metric', value: 'LIST', help: 'what is measured (kl; model-nsr for tasks without classes), several side by side, or all; "bitlens methods" lists them' },
      FORMATS, ...DATA_FLAGS,
      { name: 'layer', value: 'PATH', help: 'only this layer, or everything below this path; may be repeated', repeated: true },
      { name: 'scorecard', help: 'scores the metrics on this model: how well each orders random mixed recipes of one size by what they lose' },
      { name: 'recipes', value: 'N', help: 'with --scorecard: recipes that are drawn and run (24)' }],
    notes: ['JSON: {metric, unit, baseline: {loss, accuracy}, layers: [{path, figure: {value, stderr}, formats: {<id>: {value, stderr, loss, accuracy, bitsPerWeight}}}], skipped, samples, seconds, data}',
      'value is the metric over the samples, stderr its standard error (null where it rests on no data); loss and accuracy are the model\'s with that layer quantized.',
      'figure is there for metrics of a layer by itself; formats hold it times the noise-to-signal ratio of the weight.',
      'JSON of several metrics: {metrics: [as above], agreement: [{a, b, format, tau}], refused: [{metric, reason}]}; tau is Kendall\'s.',
      'JSON of --scorecard: {against, chance, metrics: [{metric, basis, tau: {kl, loss, nsr}, layers, of, seconds}], recipes: [{formats, bits, kl, loss, accuracy, nsr}], refused, seed, samples, data}'],
  },
  async run(context) {
    const { args } = context;
    const samples = readSamples(args);
    const recipes = readSamples(args, 'recipes');
    const list = args.list('formats');
    const names = args.all('layer');
    if (recipes !== undefined && !args.has('scorecard')) throw new UsageError('--recipes are drawn for a scorecard: give --scorecard too');
    if (args.has('scorecard') && names.length > 0) throw new UsageError('--scorecard runs recipes of the whole model, so --layer has no place in it');
    const analysis = await analyseTarget(context);
    const data = readData(analysis, args);
    const asked = list && [...new Set(readFormats(list).map(({ id }) => id))];
    const given = { data, ...(asked ? { formats: asked } : {}), ...(samples === undefined ? {} : { samples }) };
    const typed = args.list('metric');
    const metrics = typed?.includes('all') ? undefined : typed?.map((name) => sensitivityMetricNamed(name).id);
    const { running } = context.service();
    if (args.has('scorecard')) {
      const card = await running.scorecard(analysis, { ...given, ...(metrics ? { metrics } : {}), ...(recipes === undefined ? {} : { recipes }) }, context);
      if (context.json) context.printJson({ ...card, root: analysis.root?.name ?? null });
      else context.print(scorecardText(card, (head, rows) => table(head.map((title, i) => ({ title, right: i > 0 })), rows)).split('\n').map((line) => plain(line, 500)).join('\n'));
      return 0;
    }
    const layers = names.length > 0 && analysis.link ? selectLayers(analysis.link, names) : undefined;
    const wanted = metrics ?? (typed ? sensitivityMetrics().map(({ id }) => id) : [defaultMeasuredMetric(data.task)]);
    const { results, refused } = await running.sensitivities(analysis, { ...given, metrics: wanted, ...(layers ? { layers } : {}) }, context);
    const [only] = results;
    if (!only) throw new UserError(refused.map(({ reason }) => reason).join('; '));
    const root = analysis.root?.name ?? null;
    if (context.json) {
      context.printJson(wanted.length === 1 ? { ...inJson(only), root } : { metrics: results.map(inJson), agreement: agreementOf(results), refused, root });
      return 0;
    }
    for (const result of results) printResult(context, result);
    if (results.length > 1) printAgreement(context, results);
    for (const { metric, reason } of refused) context.print(`Not measured: ${metric}: ${plain(reason, 300)}\n`);
    return 0;
  },
};

const inJson = (result: SensitivityResult): object => ({ ...result, layers: result.layers.map(({ key, ...rest }) => ({ path: key, ...rest })), skipped: result.skipped.map(({ key, reason }) => ({ path: key, reason })) });

function printResult(context: VerbContext, result: SensitivityResult): void {
  const metric = sensitivityMetricNamed(result.metric);
  const formats = Object.keys(result.layers[0]!.formats);
  const alone = result.layers[0]!.figure !== undefined;
  const text = ({ value, stderr }: { value: number; stderr: number | null }): string => `${numberText(value)}${stderr === null ? '' : ` ± ${numberText(stderr)}`}`;
  context.print(table([{ title: 'Layer' }, ...[...alone ? ['Itself'] : [], ...formats].map((title) => ({ title, right: true }))],
    result.layers.map(({ key, figure, formats: measured }) => [plain(key), ...(alone ? [text(figure!)] : []), ...formats.map((id) => text(measured[id]!))])));
  const rests = result.samples === 0 ? 'from the weights and the place of each layer: no data, so no error bar' : `mean ± standard error over ${plural(result.samples, 'sample')} (${plain(result.data)})`;
  context.print(`\n${metric.title} (${metric.unit}), ${rests}; lower is better. ${result.seconds.toFixed(1)} s\n`);
  if (alone) context.print('Formats: the layer\'s own figure times the noise-to-signal ratio of its weight.\n');
  const { loss, accuracy } = result.baseline;
  if (loss !== null) context.print(`Unquantized: loss ${loss.toFixed(4)}${accuracy === null ? '' : `, accuracy ${accuracy.toFixed(4)}`}\n`);
  for (const { key, reason } of result.skipped) context.print(`Not measured: ${plain(key.replace(/\0.*/s, ''))}: ${plain(reason, 300)}\n`);
}

/** Each two metrics: tau between the orders they give the layers, mean over the formats. */
function printAgreement(context: VerbContext, results: readonly SensitivityResult[]): void {
  const pairs = agreementOf(results);
  const mean = (a: string, b: string): string => {
    const taus = pairs.filter((pair) => (pair.a === a && pair.b === b) || (pair.a === b && pair.b === a)).flatMap(({ tau }) => (tau === null ? [] : [tau]));
    return a === b ? '1' : taus.length === 0 ? '–' : (taus.reduce((x, y) => x + y, 0) / taus.length).toFixed(2);
  };
  const ids = results.map(({ metric }) => metric);
  context.print(`\n${table([{ title: 'Agreement' }, ...ids.map((title) => ({ title, right: true }))], ids.map((a) => [a, ...ids.map((b) => mean(a, b))]))}\nKendall's tau between the orders that two metrics give the layers, mean over the formats; 1 is full agreement.\n`);
}
