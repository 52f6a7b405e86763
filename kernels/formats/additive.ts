/**
 * Sums of powers of two, which multiply by shifts and adds.
 *
 * - apot (additive powers of two): a sign and the sum of terms that each take two bits (one term of an odd width takes one):
 *   with n terms, term i is 0 or 2^-(i + 1 + n j), j = 0, 1, 2.
 * - khot (QFX): integers of b bits with at most K ones in the magnitude; K = b - 1 is the symmetric integer, bit for bit.
 */
import { blockScaledFormat } from './block-scaled';
import { codebookElement } from './codebook';
import { FormatIdError, type CodebookElement, type FormatFamily } from './format';
import { granularityTitle, parseIdTail, TAIL_GRAMMAR } from './grammar';

/** Every sum of one value of each set. */
function sums(sets: readonly (readonly number[])[]): number[] {
  return sets.reduce<number[]>((partial, set) => partial.flatMap((sum) => set.map((term) => sum + term)), [0]);
}

function apotElement(bits: number): CodebookElement {
  const width = bits - 1;
  const terms = Math.floor(width / 2);
  const sets = Array.from({ length: terms }, (_, i) => [0, ...[0, 1, 2].map((j) => 2 ** -(i + 1 + terms * j))]);
  // An odd width: the term of one bit takes the place of the last power but one of the first term, which moves one down.
  if (width % 2 === 1) {
    const least = 2 ** -(3 * terms);
    sets[terms - 1]![3] = least / 2;
    sets.push([0, least]);
  }
  // In whole numbers: a divisor below 1 would let the scale of the widest blocks overflow.
  const unit = Math.min(...sets.flat().filter((term) => term > 0));
  const magnitudes = [...new Set(sums(sets))].map((sum) => sum / unit).sort((a, b) => a - b);
  const positive = magnitudes.slice(1);
  const values = [...positive.map((value) => -value).reverse(), ...magnitudes];
  const sign = 2 ** width;
  const codes = values.map((value) => (value < 0 ? sign : 0) + magnitudes.indexOf(Math.abs(value)));
  return codebookElement({ values, codes, tie: 'even' });
}

const ones = (number: number): number => number.toString(2).replaceAll('0', '').length;

function khotElement(bits: number, most: number): CodebookElement {
  const limit = 2 ** (bits - 1) - 1;
  const values = Array.from({ length: 2 * limit + 1 }, (_, i) => i - limit).filter((value) => ones(Math.abs(value)) <= most);
  const codes = values.map((value) => value & (2 ** bits - 1));
  return codebookElement({ values, codes, tie: 'even' });
}

export const additiveFamily: FormatFamily = {
  name: 'additive',
  title: 'Sums of powers of two',
  grammar: `apot<3..8>${TAIL_GRAMMAR}; khot<3..8>-k<1..7>${TAIL_GRAMMAR}`,
  listed: ['apot3-channel', 'apot4-channel', 'apot5-channel', 'apot7-channel', 'apot4-g128', 'khot4-k1-channel', 'khot4-k2-channel', 'khot8-k2-channel', 'khot8-k3-channel'],
  layout: 'apot: sign and the index of the magnitude (two bits a term) | khot: two\'s complement with at most K ones in the magnitude\nper block: one scale',
  oracle: 'enumeration of all sums; khot with K = b - 1 equals int<b>-symr, bit for bit',
  source: 'Li et al., Additive Powers-of-Two Quantization, 2020; QFX: trainable fixed point, 2024',
  ladders: [['khot4-k3-channel', 'khot5-k4-channel', 'khot8-k7-channel']],
  parse(id) {
    const match = /^(apot|khot)(\d*)(?:-(.*))?$/s.exec(id);
    if (!match) return null;
    const [, kind, width, rest] = match;
    const bits = Number(width);
    if (!/^\d$/.test(width!) || bits < 3 || bits > 8) throw new FormatIdError(`"${id}": ${kind} has 3 to 8 bits, for example ${kind}4`);
    const parts = rest === undefined ? [] : rest.split('-');
    if (kind === 'apot') {
      const tail = parseIdTail(id, parts);
      return blockScaledFormat({
        id: `apot${bits}-${tail.text}`, family: 'additive', title: `${bits}-bit additive powers of two, ${granularityTitle(tail)}`, catalogue: [],
        codeBits: bits, granularity: tail.granularity, scaleStorage: tail.scaleStorage, element: apotElement(bits),
      });
    }
    const ones1 = /^k(\d)$/.exec(parts.shift() ?? '');
    const most = Number(ones1?.[1]);
    if (!ones1 || most < 1 || most > bits - 1) throw new FormatIdError(`"${id}": name the most ones, 1 to ${bits - 1}, for example khot${bits}-k2`);
    const tail = parseIdTail(id, parts);
    return blockScaledFormat({
      id: `khot${bits}-k${most}-${tail.text}`, family: 'additive', title: `${bits}-bit fixed point of at most ${most} ${most === 1 ? 'one' : 'ones'}, ${granularityTitle(tail)}`, catalogue: ['qfx'],
      codeBits: bits, granularity: tail.granularity, scaleStorage: tail.scaleStorage, element: khotElement(bits, most),
    });
  },
};
