/** bitlens trial: quantizes with a method that may calibrate on data, and judges the whole model before and after. */
import { DEFAULT_RANGE, methodNamed, TRIAL_DEFAULT_METHOD } from '../../analysis/vocabulary';
import { stepTexts } from '../../analysis/step-texts';
import { excludeLayers, readOptions } from '../../analysis/trial';
import { withSteps } from '../../analysis/trial-steps';
import { UsageError } from '../arguments';
import type { Verb } from '../context';
import { CALIBRATION_FLAGS, DATA_FLAGS, readData, readSamples } from '../data-flags';
import { bitsText, bytesText, decibelText, plain, plural, table } from '../output';
import { layoutFor, LAYOUT_HELP, LAYOUTS } from '../layout-flag';
import { analyseTarget, CHECKPOINT, TARGET } from '../target';

export const trial: Verb = {
  command: {
    name: 'trial',
    summary: 'Quantizes a model by a recipe or in one format with a PTQ method, runs it on data, and says what it lost.',
    positionals: [{ name: 'KIND', help: 'ptq' }, TARGET],
    flags: [CHECKPOINT,
      { name: 'recipe', value: 'R', help: 'recipe file: a format per layer' },
      { name: 'format', value: 'F', help: 'one format for all layers, or for those named by --layer' },
      { name: 'method', value: 'M', help: `PTQ method (${TRIAL_DEFAULT_METHOD}); "bitlens methods" lists them` },
      { name: 'transform', value: 'T', help: 'rewrites the model before it is quantized, leaving what it computes: smoothquant, awq, hadamard, ...; may be repeated', repeated: true },
      { name: 'activations', value: 'F', help: 'format that the inputs of layers are rounded to: int8-sym-tensor, int8-asym-tensor, fp8-e4m3-tensor, or with a scale for each token int8-sym-channel; else as the recipe says' },
      { name: 'range', value: 'R', help: `how ranges of activations are found (${DEFAULT_RANGE}): max, percentile, mse, entropy, or dynamic` },
      { name: 'correct', value: 'C', help: 'makes up for quantization in what stays in floating point: bias-correction, batch-norm-re-estimation; may be repeated', repeated: true },
      { name: 'set', value: 'OPTION=VALUE', help: 'an option of the method, or STEP.OPTION=VALUE of a transform, range or correction; may be repeated', repeated: true },
      { name: 'layer', value: 'PATH', help: 'only this layer, or everything below this path; may be repeated', repeated: true },
      { name: 'exclude', value: 'PATH', help: 'not this layer, nor anything below this path; may be repeated', repeated: true },
      { name: 'at-once', help: 'calibrate all layers on the unquantized model instead of one after another' },
      ...DATA_FLAGS, ...CALIBRATION_FLAGS,
      { name: 'export', value: 'FILE', help: 'write the quantized weights as safetensors, or (FILE.onnx) the whole model; read back and compared' },
      { name: 'export-layout', value: 'L', help: LAYOUT_HELP, choices: LAYOUTS }],
    notes: ['JSON: {before: {loss, lossStderr, accuracy}, after: {loss, lossStderr, accuracy, kl, klStderr, nsr}, bytes, bytesBefore, averageBits, weights, seconds, samples, data, calibration, steps: [{kind, method, places, of, seconds}], equivalence: {difference, samples}, activations: {layers: [{key, format}], range}, layers: [{path, format, method, before, after}], kept, notes, export}',
      'before and after of a layer are errors of its weight, by round-to-nearest with absmax scales and by the method; kl is the mean divergence of the model\'s output from the unquantized model\'s, in nats.'],
  },
  async run(context) {
    const { args } = context;
    const kind = args.positionals[0]!;
    if (kind !== 'ptq') throw new UsageError(`${JSON.stringify(kind)} is not a kind of trial. There is: ptq`);
    const [recipe, format] = [args.text('recipe'), args.text('format')];
    if ((recipe === undefined) === (format === undefined)) throw new UsageError('say how to quantize with either --recipe R or --format F');
    const method = methodNamed(args.text('method') ?? TRIAL_DEFAULT_METHOD);
    const isOfStep = (text: string): boolean => text.split('=')[0]!.includes('.');
    const options = readOptions(method, args.all('set').filter((text) => !isOfStep(text)));
    const [samples, calibrationSamples] = [readSamples(args), readSamples(args, 'calibration-samples')];
    const analysis = await analyseTarget(context, 1);
    const data = readData(analysis, args);
    const service = context.service();
    const named = args.text('method') !== undefined || recipe === undefined;
    const whole = await service.plan(analysis, { ...(recipe === undefined ? {} : { recipe }), ...(format === undefined ? {} : { format }), ...(named ? { method: method.id } : {}), layers: args.all('layer') });
    const chosen = excludeLayers({ ...whole, layers: whole.layers.map((each) => (each.method === method.id ? { ...each, options: { ...each.options, ...options } } : each)) }, analysis.link!, args.all('exclude'));
    const [activations, range] = [args.text('activations'), args.text('range')];
    const { plan, steps } = withSteps(chosen, { transforms: args.all('transform'), ...(activations === undefined ? {} : { activations }), ...(range === undefined ? {} : { range }), corrections: args.all('correct'), options: args.all('set').filter(isOfStep) });
    const out = args.text('export');
    const layout = layoutFor(out ?? '', args.text('export-layout'));
    const result = await service.running.trial(analysis, {
      data, plan, steps, sequential: !args.has('at-once'), ...(samples === undefined ? {} : { samples }), ...(calibrationSamples === undefined ? {} : { calibrationSamples }),
      ...(out === undefined ? {} : { export: { path: out, layout } }),
    }, context);
    const layers = result.layers.filter(({ key }) => !key.includes('\0'));
    if (context.json) {
      const { before, after, ...rest } = result;
      context.printJson({ before, after, ...rest, layers: layers.map(({ key, format: id, method: by, before: rtn, after: now }) => ({ path: key, format: id, method: by, before: rtn, after: now })), notes: [...plan.notes, ...result.notes], root: analysis.root?.name ?? null });
      return 0;
    }
    context.print(table([{ title: 'Layer' }, { title: 'Format' }, { title: 'Method' }, { title: 'Bits', right: true }, { title: 'RTN dB', right: true }, { title: 'SQNR dB', right: true }],
      layers.map((layer) => [plain(layer.key), layer.format, layer.method, bitsText(layer.after.bitsPerWeight), decibelText(layer.before.sqnrDb), decibelText(layer.after.sqnrDb)])));
    context.print(`\n${plural(layers.length, 'layer')}: ${bytesText(result.bytesBefore)} → ${bytesText(result.bytes)} of weights (${bitsText(result.averageBits)} bits on average)\n`);
    const shown = (value: number | null): string => (value === null ? '' : value.toFixed(4));
    const { before, after } = result;
    if (before.loss !== null) context.print(`Loss ${shown(before.loss)} → ${shown(after.loss)}${before.accuracy === null ? '' : `, accuracy ${shown(before.accuracy)} → ${shown(after.accuracy)}`}\n`);
    context.print(`${after.kl === null ? `Noise to signal of the output ${after.nsr.toPrecision(3)}` : `KL divergence ${after.kl.toPrecision(4)}${after.klStderr === null ? '' : ` ± ${after.klStderr.toPrecision(2)}`} nats`}, judged on ${plural(result.samples, 'sample')} (${plain(result.data)})\n`);
    context.print(`${result.calibration ? `Calibrated on ${plural(result.calibration.samples, 'sample')} (${plain(result.calibration.data)}); ` : ''}${result.seconds.toFixed(1)} s\n`);
    for (const text of stepTexts(result)) context.print(`${plain(text, 300)}\n`);
    for (const { key, reason } of result.kept ?? []) context.print(`Kept as stored: ${plain(key.replace(/\0.*/s, ''))}: ${plain(reason, 300)}\n`);
    for (const note of [...plan.notes, ...result.notes]) context.print(`Note: ${plain(note, 500)}\n`);
    if (result.export) context.print(`Written to ${result.export.path} (${bytesText(result.export.bytes)}, ${layout}); ${plural(result.export.verifiedTensors, 'tensor')} read back and equal\n`);
    for (const note of result.export?.notes ?? []) context.print(`Note: ${plain(note, 2000)}\n`);
    return 0;
  },
};
