/** bitlens quantize: a PTQ trial that is written as a checkpoint, read back and compared. */
import { UsageError } from '../arguments';
import type { Verb } from '../context';
import { bitsText, bytesText, decibelText, plain, plural, table } from '../output';
import { layoutFor, LAYOUT_HELP, LAYOUTS } from '../layout-flag';
import { analyseTarget, CHECKPOINT, TARGET } from '../target';

export const quantize: Verb = {
  command: {
    name: 'quantize',
    summary: 'Quantizes layers by a recipe or in one format, and writes the checkpoint. It is read back and compared value by value.',
    positionals: [TARGET],
    flags: [CHECKPOINT,
      { name: 'recipe', value: 'R', help: 'recipe file: a format per layer' },
      { name: 'format', value: 'F', help: 'one format for all layers, or for those named by --layer' },
      { name: 'layer', value: 'PATH', help: 'only this layer, or everything below this path; may be repeated', repeated: true },
      { name: 'method', value: 'M', help: 'PTQ method, in place of the recipe\'s (rtn); "bitlens methods" lists them' },
      { name: 'layout', value: 'L', help: LAYOUT_HELP, choices: LAYOUTS },
      { name: 'out', value: 'FILE', help: 'safetensors file to write, or FILE.onnx: the whole model' }],
    notes: ['JSON: {layers: [{path, format, method, before, after}], bytesBefore, bytesAfter, averageBits, seconds, evidence, export: {path, bytes, verifiedTensors, sha256}}',
      'before is round-to-nearest with absmax scales in the same format; after is the method.'],
  },
  async run(context) {
    const { args } = context;
    const [recipe, format, method] = [args.text('recipe'), args.text('format'), args.text('method')];
    if ((recipe === undefined) === (format === undefined)) throw new UsageError('say how to quantize with either --recipe R or --format F');
    const out = args.required('out', 'the file to write');
    const layout = layoutFor(out, args.text('layout'));
    const analysis = await analyseTarget(context);
    const service = context.service();
    const trial = await service.trial(analysis, {
      ...(recipe === undefined ? {} : { recipe }), ...(format === undefined ? {} : { format }), ...(method === undefined ? {} : { method }),
      layers: args.all('layer'), out, layout,
    }, context);
    if (context.json) {
      const { layers, bytesBefore, bytesAfter, averageBits, seconds, evidence, export: written } = trial;
      context.printJson({ root: analysis.root!.name, layers, bytesBefore, bytesAfter, averageBits, seconds, evidence, export: written });
      return 0;
    }
    context.print(table([{ title: 'Layer' }, { title: 'Format' }, { title: 'Method' }, { title: 'Bits', right: true }, { title: 'RTN dB', right: true }, { title: 'SQNR dB', right: true }],
      trial.layers.map((layer) => [layer.path, layer.format, layer.method, bitsText(layer.after.bitsPerWeight), decibelText(layer.before.sqnrDb), decibelText(layer.after.sqnrDb)])));
    context.print(`\n${plural(trial.layers.length, 'layer')}: ${bytesText(trial.bytesBefore)} → ${bytesText(trial.bytesAfter)} of weights (${bitsText(trial.averageBits)} bits on average) in ${trial.seconds.toFixed(2)} s\n${trial.evidence}\n`);
    if (trial.export) context.print(`Written to ${trial.export.path} (${bytesText(trial.export.bytes)}, ${layout}); ${plural(trial.export.verifiedTensors, 'tensor')} read back and equal. sha256 ${trial.export.sha256}\n`);
    for (const note of trial.export?.notes ?? []) context.print(`Note: ${plain(note, 2000)}\n`);
    return 0;
  },
};
