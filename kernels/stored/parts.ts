/** Reads the parts of an encoded tensor: integers and floats of any type they are stored in, whole or by rectangles. */
import { CheckpointError, DTYPE_BITS, elementCount, type DType, type TensorInfo, type TensorReader } from '../checkpoint';
import { decodeFloats } from '../numerics/codecs';

export class Part {
  private scratch = new Uint8Array(0);
  readonly rows: number;
  readonly cols: number;

  /** A tensor seen as a matrix: all dimensions but the last are rows. */
  constructor(private readonly reader: TensorReader, readonly tensor: TensorInfo) {
    this.cols = tensor.shape.at(-1) ?? 1;
    this.rows = this.cols === 0 ? 0 : elementCount(tensor.shape) / this.cols;
  }

  /** Elements [first, first + count) as float32; integers as their value. */
  floats(first: number, count: number, out: Float32Array = new Float32Array(count)): Float32Array {
    const bytes = this.bytes(first, count);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const read = FLOAT_READS[this.tensor.dtype];
    if (read) for (let i = 0; i < count; i += 1) out[i] = read(view, i);
    else decodeFloats(this.tensor.dtype, bytes, count, out);
    return out;
  }

  /** Elements [first, first + count) of an integer type as numbers. 64-bit values beyond 2^53 lose their low bits. */
  ints(first: number, count: number, out: Int32Array = new Int32Array(count)): Int32Array {
    const bytes = this.bytes(first, count);
    if (this.tensor.dtype === 'I32') {
      // The scratch starts its buffer, and every machine that runs Node.js is little-endian.
      out.set(new Int32Array(bytes.buffer, bytes.byteOffset, count));
      return out;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const read = INT_READS[this.tensor.dtype];
    if (!read) throw new Error(`${this.tensor.dtype} is no integer type`);
    for (let i = 0; i < count; i += 1) out[i] = read(view, i);
    return out;
  }

  /** Bytes of elements [first, first + count), little-endian; valid until the next call. */
  bytes(first: number, count: number): Uint8Array {
    const length = Math.ceil((count * DTYPE_BITS[this.tensor.dtype]) / 8);
    if (this.scratch.length < length) this.scratch = new Uint8Array(length);
    const bytes = this.scratch.subarray(0, length);
    this.reader.readInto(this.tensor, first, count, bytes);
    return bytes;
  }

  /** The rectangle of all rows and columns [firstCol, firstCol + count), row-major, as integers. */
  intColumns(firstCol: number, count: number): Int32Array {
    return this.columns(firstCol, count, new Int32Array(this.rows * count), (at, length, out) => { this.ints(at, length, out); });
  }

  /** The same rectangle as floats. */
  floatColumns(firstCol: number, count: number): Float32Array {
    return this.columns(firstCol, count, new Float32Array(this.rows * count), (at, length, out) => { this.floats(at, length, out); });
  }

  private columns<T extends Int32Array | Float32Array>(firstCol: number, count: number, out: T, read: (at: number, length: number, out: T) => void): T {
    if (count === this.cols) {
      read(0, this.rows * count, out);
      return out;
    }
    for (let row = 0; row < this.rows; row += 1) read(row * this.cols + firstCol, count, out.subarray(row * count, (row + 1) * count) as T);
    return out;
  }
}

const INT_READS: Readonly<Partial<Record<DType, (view: DataView, i: number) => number>>> = {
  I8: (view, i) => view.getInt8(i),
  U8: (view, i) => view.getUint8(i),
  BOOL: (view, i) => view.getUint8(i),
  I16: (view, i) => view.getInt16(2 * i, true),
  U16: (view, i) => view.getUint16(2 * i, true),
  I32: (view, i) => view.getInt32(4 * i, true),
  U32: (view, i) => view.getInt32(4 * i, true),
  I64: (view, i) => Number(view.getBigInt64(8 * i, true)),
};
const FLOAT_READS: typeof INT_READS = INT_READS;

/** The part of that role; recognisers and layouts agree on roles. @throws Error when they do not */
export function partOf(tensor: TensorInfo, role: string): TensorInfo {
  const part = optionalPart(tensor, role);
  if (!part) throw new Error(`${tensor.encoding?.layout} weight without ${role}`);
  return part;
}

export function optionalPart(tensor: TensorInfo, role: string): TensorInfo | null {
  const parts = tensor.encoding?.parts;
  return parts && Object.hasOwn(parts, role) ? parts[role]! : null;
}

/** A number among the options. @throws Error when the recogniser left it out */
export function numberOption(tensor: TensorInfo, name: string): number {
  const value = tensor.encoding?.options?.[name];
  if (typeof value !== 'number') throw new Error(`${tensor.encoding?.layout} weight without ${name}`);
  return value;
}

/** Refuses values that make no sense; found while they are read, so the header could not tell. */
export function refuseValues(tensor: TensorInfo, message: string): never {
  throw new CheckpointError({
    code: 'BL406', grade: 'malformed', message: `${tensor.name.slice(0, 200)}: ${message}`, tensor: tensor.name,
    fix: 'Download the checkpoint again, or save it again with the program that quantized it',
  }, tensor.name);
}
