/** bitsandbytes 4-bit: see kernels/checkpoint/layouts/bitsandbytes.ts. Value = map[code] x absmax, in float32. */
import { DTYPE_BITS } from '../checkpoint';
import { numberOption, optionalPart, Part, partOf } from './parts';
import type { StoredLayout } from './stored-layout';

const fround = Math.fround;
/** Values decoded between two reads of the file. */
const PIECE = 2 ** 18;

export const bitsandbytesLayout: StoredLayout = {
  id: 'bitsandbytes',
  open(tensor, reader) {
    const block = numberOption(tensor, 'block');
    const codes = new Part(reader, partOf(tensor, 'codes'));
    const bytesEach = DTYPE_BITS[codes.tensor.dtype] / 8;
    const scales = new Part(reader, partOf(tensor, 'scales'));
    const map = new Part(reader, partOf(tensor, 'map')).floats(0, 16);
    const nestedTensor = optionalPart(tensor, 'nestedScales');
    const nested = nestedTensor && {
      scales: new Part(reader, nestedTensor), map: new Part(reader, partOf(tensor, 'nestedMap')).floats(0, 256),
      block: numberOption(tensor, 'nestedBlock'), offset: fround(numberOption(tensor, 'nestedOffset')),
    };

    /** Scales of blocks [first, first + count). */
    const absmax = (first: number, count: number): Float32Array => {
      if (!nested) return scales.floats(first, count);
      const from = Math.floor(first / nested.block);
      const outer = nested.scales.floats(from, Math.floor((first + count - 1) / nested.block) - from + 1);
      const inner = scales.ints(first, count);
      return Float32Array.from({ length: count }, (_, i) => fround(nested.map[inner[i]! & 255]! * outer[Math.floor((first + i) / nested.block) - from]!) + nested.offset);
    };
    return {
      read(first, count, out) {
        for (let done = 0; done < count; done += PIECE) {
          const from = first + done;
          const length = Math.min(PIECE, count - done);
          // Codes may be stored in a wider type (quant_storage): whole elements that hold the bytes wanted.
          const firstElement = Math.floor(from / 2 / bytesEach);
          const elements = Math.floor((from + length - 1) / 2 / bytesEach) - firstElement + 1;
          const bytes = codes.bytes(firstElement, elements);
          const firstBlock = Math.floor(from / block);
          const scale = absmax(firstBlock, Math.floor((from + length - 1) / block) - firstBlock + 1);
          const firstByte = firstElement * bytesEach;
          for (let at = from, b = firstBlock; at < from + length; b += 1) {
            const s = scale[b - firstBlock]!;
            for (const end = Math.min(from + length, (b + 1) * block); at < end; at += 1) {
              const byte = bytes[Math.floor(at / 2) - firstByte]!;
              // The first of two is in the high nibble, unlike everybody else's.
              out[done + at - from] = map[at % 2 === 0 ? byte >> 4 : byte & 15]! * s;
            }
          }
        }
      },
    };
  },
};
