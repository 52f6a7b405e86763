/**
 * The dynamic 8-bit map of the 8-bit optimizers: leading zeros name a decimal exponent, the bits after the indicator a linear
 * fraction in [0.1, 1]; 256 values between -1 and 1 with 0 and 1. Blocks of 2048 with a float32 absmax; nearest value, ties down.
 */
import { blockScaledFormat } from './block-scaled';
import { codebookElement } from './codebook';
import { FormatIdError, type FormatFamily } from './format';
import { granularityTitle, parseIdTail, TAIL_GRAMMAR } from './grammar';

const EXPONENTS = 7;

const fround = Math.fround;

/**
 * The 256 values, ascending, in float32 and in the order of operations of the reference: step i has 2^i fractions, the middles of
 * equal parts of [0.1, 1] (the lower half of the edges counted from below, the upper half
 * from above, each by a fused multiply-add), times 10^(i - 6).
 */
export function dynamicMap(): Float32Array {
  const positive: number[] = [];
  for (let i = 0; i < EXPONENTS; i += 1) {
    const parts = 2 ** i;
    const start = fround(0.1);
    const step = fround(fround(1 - start) / parts);
    const edge = (k: number): number => (k < Math.floor((parts + 1) / 2) ? fround(start + step * k) : fround(1 - step * (parts - k)));
    const power = fround(10 ** (i - EXPONENTS + 1));
    for (let k = 0; k < parts; k += 1) positive.push(fround(power * fround(fround(edge(k) + edge(k + 1)) / 2)));
  }
  return Float32Array.from([...positive.map((value) => -value), 0, ...positive, 1]).sort();
}

export const dynamicFamily: FormatFamily = {
  name: 'dynamic',
  title: 'Dynamic 8-bit map',
  grammar: `dyn8${TAIL_GRAMMAR}; dyn8 alone is dyn8-g2048`,
  listed: ['dyn8-g2048', 'dyn8-channel'],
  layout: 's | n zeros, a one | fraction of 6 - n bits: value = 10^-n (0.1 .. 1); stored as the index into the ascending table',
  oracle: 'the table of bitsandbytes (256 values, float32)',
  source: 'Dettmers et al., 8-bit Optimizers via Block-wise Quantization, 2022',
  parse(id) {
    const [head, ...parts] = id.split('-');
    if (head !== 'dyn8') {
      if (/^dyn\d/.test(id)) throw new FormatIdError(`"${id}": the dynamic map has 8 bits: dyn8`);
      return null;
    }
    const tail = parseIdTail(id, parts, { kind: 'group', size: 2048 });
    return blockScaledFormat({
      id: `dyn8-${tail.text}`, family: 'dynamic', title: `Dynamic 8-bit map, ${granularityTitle(tail)}`, catalogue: ['optimizer-8bit'],
      codeBits: 8, granularity: tail.granularity, scaleStorage: tail.scaleStorage, element: codebookElement({ values: dynamicMap(), tie: 'down' }),
    });
  },
};
