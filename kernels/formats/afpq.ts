/**
 * Floats and NF4 with one scale for positive and one for negative values (AFPQ): s+ = max / largest, s- = |min| / largest, so
 * that skewed groups use all their codes. A weight is coded by its own sign's scale; zero belongs to the positive side.
 */
import { NF4_VALUES } from './bnb';
import { codebookElement } from './codebook';
import { dequantizeElement, elementCodes, encodeElement, loadedCode } from './element';
import { bitsToFloats, floatBits } from './fields';
import { FormatIdError, type Element, type FormatFamily, type ScaleRule, type WeightView } from './format';
import { blockLayout } from './blocks';
import { bestClip, CLIP_FRACTIONS } from './clip-search';
import { heldFormat, type FieldValues } from './held-format';
import { granularityTitle, parseIdTail, tailText } from './grammar';
import { storedScale } from './scale';
import { minifloatSpec } from '../numerics/minifloat';

const FP4 = minifloatSpec(2, 1, 1, 'none');
const FP3 = minifloatSpec(2, 0, 1, 'none');

interface Book { readonly title: string; readonly codeBits: number; readonly element: Element & { readonly divisor: number } }

const BOOKS: ReadonlyMap<string, Book> = new Map<string, Book>([
  ['fp4', { title: 'FP4 E2M1', codeBits: 4, element: { kind: 'float', spec: FP4, divisor: 6 } }],
  ['fp3', { title: 'FP3 E2M0', codeBits: 3, element: { kind: 'float', spec: FP3, divisor: 4 } }],
  ['nf4', { title: 'NF4', codeBits: 4, element: { ...codebookElement({ values: NF4_VALUES }), divisor: 1 } }],
]);

/** Squared error of the values of one sign in a block. */
function sideError(element: Element, weights: Float32Array, from: number, to: number, negative: boolean, scale: number): number {
  let sum = 0;
  for (let i = from; i < to; i += 1) {
    const x = weights[i]!;
    if (x < 0 !== negative) continue;
    sum += Math.fround(x - dequantizeElement(element, loadedCode(element, encodeElement(element, x, scale, 0)), scale, 0)) ** 2;
  }
  return sum;
}

/** Scale of one sign in a block. */
function sideScale({ element }: Book, weights: Float32Array, from: number, to: number, negative: boolean, rule: ScaleRule): number {
  let range = 0;
  for (let i = from; i < to; i += 1) if (weights[i]! < 0 === negative) range = Math.max(range, Math.abs(weights[i]!));
  const scaleAt = (clip: number): number => storedScale(Math.fround(range * clip), element.divisor, 'f32');
  if (rule !== 'mse' || range === 0) return scaleAt(1);
  const errors = Array.from(CLIP_FRACTIONS, (clip) => sideError(element, weights, from, to, negative, scaleAt(clip)));
  return scaleAt(CLIP_FRACTIONS[bestClip(errors)]!);
}

export const afpqFamily: FormatFamily = {
  name: 'afpq',
  title: 'Sign-asymmetric scales (AFPQ)',
  grammar: 'afpq-<fp4|fp3|nf4>[-<channel|g<n>>]; afpq-fp4 alone is afpq-fp4-g128',
  listed: ['afpq-fp4-g128', 'afpq-fp4-g32', 'afpq-nf4-g64', 'afpq-fp3-g128'],
  layout: 'codes as in the symmetric format | per block: float32 scale of positive values, float32 scale of negative values',
  oracle: 'the symmetric format, bit for bit, where both scales are equal',
  source: 'Zhang et al., AFPQ: Asymmetric Floating Point Quantization for LLMs, 2023',
  parse(id) {
    const [head, bookName, ...rest] = id.split('-');
    if (head !== 'afpq') return null;
    const book = BOOKS.get(bookName ?? '');
    if (!book) throw new FormatIdError(`"${id}": the codes of afpq are ${[...BOOKS.keys()].join(', ')}`);
    const { granularity, scaleStorage } = parseIdTail(id, rest, { kind: 'group', size: 128 });
    if (granularity.kind === 'tensor' || scaleStorage !== 'f32') throw new FormatIdError(`"${id}": afpq has float32 scales per channel or group`);
    const { element, codeBits } = book;
    const at = (view: WeightView, i: number): number => Math.floor(i / blockLayout(view, granularity).size);
    const scalesOf = (values: FieldValues): { positive: Float32Array; negative: Float32Array } => ({ positive: bitsToFloats(values[1]!), negative: bitsToFloats(values[2]!) });
    const encodeScaled = (weights: Float32Array, view: WeightView, positive: Float32Array, negative: Float32Array): FieldValues => {
      const codes = Uint8Array.from(weights, (x, i) => encodeElement(element, x, (x < 0 ? negative : positive)[at(view, i)]!, 0));
      return [codes, floatBits(positive), floatBits(negative)];
    };
    /** A code belongs to the negative scale when it stands for a negative value. */
    const valueOf = (code: number, positive: number, negative: number): number => {
      const value = loadedCode(element, code);
      return dequantizeElement(element, value, value < 0 ? negative : positive, 0);
    };
    return heldFormat({
      id: `afpq-${bookName}-${tailText(granularity, 'f32')}`, family: 'afpq', title: `${book.title}, a scale for each sign, ${granularityTitle({ granularity, scaleStorage })}`,
      catalogue: ['afpq'], codeBits, granularity, holds: 'row', scaleRules: ['absmax', 'mse'],
      traits: { monotone: true, signSymmetric: bookName !== 'nf4', idempotent: true },
      fields: (view) => [
        { name: 'codes', part: 'code', bits: codeBits, count: view.rows * view.cols },
        { name: 'positive scales', part: 'scale', bits: 32, count: blockLayout(view, granularity).count },
        { name: 'negative scales', part: 'scale', bits: 32, count: blockLayout(view, granularity).count },
      ],
      encode: (weights, view, rule, poll) => {
        const { count, size } = blockLayout(view, granularity);
        const side = (negative: boolean): Float32Array => Float32Array.from({ length: count }, (_, block) => {
          poll();
          return sideScale(book, weights, block * size, (block + 1) * size, negative, rule);
        });
        return encodeScaled(weights, view, side(false), side(true));
      },
      encodeLike: (weights, view, like) => {
        const { positive, negative } = scalesOf(like);
        return encodeScaled(weights, view, positive, negative);
      },
      decode: (values, view) => {
        const { positive, negative } = scalesOf(values);
        return Float32Array.from(values[0]!, (code, i) => valueOf(code, positive[at(view, i)]!, negative[at(view, i)]!));
      },
      candidates: (values, view, index) => {
        const { positive, negative } = scalesOf(values);
        return elementCodes(element, codeBits).map((value) => dequantizeElement(element, value, (value < 0 ? negative : positive)[at(view, index)]!, 0));
      },
    });
  },
};
