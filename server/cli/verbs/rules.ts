/** bitlens rules: what can be found. */
import { rules as registry } from '../../rules/registry';
import type { Verb } from '../context';
import { table } from '../output';

export const rules: Verb = {
  command: {
    name: 'rules', summary: 'Lists findings. "# bitlens: ignore[CODE]" on a line silences one there.', positionals: [], flags: [],
    notes: ['JSON: [{code, name, title, severity, needs}]'],
  },
  async run(context) {
    if (context.json) {
      context.printJson(registry.map(({ code, name, title, defaultSeverity, needs }) => ({ code, name, title, severity: defaultSeverity, needs })));
      return 0;
    }
    context.print(table([{ title: 'Code' }, { title: 'Severity' }, { title: 'Needs' }, { title: 'Title' }],
      registry.map(({ code, defaultSeverity, needs, title }) => [code, defaultSeverity, needs, title]), 90));
    return 0;
  },
};
