/** bitlens activations: what goes into and out of layers on data. */
import type { ObservedValue } from '../../../kernels/jobs/job';
import type { Verb } from '../context';
import { DATA_FLAGS, readData, readSamples } from '../data-flags';
import { plain, plural, table } from '../output';
import { numberText, percentText } from '../../rules/text';
import { analyseTarget, CHECKPOINT, TARGET } from '../target';

export const activations: Verb = {
  command: {
    name: 'activations',
    summary: 'Runs the model on data and says what goes into and out of its layers: ranges, outlier channels, tails.',
    positionals: [TARGET],
    flags: [CHECKPOINT, ...DATA_FLAGS, { name: 'all', help: 'also activations, softmaxes, norms and sums, not the inputs of layers alone' }],
    notes: ['JSON: {values: [{value, role, op, module, layer, span, terms, statistics: {count, nonFinite, zeros, min, max, absmax, mean, std, kurtosis, magnitude: {p50, p99, p999, p9999}, histogram: {edges, counts}, channels: {index, absmax, energy, total}, channelSpread, outlierChannels}}], samples, seconds, data}',
      'role is layer-input, layer-output, activation, softmax, logits, norm-input, term or sum. "bitlens check --activations" turns them into findings.'],
  },
  async run(context) {
    const { args } = context;
    const samples = readSamples(args);
    const analysis = await analyseTarget(context);
    const result = await context.service().running.activations(analysis, { data: readData(analysis, args), ...(samples === undefined ? {} : { samples }) }, context);
    if (context.json) { context.printJson(result); return 0; }
    const shown = result.values.filter(({ role }) => args.has('all') || role === 'layer-input');
    context.print(table([{ title: 'Value' }, ...(args.has('all') ? [{ title: 'What' }] : []), ...['Min', 'Max', 'Median', '99.9 %', 'Zeros', 'Kurtosis', 'Spread', 'Outliers'].map((title) => ({ title, right: true }))],
      shown.map((value) => row(value, args.has('all')))));
    context.print(`\nOf ${args.has('all') ? 'values' : 'inputs'} of ${plural(shown.length, 'place')} on ${plural(result.samples, 'sample')} (${plain(result.data)}), ${result.seconds.toFixed(1)} s. Median and 99.9 % are of magnitudes, to 5 %; spread is the largest channel over the median one; outliers are channels above 8 times the median.\n`);
    return 0;
  },
};

function row({ role, layer, module, op, statistics: s }: ObservedValue, all: boolean): string[] {
  return [plain(layer ?? `${module} ${op}`), ...(all ? [role] : []), numberText(s.min), numberText(s.max), numberText(s.magnitude.p50), numberText(s.magnitude.p999),
    percentText(s.zeros / s.count), s.kurtosis === null ? '–' : numberText(s.kurtosis), s.channelSpread === null ? '–' : numberText(s.channelSpread), String(s.outlierChannels.length)];
}
