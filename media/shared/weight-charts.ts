/** Histogram of one weight and the range of each of its output channels: used by the report and the checkpoint view. */
import type { LayerDetail } from '../../server/protocol';
import { bottomAxis, leftAxis, linear, logarithmic } from './axes';
import { h, svg } from './dom';
import { integer, short } from './numbers';

const WIDTH = 520;
const HEIGHT = 220;
const LEFT = 66;
const RIGHT = WIDTH - 24;
const TOP = 10;
const BOTTOM = HEIGHT - 40;

function figure(title: string, description: string, ...content: readonly SVGElement[]): HTMLElement {
  return h('figure', {},
    h('figcaption', {}, title),
    svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${title}. ${description}` }, svg('title', {}, title), ...content));
}

/** Counts on a logarithmic scale, so that tails of a few weights stay visible. */
export function histogram(detail: LayerDetail): HTMLElement {
  const { edges, counts } = detail.histogram;
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (!total || edges.length < 2) return h('p', {}, 'No finite weights to show.');
  const low = edges[0]!;
  const high = edges[edges.length - 1]!;
  const x = linear(low, high, LEFT, RIGHT, 6);
  const y = logarithmic(0.8, Math.max(10, ...counts) * 1.2, BOTTOM, TOP);
  const bars = counts.map((count, i) => (count === 0 ? null : svg('rect', {
    class: 'bar', x: x(edges[i]!) + 0.5, width: Math.max(0.5, x(edges[i + 1]!) - x(edges[i]!) - 1), y: y(count), height: BOTTOM - y(count),
  }, svg('title', {}, `${short(edges[i])} to ${short(edges[i + 1])}: ${integer(count)} weights`))));
  const peak = counts.indexOf(Math.max(...counts));
  return figure('Weight histogram', `${integer(total)} weights from ${short(low)} to ${short(high)}, most of them near ${short(edges[peak])}; counts on a logarithmic scale`,
    leftAxis(y, LEFT, RIGHT, TOP, BOTTOM, 'weights', (value) => (value >= 1e4 ? value.toExponential(0) : integer(value))),
    svg('g', {}, ...bars),
    bottomAxis(x, BOTTOM, LEFT, RIGHT, 'value', short));
}

/** One vertical bar from the least to the greatest weight of each output channel. */
export function channelRanges(detail: LayerDetail): HTMLElement {
  const { index, min, max } = detail.channels;
  if (index.length === 0) return h('p', {}, 'No output channels to show.');
  const low = Math.min(0, ...min);
  const high = Math.max(0, ...max);
  const x = linear(0, Math.max(1, index[index.length - 1]! + 1), LEFT, RIGHT, 6);
  const y = linear(low, high || 1, BOTTOM, TOP, 5);
  const width = Math.max(0.6, (RIGHT - LEFT) / index.length * 0.8);
  const ranges = index.map((channel, i) => svg('rect', {
    class: 'bar', x: x(channel), width, y: y(max[i]!), height: Math.max(0.6, y(min[i]!) - y(max[i]!)),
  }, svg('title', {}, `channel ${channel}: ${short(min[i])} to ${short(max[i])}`)));
  const widest = index.reduce((best, _, i) => (max[i]! - min[i]! > max[best]! - min[best]! ? i : best), 0);
  return figure('Range of each output channel', `${index.length} channels; the widest is channel ${index[widest]}, from ${short(min[widest])} to ${short(max[widest])}`,
    leftAxis(y, LEFT, RIGHT, TOP, BOTTOM, 'value', short),
    svg('line', { class: 'zero', x1: LEFT, x2: RIGHT, y1: y(0), y2: y(0) }),
    svg('g', {}, ...ranges),
    bottomAxis(x, BOTTOM, LEFT, RIGHT, 'output channel', integer));
}
