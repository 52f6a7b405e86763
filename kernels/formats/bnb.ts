/**
 * The 4-bit codebooks of bitsandbytes: NF4 (16 quantiles of a normal distribution with an exact zero, -1 to 1) and its FP4
 * (absolute values 0, 1/192, 1/6, 1/4, 1/3, 1/2, 2/3, 1). Blocks of 64 with a float32 absmax. Encoding goes to the nearest
 * value, ties down (NF4) or to zero (FP4), as its comparisons do.
 */
import { FormatIdError, type FormatFamily } from './format';
import { blockScaledFormat } from './block-scaled';
import { codebookElement } from './codebook';
import { granularityTitle, parseIdTail, TAIL_GRAMMAR } from './grammar';

/** NF4 as published with QLoRA. */
export const NF4_VALUES: readonly number[] = [
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
  0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
];

/** Magnitudes of the FP4 codes 0 to 7; 8 is added to the code of a negative value. */
const FP4_MAGNITUDES = [0, 0.005208333333, 0.66666667, 1, 0.33333333, 0.5, 0.16666667, 0.25];

function fp4Element() {
  const positive = FP4_MAGNITUDES.map((value, code) => ({ value, code })).sort((a, b) => a.value - b.value);
  const all = [...positive.slice(1).reverse().map(({ value, code }) => ({ value: -value, code: code + 8 })), ...positive];
  return codebookElement({ values: all.map(({ value }) => value), codes: all.map(({ code }) => code), tie: 'zero' });
}

const KINDS = {
  nf4: { title: 'NF4', element: codebookElement({ values: NF4_VALUES, tie: 'down' }), catalogue: ['nf4-study'] },
  'bnb-fp4': { title: 'FP4 of bitsandbytes', element: fp4Element(), catalogue: ['nf4-study'] },
} as const;

export type BnbKind = keyof typeof KINDS;

/** Title and element of one of the two codebooks. */
export const bnbElement = (kind: BnbKind): (typeof KINDS)[BnbKind] => KINDS[kind];

export const bnbFamily: FormatFamily = {
  name: 'bnb',
  title: '4-bit codebooks of bitsandbytes',
  grammar: `<nf4|bnb-fp4>${TAIL_GRAMMAR}; nf4 alone is nf4-g64`,
  listed: ['nf4-g64', 'nf4-g128', 'nf4-channel', 'bnb-fp4-g64'],
  layout: 'one code of 4 bits per weight; one float32 absmax per block of 64\nNF4 index 0..15 into the ascending table; FP4 s.ccc, the table is not ascending',
  oracle: 'onnxruntime MatMulBnb4 models (tables); the published table of QLoRA',
  source: 'Dettmers et al., QLoRA: Efficient Finetuning of Quantized LLMs, 2023',
  parse(id) {
    const name = (Object.keys(KINDS) as BnbKind[]).find((each) => id === each || id.startsWith(`${each}-`));
    if (!name) {
      if (/^bnb/.test(id)) throw new FormatIdError(`"${id}": bitsandbytes has nf4 and bnb-fp4`);
      return null;
    }
    const { title, element, catalogue } = KINDS[name];
    const tail = parseIdTail(id, id === name ? [] : id.slice(name.length + 1).split('-'), { kind: 'group', size: 64 });
    return blockScaledFormat({
      id: `${name}-${tail.text}`, family: 'bnb', title: `${title}, ${granularityTitle(tail)}`, catalogue,
      codeBits: 4, granularity: tail.granularity, scaleStorage: tail.scaleStorage, element,
    });
  },
};
