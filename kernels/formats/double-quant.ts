/**
 * Double-quantized scales of bitsandbytes: the float32 absmax of each block, less their mean over the tensor, is stored in the dynamic
 * 8-bit map, in runs of 256 under a float32 absmax of their own. Codes are chosen with the absmax before that, as the reference does.
 * scale = map[code] x absmax of the run + mean.
 */
import { blockLayout } from './blocks';
import { bnbElement, type BnbKind } from './bnb';
import { codebookElement, codebookIndex } from './codebook';
import { dynamicMap } from './dynamic';
import { dequantizeElement, encodeElement, loadedCode } from './element';
import { bitsToFloats, floatBits } from './fields';
import { FormatIdError, type FormatFamily, type WeightView } from './format';
import { granularityTitle, parseIdTail, tailText } from './grammar';
import { heldFormat, type FieldValues } from './held-format';
import { storedScale } from './scale';

/** Block scales under one absmax. */
const RUN = 256;
const fround = Math.fround;
const map = codebookElement({ values: dynamicMap(), tie: 'down' });

interface StoredScales { readonly codes: Uint8Array; readonly runs: Float32Array; readonly mean: number }

function quantizeScales(absmaxima: Float32Array): StoredScales {
  const mean = absmaxima.length === 0 ? 0 : fround(absmaxima.reduce((sum, x) => sum + x, 0) / absmaxima.length);
  const runs = Float32Array.from({ length: Math.ceil(absmaxima.length / RUN) }, (_, run) =>
    absmaxima.subarray(run * RUN, run * RUN + RUN).reduce((most, x) => Math.max(most, Math.abs(fround(x - mean))), 0));
  const codes = Uint8Array.from(absmaxima, (x, i) => codebookIndex(map.thresholds, fround(fround(x - mean) / storedScale(runs[Math.floor(i / RUN)]!, 1, 'f32'))));
  return { codes, runs, mean };
}

function scalesOf(values: FieldValues): Float32Array {
  const [runs, mean] = [bitsToFloats(values[2]!), bitsToFloats(values[3]!)[0]!];
  return Float32Array.from(values[1]!, (code, i) => fround(fround(map.values[code]! * runs[Math.floor(i / RUN)]!) + mean));
}

export const doubleQuantFamily: FormatFamily = {
  name: 'dq',
  title: '4-bit codebooks with double-quantized scales',
  grammar: 'dq-<nf4|bnb-fp4>[-<channel|g<n>>]; dq-nf4 alone is dq-nf4-g64',
  listed: ['dq-nf4-g64', 'dq-bnb-fp4-g64'],
  layout: 'codes of 4 bits | 8-bit scale code per block of 64 | float32 absmax per 256 scales | float32 mean of the scales',
  oracle: 'NF4 and FP4 with free scales, whose error it exceeds by little; 4.127 bits a weight',
  source: 'Dettmers et al., QLoRA: Efficient Finetuning of Quantized LLMs, 2023',
  parse(id) {
    if (!/^dq\b/.test(id)) return null;
    const match = /^dq-(nf4|bnb-fp4)(?:-(.*))?$/.exec(id);
    if (!match) throw new FormatIdError(`"${id}": double-quantized scales are for nf4 and bnb-fp4`);
    const { granularity, scaleStorage } = parseIdTail(id, match[2]?.split('-') ?? [], { kind: 'group', size: 64 });
    if (scaleStorage !== 'f32' || granularity.kind === 'tensor') throw new FormatIdError(`"${id}": the scales are double-quantized, of channels or groups`);
    const { title, element } = bnbElement(match[1] as BnbKind);
    const blocks = (view: WeightView): { readonly count: number; readonly size: number } => blockLayout(view, granularity);
    return heldFormat({
      id: `dq-${match[1]}-${tailText(granularity, 'f32')}`, family: 'dq', title: `${title}, ${granularityTitle({ granularity, scaleStorage })}, double-quantized scales`,
      catalogue: ['nf4-study'], codeBits: 4, granularity, holds: 'weight',
      traits: { monotone: false, signSymmetric: false, idempotent: true },
      fields: (view) => [
        { name: 'codes', part: 'code', bits: 4, count: view.rows * view.cols },
        { name: 'scales', part: 'scale', bits: 8, count: blocks(view).count },
        { name: 'absmax of scales', part: 'scale', bits: 32, count: Math.ceil(blocks(view).count / RUN) },
        { name: 'mean of scales', part: 'scale', bits: 32, count: 1 },
      ],
      encode: (weights, view, _rule, poll) => {
        const { count, size } = blocks(view);
        const absmaxima = Float32Array.from({ length: count }, (_, block) => {
          if (block % 1024 === 0) poll();
          let most = 0;
          for (let i = block * size; i < (block + 1) * size; i += 1) most = Math.max(most, Math.abs(weights[i]!));
          return most;
        });
        const codes = Uint8Array.from(weights, (x, i) => encodeElement(element, x, storedScale(absmaxima[Math.floor(i / size)]!, 1, 'f32'), 0));
        const scales = quantizeScales(absmaxima);
        return [codes, scales.codes, floatBits(scales.runs), floatBits(Float32Array.of(scales.mean))];
      },
      encodeLike: (weights, view, like) => {
        const { size } = blocks(view);
        const scales = scalesOf(like);
        // A scale may round to zero: then everything is zero, whatever the code.
        return [Uint8Array.from(weights, (x, i) => encodeElement(element, x, scales[Math.floor(i / size)]! || 1, 0)), like[1]!, like[2]!, like[3]!];
      },
      decode: (values, view) => {
        const { size } = blocks(view);
        const scales = scalesOf(values);
        return Float32Array.from(values[0]!, (code, i) => dequantizeElement(element, loadedCode(element, code), scales[Math.floor(i / size)]!, 0));
      },
    });
  },
};
