/** AWQ, GEMM version: see kernels/checkpoint/layouts/awq.ts. Value = (code - zero point) x scale, one float32 product. */
import { numberOption, Part, partOf } from './parts';
import { rowPanels } from './row-panels';
import type { StoredLayout } from './stored-layout';

/** Nibble of the word that holds column c of its eight: the inverse of the order 0 2 4 6 1 3 5 7. */
const NIBBLE_OF = [0, 4, 1, 5, 2, 6, 3, 7];

export const awqLayout: StoredLayout = {
  id: 'awq',
  open(tensor, reader) {
    const [outputs, inputs] = tensor.shape as [number, number];
    const groupSize = numberOption(tensor, 'groupSize');
    const codes = new Part(reader, partOf(tensor, 'codes'));
    const scales = new Part(reader, partOf(tensor, 'scales'));
    const zeros = new Part(reader, partOf(tensor, 'zeros'));
    return rowPanels(outputs, inputs, (first, count, out) => {
      const firstWord = first >> 3;
      const width = ((first + count + 7) >> 3) - firstWord;
      const words = codes.intColumns(firstWord, width);
      const zeroWords = zeros.intColumns(firstWord, width);
      const scale = scales.floatColumns(first, count);
      for (let column = 0; column < count; column += 1) {
        const word = ((first + column) >> 3) - firstWord;
        const shift = 4 * NIBBLE_OF[(first + column) & 7]!;
        for (let group = 0, k = 0, at = column * inputs; k < inputs; group += 1) {
          const zero = (zeroWords[group * width + word]! >>> shift) & 15;
          const s = scale[group * count + column]!;
          for (const end = Math.min(inputs, k + groupSize); k < end; k += 1, at += 1) out[at] = (((words[k * width + word]! >>> shift) & 15) - zero) * s;
        }
      }
    });
  },
};
