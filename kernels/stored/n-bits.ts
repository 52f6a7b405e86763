/**
 * Rows of codes of 1 to 8 bits in blocks along each row, low bits first, as MatMulNBits of onnxruntime stores them
 * (https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md): value = (code - zero point) x scale in float32.
 * Without zero points the middle code is zero. Zero points are packed as the codes are, each row from a new byte on, or are
 * numbers of the scales' type. With group indices, column k takes the scale of block `groups[k]`.
 */
import { CheckpointError, type TensorInfo, type TensorReader } from '../checkpoint';
import { roundTo } from './affine';
import { PartNumbers } from './part-numbers';
import type { StoredLayout } from './stored-layout';

export const nBits: StoredLayout = {
  id: 'n-bits',
  open(tensor, reader) {
    const { codes, scales, zeros, groups } = tensor.encoding!.parts as Readonly<Record<string, TensorInfo | undefined>>;
    const options = tensor.encoding!.options!;
    const [bits, block, rowBytes] = [Number(options.bits), Number(options.block), Number(options.rowBytes)];
    const cols = tensor.shape[1]!;
    const blocks = Math.ceil(cols / block);
    const scale = new PartNumbers(scales!, reader);
    const group = groups ? new PartNumbers(groups, reader) : null;
    const packedZeros = zeros?.dtype === 'U8' ? new BitReader(zeros, reader, bits, Math.ceil(blocks * bits / 8)) : null;
    const floatZeros = zeros && !packedZeros ? new PartNumbers(zeros, reader) : null;
    const code = new BitReader(codes!, reader, bits, rowBytes);
    const middle = 2 ** (bits - 1);
    return {
      read(first, count, out) {
        let row = Math.floor(first / cols);
        let col = first % cols;
        // Scales of a row repeat block by block: looked up only where they change.
        let last = -1, s = 0, z = 0;
        for (let i = 0; i < count;) {
          const at = group ? groupOf(group, col, blocks, tensor) : Math.floor(col / block);
          const index = row * blocks + at;
          if (index !== last) {
            last = index;
            s = scale.get(index);
            z = packedZeros ? packedZeros.get(row, at) : floatZeros ? floatZeros.get(index) : middle;
          }
          // To the end of the block, the row, or what is asked for.
          const run = group ? 1 : Math.min(block - (col % block), cols - col, count - i);
          for (const stop = i + run; i < stop; i += 1) out[i] = Math.fround(Math.fround(code.get(row, col++) - z) * s);
          if (col === cols) { col = 0; row += 1; }
        }
        roundTo(tensor.dtype, out, count);
      },
    };
  },
};

function groupOf(groups: PartNumbers, col: number, blocks: number, tensor: TensorInfo): number {
  const group = groups.get(col);
  if (group >= 0 && group < blocks) return group;
  throw new CheckpointError({ code: 'BL406', grade: 'malformed', message: `column ${col} of ${tensor.name.slice(0, 200)} is in group ${group}, but there are ${blocks}`, fix: 'Quantize the model again', tensor: tensor.name }, tensor.name);
}

/** Codes of up to 8 bits, low bits first, in rows that begin at a byte. */
class BitReader {
  private readonly bytes: PartNumbers;
  private readonly mask: number;
  private lastAt = -1;
  private last = 0;

  constructor(part: TensorInfo, reader: TensorReader, private readonly bits: number, private readonly rowBytes: number) {
    this.bytes = new PartNumbers(part, reader);
    this.mask = 2 ** bits - 1;
  }

  get(row: number, index: number): number {
    const bit = index * this.bits;
    const at = row * this.rowBytes + Math.floor(bit / 8);
    const shift = bit % 8;
    if (at !== this.lastAt) {
      this.lastAt = at;
      this.last = this.bytes.get(at);
    }
    const low = this.last >> shift;
    return (shift + this.bits > 8 ? low | (this.bytes.get(at + 1) << (8 - shift)) : low) & this.mask;
  }
}
