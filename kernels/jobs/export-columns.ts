/**
 * The layouts of GPTQ and AWQ (kernels/checkpoint/layouts/gptq.ts and awq.ts): codes packed across inputs or outputs, a scale and a
 * zero point for each group and output. One number format for the whole file, as their settings have it.
 */
import { DTYPE_BITS, type DType, type SafetensorsEntry } from '../checkpoint';
import { blockLayout } from '../formats/blocks';
import { isBlockScaled } from '../formats/format';
import { encodeFloats } from '../numerics/codecs';
import { eachTile, type EntryContext, type PackableWeight } from './export-entries';
import { JobError } from './job';
import type { QuantizedWeight } from './quantize';

export type ColumnLayout = 'gptq' | 'awq';

const BITS: Readonly<Record<ColumnLayout, readonly number[]>> = { gptq: [2, 3, 4, 8], awq: [4] };
/** Nibble of a word that holds column c of its eight. */
const AWQ_NIBBLE = [0, 4, 1, 5, 2, 6, 3, 7];
/** Embeddings and heads stay as they are in both layouts: their readers know linear layers of blocks only. */
const NOT_LINEAR = /(^|\.)(embed_tokens|embed_positions|word_embeddings|tok_embeddings|embeddings?|wte|wpe|shared|lm_head|embed_out|output)\.weight$/;
const SLICE = 2 ** 18;

/** Why the layout cannot hold this weight; null when it can. */
export function columnProblem(layout: ColumnLayout, quantized: QuantizedWeight): string | null {
  const { format, weight: { layout: view, tensor } } = quantized;
  if (!isBlockScaled(format) || format.element.kind !== 'int') return 'not an integer format';
  if (!BITS[layout].includes(format.codeBits)) return `${format.codeBits}-bit codes`;
  if (!['f32', 'f16', 'bf16'].includes(format.scaleStorage)) return `scales stored as ${format.scaleStorage}`;
  if (!view.contiguous || tensor.shape.length !== 2 || !/(^|\.)weight$/.test(tensor.name) || NOT_LINEAR.test(tensor.name)) return 'not the weight of a linear layer';
  const { granularity } = format;
  if (granularity === null || granularity.kind === 'tensor') return 'one scale for the whole tensor';
  if (granularity.kind === 'group' && view.cols % granularity.size !== 0) return `${view.cols} inputs are not divided into groups of ${granularity.size}`;
  const bits = format.codeBits;
  const [inputs, outputs] = layout === 'gptq' ? [(view.cols * bits) % 32, (view.rows * bits) % 32] : [0, view.rows % 8];
  return inputs !== 0 || outputs !== 0 ? `${view.rows} outputs and ${view.cols} inputs do not fill words of 32 bits` : null;
}

/** @throws JobError when the weights are in several formats, which the settings of these layouts cannot say */
export function refuseMixed(layout: ColumnLayout, weights: readonly PackableWeight[]): void {
  const ids = [...new Set(weights.map(({ format }) => format.id))];
  if (ids.length > 1) throw new JobError(`the ${layout} layout holds one format for all layers, not ${ids.join(' and ')}; give all layers the same, or choose the compressed-tensors layout`);
}

/** Zero points of 0 do not survive being stored minus one: asymmetric weights are stored as version 2. */
const isVersion2 = ({ format }: PackableWeight): boolean => format.element.kind === 'int' && !format.element.symmetric;

/** `quantization_config` as the readers of the layout expect it. */
export function columnConfig(layout: ColumnLayout, weights: readonly PackableWeight[]): string {
  const { format } = weights[0]!;
  const bits = format.codeBits;
  const groupSize = format.granularity?.kind === 'group' ? format.granularity.size : -1;
  return JSON.stringify(layout === 'awq'
    ? { quant_method: 'awq', bits, group_size: groupSize, zero_point: true, version: 'gemm' }
    : { quant_method: 'gptq', bits, group_size: groupSize, desc_act: false, sym: !isVersion2(weights[0]!), lm_head: false, true_sequential: true, checkpoint_format: isVersion2(weights[0]!) ? 'gptq_v2' : 'gptq' }, null, 2);
}

