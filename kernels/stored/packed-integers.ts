/** compressed-tensors `pack-quantized`: see kernels/checkpoint/layouts/packed-integers.ts. Value = (code - zero point) x scale. */
import { codeAt } from './bit-stream';
import { checkedGroups } from './gptq';
import { numberOption, optionalPart, Part, partOf, refuseValues } from './parts';
import { rowPanels } from './row-panels';
import type { StoredLayout } from './stored-layout';

export const packedIntegersLayout: StoredLayout = {
  id: 'packed-integers',
  open(tensor, reader) {
    const inputs = tensor.shape.at(-1)!;
    const rows = tensor.shape.slice(0, -1).reduce((product, dim) => product * dim, 1);
    const { dense, scalar, zeros: zeroKind } = tensor.encoding!.options!;
    const [bits, groupSize, groups] = [numberOption(tensor, 'bits'), numberOption(tensor, 'groupSize'), numberOption(tensor, 'groups')];
    const codes = new Part(reader, partOf(tensor, 'codes'));
    const scales = new Part(reader, partOf(tensor, 'scales'));
    const zeroTensor = optionalPart(tensor, 'zeros');
    const zeros = zeroTensor && new Part(reader, zeroTensor);
    const groupTensor = optionalPart(tensor, 'groups');
    const middle = 2 ** (bits - 1);
    const perWord = Math.floor(32 / bits);
    const mask = 2 ** bits - 1;
    // No code straddles two words: a word is taken apart at once.
    const wholeWords = !dense || 32 % bits === 0;
    const read = dense
      ? (words: Int32Array, at: number, stride: number, index: number): number => codeAt(words, at, stride, index, bits)
      : (words: Int32Array, at: number, stride: number, index: number): number => (words[at + Math.floor(index / perWord) * stride]! >>> (bits * (index % perWord))) & mask;
    let groupOf: Int32Array | null = null;
    const groupsOf = (): Int32Array => {
      if (groupOf) return groupOf;
      const plain = (): Int32Array => Int32Array.from({ length: inputs }, (_, k) => Math.floor(k / groupSize));
      if (!groupTensor) return groupOf = plain();
      const stored = new Part(reader, groupTensor).ints(0, inputs);
      // Minus one throughout: the group indices were never set.
      return groupOf = stored.every((index) => index === -1) ? plain() : checkedGroups(stored, groups, () => refuseValues(groupTensor, `a group index is outside 0..${groups - 1}`));
    };

    return rowPanels(rows, inputs, (first, count, out) => {
      const group = groupsOf();
      const width = codes.cols;
      const words = codes.ints(first * width, count * width);
      const scale = scalar ? scales.floats(0, 1) : scales.floats(first * groups, count * groups);
      const plainZeros = zeros && zeroKind === 'plain' ? (scalar ? zeros.ints(0, 1) : zeros.ints(first * groups, count * groups)) : null;
      const packedZeros = zeros && zeroKind === 'packed' ? zeros.ints(0, zeros.rows * zeros.cols) : null;
      const [scaleOf, zeroOf] = [new Float32Array(groups), new Int32Array(groups)];
      for (let row = 0; row < count; row += 1) {
        for (let g = 0; g < groups; g += 1) {
          const block = scalar ? 0 : row * groups + g;
          scaleOf[g] = scale[block]!;
          zeroOf[g] = packedZeros ? read(packedZeros, g, groups, first + row) : middle + (plainZeros ? plainZeros[block]! : 0);
        }
        const at = row * inputs;
        if (!wholeWords) {
          for (let k = 0; k < inputs; k += 1) out[at + k] = (read(words, row * width, 1, k) - zeroOf[group[k]!]!) * scaleOf[group[k]!]!;
          continue;
        }
        for (let k = 0, word = row * width; k < inputs; word += 1) {
          for (let rest = words[word]!, end = Math.min(inputs, k + perWord); k < end; k += 1, rest >>>= bits) {
            const g = group[k]!;
            out[at + k] = ((rest & mask) - zeroOf[g]!) * scaleOf[g]!;
          }
        }
      }
    });
  },
};
