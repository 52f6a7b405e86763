/** bitlens allocate: bits for every layer under a budget. */
import { COUPLINGS } from '../../analysis/coupling';
import { COSTS, DEFAULT_ALLOCATOR, DEFAULT_MEASURED_METRIC, DEFAULT_METRIC, isMeasuredMetric } from '../../analysis/vocabulary';
import type { AllocatedCost, AllocationJudgement, AllocationSummary } from '../../protocol';
import { UsageError } from '../arguments';
import type { Verb } from '../context';
import { CALIBRATION_FLAGS, DATA_FLAGS, readData, readSamples, refuseData } from '../data-flags';
import { readFormats } from '../formats-flag';
import { INPUT, readInput } from '../input-flag';
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
      { name: 'bops', value: 'G', help: 'budget, alone or beside a size: billions of bit operations of the quantizable layers for one sample (1.3, or 1300M, 1.3G, 2T)' },
      { name: 'latency', value: 'MS', help: 'budget, alone or beside a size: milliseconds of the quantizable layers for one sample, by operators timed on this machine' },
      { name: 'activation-bits', value: 'A', help: 'bits of an activation in --bops (32: activations are not quantized)' },
      { ...INPUT, help: `of --bops and --latency: ${INPUT.help}` },
      { name: 'couple', value: 'LIST', help: `layers that must share a format, found in the graph, or by their names where there is none: ${COUPLINGS.join(', ')}, all` },
      { name: 'metric', value: 'M', help: `error that is summed (${DEFAULT_METRIC}); "bitlens methods" lists them` },
      FORMATS,
      { name: 'allocator', value: 'A', help: `how formats are chosen (${DEFAULT_ALLOCATOR}); "bitlens methods" lists them` },
      { name: 'target-drop', value: 'P%', help: 'the smallest recipe that loses at most this share of accuracy (1%), or gains it in perplexity or squared error; budgets then limit what is not minimized' },
      { name: 'minimize', value: 'C', help: 'of --target-drop: what is made smallest (size)', choices: ['size', ...COSTS] },
      ...DATA_FLAGS, ...CALIBRATION_FLAGS,
      { name: 'recipe', value: 'R', help: 'recipe whose groups must stay together' },
      { name: 'out', value: 'FILE', help: 'write the recipe here' }],
    notes: ['JSON: {averageBits, bytes, objective, optimal, uniform: {format, objective, bytes}, costs: [{id, unit, value, limit, uniform, estimated}], layers: [{path, format, bitsPerWeight, sqnrDb, macs, costs: {<id>: {value, basis, spread, operator}}}], coupled: [{kind, layers, by}], note, root, metric, evidence, recipe, judgement: {baseline: {loss, accuracy}, recipes: [{title, loss, accuracy, kl, nsr, bytes}], within, samples, data}}',
      'uniform is the best single format that keeps every budget; null when none does. Budgets of different kinds hold together.',
      'costs: what --bops and --latency limit. A layer\'s basis is "counted", "measured" (an operator of onnxruntime that computes with the format\'s codes was timed: int8, and 4 or 8 bits in blocks) or "estimated" (no operator does: the float32 operator\'s time less what reading fewer bytes saves).',
      'judgement, of metrics that run the model: the allocation, uniform, first and last high and random recipes that take no more of what is limited, each as a whole on evaluation data; null for the others. Layers are measured on calibration data, recipes judged on --data.'],
  },
  async run(context) {
    const { args } = context;
    const bits = args.number('bits', 0);
    const sizeText = args.text('size');
    const drop = readDrop(args.text('target-drop'));
    const bops = readBops(args.text('bops'));
    const latency = args.number('latency', 0);
    if (bits !== undefined && sizeText !== undefined) throw new UsageError('give the size of the budget with either --bits B or --size BYTES');
    if ([bits, sizeText, bops, latency, drop].every((each) => each === undefined)) throw new UsageError('give the budget with either --bits B or --size BYTES, with --bops G or --latency MS alone or beside it, or --target-drop P% in place of one');
    const minimize = drop === undefined ? undefined : (['size', ...COSTS] as const).find((each) => each === (args.text('minimize') ?? 'size'));
    if (drop === undefined && args.has('minimize')) throw new UsageError('--minimize belongs to --target-drop, which is not given');
    const limited = minimize === 'size' ? bits ?? sizeText : minimize === 'bops' ? bops : minimize === 'latency' ? latency : undefined;
    if (limited !== undefined) throw new UsageError(`--target-drop makes the ${minimize} as small as it can, so that no budget of it can be given; --minimize ${minimize === 'size' ? 'bops' : 'size'} makes something else smallest`);
    const activationBits = args.number('activation-bits', 1);
    const costed = bops !== undefined || latency !== undefined || (minimize !== undefined && minimize !== 'size');
    if (activationBits !== undefined && bops === undefined && minimize !== 'bops') throw new UsageError('--activation-bits belong to --bops, which is not given');
    if (args.has('input') && !costed) throw new UsageError('--input belongs to --bops and --latency, neither of which is given');
    const inputs = args.all('input').map(readInput);
    const couple = args.list('couple');
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
      ...(bits === undefined ? {} : { bits }), ...(bytes === undefined ? {} : { bytes }), ...(bops === undefined ? {} : { bops }), ...(latency === undefined ? {} : { latency }),
      ...(minimize === undefined ? {} : { minimize }), ...(activationBits === undefined ? {} : { activationBits }), ...(inputs.length > 0 ? { inputs } : {}), ...(couple ? { couple } : {}),
      ...(metric !== undefined ? { metric } : drop !== undefined ? { metric: DEFAULT_MEASURED_METRIC } : {}),
      ...(allocator === undefined ? {} : { allocator }), ...(drop === undefined ? {} : { drop }), ...(samples === undefined ? {} : { samples }), ...(calibrationSamples === undefined ? {} : { calibrationSamples }), data: readData(analysis, args),
      ...(formats ? { formats } : {}), ...(out === undefined ? {} : { out }),
    }, context);
    if (context.json) {
      const { averageBits, bytes: size, objective, optimal, uniform, layers, costs, coupled, note, recipe, recipePath } = result;
      context.printJson({
        averageBits, bytes: size, objective, optimal, uniform, costs: costs ?? [], layers, coupled: coupled ?? [], note, root: analysis.root!.name, metric: recipe.provenance?.metric ?? null,
        evidence: recipe.provenance?.evidence ?? null, recipe: recipePath, judgement: result.judgement ?? null,
      });
      return 0;
    }
    context.print(layersText(result));
    context.print(`\n${plural(result.layers.length, 'layer')} at ${bitsText(result.averageBits)} bits on average, ${bytesText(result.bytes)}; summed ${recipeMetric(result.recipe.provenance?.metric)} ${result.objective.toPrecision(4)}${result.optimal ? ' (optimal)' : ''}\n`);
    for (const cost of result.costs ?? []) context.print(`${costText(cost, result.layers.length)}\n`);
    for (const { kind, layers, by } of result.coupled ?? []) context.print(`One format (${kind}, ${by === 'graph' ? 'by the graph' : 'by their names'}): ${layers.slice(0, 6).map((layer) => plain(layer)).join(', ')}${layers.length > 6 ? `, … (${layers.length})` : ''}\n`);
    const { uniform } = result;
    context.print(`\n${plural(result.layers.length, 'layer')} at ${bitsText(result.averageBits)} bits on average, ${bytesText(result.bytes)}; summed ${recipeMetric(result.recipe.provenance?.metric)} ${result.objective.toPrecision(4)}${result.optimal ? ' (optimal)' : ''}\n`);
    if (uniform) {
      const gain = result.objective > 0 ? ` (${(uniform.objective / result.objective).toFixed(2)} times as much)` : '';
      context.print(`${result.costs ? 'Uniform recipe that keeps the budget' : 'Uniform recipe of at most this size'}: ${uniform.format}, ${bytesText(uniform.bytes)}, error ${uniform.objective.toPrecision(4)}${gain}\n`);
    }
    if (result.judgement) context.print(judgementText(result.judgement));
    if (result.note) context.print(`Note: ${result.note}\n`);
    context.print(`${result.recipe.provenance?.evidence ?? ''}\n`);
    if (result.recipePath) context.print(`Recipe written to ${result.recipePath}\n`);
    return 0;
  },
};

