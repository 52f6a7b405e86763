/**
 * Formats in which every block chooses one of several codebooks: the one with the least squared error, the first of equals.
 * The choice is stored with the block's scale.
 */
import { blockLayout } from './blocks';
import { bestClip, CLIP_FRACTIONS } from './clip-search';
import { dequantizeElement, encodeElement, loadedCode } from './element';
import { bitsToFloats, floatBits } from './fields';
import type { CodebookElement, FormatTraits, Granularity, NumberFormat, ScaleRule, WeightView } from './format';
import { heldFormat, type FieldValues } from './held-format';
import { storedScale } from './scale';

export interface ChosenDefinition {
  readonly id: string;
  readonly family: string;
  readonly title: string;
  readonly catalogue: readonly string[];
  readonly codeBits: number;
  readonly granularity: Granularity;
  /** The codebooks to choose from; their divisors are numbers. */
  readonly elements: readonly CodebookElement[];
  /** Search the clip of each codebook too when the rule is `mse`: 81 times the work. */
  readonly clips?: boolean;
  readonly traits?: Partial<FormatTraits>;
}

function blockError(element: CodebookElement, weights: Float32Array, from: number, to: number, scale: number): number {
  let sum = 0;
  for (let i = from; i < to; i += 1) {
    const e = Math.fround(weights[i]! - dequantizeElement(element, loadedCode(element, encodeElement(element, weights[i]!, scale, 0)), scale, 0));
    sum += e * e;
  }
  return sum;
}

export function chosenFormat(definition: ChosenDefinition): NumberFormat {
  const { codeBits, granularity, elements, clips = false } = definition;
  const typeBits = Math.max(1, Math.ceil(Math.log2(elements.length)));

  const choose = (weights: Float32Array, from: number, to: number, rule: ScaleRule): { type: number; scale: number } => {
    let range = 0;
    for (let i = from; i < to; i += 1) range = Math.max(range, Math.abs(weights[i]!));
    let best = { type: 0, scale: storedScale(range, elements[0]!.divisor!, 'f32') };
    if (range === 0) return best;
    let least = Infinity;
    elements.forEach((element, type) => {
      const scaleAt = (clip: number): number => storedScale(Math.fround(range * clip), element.divisor!, 'f32');
      const errors = Array.from(clips && rule === 'mse' ? CLIP_FRACTIONS : [1], (clip) => blockError(element, weights, from, to, scaleAt(clip)));
      const clip = bestClip(errors);
      if (errors[clip]! >= least) return;
      least = errors[clip]!;
      best = { type, scale: scaleAt(CLIP_FRACTIONS[clip]!) };
    });
    return best;
  };
  const encodeWith = (weights: Float32Array, view: WeightView, scales: Float32Array, types: ArrayLike<number>): FieldValues => {
    const { size } = blockLayout(view, granularity);
    const codes = Uint16Array.from(weights, (x, i) => {
      const block = Math.floor(i / size);
      return encodeElement(elements[types[block]!]!, x, scales[block]!, 0);
    });
    return [codes, floatBits(scales), Uint8Array.from(types)];
  };

  return heldFormat({
    id: definition.id, family: definition.family, title: definition.title, catalogue: definition.catalogue, codeBits, granularity,
    holds: granularity.kind === 'tensor' ? 'weight' : 'row',
    scaleRules: clips ? ['absmax', 'mse'] : ['absmax'],
    traits: { monotone: true, signSymmetric: false, idempotent: true, ...definition.traits },
    fields: (view) => {
      const { count } = blockLayout(view, granularity);
      return [
        { name: 'codes', part: 'code', bits: codeBits, count: view.rows * view.cols },
        { name: 'scales', part: 'scale', bits: 32, count },
        { name: 'types', part: 'other', bits: typeBits, count },
      ];
    },
    encode: (weights, view, rule, poll) => {
      const { count, size } = blockLayout(view, granularity);
      const scales = new Float32Array(count);
      const types = new Uint8Array(count);
      for (let block = 0; block < count; block += 1) {
        poll();
        const { type, scale } = choose(weights, block * size, (block + 1) * size, rule);
        scales[block] = scale;
        types[block] = type;
      }
      return encodeWith(weights, view, scales, types);
    },
    encodeLike: (weights, view, like) => encodeWith(weights, view, bitsToFloats(like[1]!), like[2]!),
    decode: (values, view) => {
      const { size } = blockLayout(view, granularity);
      const scales = bitsToFloats(values[1]!);
      return Float32Array.from(values[0]!, (code, i) => {
        const block = Math.floor(i / size);
        const element = elements[values[2]![block]!]!;
        return dequantizeElement(element, loadedCode(element, code), scales[block]!, 0);
      });
    },
  });
}
