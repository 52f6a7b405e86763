/**
 * Small floats with scales: any split of exponent and mantissa bits, any bias, with the rules of each standard for what the top
 * codes mean. scale = absmax / largest value; conversion rounds to nearest even and saturates.
 */
import { FormatIdError, type FormatFamily, type NumberFormat } from './format';
import { blockScaledFormat } from './block-scaled';
import { granularityTitle, isTwoDimensional, parseIdTail, TAIL_GRAMMAR } from './grammar';
import { minifloatSpec, type MinifloatSpec } from '../numerics/minifloat';

const SPECIALS = { fn: 'fn', fnuz: 'fnuz', ieee: 'ieee', fin: 'none' } as const;
type SpecialsToken = keyof typeof SPECIALS;

const SPECIALS_TITLES: Readonly<Record<SpecialsToken, string>> = {
  fn: 'one NaN code, no infinities', fnuz: 'no negative zero, no infinities', ieee: 'infinities and NaNs', fin: 'every code finite',
};

/** What the name alone means: OCP FP8 has NaN in E4M3 and infinities in E5M2; every other small float spends no code on them. */
function usualSpecials(exponentBits: number, mantissaBits: number): SpecialsToken {
  if (exponentBits === 4 && mantissaBits === 3) return 'fn';
  return exponentBits === 5 && mantissaBits === 2 ? 'ieee' : 'fin';
}

const CATALOGUE: ReadonlyMap<string, readonly string[]> = new Map([
  ['e4m3-fn', ['fp8-formats', 'fp8-hardware', 'fp8-vs-int8']], ['e5m2-ieee', ['fp8-formats', 'fp8-hardware', 'fp8-vs-int8']],
  ['e4m3-fnuz', ['fp8-hardware']], ['e5m2-fnuz', ['fp8-hardware']], ['e4m3-ieee', ['fp8-hardware']],
  ['e3m4-fin', ['fp8-exponent', 'fp8-vs-int8']], ['e3m4-ieee', ['fp8-ptq-intel']], ['e2m5-fin', ['fp8-exponent', 'fp8-vs-int8']],
]);

/** Limits that keep every value and every rounding step a normal float32. */
const [MOST_EXPONENT, LEAST_EXPONENT] = [80, -100];

interface Parsed { readonly spec: MinifloatSpec; readonly head: string; readonly title: string; readonly catalogue: readonly string[]; readonly rest: readonly string[] }

function parseHead(id: string, width: number, parts: readonly string[]): Parsed {
  const [split, ...rest] = parts;
  const match = /^e(\d)m(\d{1,2})$/.exec(split ?? '');
  const example = width === 8 ? 'fp8-e4m3 or fp8-e5m2' : `fp${width}-e2m${Math.max(0, width - 3)}`;
  if (!match) throw new FormatIdError(`"${id}": name the split of exponent and mantissa bits, for example ${example}`);
  const [exponentBits, mantissaBits] = [Number(match[1]), Number(match[2])];
  if (1 + exponentBits + mantissaBits !== width) throw new FormatIdError(`"${id}": a sign, ${exponentBits} exponent and ${mantissaBits} mantissa bits are ${1 + exponentBits + mantissaBits} bits, not ${width}`);
  if (exponentBits < 1 || exponentBits > 7) throw new FormatIdError(`"${id}": small floats with scales have 1 to 7 exponent bits, not ${exponentBits}`);
  const usual = usualSpecials(exponentBits, mantissaBits);
  const named = rest[0] !== undefined && Object.hasOwn(SPECIALS, rest[0]) ? (rest.shift() as SpecialsToken) : usual;
  if (named === 'ieee' && (exponentBits < 2 || mantissaBits < 1)) throw new FormatIdError(`"${id}": ieee needs 2 exponent bits and a mantissa bit`);
  const usualBias = 2 ** (exponentBits - 1) - (named === 'fnuz' ? 0 : 1);
  let bias = usualBias;
  const biasMatch = /^b(-?\d{1,3})$/.exec(rest[0] ?? '');
  if (rest[0] !== undefined && /^b/.test(rest[0])) {
    if (!biasMatch) throw new FormatIdError(`"${id}": a bias is a whole number, for example b${usualBias}`);
    bias = Number(biasMatch[1]);
    rest.shift();
  }
  const spec = minifloatSpec(exponentBits, mantissaBits, bias, SPECIALS[named]);
  if (Math.log2(spec.maxFinite) >= MOST_EXPONENT || 1 - bias < LEAST_EXPONENT) throw new FormatIdError(`"${id}": a bias of ${bias} puts values beyond 2^${MOST_EXPONENT} or below 2^${LEAST_EXPONENT}`);
  const tokens = [...(named === usual ? [] : [named]), ...(bias === usualBias ? [] : [`b${bias}`])];
  return {
    spec, rest,
    head: [`fp${width}`, split, ...tokens].join('-'),
    title: `FP${width} ${split!.toUpperCase()}${named === usual ? '' : ` (${SPECIALS_TITLES[named]})`}${bias === usualBias ? '' : `, bias ${bias}`}`,
    catalogue: [...(CATALOGUE.get(`${split}-${named}`) ?? []), 'minifloat-ptq'],
  };
}

