/** Every format on one layer: error against cost, and a table of those that none beats at its cost. */
import type { LayerDetail } from '../../server/protocol';
import { bottomAxis, leftAxis, linear } from '../shared/axes';
import { announce, h, svg } from '../shared/dom';
import { decibel, integer } from '../shared/numbers';

type Sweep = NonNullable<LayerDetail['sweep']>;

const WIDTH = 720;
const HEIGHT = 320;
const LEFT = 58;
const RIGHT = WIDTH - 24;
const TOP = 12;
const BOTTOM = HEIGHT - 42;
/** Beyond these nothing is decided any more, and the low bits would have no room. */
const MOST_BITS = 10;

export function formatSweep(sweep: Sweep): HTMLElement {
  const sample = sweep.rows === sweep.ofRows && sweep.cols === sweep.ofCols ? 'all weights'
    : `a sample: ${integer(sweep.rows)} of ${integer(sweep.ofRows)} rows${sweep.cols < sweep.ofCols ? `, ${integer(sweep.cols)} of ${integer(sweep.ofCols)} columns` : ''}`;
  const shown = sweep.formats.filter((each) => each.sqnrDb !== null && each.bitsPerWeight <= MOST_BITS);
  const best = sweep.formats.filter((each) => each.best).sort((a, b) => a.bitsPerWeight - b.bitsPerWeight);
  return h('div', { class: 'sweep' },
    h('p', { class: 'dim' }, `${integer(sweep.formats.length)} formats, measured on ${sample}; absmax scales. ${integer(best.length)} are the best at their cost.`,
      sweep.lossless ? ` Without any loss: ${sweep.lossless.compressedBits.toFixed(2)} of ${sweep.lossless.storedBits} bits, because the exponents carry ${sweep.lossless.entropyBits.toFixed(2)} bits (an estimate from their entropy).` : ''),
    h('div', { class: 'columns' },
      h('div', { class: 'scroll', role: 'region', 'aria-label': 'The best format at each cost', tabindex: 0 }, h('table', {},
        h('caption', { class: 'visually-hidden' }, 'The best format at each cost'),
        h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Best at its cost'), h('th', { scope: 'col', class: 'number' }, 'Bits'), h('th', { scope: 'col', class: 'number' }, 'SQNR dB'))),
        h('tbody', {}, ...best.map((each) => h('tr', {}, h('th', { scope: 'row' }, h('code', {}, each.id)),
          h('td', { class: 'number' }, each.bitsPerWeight.toFixed(2)), h('td', { class: 'number' }, decibel(each.sqnrDb))))))),
      shown.length < 2 ? h('p', { class: 'dim' }, 'Nothing to draw: no format loses anything here.') : chart(shown, best)));
}

function chart(shown: Sweep['formats'], best: Sweep['formats']): HTMLElement {
  const errors = shown.map((each) => each.sqnrDb!);
  const x = linear(Math.min(1, ...shown.map((each) => each.bitsPerWeight)), Math.min(MOST_BITS, Math.max(...shown.map((each) => each.bitsPerWeight))) + 0.2, LEFT, RIGHT, 10);
  const y = linear(Math.min(0, ...errors), Math.max(...errors) * 1.04, BOTTOM, TOP, 6);
  const line = best.filter((each) => each.sqnrDb !== null && each.bitsPerWeight <= MOST_BITS);
  const mark = (each: Sweep['formats'][number]): SVGElement => {
    const words = `${each.id}: ${each.bitsPerWeight.toFixed(2)} bits, ${decibel(each.sqnrDb)} dB${each.best ? ', the best at its cost' : ''}`;
    // Only the best can be walked through by keyboard: the table beside has them, too.
    return svg('g', { class: 'mark', role: 'img', 'aria-label': words, ...(each.best ? { tabindex: 0, focus: () => announce(words) } : {}), transform: `translate(${x(each.bitsPerWeight)} ${y(each.sqnrDb!)})` },
      svg('title', {}, words), svg('circle', { class: each.best ? 'point' : 'other', r: each.best ? 4 : 3 }));
  };
  return h('figure', { class: 'curve' },
    svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'group', 'aria-label': `Error against cost of ${shown.length} formats` },
      leftAxis(y, LEFT, RIGHT, TOP, BOTTOM, 'SQNR, dB', (value) => String(value), 44),
      bottomAxis(x, BOTTOM, LEFT, RIGHT, 'bits per weight, scales counted', (value) => String(value)),
      svg('path', { class: 'line', d: line.map((each, i) => `${i ? 'L' : 'M'}${x(each.bitsPerWeight).toFixed(1)} ${y(each.sqnrDb!).toFixed(1)}`).join('') }),
      ...shown.filter((each) => !each.best).map(mark), ...shown.filter((each) => each.best).map(mark)),
    h('p', { class: 'legend' }, h('span', {}, '● the best at its cost'), h('span', {}, '○ beaten by a format that costs no more')));
}
