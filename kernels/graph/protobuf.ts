/** The little of protobuf that ONNX needs, written so that the length of a message is known before its large bytes are. */

/** A part of a message: bytes, or a number of bytes that somebody else writes when their turn comes. */
export type Piece = Uint8Array | { readonly size: number; write(sink: (chunk: Uint8Array) => void): void | Promise<void> };

export const sizeOf = (piece: Piece): number => ('size' in piece && !(piece instanceof Uint8Array) ? piece.size : (piece as Uint8Array).length);
export const totalSize = (pieces: readonly Piece[]): number => pieces.reduce((sum, piece) => sum + sizeOf(piece), 0);

/** Base 128, least significant first. Negative numbers take ten bytes, as two's complement of 64 bits. */
export function varint(value: number): Uint8Array {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a whole number that protobuf can hold here`);
  const bytes: number[] = [];
  if (value < 0) {
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 127n) { bytes.push(Number(rest & 127n) | 128); rest >>= 7n; }
    bytes.push(Number(rest));
    return Uint8Array.from(bytes);
  }
  let rest = value;
  while (rest > 127) { bytes.push((rest % 128) | 128); rest = Math.floor(rest / 128); }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

const LENGTH_DELIMITED = 2;
const FIXED32 = 5;
const key = (field: number, wire: number): Uint8Array => varint(field * 8 + wire);

/** A field with a whole number. */
export const whole = (field: number, value: number): Piece[] => [key(field, 0), varint(value)];
/** A field with a float32. */
export function real(field: number, value: number): Piece[] {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return [key(field, FIXED32), bytes];
}
/** A field with bytes, a text, or a message made of pieces. */
export function nested(field: number, pieces: readonly Piece[]): Piece[] {
  return [key(field, LENGTH_DELIMITED), varint(totalSize(pieces)), ...pieces];
}
export const bytesField = (field: number, bytes: Uint8Array): Piece[] => nested(field, [bytes]);
export const text = (field: number, value: string): Piece[] => bytesField(field, Buffer.from(value, 'utf8'));
/** A repeated field of whole numbers, packed. */
export const wholes = (field: number, values: readonly number[]): Piece[] => (values.length === 0 ? [] : nested(field, values.map(varint)));

/** Small neighbours as one array: a graph of ten thousand nodes is a million little pieces. */
export function* joined(pieces: readonly Piece[], most = 1 << 16): Generator<Piece> {
  let small: Uint8Array[] = [];
  let held = 0;
  for (const piece of pieces) {
    if (piece instanceof Uint8Array && piece.length < most) {
      small.push(piece);
      held += piece.length;
      if (held >= most) { yield Buffer.concat(small); small = []; held = 0; }
      continue;
    }
    if (small.length > 0) { yield Buffer.concat(small); small = []; held = 0; }
    yield piece;
  }
  if (small.length > 0) yield Buffer.concat(small);
}
