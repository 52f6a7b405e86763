/**
 * Stored fields: the one packed layout that every format has. Fields follow each other without gaps, each a run of numbers of
 * equal width, low bits first; the last byte is filled with zeros.
 */
import { BFLOAT16, FLOAT16, decodeTable, encodeMinifloat } from '../numerics/minifloat';

export interface StoredField {
  readonly name: string;
  /** What the field's bits count as in the storage cost. */
  readonly part: 'code' | 'scale' | 'zeroPoint' | 'other';
  /** Width of one number: 1 to 32 bits. */
  readonly bits: number;
  readonly count: number;
}

/** Bits of all fields. */
export function fieldBits(fields: readonly StoredField[]): number {
  return fields.reduce((sum, { bits, count }) => sum + bits * count, 0);
}

/** @param values unsigned numbers below 2^bits, one array for each field. @throws RangeError when a count or a number does not fit. */
export function packFields(fields: readonly StoredField[], values: readonly ArrayLike<number>[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(fieldBits(fields) / 8));
  let at = 0;
  fields.forEach(({ name, bits, count }, k) => {
    const numbers = values[k]!;
    if (numbers.length !== count) throw new RangeError(`field ${name} has ${numbers.length} numbers, not ${count}`);
    for (let i = 0; i < count; i += 1) {
      let number = numbers[i]!;
      if (!(number >= 0 && number < 2 ** bits)) throw new RangeError(`field ${name}: ${number} does not fit ${bits} bits`);
      for (let left = bits; left > 0;) {
        const room = 8 - (at & 7);
        const take = Math.min(room, left);
        bytes[at >>> 3]! |= (number % 2 ** take) << (at & 7);
        number = Math.floor(number / 2 ** take);
        at += take;
        left -= take;
      }
    }
  });
  return bytes;
}

/** Inverse of {@link packFields}. @throws RangeError when the bytes are not as many as the fields need. */
export function unpackFields(fields: readonly StoredField[], bytes: Uint8Array): Uint32Array[] {
  const wanted = Math.ceil(fieldBits(fields) / 8);
  if (bytes.length !== wanted) throw new RangeError(`${bytes.length} bytes are not the ${wanted} that the fields need`);
  let at = 0;
  return fields.map(({ bits, count }) => Uint32Array.from({ length: count }, () => {
    let number = 0;
    for (let done = 0; done < bits;) {
      const take = Math.min(8 - (at & 7), bits - done);
      number += ((bytes[at >>> 3]! >>> (at & 7)) % 2 ** take) * 2 ** done;
      at += take;
      done += take;
    }
    return number;
  }));
}

/** Float32 numbers as their bits, and back. */
export const floatBits = (values: Float32Array): Uint32Array => new Uint32Array(values.slice().buffer);
export const bitsToFloats = (bits: ArrayLike<number>): Float32Array => new Float32Array(Uint32Array.from(bits).buffer);

/** Numbers that a 16-bit float holds exactly as its bits, and back. */
export const float16Bits = (values: Float32Array, type: 'f16' | 'bf16'): Uint32Array => Uint32Array.from(values, (value) => encodeMinifloat(type === 'f16' ? FLOAT16 : BFLOAT16, value, true));
export const bitsToFloat16 = (bits: ArrayLike<number>, type: 'f16' | 'bf16'): Float32Array => Float32Array.from(bits, (code) => decodeTable(type === 'f16' ? FLOAT16 : BFLOAT16)[code]!);
/** A number as a float16 field holds it: nearest, ties to even, saturating. */
export const toFloat16 = (value: number): number => bitsToFloat16(float16Bits(Float32Array.of(value), 'f16'), 'f16')[0]!;