/** The format of `fp<width>-...`; null for other widths and for the plain casts fp16 and fp24. */
function parseMinifloat(id: string, family: string, accepts: (width: number) => boolean): NumberFormat | null {
  if (isTwoDimensional(id)) return null;
  const [head, ...parts] = id.split('-');
  const match = /^fp(\d{1,2})$/.exec(head!);
  const width = Number(match?.[1]);
  if (!match || !accepts(width)) return null;
  if (width < 3 || width > 16) throw new FormatIdError(`"${id}": small floats with scales have 3 to 16 bits, not ${width}`);
  const { spec, head: canonical, title, catalogue, rest } = parseHead(id, width, parts);
  const tail = parseIdTail(id, rest);
  return blockScaledFormat({
    id: `${canonical}-${tail.text}`, family, title: `${title}, ${granularityTitle(tail)}`,
    catalogue: tail.scaleStorage === 'p2up' && width === 8 ? [...catalogue, 'fp8-amax'] : tail.scaleStorage === 'p2up' || tail.scaleStorage === 'p2row' ? [...catalogue, 'zeroquant-fp'] : catalogue,
    codeBits: width, granularity: tail.granularity, scaleStorage: tail.scaleStorage,
    element: { kind: 'float', spec, divisor: spec.maxFinite },
  });
}

const GRAMMAR_REST = `[-<fn|fnuz|ieee|fin>][-b<bias>]${TAIL_GRAMMAR}`;
const MINIFLOAT_SOURCE = 'Micikevicius et al., FP8 Formats for Deep Learning, 2022; OCP 8-bit Floating Point Specification 1.0; Aggarwal et al., Post-Training Quantization with Low-precision Minifloats and Integers on FPGAs, 2023';

export const fp8Family: FormatFamily = {
  name: 'fp8',
  title: '8-bit floats',
  grammar: `fp8-e<x>m<y>${GRAMMAR_REST}; fp8-e4m3 alone is fp8-e4m3-channel`,
  listed: [
    'fp8-e4m3-tensor', 'fp8-e4m3-channel', 'fp8-e4m3-g128', 'fp8-e5m2-tensor', 'fp8-e5m2-channel', 'fp8-e5m2-g128',
    'fp8-e4m3-fnuz-channel', 'fp8-e5m2-fnuz-channel', 'fp8-e4m3-fnuz-b11-channel', 'fp8-e4m3-ieee-channel', 'fp8-e3m4-ieee-channel', 'fp8-e3m4-channel', 'fp8-e2m5-channel',
    'fp8-e4m3-tensor-sp2up',
  ],
  layout: 'bit 7 sign | 6..m exponent | m-1..0 mantissa; one scale per block\nE4M3 s.eeee.mmm   E5M2 s.eeeee.mm',
  oracle: 'ml_dtypes (11 formats, 88,960 inputs each, every code decoded); onnx node models of casts and QuantizeLinear',
  source: MINIFLOAT_SOURCE,
  parse: (id) => parseMinifloat(id, 'fp8', (width) => width === 8),
};

export const fpFamily: FormatFamily = {
  name: 'fp',
  title: 'Small floats of other widths',
  grammar: `fp<3..7,9..16>-e<x>m<y>${GRAMMAR_REST}; fp4-e2m1 alone is fp4-e2m1-channel`,
  listed: [
    'fp4-e2m1-channel', 'fp4-e2m1-g32', 'fp4-e2m1-g128', 'fp4-e2m1-g128-sp2up', 'fp4-e2m1-g128-sp2row', 'fp4-e3m0-g128', 'fp4-e1m2-g128', 'fp3-e2m0-g128',
    'fp5-e2m2-channel', 'fp6-e2m3-channel', 'fp6-e3m2-channel', 'fp7-e3m3-channel', 'fp10-e5m4-channel', 'fp12-e5m6-channel',
  ],
  layout: 'sign | exponent | mantissa, high to low; one scale per block\nFP4 E2M1 s.ee.m = 0 .5 1 1.5 2 3 4 6   FP6 E2M3 s.ee.mmm   FP6 E3M2 s.eee.mm',
  oracle: 'ml_dtypes (E2M1, E2M3, E3M2); nearest value by search over all codes',
  source: MINIFLOAT_SOURCE,
  ladders: [['fp3-e2m0-g128', 'fp4-e2m1-g128', 'fp5-e2m2-g128', 'fp6-e2m3-g128', 'fp7-e2m4-g128', 'fp8-e2m5-g128']],
  parse: (id) => parseMinifloat(id, 'fp', (width) => width !== 8 && width !== 24 && (width !== 16 || /^fp16-e\d/.test(id))),
};
