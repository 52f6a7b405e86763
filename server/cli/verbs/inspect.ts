/** bitlens inspect: what a checkpoint holds, read from its header. */
import { openCheckpoint } from '../../../kernels/checkpoint';
import { inspectCheckpoint } from '../../analysis/inspect';
import type { CheckpointSummary } from '../../protocol';
import type { Verb } from '../context';
import { bytesText, countText, plain, plural, shapeText, table } from '../output';

export const inspect: Verb = {
  command: {
    name: 'inspect',
    summary: 'Lists what a checkpoint holds. Reads its header only, and never executes it.',
    positionals: [{ name: 'CHECKPOINT', help: 'safetensors, GGUF, ONNX, HDF5, TFLite, PyTorch or numpy file, index of shards, or a folder with one' }],
    flags: [],
    notes: ['JSON: {format, tensors: [{name, dtype, shape, bytes}], weights: [{name, dtype, shape, bytes, format, replaces}] for quantized ones, parameters, problems: [{code, grade, message, fix, offset}], imports, metadata, path, bytes}'],
  },
  async run(context) {
    const summary = await inspectCheckpoint(context.args.positionals[0]!, openCheckpoint, context.signal);
    if (context.json) {
      const { format, tensors, weights, parameters, problems, imports, metadata, path, bytes } = summary;
      context.printJson({ format, tensors: listed(tensors), ...(weights ? { weights: quantized(weights) } : {}), parameters, problems, imports, metadata, path, bytes });
      return 0;
    }
    context.print(`${plain(summary.path, 1000)}: ${summary.format}, ${plural(summary.tensors.length, 'tensor')}, ${countText(summary.parameters)} parameters, ${bytesText(summary.bytes)}\n\n`);
    context.print(table([{ title: 'Tensor' }, { title: 'Dtype' }, { title: 'Shape' }, { title: 'Size', right: true }],
      summary.tensors.map((tensor) => [tensor.name || '(whole file)', tensor.dtype, shapeText(tensor.shape), bytesText(tensor.bytes)]), 72));
    const renamed = (summary.weights ?? []).filter(({ replaces }) => replaces.length === 1);
    const together = (summary.weights ?? []).filter(({ replaces }) => replaces.length !== 1);
    if (together.length > 0) {
      context.print(`\n${plural(together.length, 'weight')} that several of these tensors stand for together:\n\n`);
      context.print(table([{ title: 'Weight' }, { title: 'Stored as' }, { title: 'Shape' }, { title: 'Size', right: true }],
        together.map((weight) => [weight.name, weight.dtype, shapeText(weight.shape), bytesText(weight.bytes)]), 72));
    }
    if (renamed.length > 0) {
      context.print(`\n${plural(renamed.length, 'tensor')} under the name that a model has for ${renamed.length === 1 ? 'it' : 'them'}, which the other verbs use:\n\n`);
      context.print(table([{ title: 'Tensor' }, { title: 'In a model' }], renamed.map(({ name, replaces }) => [replaces[0]!, name]), 72));
    }
    for (const problem of summary.problems) {
      context.print(`\n${problem.code} ${problem.grade}: ${plain(problem.message, 500)}${problem.offset === undefined ? '' : ` (byte ${problem.offset})`}. ${plain(problem.fix, 500)}\n`);
    }
    const foreign = summary.imports.filter(({ kind }) => kind !== 'tensor');
    if (foreign.length > 0) context.print(`\nImports outside the tensor allow-list: ${foreign.slice(0, 20).map(({ module, name }) => plain(`${module}.${name}`)).join(', ')}${foreign.length > 20 ? `, and ${foreign.length - 20} more` : ''}\n`);
    return 0;
  },
};

/** One after another: there may be a million. */
function* listed(tensors: CheckpointSummary['tensors']): Generator<object> {
  for (const { name, dtype, shape, bytes } of tensors) yield { name, dtype, shape, bytes };
}

function* quantized(weights: NonNullable<CheckpointSummary['weights']>): Generator<object> {
  for (const { name, dtype, shape, bytes, format, replaces } of weights) yield { name, dtype, shape, bytes, ...(format === undefined ? {} : { format }), replaces };
}