const recipeMetric = (id: string | undefined): string => id ?? DEFAULT_METRIC;

function layersText({ layers, costs }: AllocationSummary): string {
  const shown = costs ?? [];
  const value = (cost: { value: number; basis: string } | undefined): string => (cost ? `${cost.basis === 'estimated' ? '~' : ''}${cost.value.toPrecision(3)}` : '–');
  return table([{ title: 'Layer' }, { title: 'Format' }, { title: 'Bits', right: true }, { title: 'SQNR dB', right: true }, ...shown.map(({ unit }) => ({ title: unit, right: true }))],
    layers.map((layer) => [layer.path, layer.format, bitsText(layer.bitsPerWeight), decibelText(layer.sqnrDb), ...shown.map(({ id }) => value(layer.costs?.[id]))]));
}

function costText({ id, unit, value, limit, uniform, estimated }: AllocatedCost, layers: number): string {
  const from = id !== 'latency' ? '' : estimated === 0 ? '; every operator timed on this machine' : `; ${layers - estimated} of ${layers} layers timed on this machine, ~ estimated from bytes moved`;
  return `${id === 'bops' ? 'Bit operations' : 'Latency'}: ${value.toPrecision(4)} ${unit}${limit === null ? '' : ` of ${limit.toPrecision(4)}`}${uniform === null ? '' : `, uniform ${uniform.toPrecision(4)}`}${from}`;
}

