/** Numbers of a part (codes, scales, zero points) of an encoded tensor, by position. */
import { DTYPE_BITS, elementCount, type TensorInfo, type TensorReader } from '../checkpoint';
import { decodeFloats } from '../numerics/codecs';

/** Values of FLOAT4E2M1 by code. */
export const E2M1: readonly number[] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6];

/** Elements that are kept at hand; a multiple of 8, so that every type falls on byte borders. */
const WINDOW = 16_384;

/**
 * Elements of a part as JavaScript numbers, exact for integers up to 53 bits and for every float. Neighbours are read together;
 * memory does not grow with the part.
 */
export class PartNumbers {
  readonly count: number;
  /** Elements [from, end) of the part, at hand after {@link load} or {@link get}. */
  readonly values: Float64Array;
  from = 0;
  end = 0;
  private readonly bytes: Uint8Array;
  private readonly bits: number;
  private readonly decode: (count: number) => void;

  constructor(private readonly part: TensorInfo, private readonly reader: TensorReader) {
    this.count = elementCount(part.shape);
    this.values = new Float64Array(Math.min(WINDOW, Math.max(8, Math.ceil(this.count / 8) * 8)));
    this.bits = part.encoding ? Number(part.encoding.options?.bits) : DTYPE_BITS[part.dtype];
    this.bytes = new Uint8Array(Math.ceil(this.values.length * this.bits / 8));
    this.decode = decoder(part, this.bytes, this.values, this.bits);
  }

  /** Element `index`, which must be in the part. */
  get(index: number): number {
    if (index < this.from || index >= this.end) this.load(index);
    return this.values[index - this.from]!;
  }

  /** Brings element `index` and those after it to {@link values}. */
  load(index: number): void {
    if (index < 0 || index >= this.count) throw new RangeError(`element ${index} of a part of ${this.count}`);
    const from = index - (index % 8);
    const count = Math.min(this.values.length, this.count - from);
    if (this.part.encoding) this.reader.readStored(this.part, from * this.bits / 8, this.bytes.subarray(0, Math.ceil(count * this.bits / 8)));
    else this.reader.readInto(this.part, from, count, this.bytes);
    this.decode(count);
    this.from = from;
    this.end = from + count;
  }
}

function decoder(part: TensorInfo, bytes: Uint8Array, values: Float64Array, bits: number): (count: number) => void {
  const view = new DataView(bytes.buffer);
  const each = (read: (i: number) => number) => (count: number): void => { for (let i = 0; i < count; i += 1) values[i] = read(i); };
  if (bits < 8) {
    const kind = part.encoding ? String(part.encoding.options?.kind) : 'e2m1';
    const mask = (1 << bits) - 1;
    const code = (i: number): number => (bytes[(i * bits) >> 3]! >> ((i * bits) & 7)) & mask;
    if (kind === 'e2m1') return each((i) => E2M1[code(i)]!);
    if (kind === 'signed') return (count) => { for (let i = 0; i < count; i += 1) values[i] = ((bytes[(i * bits) >> 3]! >> ((i * bits) & 7)) << (32 - bits)) >> (32 - bits); };
    return each(code);
  }
  switch (part.dtype) {
    // Loops of their own for what nearly all codes are: a call for each element costs several times as much.
    case 'I8': case 'QI8': {
      const codes = new Int8Array(bytes.buffer);
      return (count) => { for (let i = 0; i < count; i += 1) values[i] = codes[i]!; };
    }
    case 'U8': case 'QU8': case 'BOOL': return (count) => { for (let i = 0; i < count; i += 1) values[i] = bytes[i]!; };
    case 'I16': return each((i) => view.getInt16(2 * i, true));
    case 'U16': return each((i) => view.getUint16(2 * i, true));
    case 'I32': case 'QI32': return each((i) => view.getInt32(4 * i, true));
    case 'U32': return each((i) => view.getUint32(4 * i, true));
    case 'I64': return each((i) => Number(view.getBigInt64(8 * i, true)));
    case 'U64': return each((i) => Number(view.getBigUint64(8 * i, true)));
    case 'F64': return each((i) => view.getFloat64(8 * i, true));
    // E8M0: a power of two, 255 is not a number.
    case 'F8_E8M0': return each((i) => (bytes[i] === 255 ? NaN : 2 ** (bytes[i]! - 127)));
    default: {
      const floats = new Float32Array(values.length);
      return (count) => {
        decodeFloats(part.dtype, bytes, count, floats);
        for (let i = 0; i < count; i += 1) values[i] = floats[i]!;
      };
    }
  }
}
