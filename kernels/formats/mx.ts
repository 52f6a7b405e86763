/**
 * OCP Microscaling (MX) v1.0: blocks of 32 elements under one power-of-two scale (E8M0). The scale is
 * 2^(floor(log2 absmax) - exponent of the element's largest value) unless another mode is named; elements round to nearest even
 * and saturate.
 */
import { FormatIdError, type CodebookElement, type Element, type FormatFamily, type ScaleStorage } from './format';
import { blockScaledFormat } from './block-scaled';
import { codebookElement, nextUp } from './codebook';
import { elementCodes } from './element';
import { encodeMinifloat, minifloatSpec, type MinifloatSpec } from '../numerics/minifloat';

const GROUP = 32;

interface MxElement {
  readonly title: string;
  readonly codeBits: number;
  /** Exponent of the largest value. */
  readonly emax: number;
  readonly spec: MinifloatSpec | null;
}

const ELEMENTS: ReadonlyMap<string, MxElement> = new Map<string, MxElement>([
  ['mxfp8-e4m3', { title: 'MXFP8 E4M3', codeBits: 8, emax: 8, spec: minifloatSpec(4, 3, 7, 'fn') }],
  ['mxfp8-e5m2', { title: 'MXFP8 E5M2', codeBits: 8, emax: 15, spec: minifloatSpec(5, 2, 15, 'ieee') }],
  ['mxfp6-e3m2', { title: 'MXFP6 E3M2', codeBits: 6, emax: 4, spec: minifloatSpec(3, 2, 3, 'none') }],
  ['mxfp6-e2m3', { title: 'MXFP6 E2M3', codeBits: 6, emax: 2, spec: minifloatSpec(2, 3, 1, 'none') }],
  ['mxfp4', { title: 'MXFP4 (E2M1)', codeBits: 4, emax: 2, spec: minifloatSpec(2, 1, 1, 'none') }],
  ['mxint8', { title: 'MXINT8', codeBits: 8, emax: 0, spec: null }],
]);

/** How the block's scale is chosen from absmax. `even` adds half a mantissa step before the exponent is taken. */
const SCALES: ReadonlyMap<string, { readonly storage: ScaleStorage; readonly title: string; readonly largest: boolean }> = new Map([
  ['ceil', { storage: 'p2up', title: 'exponent of absmax rounded up', largest: false }],
  ['rceil', { storage: 'p2up', title: 'absmax over the largest value, rounded up: nothing clips', largest: true }],
  ['even', { storage: 'p2even', title: 'absmax rounded to the element first', largest: false }],
]);

const ROUNDINGS: ReadonlyMap<string, string> = new Map([['away', 'ties away from zero'], ['trunc', 'magnitudes rounded down']]);

/** MXINT8 elements are int8 / 64; -128 is not used, as the values are symmetric. The 1/64 is part of the scale. */
const INT8_SHIFT = 6;

function mxElement(element: MxElement, rounding: string | null, divisor: number): Element {
  const plain: Element = element.spec
    ? { kind: 'float', spec: element.spec, divisor }
    : { kind: 'int', low: -127, high: 127, divisor: divisor * 2 ** INT8_SHIFT, symmetric: true };
  return rounding === null ? plain : withRounding(plain, element, rounding);
}

/** The same values with other decisions, as a codebook (of int8: in 64ths). */
function withRounding(plain: Element, { spec, codeBits }: MxElement, rounding: string): CodebookElement {
  const unit = spec ? 1 : 2 ** INT8_SHIFT;
  const values = Float32Array.from(new Set(elementCodes(plain, codeBits).map((value) => value / unit + 0))).sort();
  const codes = Uint16Array.from(values, (value) => (spec ? encodeMinifloat(spec, value, true) : (value * unit) & 0xff));
  // Rounding magnitudes down: a positive step starts at its own value, a negative one just above the next lower value.
  const thresholds = rounding === 'trunc' ? Float32Array.from({ length: values.length - 1 }, (_, i) => (values[i + 1]! > 0 ? values[i + 1]! : nextUp(values[i]!))) : undefined;
  return codebookElement({ values, codes, divisor: plain.divisor! / unit, tie: 'away', ...(thresholds ? { thresholds } : {}) });
}

export const mxFamily: FormatFamily = {
  name: 'mx',
  title: 'Microscaling (OCP MX)',
  grammar: `<${[...ELEMENTS.keys()].join('|')}>[-<${[...SCALES.keys()].join('|')}>][-<${[...ROUNDINGS.keys()].join('|')}>]; mxfp4 alone is as the specification has it`,
  listed: [...ELEMENTS.keys(), 'mxfp4-rceil', 'mxfp4-even', 'mxfp4-ceil', 'mxfp4-away', 'mxfp4-trunc', 'mxfp8-e4m3-rceil'],
  layout: '| 8-bit exponent X | 32 elements |: value = 2^(X - 127) x element\nMXFP8 s.eeee.mmm or s.eeeee.mm   MXFP6 s.eee.mm or s.ee.mmm   MXFP4 s.ee.m   MXINT8 s1.6 (int8 / 64)',
  oracle: 'microxcaling (8 x 256 values, six elements, rounding even, nearest and floor)',
  source: 'OCP Microscaling Formats (MX) Specification v1.0; Rouhani et al., Microscaling Data Formats for Deep Learning, 2023',
  parse(id) {
    if (!/^mx/.test(id)) return null;
    const name = [...ELEMENTS.keys()].find((each) => id === each || id.startsWith(`${each}-`));
    if (!name) throw new FormatIdError(`"${id}": the MX elements are ${[...ELEMENTS.keys()].join(', ')}`);
    const rest = id === name ? [] : id.slice(name.length + 1).split('-');
    const element = ELEMENTS.get(name)!;
    const mode = rest[0] !== undefined && SCALES.has(rest[0]) ? rest.shift()! : null;
    const rounding = rest[0] !== undefined && ROUNDINGS.has(rest[0]) ? rest.shift()! : null;
    if (rest.length > 0) throw new FormatIdError(`"${id}": "${rest[0]}" is no scale mode (${[...SCALES.keys()].join(', ')}) or rounding (${[...ROUNDINGS.keys()].join(', ')})`);
    const scale = mode === null ? null : SCALES.get(mode)!;
    if (mode === 'even' && element.spec?.mantissaBits !== 1) throw new FormatIdError(`"${id}": the even mode is for mxfp4`);
    const largest = element.spec ? element.spec.maxFinite : 127 / 64;
    return blockScaledFormat({
      id: [name, ...(mode ? [mode] : []), ...(rounding ? [rounding] : [])].join('-'),
      family: 'mx',
      title: [element.title, scale?.title, rounding && ROUNDINGS.get(rounding)].filter(Boolean).join(', '),
      catalogue: ['mx-formats'],
      codeBits: element.codeBits,
      granularity: { kind: 'group', size: GROUP },
      scaleStorage: scale?.storage ?? 'p2floor',
      element: mxElement(element, rounding, scale?.largest ? largest : 2 ** element.emax),
    });
  },
};