const COUNTS: Readonly<Record<string, number>> = { '': 1e9, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };
/** Bit operations: billions, or a number with k, M, G or T. @throws UsageError */
function readBops(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const match = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*([kmgt]?)\s*$/i.exec(text);
  const count = match ? Number(match[1]) * COUNTS[match[2]!.toLowerCase()]! : 0;
  if (!(count > 0)) throw new UsageError(`--bops must be billions of bit operations, or a number with k, M, G or T, not ${JSON.stringify(text)}`);
  return count;
}

/** @throws UsageError for what is no share. */
function readDrop(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = /^(\d+(?:\.\d+)?|\.\d+)%$/.exec(text.trim());
  if (!value) throw new UsageError(`--target-drop must be a percentage such as 1%, not ${JSON.stringify(text)}`);
  return Number(value[1]) / 100;
}

function judgementText({ baseline, recipes, samples, data, within }: AllocationJudgement): string {
  const shown = (value: number | null): string => (value === null ? '–' : value.toFixed(4));
  const row = (title: string, { loss, accuracy, kl, nsr, bytes }: { loss: number | null; accuracy: number | null; kl: number | null; nsr: number | null; bytes: number | null }): string[] =>
    [title, bytes === null ? '' : bytesText(bytes), shown(loss), shown(accuracy), kl === null ? '–' : kl.toPrecision(4), nsr === null ? '–' : nsr.toPrecision(3)];
  return `\nJudged on ${plural(samples, 'sample')} (${plain(data)}), recipes of at most the same ${within.length > 0 ? within.join(', ') : 'size'}:\n${table(
    [{ title: 'Recipe' }, { title: 'Size', right: true }, { title: 'Loss', right: true }, { title: 'Accuracy', right: true }, { title: 'KL', right: true }, { title: 'Noise/signal', right: true }],
    [row('unquantized', { ...baseline, kl: null, nsr: null, bytes: null }), ...recipes.map((each) => row(plain(each.title), each))])}\n`;
}
