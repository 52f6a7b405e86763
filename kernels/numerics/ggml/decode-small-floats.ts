/** Blocks of small floats and of a fixed table: MXFP4, NVFP4, IQ4_NL, IQ4_XS. Layouts: ggml-common.h of ggml. */
import type { BlockDecoder } from './block-codec';
import { half } from './half';

/** Twice the values of E2M1, by code. */
export const FP4_DOUBLED: readonly number[] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/** The 16 values of the non-linear 4-bit types. */
export const NONLINEAR: readonly number[] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/** Half of 2^(e - 127), the scale that goes with {@link FP4_DOUBLED}. */
const HALF_E8M0 = Float64Array.from({ length: 256 }, (_, e) => 2 ** (e - 128));

/** Half of an unsigned E4M3; ggml reads the NaN code as zero. The sign bit is no part of it: codes above 127 read on in the same way. */
const HALF_E4M3 = Float64Array.from({ length: 256 }, (_, code) => {
  if (code === 0 || code === 0x7f) return 0;
  const exponent = (code >> 3) & 15;
  const mantissa = code & 7;
  return (exponent === 0 ? mantissa * 2 ** -9 : (1 + mantissa / 8) * 2 ** (exponent - 7)) / 2;
});

/** The scale of a sub-block of NVFP4, halved. */
export const halfE4M3 = (code: number): number => HALF_E4M3[code]!;

/** E8M0 scale, then nibbles j and j + 16. */
export const decodeMxfp4: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 17, to += 32) {
    const d = HALF_E8M0[bytes[at]!]!;
    for (let j = 0; j < 16; j += 1) {
      const q = bytes[at + 1 + j]!;
      out[to + j] = FP4_DOUBLED[q & 15]! * d;
      out[to + j + 16] = FP4_DOUBLED[q >> 4]! * d;
    }
  }
};

/** Four E4M3 scales, then four groups of eight bytes: nibbles j and j + 8 of 16 values. */
export const decodeNvfp4: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 36) {
    for (let group = 0; group < 4; group += 1, to += 16) {
      const d = HALF_E4M3[bytes[at + group]!]!;
      for (let j = 0; j < 8; j += 1) {
        const q = bytes[at + 4 + 8 * group + j]!;
        out[to + j] = FP4_DOUBLED[q & 15]! * d;
        out[to + j + 8] = FP4_DOUBLED[q >> 4]! * d;
      }
    }
  }
};

/** Scale, then nibbles j and j + 16, looked up. */
export const decodeIq4Nl: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 18, to += 32) {
    const d = half(bytes, at);
    for (let j = 0; j < 16; j += 1) {
      const q = bytes[at + 2 + j]!;
      out[to + j] = d * NONLINEAR[q & 15]!;
      out[to + j + 16] = d * NONLINEAR[q >> 4]!;
    }
  }
};

/** Scale, eight 6-bit block scales (minus 32) as 16 high bits and four bytes of nibbles, codes as in IQ4_NL. */
export const decodeIq4Xs: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 136) {
    const d = half(bytes, at);
    const high = bytes[at + 2]! | (bytes[at + 3]! << 8);
    for (let block = 0; block < 8; block += 1, to += 32) {
      const scale = ((bytes[at + 4 + (block >> 1)]! >> (4 * (block & 1))) & 15) | (((high >> (2 * block)) & 3) << 4);
      const dl = d * (scale - 32);
      for (let j = 0; j < 16; j += 1) {
        const q = bytes[at + 8 + 16 * block + j]!;
        out[to + j] = dl * NONLINEAR[q & 15]!;
        out[to + j + 16] = dl * NONLINEAR[q >> 4]!;
      }
    }
  }
};
