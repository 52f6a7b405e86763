/** Scales and axes for small SVG charts. */
import { svg } from './dom';

export interface Scale {
  (value: number): number;
  readonly ticks: readonly number[];
}

/** Linear scale from [low, high] to [start, end] with about `count` round ticks. */
export function linear(low: number, high: number, start: number, end: number, count = 5): Scale {
  const span = high - low || 1;
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough) ?? rough;
  const ticks: number[] = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) ticks.push(Math.abs(tick) < step * 1e-9 ? 0 : tick);
  return Object.assign((value: number) => start + ((value - low) / span) * (end - start), { ticks });
}

/** Base-10 logarithmic scale; values must be positive. Ticks at powers of ten. */
export function logarithmic(low: number, high: number, start: number, end: number): Scale {
  const a = Math.log10(low);
  const span = Math.log10(high) - a || 1;
  const ticks: number[] = [];
  for (let power = Math.ceil(a - 1e-9); power <= Math.log10(high) + 1e-9; power++) ticks.push(10 ** power);
  return Object.assign((value: number) => start + ((Math.log10(value) - a) / span) * (end - start), { ticks });
}

/** A horizontal axis below the plot, with its title. */
export function bottomAxis(scale: Scale, y: number, from: number, to: number, title: string, label: (value: number) => string): SVGElement {
  return svg('g', { class: 'axis' },
    svg('line', { x1: from, x2: to, y1: y, y2: y }),
    ...scale.ticks.map((tick) => svg('g', {},
      svg('line', { x1: scale(tick), x2: scale(tick), y1: y, y2: y + 4 }),
      svg('text', { x: scale(tick), y: y + 16, 'text-anchor': 'middle' }, label(tick)))),
    svg('text', { class: 'axis-title', x: (from + to) / 2, y: y + 32, 'text-anchor': 'middle' }, title));
}

/** A vertical axis at the left with faint grid lines, with its title. */
export function leftAxis(scale: Scale, x: number, to: number, top: number, bottom: number, title: string, label: (value: number) => string, titleOffset = 50): SVGElement {
  return svg('g', { class: 'axis' },
    svg('line', { x1: x, x2: x, y1: top, y2: bottom }),
    ...scale.ticks.map((tick) => svg('g', {},
      svg('line', { class: 'grid', x1: x, x2: to, y1: scale(tick), y2: scale(tick) }),
      svg('text', { x: x - 6, y: scale(tick) + 4, 'text-anchor': 'end' }, label(tick)))),
    svg('text', { class: 'axis-title', transform: `translate(${x - titleOffset} ${(top + bottom) / 2}) rotate(-90)`, 'text-anchor': 'middle' }, title));
}
