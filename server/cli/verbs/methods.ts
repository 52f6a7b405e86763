/** bitlens methods: what can be run, measured and solved with. */
import { methodEntries } from '../../analysis/vocabulary';
import type { Verb } from '../context';
import { table } from '../output';

export const methods: Verb = {
  command: {
    name: 'methods', summary: 'Lists PTQ methods, sensitivity metrics, allocators and costs.', positionals: [], flags: [],
    notes: ['JSON: [{id, kind, title, needs, catalogue: [ids]}]'],
  },
  async run(context) {
    const entries = methodEntries();
    if (context.json) { context.printJson(entries); return 0; }
    context.print(table([{ title: 'Id' }, { title: 'Kind' }, { title: 'Needs' }, { title: 'Title' }, { title: 'Catalogue' }],
      entries.map(({ id, kind, needs, title, catalogue }) => [id, kind, needs, title, catalogue.join(' ')]), 80));
    return 0;
  },
};
