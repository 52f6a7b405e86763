/** Half floats as ggml's blocks hold them. */
import { decodeTable, encodeMinifloat, FLOAT16 } from '../minifloat';

/** Value of every half float. */
export const HALVES: Float32Array = decodeTable(FLOAT16);

/** The half float at `at`, little-endian. */
export function half(bytes: Uint8Array, at: number): number {
  return HALVES[bytes[at]! | (bytes[at + 1]! << 8)]!;
}

/** Stores the nearest half float (ties to even). What overflows becomes the largest, where ggml would write an infinity. @returns its value */
export function putHalf(bytes: Uint8Array, at: number, value: number): number {
  const code = encodeMinifloat(FLOAT16, value, true);
  bytes[at] = code & 0xff;
  bytes[at + 1] = code >> 8;
  return HALVES[code]!;
}
