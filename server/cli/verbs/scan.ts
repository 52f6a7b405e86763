/** bitlens scan: the error of every weight of a checkpoint in a list of formats. */
import { paretoSet } from '../../../kernels/formats/pareto';
import type { FormatError, WeightScan } from '../../../kernels/jobs/job';
import { record } from '../../analysis/json-reader';
import type { CheckpointScan } from '../../analysis/service';
import type { Verb, VerbContext } from '../context';
import { readFormats } from '../formats-flag';
import { bitsText, countText, decibelText, plain, plural, shapeText, table } from '../output';
import { FORMATS } from '../target';

export const scan: Verb = {
  command: {
    name: 'scan',
    summary: 'Measures the error of every weight (floating point, two or more dimensions) in number formats. Dimension 0 is the output channel unless the file says otherwise (ONNX).',
    positionals: [{ name: 'CHECKPOINT', help: 'safetensors, GGUF, ONNX, HDF5, TFLite, PyTorch or numpy file, index of shards, or a folder with one' }],
    flags: [FORMATS, { name: 'scale', value: 'RULE', help: 'how scales are found', choices: ['absmax', 'mse'] }],
    notes: ['JSON: {tensors: [{name, formats: {<id>: {mse, sqnrDb, cosine, bitsPerWeight, bytes}}, best: [ids], statistics}], weights, seconds, skipped, evidence}',
      'best: the formats that no other one of the list beats at its cost (the Pareto set), by ascending bits per weight.',
      'Every tensor of the checkpoint is in tensors or, with the reason, in skipped: vectors (biases, norms), integers, empty ones.',
      'sqnrDb is null where there is no error. A shorthand such as int4 appears under its own name and under its full id.'],
  },
  async run(context) {
    const asked = context.args.list('formats');
    const service = context.service();
    const formats = readFormats(asked ?? service.settings.formats);
    const file = context.args.positionals[0]!;
    const result = await service.scan(file, { formats: formats.map(({ id }) => id), scaleRule: context.args.text('scale') === 'mse' ? 'mse' : 'absmax' }, context);
    if (context.json) {
      const named = (errors: Readonly<Record<string, FormatError>>): Record<string, unknown> => record(formats.flatMap(({ asked: name, id }): [string, unknown][] => {
        const error = errors[id];
        return error ? (name === id ? [[id, error]] : [[name, { ...error, id }], [id, error]]) : [];
      }));
      context.printJson({
        tensors: result.scans.map((each) => ({ name: each.tensor, rows: each.view.rows, cols: each.view.cols, formats: named(each.formats), best: bestAtCost(each.formats).map(([id]) => id), statistics: each.statistics })),
        weights: result.weights, seconds: result.seconds, skipped: [...result.skipped, ...result.notScanned].map(({ key, reason }) => ({ name: key, reason })), evidence: result.evidence,
      });
      return 0;
    }
    if (result.formats.length > MOST_COLUMNS) printSweep(context, result.scans);
    else printMatrix(context, result);
    for (const { key, reason } of result.skipped) context.print(`skipped ${key}: ${reason}\n`);
    context.print(`\n${countText(result.weights)} weights of ${plural(result.scans.length, 'tensor')} in ${result.seconds.toFixed(2)} s; ${plural(result.notScanned.length, 'other tensor')} (vectors, integers) not measured. ${result.evidence}\n`);
    return 0;
  },
};

/** More formats than this do not fit beside each other: the best at each cost are listed instead. */
const MOST_COLUMNS = 10;

/** Format id and error of those that no other beats at its cost, by ascending bits. */
function bestAtCost(errors: Readonly<Record<string, FormatError>>): [string, FormatError][] {
  const all = Object.entries(errors);
  return paretoSet(all.map(([, error]) => error)).map((i) => all[i]!);
}

function printSweep(context: VerbContext, scans: readonly WeightScan[]): void {
  context.print('The best format at each cost: bits per weight, SQNR in dB\n');
  for (const each of scans) {
    context.print(`\n${plain(each.tensor, 200)} ${shapeText([each.view.rows, each.view.cols])}\n`);
    context.print(table([{ title: 'bits', right: true }, { title: 'SQNR', right: true }, { title: 'Format' }],
      bestAtCost(each.formats).map(([id, error]) => [bitsText(error.bitsPerWeight), decibelText(error.sqnrDb), id]), 72));
  }
}

function printMatrix(context: VerbContext, result: CheckpointScan): void {
  context.print(`SQNR in dB (bits per weight below each format's name)\n\n`);
  const columns = [{ title: 'Tensor' }, { title: 'Matrix' }, { title: 'Kurtosis', right: true }, ...result.formats.map((id) => ({ title: id, right: true }))];
  const average = ['all', '', '', ...result.formats.map((id) => bitsText(result.scans.reduce((sum, each) => sum + (each.formats[id]?.bitsPerWeight ?? 0) * each.view.rows * each.view.cols, 0) / Math.max(1, result.weights)))];
  context.print(table(columns, [average, ...result.scans.map((each) => [
    each.tensor, shapeText([each.view.rows, each.view.cols]), each.statistics.kurtosis === null ? '–' : each.statistics.kurtosis.toFixed(1),
    ...result.formats.map((id) => (each.formats[id] ? decibelText(each.formats[id].sqnrDb) : '–')),
  ])], 48));
}
