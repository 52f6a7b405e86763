/**
 * Posits: sign, a run of equal bits (the regime k), `es` exponent bits, fraction; value = (1 + f) 2^(k 2^es + e). Negative codes
 * are two's complements, so codes as signed integers and values have one order. Rounding is that of the standard: nearest in the
 * bit string with ties to even; no value but zero becomes zero, and what lies beyond the largest posit is the largest posit.
 * Plain casts: posits are used as they are, without scales. NaR is not used.
 */
import { blockScaledFormat } from './block-scaled';
import { codebookElement, nextUp } from './codebook';
import { FormatIdError, type CodebookElement, type FormatFamily } from './format';

/** Value of a positive posit code of `bits` bits. Exact: fractions have at most bits - 3 bits. */
export function positValue(code: number, bits: number, es: number): number {
  const at = (i: number): number => (i < 0 ? 0 : Math.floor(code / 2 ** i) % 2);
  let i = bits - 2;
  const first = at(i);
  let run = 0;
  while (i >= 0 && at(i) === first) { run += 1; i -= 1; }
  i -= 1; // The bit that ends the run.
  let exponent = (first === 1 ? run - 1 : -run) * 2 ** es;
  // Exponent bits that were cut off are zeros.
  for (let bit = es - 1; bit >= 0; bit -= 1, i -= 1) exponent += at(i) * 2 ** bit;
  const fractionBits = Math.max(0, i + 1);
  const fraction = fractionBits === 0 ? 0 : (code % 2 ** fractionBits) / 2 ** fractionBits;
  return (1 + fraction) * 2 ** exponent;
}

const elements = new Map<string, CodebookElement>();

function positElement(bits: number, es: number): CodebookElement {
  const key = `${bits}.${es}`;
  const known = elements.get(key);
  if (known) return known;
  const most = 2 ** (bits - 1) - 1;
  const positive = Array.from({ length: most }, (_, i) => positValue(i + 1, bits, es));
  const values = [...positive.map((value) => -value).reverse(), 0, ...positive];
  const codes = [...positive.map((_, i) => 2 ** bits - (most - i)), 0, ...positive.map((_, i) => i + 1)];
  // Half way between codes c and c + 1 is the code 2c + 1 of a posit that is one bit longer; it goes to the even of the two.
  const middle = positive.slice(0, -1).map((_, i) => positValue(2 * (i + 1) + 1, bits + 1, es));
  const up = middle.map((value, i) => ((i + 2) % 2 === 0 ? value : nextUp(Math.fround(value))));
  const down = middle.map((value, i) => -((i + 2) % 2 === 0 ? value : nextUp(Math.fround(value))));
  // Seen from below, a threshold belongs to the value nearer to zero.
  const thresholds = [...down.reverse().map((value) => nextUp(Math.fround(value))), 0, 2 ** -149, ...up];
  const made = codebookElement({ values, thresholds, codes, divisor: null });
  elements.set(key, made);
  return made;
}

export const positFamily: FormatFamily = {
  name: 'posit',
  title: 'Posits',
  grammar: 'posit<6..16>-es<0..2>; posit8 alone is posit8-es2 and posit16 is posit16-es2, as the 2022 standard has them',
  listed: ['posit8-es0', 'posit8-es1', 'posit8-es2', 'posit16-es1', 'posit16-es2'],
  layout: 's | regime r..r, ended by its opposite | es exponent bits | fraction; negative values in two\'s complement; no scales',
  oracle: 'a decoder in exact integers (every code), and nearest neighbours in the longer posit',
  source: 'Standard for Posit Arithmetic (2022); Gustafson and Yonemoto, 2017',
  parse(id) {
    const match = /^posit(\d*)(?:-(.*))?$/s.exec(id);
    if (!match) return null;
    const bits = Number(match[1]);
    if (!/^\d{1,2}$/.test(match[1]!) || bits < 6 || bits > 16) throw new FormatIdError(`"${id}": posits here have 6 to 16 bits, for example posit8-es1`);
    const es = /^es([0-2])$/.exec(match[2] ?? 'es2');
    if (!es) throw new FormatIdError(`"${id}": a posit has 0 to 2 exponent bits, for example posit${bits}-es1, and no scales`);
    return blockScaledFormat({
      id: `posit${bits}-es${es[1]}`, family: 'posit', title: `Posit of ${bits} bits with ${es[1]} exponent bits`, catalogue: ['posit'],
      codeBits: bits, granularity: null, scaleStorage: 'f32', element: positElement(bits, Number(es[1])),
    });
  },
};
