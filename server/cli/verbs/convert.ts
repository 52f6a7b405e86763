/** bitlens convert: a checkpoint of any format as safetensors, in the types it has or another. */
import { UsageError } from '../arguments';
import type { Verb } from '../context';
import { bytesText, plain, plural } from '../output';

const DTYPES = ['F32', 'F16', 'BF16'] as const;

export const convert: Verb = {
  command: {
    name: 'convert',
    summary: 'Writes a checkpoint of any format as safetensors; quantized weights become the values they stand for. It is read back and compared.',
    positionals: [{ name: 'CHECKPOINT', help: 'a file of any known format, an index of shards, or a folder with one' }],
    flags: [
      { name: 'to', value: 'KIND', help: 'file format to write', choices: ['safetensors'] },
      { name: 'format', value: 'F', help: 'type of floating-point tensors: F32, F16 or BF16; without, each keeps its own' },
      { name: 'out', value: 'FILE', help: 'file to write' }],
    notes: ['JSON: {path, bytes, sha256, verifiedTensors, decoded, left, seconds}', 'decoded counts the quantized weights; left names tensors whose values cannot be read.'],
  },
  async run(context) {
    const { args } = context;
    const out = args.required('out', 'the file to write');
    const asked = args.text('format')?.toUpperCase();
    const dtype = DTYPES.find((each) => each === asked || (asked === 'FP16' && each === 'F16') || (asked === 'FP32' && each === 'F32'));
    if (asked !== undefined && !dtype) throw new UsageError(`--format takes F32, F16 or BF16 here, not "${args.text('format')}"; "bitlens quantize" writes number formats`);
    const result = await context.service().convert(args.positionals[0]!, { out, ...(dtype ? { dtype } : {}) }, context);
    if (context.json) {
      context.printJson(result);
      return 0;
    }
    context.print(`Written to ${result.path} (${bytesText(result.bytes)}); ${plural(result.verifiedTensors, 'tensor')} read back and equal${result.decoded > 0 ? `, ${plural(result.decoded, 'quantized weight')} as values` : ''}. sha256 ${result.sha256}\n`);
    if (result.left.length > 0) context.print(`Left out, because their values cannot be read: ${result.left.slice(0, 20).map((name) => plain(name)).join(', ')}${result.left.length > 20 ? `, and ${result.left.length - 20} more` : ''}\n`);
    return 0;
  },
};
