/** bitlens diff: two checkpoints tensor by tensor, across file formats. */
import { UsageError } from '../arguments';
import type { DiffRow } from '../../protocol';
import type { Verb } from '../context';
import { countText, decibelText, plain, plural, shapeText, table } from '../output';

/** Equal tensors shown without --all. */
const SHOWN_EQUAL = 0;

export const diff: Verb = {
  command: {
    name: 'diff',
    summary: 'Compares two checkpoints tensor by tensor, across file formats: values, types, and what is missing on either side.',
    positionals: [{ name: 'A', help: 'checkpoint: a file of any known format, an index of shards, or a folder with one' }, { name: 'B', help: 'the checkpoint to compare with; errors are relative to A' }],
    flags: [
      { name: 'all', help: 'list equal tensors too' },
      { name: 'fail-on', value: 'WHAT', help: 'exit 1 when a tensor differs or is missing (different), is missing or of another shape (missing), has an SQNR below so many dB or is missing (a number), or never' }],
    notes: ['JSON: {equal, counts: {equal, different, onlyA, onlyB}, rows: [{a: {name, dtype, shape}, b, by, order, equal, sqnrDb, maxError, differing, reason}], onlyA, onlyB, mapping, a, b, seconds}',
      'sqnrDb is null where there is no error or nothing to compare. Without --fail-on the exit code is 1 when the two differ.'],
  },
  async run(context) {
    const { args } = context;
    const [fileA, fileB] = args.positionals as [string, string];
    const failOn = args.text('fail-on') ?? 'different';
    const threshold = /^\d+(\.\d+)?$/.test(failOn) ? Number(failOn) : null;
    if (threshold === null && !['different', 'missing', 'never'].includes(failOn)) throw new UsageError(`--fail-on takes different, missing, never or a number of dB, not "${failOn}"`);
    const result = await context.service().diff(fileA, fileB, context);
    const missing = result.counts.onlyA + result.counts.onlyB > 0 || result.rows.some((row) => !row.equal && row.differing === null);
    const failed = failOn === 'never' ? false : failOn === 'missing' ? missing : threshold === null ? !result.equal
      : missing || result.rows.some((row) => !row.equal && (row.sqnrDb ?? -Infinity) < threshold);
    if (context.json) {
      context.printJson(result);
      return failed ? 1 : 0;
    }
    const shown = result.rows.filter((row) => args.has('all') || !row.equal);
    if (shown.length > SHOWN_EQUAL) {
      context.print(table([{ title: 'Tensor' }, { title: 'Shape' }, { title: 'A' }, { title: 'B' }, { title: 'SQNR dB', right: true }, { title: 'Max error', right: true }, { title: 'Different', right: true }, { title: '' }],
        shown.map((row) => [row.a.name, shapeText(row.a.shape), row.a.dtype, row.b.dtype, row.equal ? 'equal' : row.differing === null ? '–' : row.sqnrDb === null ? '-∞' : decibelText(row.sqnrDb),
          row.maxError === null ? '–' : row.equal ? '0' : row.maxError.toPrecision(4), row.differing === null ? '–' : countText(row.differing), remark(row)]), 56));
      context.print('\n');
    }
    for (const [title, list] of [['only in A', result.onlyA], ['only in B', result.onlyB]] as const) {
      for (const tensor of list.slice(0, 50)) context.print(`${title}: ${plain(tensor.name)} ${tensor.dtype} [${tensor.shape.join(', ')}]\n`);
      if (list.length > 50) context.print(`${title}: ${plural(list.length - 50, 'more tensor')}\n`);
    }
    for (const line of result.mapping.slice(0, 20)) context.print(`${plain(line, 500)}\n`);
    const { equal, different, onlyA, onlyB } = result.counts;
    context.print(`${result.equal ? 'Equal' : 'Different'}: ${plural(equal, 'tensor')} equal, ${different} different, ${onlyA} only in A (${result.a.format}), ${onlyB} only in B (${result.b.format}); ${result.seconds.toFixed(2)} s\n`);
    return failed ? 1 : 0;
  },
};

function remark(row: DiffRow): string {
  const parts = [
    row.a.name === row.b.name ? '' : `= ${plain(row.b.name)}`,
    row.order === 'transposed' ? 'transposed' : row.order === 'heads' ? 'rows in llama.cpp order' : '',
    row.by === 'values' ? 'matched by values' : '',
    row.reason ?? '',
  ];
  return parts.filter((part) => part !== '').join(', ');
}
