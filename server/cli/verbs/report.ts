/** bitlens report: the sensitivity report as one HTML file, or as JSON or CSV by the name's ending. */
import path from 'node:path';
import { writeFileAtomic } from '../../analysis/atomic-file';
import { reportCsv } from '../../report-csv';
import { reportHtml } from '../../report/html';
import { UsageError } from '../arguments';
import type { Verb } from '../context';
import { readFormats } from '../formats-flag';
import { bytesText, plural } from '../output';
import { analyseTarget, CHECKPOINT, FORMATS, TARGET } from '../target';

export const report: Verb = {
  command: {
    name: 'report',
    summary: 'Writes the sensitivity report: layers × formats, size against error, histograms. One file, nothing fetched.',
    positionals: [TARGET],
    flags: [CHECKPOINT, FORMATS,
      { name: 'recipe', value: 'R', help: 'recipe to show' },
      { name: 'sweep', help: 'measure every number format on a sample of each layer, too (takes seconds a layer)' },
      { name: 'metric', value: 'M', help: 'error of the curve; "bitlens methods" lists them' },
      { name: 'out', value: 'FILE', help: 'file to write: .html, .json or .csv' }],
    notes: ['JSON: {path, bytes, root, layers, averageBits, evidence}'],
  },
  async run(context) {
    const out = path.resolve(context.args.required('out', 'the file to write (.html, .json or .csv)'));
    const kind = path.extname(out).toLowerCase();
    if (!['.html', '.htm', '.json', '.csv'].includes(kind)) throw new UsageError(`--out must end in .html, .json or .csv, not ${JSON.stringify(kind)}`);
    const asked = context.args.list('formats');
    const formats = asked ? [...new Set(readFormats(asked).map(({ id }) => id))] : undefined;
    const analysis = await analyseTarget(context);
    const service = context.service();
    const metric = context.args.text('metric');
    const data = await service.report(analysis, { details: kind !== '.csv', sweep: context.args.has('sweep'), ...(formats ? { formats } : {}), ...(metric === undefined ? {} : { metric }) }, context);
    context.signal.throwIfAborted();
    const text = kind === '.csv' ? reportCsv(data) : kind === '.json' ? `${JSON.stringify(data, null, 2)}\n` : await reportHtml(data);
    const bytes = await writeFileAtomic(out, text, context.signal);
    if (context.json) context.printJson({ path: out, bytes, root: data.target.root, layers: data.layers.length, averageBits: data.totals.averageBits, evidence: data.evidence });
    else context.print(`${plural(data.layers.length, 'layer')} of ${data.target.root} in ${plural(data.formats.length, 'format')}; written to ${out} (${bytesText(bytes)})\n${data.evidence}\n`);
    return 0;
  },
};
