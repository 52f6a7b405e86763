/** bitlens allocate: bits for every layer under a budget. */
import { DEFAULT_ALLOCATOR, DEFAULT_MEASURED_METRIC, DEFAULT_METRIC, isMeasuredMetric } from '../../analysis/vocabulary';
import type { AllocationJudgement } from '../../protocol';
import { UsageError } from '../arguments';
import type { Verb } from '../context';
import { CALIBRATION_FLAGS, DATA_FLAGS, readData, readSamples, refuseData } from '../data-flags';
import { readFormats } from '../formats-flag';
import { bitsText, bytesText, decibelText, parseSize, plain, plural, table } from '../output';
import { analyseTarget, CHECKPOINT, FORMATS, TARGET } from '../target';

export const allocate: Verb = {
  command: {
    name: 'allocate',
    summary: 'Gives every layer a format so that the sum of the layers\' measured errors is least under a budget (solved exactly).',
    positionals: [TARGET],
    flags: [CHECKPOINT,
      { name: 'bits', value: 'B', help: 'budget: average bits per quantizable weight, scales counted' },
      { name: 'size', value: 'BYTES', help: 'budget: bytes of the quantizable weights, scales counted, norms and biases not (1500000, 12MB, 1.5MiB)' },
      { name: 'metric', value: 'M', help: `error that is summed (${DEFAULT_METRIC}); "bitlens methods" lists them` },
      FORMATS,
      { name: 'allocator', value: 'A', help: `how formats are chosen (${DEFAULT_ALLOCATOR}); "bitlens methods" lists them` },
      { name: 'target-drop', value: 'P%', help: 'instead of a budget: the smallest recipe that loses at most this share of accuracy (1%), or gains it in perplexity or squared error' },
      ...DATA_FLAGS, ...CALIBRATION_FLAGS,
      { name: 'recipe', value: 'R', help: 'recipe whose groups must stay together' },
      { name: 'out', value: 'FILE', help: 'write the recipe here' }],
    notes: ['JSON: {averageBits, bytes, objective, optimal, uniform: {format, objective, bytes}, layers: [{path, format, bitsPerWeight, sqnrDb}], note, root, metric, evidence, recipe, judgement: {baseline: {loss, accuracy}, recipes: [{title, loss, accuracy, kl, nsr, bytes}], samples, data}}',
      'uniform is the best single format of at most the same size; null when none is small enough.',
      'judgement, of metrics that run the model: the allocation, uniform, first and last high and random recipes of at most its size, each as a whole on evaluation data; null for the others. Layers are measured on calibration data, recipes judged on --data.'],
  },
  async run(context) {
    const { args } = context;
    const bits = args.number('bits', 0);
    const sizeText = args.text('size');
    const drop = readDrop(args.text('target-drop'));
    if ([bits, sizeText, drop].filter((each) => each !== undefined).length !== 1) throw new UsageError('give the budget with either --bits B or --size BYTES, or --target-drop P% in place of one');
    const bytes = sizeText === undefined ? undefined : parseSize(sizeText);
    if (bytes === null) throw new UsageError(`--size must be bytes, or a number with kB, MB, GB, KiB, MiB or GiB, not ${JSON.stringify(sizeText)}`);
    const asked = args.list('formats');
    const formats = asked ? [...new Set(readFormats(asked).map(({ id }) => id))] : undefined;
    const analysis = await analyseTarget(context);
    const service = context.service();
    const metric = args.text('metric');
    const out = args.text('out');
    if (drop === undefined && (metric === undefined || !isMeasuredMetric(metric))) refuseData(args, 'is for metrics that run the model (--metric kl), and this one reads weights alone');
    const allocator = args.text('allocator');
    const [samples, calibrationSamples] = [readSamples(args), readSamples(args, 'calibration-samples')];
    const result = await service.allocate(analysis, {
      ...(bits === undefined ? {} : { bits }), ...(bytes === undefined ? {} : { bytes }), ...(metric !== undefined ? { metric } : drop !== undefined ? { metric: DEFAULT_MEASURED_METRIC } : {}),
      ...(allocator === undefined ? {} : { allocator }), ...(drop === undefined ? {} : { drop }), ...(samples === undefined ? {} : { samples }), ...(calibrationSamples === undefined ? {} : { calibrationSamples }), data: readData(analysis, args),
      ...(formats ? { formats } : {}), ...(out === undefined ? {} : { out }),
    }, context);
    if (context.json) {
      const { averageBits, bytes: size, objective, optimal, uniform, layers, note, recipe, recipePath } = result;
      context.printJson({
        averageBits, bytes: size, objective, optimal, uniform, layers, note, root: analysis.root!.name, metric: recipe.provenance?.metric ?? null,
        evidence: recipe.provenance?.evidence ?? null, recipe: recipePath, judgement: result.judgement ?? null,
      });
      return 0;
    }
    context.print(table([{ title: 'Layer' }, { title: 'Format' }, { title: 'Bits', right: true }, { title: 'SQNR dB', right: true }],
      result.layers.map((layer) => [layer.path, layer.format, bitsText(layer.bitsPerWeight), decibelText(layer.sqnrDb)])));
    const { uniform } = result;
    context.print(`\n${plural(result.layers.length, 'layer')} at ${bitsText(result.averageBits)} bits on average, ${bytesText(result.bytes)}; summed ${recipeMetric(result.recipe.provenance?.metric)} ${result.objective.toPrecision(4)}${result.optimal ? ' (optimal)' : ''}\n`);
    if (uniform) {
      const gain = result.objective > 0 ? ` (${(uniform.objective / result.objective).toFixed(2)} times as much)` : '';
      context.print(`Uniform recipe of at most this size: ${uniform.format}, ${bytesText(uniform.bytes)}, error ${uniform.objective.toPrecision(4)}${gain}\n`);
    }
    if (result.judgement) context.print(judgementText(result.judgement));
    if (result.note) context.print(`Note: ${result.note}\n`);
    context.print(`${result.recipe.provenance?.evidence ?? ''}\n`);
    if (result.recipePath) context.print(`Recipe written to ${result.recipePath}\n`);
    return 0;
  },
};

const recipeMetric = (id: string | undefined): string => id ?? DEFAULT_METRIC;

/** @throws UsageError for what is no share. */
function readDrop(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = /^(\d+(?:\.\d+)?|\.\d+)%$/.exec(text.trim());
  if (!value) throw new UsageError(`--target-drop must be a percentage such as 1%, not ${JSON.stringify(text)}`);
  return Number(value[1]) / 100;
}

function judgementText({ baseline, recipes, samples, data }: AllocationJudgement): string {
  const shown = (value: number | null): string => (value === null ? '–' : value.toFixed(4));
  const row = (title: string, { loss, accuracy, kl, nsr, bytes }: { loss: number | null; accuracy: number | null; kl: number | null; nsr: number | null; bytes: number | null }): string[] =>
    [title, bytes === null ? '' : bytesText(bytes), shown(loss), shown(accuracy), kl === null ? '–' : kl.toPrecision(4), nsr === null ? '–' : nsr.toPrecision(3)];
  return `\nJudged on ${plural(samples, 'sample')} (${plain(data)}), recipes of at most the same size:\n${table(
    [{ title: 'Recipe' }, { title: 'Size', right: true }, { title: 'Loss', right: true }, { title: 'Accuracy', right: true }, { title: 'KL', right: true }, { title: 'Noise/signal', right: true }],
    [row('unquantized', { ...baseline, kl: null, nsr: null, bytes: null }), ...recipes.map((each) => row(plain(each.title), each))])}\n`;
}
