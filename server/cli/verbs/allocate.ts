/** bitlens allocate: bits for every layer under a budget. */
import { DEFAULT_METRIC } from '../../analysis/vocabulary';
import { UsageError } from '../arguments';
import type { Verb } from '../context';
import { readFormats } from '../formats-flag';
import { bitsText, bytesText, decibelText, parseSize, plural, table } from '../output';
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
      { name: 'recipe', value: 'R', help: 'recipe whose groups must stay together' },
      { name: 'out', value: 'FILE', help: 'write the recipe here' }],
    notes: ['JSON: {averageBits, bytes, objective, optimal, uniform: {format, objective, bytes}, layers: [{path, format, bitsPerWeight, sqnrDb}], note, root, recipe}',
      'uniform is the best single format of at most the same size; null when none is small enough.'],
  },
  async run(context) {
    const { args } = context;
    const bits = args.number('bits', 0);
    const sizeText = args.text('size');
    if ((bits === undefined) === (sizeText === undefined)) throw new UsageError('give the budget with either --bits B or --size BYTES');
    const bytes = sizeText === undefined ? undefined : parseSize(sizeText);
    if (bytes === null) throw new UsageError(`--size must be bytes, or a number with kB, MB, GB, KiB, MiB or GiB, not ${JSON.stringify(sizeText)}`);
    const asked = args.list('formats');
    const formats = asked ? [...new Set(readFormats(asked).map(({ id }) => id))] : undefined;
    const analysis = await analyseTarget(context);
    const service = context.service();
    const metric = args.text('metric');
    const out = args.text('out');
    const result = await service.allocate(analysis, {
      ...(bits === undefined ? {} : { bits }), ...(bytes === undefined ? {} : { bytes }), ...(metric === undefined ? {} : { metric }),
      ...(formats ? { formats } : {}), ...(out === undefined ? {} : { out }),
    }, context);
    if (context.json) {
      const { averageBits, bytes: size, objective, optimal, uniform, layers, note, recipe, recipePath } = result;
      context.printJson({
        averageBits, bytes: size, objective, optimal, uniform, layers, note, root: analysis.root!.name, metric: recipe.provenance?.metric ?? null,
        evidence: recipe.provenance?.evidence ?? null, recipe: recipePath,
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
    if (result.note) context.print(`Note: ${result.note}\n`);
    context.print(`${result.recipe.provenance?.evidence ?? ''}\n`);
    if (result.recipePath) context.print(`Recipe written to ${result.recipePath}\n`);
    return 0;
  },
};

const recipeMetric = (id: string | undefined): string => id ?? DEFAULT_METRIC;
