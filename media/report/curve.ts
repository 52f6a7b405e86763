/** Size against error: the optimum for every budget, the uniform formats beside it, and the allocation that is shown. */
import type { ReportData } from '../../server/protocol';
import { bottomAxis, leftAxis, linear, logarithmic } from '../shared/axes';
import { announce, h, svg } from '../shared/dom';
import { bytes, short } from '../shared/numbers';

const WIDTH = 1200;
const HEIGHT = 380;
const LEFT = 84;
const RIGHT = WIDTH - 130;
const TOP = 14;
const BOTTOM = HEIGHT - 46;

export function curve(report: ReportData): HTMLElement {
  const { points, chosen, uniform } = report.curve;
  const positive = [...points, ...uniform].filter((point) => point.objective > 0);
  if (positive.length < 2) return h('p', { class: 'dim' }, 'No size and error to draw: fewer than two formats were measured.');
  const sizes = positive.map((point) => point.bytes);
  const errors = positive.map((point) => point.objective);
  const low = Math.min(...errors);
  const high = Math.max(...errors);
  const x = linear(Math.min(...sizes) * 0.94, Math.max(...sizes) * 1.02, LEFT, RIGHT, 8);
  const y = logarithmic(low / 1.6, high * 1.6, BOTTOM, TOP);
  const drawn = points.filter((point) => point.objective > 0);

  const mark = (words: string, cx: number, cy: number, shape: SVGElement, label?: SVGElement | null): SVGElement =>
    svg('g', { class: 'mark', tabindex: 0, role: 'img', 'aria-label': words, focus: () => announce(words), transform: `translate(${cx} ${cy})` }, svg('title', {}, words), shape, label ?? null);

  const labels = placeLabels(uniform.filter((point) => point.objective > 0).map((point) => ({ point, x: x(point.bytes), y: y(point.objective) })));
  const uniformMarks = labels.map(({ point, x: cx, y: cy, labelY }) => mark(
    `uniform ${point.format}: ${bytes(point.bytes)}, ${point.averageBits.toFixed(2)} bits on average, error ${short(point.objective)}`,
    cx, cy, svg('rect', { class: 'uniform', x: -5, y: -5, width: 10, height: 10 }),
    svg('g', {},
      Math.abs(labelY - cy) > 14 ? svg('line', { class: 'leader', x1: 6, y1: 0, x2: 11, y2: labelY - cy }) : null,
      svg('text', { class: 'mark-label', x: 12, y: labelY - cy + 4 }, point.format))));
  const step = Math.max(1, Math.floor(drawn.length / 16));
  const curveMarks = drawn.filter((_, i) => i % step === 0).map((point) => mark(
    `best mix: ${bytes(point.bytes)}, ${point.averageBits.toFixed(2)} bits on average, error ${short(point.objective)}`,
    x(point.bytes), y(point.objective), svg('circle', { class: 'point', r: 3.2 })));
  const shown = chosen === null ? null : points[chosen];
  const chosenMark = shown && shown.objective > 0 ? mark(
    `shown: ${bytes(shown.bytes)}, ${shown.averageBits.toFixed(2)} bits on average, error ${short(shown.objective)}`,
    x(shown.bytes), y(shown.objective), svg('circle', { class: 'chosen', r: 7 }),
    svg('text', { class: 'mark-label', x: -11, y: 18, 'text-anchor': 'end' }, `shown: ${shown.averageBits.toFixed(2)} bits`)) : null;

  const description = `${drawn.length} optimal mixes from ${bytes(Math.min(...sizes))} to ${bytes(Math.max(...sizes))}; error from ${short(high)} down to ${short(low)}`;
  return h('figure', { class: 'curve' },
    svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'group', 'aria-label': `Size against error. ${description}` },
      leftAxis(y, LEFT, RIGHT, TOP, BOTTOM, report.metric.title, (value) => short(value), 62),
      bottomAxis(x, BOTTOM, LEFT, RIGHT, 'size of the quantized weights', bytes),
      svg('path', { class: 'line', d: drawn.map((point, i) => `${i ? 'L' : 'M'}${x(point.bytes).toFixed(1)} ${y(point.objective).toFixed(1)}`).join('') }),
      ...curveMarks, ...uniformMarks, chosenMark),
    h('p', { class: 'legend' },
      h('span', {}, '● line: the best mix of formats for each size'),
      h('span', {}, '□ the same format for every layer'),
      shown ? h('span', {}, '⬤ what this report shows') : null));
}

/** Pushes labels of neighbouring marks apart vertically, so that each can be read. */
function placeLabels<T extends { x: number; y: number }>(marks: readonly T[]): (T & { labelY: number })[] {
  const placed: (T & { labelY: number })[] = [];
  for (const mark of [...marks].sort((a, b) => a.y - b.y)) {
    let labelY = mark.y;
    while (placed.some((other) => Math.abs(other.x - mark.x) < 130 && Math.abs(other.labelY - labelY) < 13)) labelY += 3;
    placed.push({ ...mark, labelY });
  }
  return placed;
}
