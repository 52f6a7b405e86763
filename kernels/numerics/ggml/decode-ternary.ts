/** Ternary types: TQ1_0 (five values a byte) and TQ2_0 (four). Layouts: ggml-common.h of ggml. */
import type { BlockDecoder } from './block-codec';
import { half } from './half';

const POWERS = [1, 3, 9, 27, 81];

/**
 * The values of each byte of TQ1_0, five to a byte: a byte is ceil(256 n / 243) of a number n of five base-3 digits, whose digit k is the
 * whole part of three times the byte's fraction after multiplying by 3^k, in arithmetic of eight bits.
 */
const TRITS = Int8Array.from({ length: 256 * 5 }, (_, i) => ((((Math.floor(i / 5) * POWERS[i % 5]!) & 0xff) * 3) >> 8) - 1);

/** 48 bytes of five values, 4 bytes of four, d. A run of 32 bytes holds its first digits first. */
export const decodeTq1_0: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 54) {
    const d = half(bytes, at + 52);
    for (let digit = 0; digit < 5; digit += 1) for (let m = 0; m < 32; m += 1, to += 1) out[to] = TRITS[bytes[at + m]! * 5 + digit]! * d;
    for (let digit = 0; digit < 5; digit += 1) for (let m = 32; m < 48; m += 1, to += 1) out[to] = TRITS[bytes[at + m]! * 5 + digit]! * d;
    for (let digit = 0; digit < 4; digit += 1) for (let m = 48; m < 52; m += 1, to += 1) out[to] = TRITS[bytes[at + m]! * 5 + digit]! * d;
  }
};

/** 64 bytes of 2-bit codes, d. value = (q - 1) d. */
export const decodeTq2_0: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 66) {
    const d = half(bytes, at + 64);
    for (let run = at; run < at + 64; run += 32) {
      for (let shift = 0; shift < 8; shift += 2) for (let m = run; m < run + 32; m += 1, to += 1) out[to] = (((bytes[m]! >> shift) & 3) - 1) * d;
    }
  }
};
