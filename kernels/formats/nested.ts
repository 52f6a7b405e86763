/**
 * Low-bit slices of one stored integer: a model kept at h bits that is served at l, with one scale. With d = h - l,
 * code = round(round(x / s) / 2^d), clamped to l bits (double rounding); value = code 2^d s, where s = absmax / (2^(h-1) - 1) is
 * the scale of the h-bit integer. Halves go up in the second rounding, as a hardware slice has it (add half, shift), and to even
 * in the first. The Matryoshka slice of the unsigned code, clip(round(q / 2^d), 0, 2^l - 1) 2^d with q = round(x / s) + 2^(h-1),
 * is the same value. The lowest code stands for -2^(h-1) s, which is a little more than the largest magnitude.
 */
import { blockScaledFormat } from './block-scaled';
import { codebookElement, nextUp } from './codebook';
import { FormatIdError, type CodebookElement, type FormatFamily } from './format';
import { granularityTitle, parseIdTail, TAIL_GRAMMAR } from './grammar';

function sliceElement(high: number, low: number): CodebookElement {
  const step = 2 ** (high - low);
  const half = 2 ** (low - 1);
  const values = Array.from({ length: 2 * half }, (_, i) => (i - half) * step);
  // The h-bit code that begins value i is (i - half) step - step / 2; t rounds to it from half below, or from just above when it is odd.
  const thresholds = values.slice(1).map((value) => {
    const code = step === 1 ? value : value - step / 2;
    return code % 2 === 0 ? code - 0.5 : nextUp(code - 0.5);
  });
  const codes = values.map((_, i) => (i + half) & (2 * half - 1));
  return codebookElement({ values, thresholds, codes, divisor: 2 ** (high - 1) - 1 });
}

export const nestedFamily: FormatFamily = {
  name: 'nested',
  title: 'Slices of a stored integer',
  grammar: `dr<3..8>to<2..8>${TAIL_GRAMMAR}; dr8to4 serves a stored int8 at 4 bits`,
  listed: ['dr8to6-channel', 'dr8to4-channel', 'dr8to3-channel', 'dr8to2-channel', 'dr8to4-g128'],
  layout: 'the top l bits of the stored code; the lower h - l bits are not read\nper block: one scale, that of the h-bit integer',
  oracle: 'integer arithmetic on the stored codes; h = l equals int<h>-sym, bit for bit',
  source: 'Double Rounding, 2025 (multi-precision training); Nair et al., Matryoshka Quantization, 2025',
  ladders: [['dr8to2-channel', 'dr8to3-channel', 'dr8to4-channel', 'dr8to6-channel', 'dr8to8-channel']],
  parse(id) {
    const match = /^dr(\d)to(\d)(?:-(.*))?$/s.exec(id);
    if (!match) return null;
    const [high, low] = [Number(match[1]), Number(match[2])];
    if (high < 3 || high > 8 || low < 2 || low > high) throw new FormatIdError(`"${id}": 3 to 8 stored bits are served at 2 or more and not more than stored, for example dr8to4`);
    const tail = parseIdTail(id, match[3] === undefined ? [] : match[3].split('-'));
    return blockScaledFormat({
      id: `dr${high}to${low}-${tail.text}`, family: 'nested', title: `${low} bits of a stored int${high}, ${granularityTitle(tail)}`, catalogue: ['double-rounding', 'matryoshka-quantization'],
      codeBits: low, granularity: tail.granularity, scaleStorage: tail.scaleStorage, element: sliceElement(high, low),
    });
  },
};
