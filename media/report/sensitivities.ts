/** What quantizing each layer did to the model's output: a table of each metric that was measured, deeper colour for more of it. */
import type { ReportData, ReportSensitivity } from '../../server/protocol';
import { h } from '../shared/dom';
import { integer, short } from '../shared/numbers';

export function sensitivities(report: ReportData, onOpen: (path: string) => void): HTMLElement | null {
  if (!report.sensitivities?.length) return null;
  return h('section', { 'aria-labelledby': 'measured-title' },
    h('h2', { id: 'measured-title' }, 'Measured on data'),
    ...report.sensitivities.toReversed().map((each) => metricTable(each, onOpen)));
}

function metricTable(each: ReportSensitivity, onOpen: (path: string) => void): HTMLElement {
  const depth = depthOf(each);
  const rows = [...each.layers].sort((a, b) => (b.values[0]?.value ?? 0) - (a.values[0]?.value ?? 0));
  return h('div', {},
    h('p', { class: 'dim' }, `${each.title} (${each.unit}): ${each.samples === 0 ? 'from the weights and the place of each layer, without data' : `mean ± standard error over ${integer(each.samples)} samples of ${each.data}`}; higher is more sensitive. ${agreementText(each)}`),
    h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `${each.title} of each layer` },
      h('table', { class: 'heat' },
        h('caption', { class: 'dim' }, 'The most sensitive first'),
        h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Layer'), ...each.formats.map((format) => h('th', { scope: 'col' }, format)))),
        h('tbody', {}, ...rows.map(({ path, values }) => h('tr', {},
          h('th', { scope: 'row', title: path }, h('button', { type: 'button', class: 'link', click: () => onOpen(path) }, path)),
          ...values.map((value) => {
            if (!value) return h('td', {}, '–');
            const cell = h('td', { title: value.stderr === null ? null : `± ${short(value.stderr)}` }, short(value.value), value.stderr === null ? null : h('small', {}, ` ± ${short(value.stderr)}`));
            cell.style.setProperty('--damage', depth(value.value).toFixed(3));
            return cell;
          })))))));
}

/** 0 to 1 on a logarithmic scale over four powers of ten below the largest value. */
function depthOf({ layers }: ReportSensitivity): (value: number) => number {
  const most = Math.max(...layers.flatMap(({ values }) => values.map((value) => value?.value ?? 0)));
  return (value) => (value > 0 && most > 0 ? Math.min(1, Math.max(0, 1 + Math.log10(value / most) / 4)) : 0);
}

/** Rank agreement with the other metrics, the lowest and the highest over the formats. */
function agreementText({ agreement }: ReportSensitivity): string {
  const byMetric = new Map<string, number[]>();
  for (const { title, tau } of agreement) if (tau !== null) byMetric.set(title, [...(byMetric.get(title) ?? []), tau]);
  const texts = [...byMetric].map(([title, taus]) => {
    const [low, high] = [Math.min(...taus), Math.max(...taus)].map((tau) => tau.toFixed(2));
    return `${title.charAt(0).toLowerCase()}${title.slice(1)} ${low === high ? low : `${low} to ${high}`}`;
  });
  return texts.length > 0 ? `Agreement on the order of layers (Kendall's tau, 1 is full): ${texts.join('; ')}.` : '';
}
