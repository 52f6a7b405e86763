/** GPTQ: see kernels/checkpoint/layouts/gptq.ts. Value = (code - zero point) x scale, one float32 product. */
import { codeAt } from './bit-stream';
import { numberOption, optionalPart, Part, partOf, refuseValues } from './parts';
import { rowPanels } from './row-panels';
import type { StoredLayout } from './stored-layout';

/** A one in each field of a word. */
const ONES: Readonly<Record<number, number>> = { 2: 0x55555555, 4: 0x11111111, 8: 0x01010101 };

export const gptqLayout: StoredLayout = {
  id: 'gptq',
  open(tensor, reader) {
    const [outputs, inputs] = tensor.shape as [number, number];
    const bits = numberOption(tensor, 'bits');
    const groupSize = numberOption(tensor, 'groupSize');
    const minusOne = tensor.encoding!.options!.zeros === 'minus-one';
    const codes = new Part(reader, partOf(tensor, 'codes'));
    const scales = new Part(reader, partOf(tensor, 'scales'));
    const zeroTensor = optionalPart(tensor, 'zeros');
    const zeros = zeroTensor && new Part(reader, zeroTensor);
    const groupTensor = optionalPart(tensor, 'groups');
    const perWord = 32 / bits;
    const mask = 2 ** bits - 1;
    let groupOf: Int32Array | null = null;
    const groups = (): Int32Array => groupOf ??= groupTensor
      ? checkedGroups(new Part(reader, groupTensor).ints(0, inputs), scales.rows, () => refuseValues(groupTensor, `a group index is outside 0..${scales.rows - 1}`))
      : Int32Array.from({ length: inputs }, (_, k) => Math.floor(k / groupSize));

    return rowPanels(outputs, inputs, (first, count, out) => {
      const group = groups();
      const words = codes.intColumns(first, count);
      const scale = scales.floatColumns(first, count);
      // Zero points are packed along the outputs: the words that hold those of this panel.
      const firstWord = Math.floor((first * bits) / 32);
      const wordCount = zeros ? Math.ceil(((first + count) * bits) / 32) - firstWord : 0;
      const zeroWords = zeros?.intColumns(firstWord, wordCount);
      // Whole words, as GPTQModel subtracted them: a zero point of 0 borrows from the field above it, and adding gives it back.
      if (zeroWords && minusOne && bits !== 3) for (let i = 0; i < zeroWords.length; i += 1) zeroWords[i]! += ONES[bits]!;
      const zero = new Int32Array(scales.rows);
      const scaleOf = new Float32Array(scales.rows);
      for (let column = 0; column < count; column += 1) {
        for (let g = 0; g < scales.rows; g += 1) {
          if (!zeroWords) zero[g] = 2 ** (bits - 1);
          else {
            const bit = (first + column) * bits - firstWord * 32;
            const stored = bitField(zeroWords, g * wordCount, bit, bits);
            zero[g] = minusOne && bits === 3 ? (stored + 1) & 7 : stored;
          }
        }
        for (let g = 0; g < scales.rows; g += 1) scaleOf[g] = scale[g * count + column]!;
        const at = column * inputs;
        if (bits === 3) {
          for (let k = 0; k < inputs; k += 1) out[at + k] = (codeAt(words, column, count, k, bits) - zero[group[k]!]!) * scaleOf[group[k]!]!;
          continue;
        }
        for (let k = 0, word = column; k < inputs; word += count) {
          for (let rest = words[word]!, end = k + perWord; k < end; k += 1, rest >>>= bits) {
            const g = group[k]!;
            out[at + k] = ((rest & mask) - zero[g]!) * scaleOf[g]!;
          }
        }
      }
    });
  },
};

/** A field that starts at any bit of a run of words. */
function bitField(words: Int32Array, at: number, bit: number, bits: number): number {
  const word = at + (bit >>> 5);
  const shift = bit & 31;
  let field = words[word]! >>> shift;
  if (shift + bits > 32) field |= words[word + 1]! << (32 - shift);
  return field & (2 ** bits - 1);
}

/** Group indices, each within 0..count - 1. */
export function checkedGroups(indices: Int32Array, count: number, refuse: () => never): Int32Array {
  for (const index of indices) if (index < 0 || index >= count) refuse();
  return indices;
}
