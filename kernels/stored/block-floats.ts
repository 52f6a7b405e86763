/** NVFP4, MXFP4 and MXFP6 in bytes: see kernels/checkpoint/layouts/block-floats.ts. */
import { numberOption, optionalPart, Part, partOf } from './parts';
import { rowPanels } from './row-panels';
import { powersOfTwo } from './scaled';
import type { StoredLayout } from './stored-layout';

const fround = Math.fround;

/** Values of the 4-bit codes of E2M1 (OCP MX v1.0), sign in bit 3. */
export const E2M1: readonly number[] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6];
/** Values of the 6-bit codes of E2M3, sign in bit 5: subnormals in eighths, then three octaves. */
const E2M3: readonly number[] = Array.from({ length: 64 }, (_, code) => {
  const [exponent, mantissa] = [(code >> 3) & 3, code & 7];
  return (code & 32 ? -1 : 1) * (exponent === 0 ? mantissa / 8 : (1 + mantissa / 8) * 2 ** (exponent - 1));
});

export const blockFloatsLayout: StoredLayout = {
  id: 'block-floats',
  open(tensor, reader) {
    const inputs = tensor.shape.at(-1)!;
    const rows = tensor.shape.slice(0, -1).reduce((product, dim) => product * dim, 1);
    const [bits, block, globals] = [numberOption(tensor, 'bits'), numberOption(tensor, 'block'), numberOption(tensor, 'globals')];
    const divide = tensor.encoding!.options!.how === 'divide';
    const codes = new Part(reader, partOf(tensor, 'codes'));
    const scaleTensor = partOf(tensor, 'scales');
    const scales = new Part(reader, scaleTensor);
    const globalTensor = optionalPart(tensor, 'global');
    const global = globalTensor && new Part(reader, globalTensor).floats(0, globals);
    const blocks = inputs / block;
    const width = (inputs * bits) / 8;
    return rowPanels(rows, inputs, (first, count, out) => {
      const bytes = codes.bytes(first * width, count * width);
      const scale = scaleTensor.dtype === 'F8_E4M3' ? scales.floats(first * blocks, count * blocks) : powersOfTwo(scales, first * blocks, count * blocks);
      for (let row = 0; row < count; row += 1) {
        const g = global ? global[globals === 1 ? 0 : Math.floor(((first + row) * globals) / rows)]! : 1;
        for (let b = 0; b < blocks; b += 1) {
          const own = scale[row * blocks + b]!;
          const s = global ? fround(divide ? own / g : own * g) : own;
          const at = row * inputs + b * block;
          if (bits === 4) {
            for (let i = 0, byte = row * width + (b * block) / 2; i < block; i += 2, byte += 1) {
              out[at + i] = E2M1[bytes[byte]! & 15]! * s;
              out[at + i + 1] = E2M1[bytes[byte]! >> 4]! * s;
            }
          } else {
            // Four codes in three bytes, the first in the low bits.
            for (let i = 0, byte = row * width + (b * block * 6) / 8; i < block; i += 4, byte += 3) {
              const word = bytes[byte]! | (bytes[byte + 1]! << 8) | (bytes[byte + 2]! << 16);
              for (let j = 0; j < 4; j += 1) out[at + i + j] = E2M3[(word >> (6 * j)) & 63]! * s;
            }
          }
        }
      }
    });
  },
};
