/** bitlens formats: the number formats that pickers show. */
import { families } from '../../../kernels/formats/registry';
import { formatEntries } from '../../analysis/vocabulary';
import type { Verb } from '../context';
import { bitsText, table } from '../output';

export const formats: Verb = {
  command: {
    name: 'formats', summary: 'Lists number formats. Ids are parametric: any id that follows the grammar is accepted.', positionals: [], flags: [],
    notes: ['JSON: [{id, title, bitsPerWeight, catalogue: [ids]}]; bitsPerWeight is for rows of 4096 weights, scales counted'],
  },
  async run(context) {
    const entries = formatEntries();
    if (context.json) { context.printJson(entries); return 0; }
    context.print(table([{ title: 'Id' }, { title: 'Bits', right: true }, { title: 'Title' }], entries.map(({ id, title, bitsPerWeight }) => [id, bitsText(bitsPerWeight), title]), 80));
    context.print(`\nGrammar: ${families.map(({ grammar }) => grammar).join('\n         ')}\n`);
    return 0;
  },
};
