/**
 * Density-centred codes (DAQ): each group is shifted so that the middle of its density, the midpoint of its 2.5 % and 97.5 %
 * quantiles, lies on the fine region of the codebook; scale = 0.9 of the largest distance to the centre over the largest value.
 * Centre and scale are then improved by a sign search on the group's squared error, and stored in float16.
 */
import { blockLayout } from './blocks';
import { NF4_VALUES } from './bnb';
import { codebookElement } from './codebook';
import { dequantizeElement, encodeElement, loadedCode } from './element';
import { bitsToFloat16, float16Bits, toFloat16 } from './fields';
import { FormatIdError, type CodebookElement, type FormatFamily, type WeightView } from './format';
import { granularityTitle, parseIdTail, tailText } from './grammar';
import { heldFormat, type FieldValues } from './held-format';

const E2M1 = [-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6];
const BOOKS: ReadonlyMap<string, CodebookElement> = new Map([['nf4', codebookElement({ values: NF4_VALUES })], ['fp4', codebookElement({ values: E2M1 })]]);
const STEPS = 16;
/** A relative step of the scale below which nothing is worth another try. */
const LEAST_STEP = 0.01;

export const densityFamily: FormatFamily = {
  name: 'density',
  title: 'Density-centred codebooks (DAQ)',
  grammar: 'daq-<nf4|fp4>[-<channel|g<n>>]; daq-nf4 alone is daq-nf4-g128',
  listed: ['daq-nf4-g128', 'daq-nf4-g64', 'daq-fp4-g128'],
  layout: 'codes of 4 bits into the codebook | per group: float16 scale, float16 centre: value = centre + scale x codebook value',
  oracle: 'no accepted step raises the error of a group',
  source: 'Luo and Chen, DAQ: Density-Aware Post-Training Weight-Only Quantization, 2024 (stage 2 on the weights, without activations)',
  parse(id) {
    const [head, name, ...parts] = id.split('-');
    if (head !== 'daq') return null;
    const element = BOOKS.get(name ?? '');
    if (!element) throw new FormatIdError(`"${id}": the codebooks of daq are nf4 and fp4`);
    const { granularity, scaleStorage } = parseIdTail(id, parts, { kind: 'group', size: 128 });
    if (granularity.kind === 'tensor' || scaleStorage !== 'f32') throw new FormatIdError(`"${id}": daq has float16 scales and centres per group or channel`);
    const codeOf = (x: number, scale: number, centre: number): number => encodeElement(element, Math.fround(x - centre), scale, 0);
    const valueOf = (code: number, scale: number, centre: number): number => Math.fround(centre + dequantizeElement(element, loadedCode(element, code), scale, 0));
    const errorOf = (weights: Float32Array, scale: number, centre: number): number => {
      let sum = 0;
      for (const x of weights) sum += (x - valueOf(codeOf(x, scale, centre), scale, centre)) ** 2;
      return sum;
    };
    const learn = (weights: Float32Array): { scale: number; centre: number } => {
      const sorted = weights.slice().sort();
      const quantile = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
      let centre = toFloat16((quantile(0.025) + quantile(0.975)) / 2);
      const reach = Math.max(Math.abs((sorted.at(-1) ?? 0) - centre), Math.abs((sorted[0] ?? 0) - centre));
      let scale = toFloat16((0.9 * reach) / element.divisor!);
      if (!(scale > 0)) return { scale: 1, centre };
      let error = errorOf(weights, scale, centre);
      // A step that helps is tried wider, one that does not both ways and then narrower.
      let [scaleStep, centreStep] = [0.1, 0.1 * scale];
      for (let step = 0; step < STEPS; step += 1) {
        const tries = [[scale * (1 + scaleStep), centre], [scale * (1 - scaleStep), centre], [scale, centre + centreStep], [scale, centre - centreStep]] as const;
        let accepted = false;
        tries.forEach(([s, c], k) => {
          const [nextScale, nextCentre] = [toFloat16(s), toFloat16(c)];
          if (!(nextScale > 0)) return;
          const now = errorOf(weights, nextScale, nextCentre);
          if (now >= error) return;
          [scale, centre, error, accepted] = [nextScale, nextCentre, now, true];
          if (k < 2) scaleStep *= 1.3;
          else centreStep *= 1.3;
        });
        if (accepted) continue;
        scaleStep /= 2;
        centreStep /= 2;
        if (scaleStep < LEAST_STEP) break;
      }
      return { scale, centre };
    };
    const encode = (weights: Float32Array, view: WeightView, scales: Float32Array, centres: Float32Array): FieldValues => {
      const { size } = blockLayout(view, granularity);
      return [Uint8Array.from(weights, (x, i) => codeOf(x, scales[Math.floor(i / size)]!, centres[Math.floor(i / size)]!)), float16Bits(scales, 'f16'), float16Bits(centres, 'f16')];
    };
    return heldFormat({
      id: `daq-${name}-${tailText(granularity, 'f32')}`, family: 'density', title: `${name!.toUpperCase()} around the centre of density, ${granularityTitle({ granularity, scaleStorage })}`, catalogue: ['daq'],
      codeBits: 4, granularity, holds: 'row',
      traits: { monotone: true, signSymmetric: false, idempotent: 'the centre is added after rounding to float32, so a decoded value may differ from its code by a last place' },
      fields: (view) => {
        const { count } = blockLayout(view, granularity);
        return [
          { name: 'codes', part: 'code', bits: 4, count: view.rows * view.cols },
          { name: 'scales', part: 'scale', bits: 16, count },
          { name: 'centres', part: 'zeroPoint', bits: 16, count },
        ];
      },
      encode: (weights, view, _rule, poll) => {
        const { count, size } = blockLayout(view, granularity);
        const [scales, centres] = [new Float32Array(count), new Float32Array(count)];
        for (let block = 0; block < count; block += 1) {
          poll();
          const { scale, centre } = learn(weights.subarray(block * size, (block + 1) * size));
          scales[block] = scale;
          centres[block] = centre;
        }
        return encode(weights, view, scales, centres);
      },
      encodeLike: (weights, view, like) => encode(weights, view, bitsToFloat16(like[1]!, 'f16'), bitsToFloat16(like[2]!, 'f16')),
      decode: (values, view) => {
        const { size } = blockLayout(view, granularity);
        const [scales, centres] = [bitsToFloat16(values[1]!, 'f16'), bitsToFloat16(values[2]!, 'f16')];
        return Float32Array.from(values[0]!, (code, i) => valueOf(code, scales[Math.floor(i / size)]!, centres[Math.floor(i / size)]!));
      },
    });
  },
};
