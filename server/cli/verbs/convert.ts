/** bitlens convert: a checkpoint of any format as safetensors, GGUF or ONNX, in the types it has or in a number format. */
import { kindOfFile, layoutsOf } from '../../../kernels/jobs/layouts';
import { bitsText, bytesText, decibelText, plain, plural, table } from '../output';
import { UsageError } from '../arguments';
import type { Verb } from '../context';
import { LAYOUT_HELP, LAYOUTS } from '../layout-flag';

const DTYPES = ['F32', 'F16', 'BF16'] as const;
const KINDS = ['safetensors', 'gguf', 'onnx'] as const;
const SHOWN = 6;

export const convert: Verb = {
  command: {
    name: 'convert',
    summary: 'Writes a checkpoint of any format as safetensors, GGUF or ONNX, its weights as they are or in a number format. It is read back and compared.',
    positionals: [{ name: 'CHECKPOINT', help: 'a file of any known format, an index of shards, or a folder with one' }],
    flags: [
      { name: 'to', value: 'KIND', help: 'file format to write', choices: KINDS },
      { name: 'format', value: 'F', help: 'F32, F16 or BF16 for all tensors of floating point, or a number format for the weights (int4-sym-g128; of GGUF a type such as q4_k); without, each tensor keeps its own' },
      { name: 'layout', value: 'L', help: LAYOUT_HELP, choices: LAYOUTS },
      { name: 'method', value: 'M', help: 'PTQ method (rtn); "bitlens methods" lists them' },
      { name: 'out', value: 'FILE', help: 'file to write' }],
    notes: ['JSON: {path, bytes, sha256, verifiedTensors, decoded, left, quantized: [{tensor, type, bits, sqnrDb, weights}], kept: [{key, reason}], fallbacks: [{tensor, type, reason}], notes, seconds}',
      'decoded counts weights that were quantized and became values; left names tensors that the file cannot hold; kept are tensors that --format leaves as they are.',
      'A Hugging Face folder becomes GGUF under llama.cpp\'s names where its config.json names a known architecture; ONNX needs a graph: an ONNX model, or such a folder; of other source, "bitlens quantize MODEL.py --format F --out OUT.onnx".'],
  },
  async run(context) {
    const { args } = context;
    const out = args.required('out', 'the file to write');
    const to = KINDS.find((each) => each === args.text('to')) ?? 'safetensors';
    const format = args.text('format');
    const dtype = DTYPES.find((each) => each === format?.toUpperCase().replace(/^FP/, 'F'));
    const layout = LAYOUTS.find((each) => each === args.text('layout'));
    const method = args.text('method');
    if (layout !== undefined && to !== 'gguf' && !layoutsOf(to).includes(layout)) throw new UsageError(`${to} has no layout "${layout}"; it has ${layoutsOf(to).join(', ')}`);
    if (to === 'onnx' && kindOfFile(out) !== 'onnx') throw new UsageError(`an ONNX model is known by its name: --out must end in .onnx, and ${JSON.stringify(out)} does not`);
    if (to === 'gguf' && (layout !== undefined || method !== undefined)) throw new UsageError(`a GGUF file has one way to store a type, found by its own rule: leave --${layout !== undefined ? 'layout' : 'method'} out`);
    const number = to === 'safetensors' && dtype ? undefined : format;
    if (number === undefined && to !== 'gguf' && (layout !== undefined || method !== undefined)) throw new UsageError(`--${layout !== undefined ? 'layout' : 'method'} says how weights are quantized: name a number format with --format`);
    if (to === 'onnx' && number === undefined) throw new UsageError('say in which number format the weights shall be with --format F (int4-sym-g32, int8-sym-channel)');
    const result = await context.service().convert(args.positionals[0]!, {
      out, to, ...(number === undefined ? {} : { format: number }), ...(to === 'safetensors' && dtype ? { dtype } : {}), ...(layout ? { layout } : {}), ...(method === undefined ? {} : { method }),
    }, context);
    if (context.json) {
      context.printJson(result);
      return 0;
    }
    const types = new Map<string, { tensors: number; weights: number; bits: number; worst: { tensor: string; db: number } | null }>();
    for (const { tensor, type, bits, sqnrDb, weights } of result.quantized) {
      const sum = types.get(type) ?? { tensors: 0, weights: 0, bits, worst: null };
      types.set(type, { ...sum, tensors: sum.tensors + 1, weights: sum.weights + weights, worst: sqnrDb !== null && (!sum.worst || sqnrDb < sum.worst.db) ? { tensor, db: sqnrDb } : sum.worst });
    }
    if (types.size > 0) {
      context.print(`${table([{ title: 'Type' }, { title: 'Tensors', right: true }, { title: 'Weights', right: true }, { title: 'Bits', right: true }, { title: 'Worst SQNR dB', right: true }, { title: 'of' }],
        [...types].map(([type, { tensors, weights, bits, worst }]) => [type, String(tensors), String(weights), bitsText(bits), decibelText(worst?.db ?? null), plain(worst?.tensor ?? '')]))}\n`);
    }
    context.print(`Written to ${result.path} (${bytesText(result.bytes)}); ${plural(result.verifiedTensors, 'tensor')} read back and equal${result.decoded > 0 ? `, ${plural(result.decoded, 'quantized weight')} as values` : ''}. sha256 ${result.sha256}\n`);
    const list = (title: string, items: readonly (readonly [name: string, why: string])[]): void => {
      const reasons = new Map<string, string[]>();
      for (const [name, why] of items) reasons.set(why, [...(reasons.get(why) ?? []), name]);
      for (const [why, names] of reasons) context.print(`${title}${why === '' ? '' : `, ${plain(why, 300)}`}: ${names.slice(0, SHOWN).map((name) => plain(name)).join(', ')}${names.length > SHOWN ? `, and ${names.length - SHOWN} more` : ''}\n`);
    };
    list('Left out', result.left.map((name) => [name, '']));
    list('Kept', result.kept.map(({ key, reason }) => [key, reason]));
    list('In another type', result.fallbacks.map(({ tensor, type, reason }) => [tensor, `${type} because ${reason}`]));
    for (const note of result.notes) context.print(`Note: ${plain(note, 2000)}\n`);
    return 0;
  },
};
