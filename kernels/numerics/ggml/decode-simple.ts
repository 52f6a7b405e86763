/** Types with one scale for a block, or a scale and a minimum: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q8_1, Q8_K, Q1_0, Q2_0. Layouts: ggml-common.h of ggml. */
import type { BlockDecoder } from './block-codec';
import { half } from './half';

/** 32 values: scale, then bytes with element j in the low and j + 16 in the high nibble. value = (q - 8) d. */
export const decodeQ4_0: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 18, to += 32) {
    const d = half(bytes, at);
    for (let j = 0; j < 16; j += 1) {
      const q = bytes[at + 2 + j]!;
      out[to + j] = ((q & 15) - 8) * d;
      out[to + j + 16] = ((q >> 4) - 8) * d;
    }
  }
};

/** As Q4_0 with a minimum behind the scale. value = q d + m. */
export const decodeQ4_1: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 20, to += 32) {
    const d = half(bytes, at);
    const m = half(bytes, at + 2);
    for (let j = 0; j < 16; j += 1) {
      const q = bytes[at + 4 + j]!;
      out[to + j] = (q & 15) * d + m;
      out[to + j + 16] = (q >> 4) * d + m;
    }
  }
};

/** Scale, 32 fifth bits (bit j belongs to element j), nibbles as in Q4_0. value = (q - 16) d. */
export const decodeQ5_0: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 22, to += 32) {
    const d = half(bytes, at);
    const high = word(bytes, at + 2);
    for (let j = 0; j < 16; j += 1) {
      const q = bytes[at + 6 + j]!;
      out[to + j] = (((q & 15) | (((high >>> j) & 1) << 4)) - 16) * d;
      out[to + j + 16] = (((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16) * d;
    }
  }
};

/** As Q5_0 with a minimum behind the scale. value = q d + m. */
export const decodeQ5_1: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 24, to += 32) {
    const d = half(bytes, at);
    const m = half(bytes, at + 2);
    const high = word(bytes, at + 4);
    for (let j = 0; j < 16; j += 1) {
      const q = bytes[at + 8 + j]!;
      out[to + j] = ((q & 15) | (((high >>> j) & 1) << 4)) * d + m;
      out[to + j + 16] = ((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) * d + m;
    }
  }
};

/** Scale, 32 signed bytes. */
export const decodeQ8_0: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 34, to += 32) {
    const d = half(bytes, at);
    for (let j = 0; j < 32; j += 1) out[to + j] = ((bytes[at + 2 + j]! << 24) >> 24) * d;
  }
};

/** Scale, the scaled sum of the codes (for dot products), 32 signed bytes. */
export const decodeQ8_1: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 36, to += 32) {
    const d = half(bytes, at);
    for (let j = 0; j < 32; j += 1) out[to + j] = ((bytes[at + 4 + j]! << 24) >> 24) * d;
  }
};

/** A float32 scale, 256 signed bytes, 16 sums of 16 codes. */
export const decodeQ8_K: BlockDecoder = (bytes, at, blocks, out, to) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let b = 0; b < blocks; b += 1, at += 292, to += 256) {
    const d = view.getFloat32(at, true);
    for (let j = 0; j < 256; j += 1) out[to + j] = ((bytes[at + 4 + j]! << 24) >> 24) * d;
  }
};

/** Scale, 128 signs: a set bit is +d, a clear one -d. */
export const decodeQ1_0: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 18, to += 128) {
    const d = half(bytes, at);
    for (let j = 0; j < 128; j += 1) out[to + j] = (bytes[at + 2 + (j >> 3)]! >> (j & 7)) & 1 ? d : -d;
  }
};

/** Scale, 64 codes of two bits, the first in the lowest bits. value = (q - 1) d. */
export const decodeQ2_0: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 18, to += 64) {
    const d = half(bytes, at);
    for (let j = 0; j < 64; j += 1) out[to + j] = (((bytes[at + 2 + (j >> 2)]! >> (2 * (j & 3))) & 3) - 1) * d;
  }
};

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
