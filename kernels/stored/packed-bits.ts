/** Integers of fewer than 8 bits and four-bit floats, packed from the low bits of each byte on, by themselves (ONNX, TFLite). */
import { PartNumbers } from './part-numbers';
import type { StoredLayout } from './stored-layout';

export const packedBits: StoredLayout = {
  id: 'packed-bits',
  open(tensor, reader) {
    const numbers = new PartNumbers(tensor, reader);
    return {
      read(first, count, out) {
        for (let i = 0; i < count; i += 1) out[i] = numbers.get(first + i);
      },
    };
  },
};