/** `qweight`, `qzeros`, `scales` and (GPTQ) `g_idx` of a weight. @param name that of the weight, which ends in `weight` */
export function columnEntries(layout: ColumnLayout, name: string, quantized: PackableWeight, context: EntryContext): SafetensorsEntry[] {
  const { weight: { layout: view }, format, scales } = quantized;
  const bits = format.codeBits;
  const { rows: outputs, cols: inputs } = view;
  const groups = blockLayout(view, format.granularity).count / outputs;
  const prefix = name.slice(0, -'weight'.length);
  const symmetric = format.element.kind === 'int' && format.element.symmetric;
  const offset = symmetric ? 2 ** (bits - 1) : 0;
  const scaleType: DType = format.scaleStorage === 'f32' ? 'F32' : format.scaleStorage === 'f16' ? 'F16' : 'BF16';
  const less = layout === 'gptq' && !isVersion2(quantized) ? 1 : 0;
  const zeroAt = (output: number, group: number): number => (scales!.zeroPoints ? scales!.zeroPoints[output * groups + group]! : offset) - less;
  /** Puts a code of `bits` bits into a row of words `stride` apart. */
  const put = (words: Int32Array, at: number, stride: number, index: number, code: number): void => {
    const bit = index * bits;
    const word = at + (bit >>> 5) * stride;
    const shift = bit & 31;
    words[word]! |= code << shift;
    if (shift + bits > 32) words[word + stride]! |= code >>> (32 - shift);
  };
  const width = Math.ceil((outputs * bits) / 32);
  const codesShape = layout === 'gptq' ? [(inputs * bits) / 32, outputs] : [inputs, outputs / 8];
  const zeroShape = [groups, layout === 'gptq' ? width : outputs / 8];
  return [
    {
      name: `${prefix}qweight`, dtype: 'I32', shape: codesShape,
      async write(sink) {
        const count = codesShape[0]! * codesShape[1]!;
        if (count * 4 > context.memoryCapBytes / 2) throw new JobError(`"${name}" needs ${count * 4} bytes of memory to be packed for ${layout}; the limit is ${Math.floor(context.memoryCapBytes / 2)}`);
        const words = new Int32Array(count);
        await eachTile(quantized, context, ({ codes }, start) => {
          for (let i = 0; i < codes.length; i += 1) {
            const output = Math.floor((start + i) / inputs);
            const input = (start + i) % inputs;
            if (layout === 'gptq') put(words, output, outputs, input, codes[i]! + offset);
            else words[input * codesShape[1]! + (output >> 3)]! |= (codes[i]! + offset) << (4 * AWQ_NIBBLE[output & 7]!);
          }
        });
        for (let first = 0; first < count; first += SLICE) sink(bytesOf(words.subarray(first, first + SLICE)));
      },
    },
    {
      name: `${prefix}qzeros`, dtype: 'I32', shape: zeroShape,
      write(sink) {
        const words = new Int32Array(zeroShape[0]! * zeroShape[1]!);
        for (let group = 0; group < groups; group += 1) {
          for (let output = 0; output < outputs; output += 1) {
            if (layout === 'gptq') put(words, group * width, 1, output, zeroAt(output, group));
            else words[group * zeroShape[1]! + (output >> 3)]! |= zeroAt(output, group) << (4 * AWQ_NIBBLE[output & 7]!);
          }
        }
        sink(bytesOf(words));
      },
    },
    {
      name: `${prefix}scales`, dtype: scaleType, shape: [groups, outputs],
      write(sink) {
        const turned = new Float32Array(groups * outputs);
        for (let output = 0; output < outputs; output += 1) for (let group = 0; group < groups; group += 1) turned[group * outputs + output] = scales!.scales[output * groups + group]!;
        const bytes = new Uint8Array((turned.length * DTYPE_BITS[scaleType]) / 8);
        encodeFloats(scaleType, turned, turned.length, bytes);
        sink(bytes);
      },
    },
    ...(layout === 'gptq' ? [{
      name: `${prefix}g_idx`, dtype: 'I32' as const, shape: [inputs],
      write: (sink: (bytes: Uint8Array) => void): void => { sink(bytesOf(Int32Array.from({ length: inputs }, (_, input) => Math.floor(input / (inputs / groups))))); },
    }] : []),
  ];
}

function bytesOf(words: Int32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
