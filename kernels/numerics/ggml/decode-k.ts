/** K-quants: super-blocks of 256 values whose block scales (and minima) are themselves quantized. Layouts: ggml-common.h of ggml. */
import type { BlockDecoder } from './block-codec';
import { half } from './half';

/** 16 bytes of a 4-bit scale and a 4-bit minimum, 64 bytes of 2-bit codes, d, dmin. value = d sc q - dmin m. */
export const decodeQ2_K: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 84) {
    const d = half(bytes, at + 80);
    const dmin = half(bytes, at + 82);
    let scale = at;
    for (let codes = at + 16; codes < at + 80; codes += 32) {
      for (let shift = 0; shift < 8; shift += 2) {
        for (let side = 0; side < 32; side += 16, scale += 1) {
          const dl = d * (bytes[scale]! & 15);
          const ml = dmin * (bytes[scale]! >> 4);
          for (let l = 0; l < 16; l += 1, to += 1) out[to] = dl * ((bytes[codes + side + l]! >> shift) & 3) - ml;
        }
      }
    }
  }
};

/** Where the twelve bytes of sixteen 6-bit scales hold number `i`: low nibbles in the first eight, high two bits in the last four. */
export function q3Scale(bytes: Uint8Array, at: number, i: number): number {
  const low = i < 8 ? bytes[at + i]! & 15 : bytes[at + i - 8]! >> 4;
  return low | (((bytes[at + 8 + (i & 3)]! >> (2 * (i >> 2))) & 3) << 4);
}

/** 32 bytes of third bits, 64 bytes of 2-bit codes, 12 bytes of 6-bit scales (minus 32), d. */
export const decodeQ3_K: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 110) {
    const d = half(bytes, at + 108);
    let scale = 0;
    let mask = 1;
    for (let codes = at + 32; codes < at + 96; codes += 32) {
      for (let shift = 0; shift < 8; shift += 2, mask <<= 1) {
        for (let side = 0; side < 32; side += 16, scale += 1) {
          const dl = d * (q3Scale(bytes, at + 96, scale) - 32);
          for (let l = side; l < side + 16; l += 1, to += 1) out[to] = dl * (((bytes[codes + l]! >> shift) & 3) - (bytes[at + l]! & mask ? 0 : 4));
        }
      }
    }
  }
};

/** Scale number `j` of the eight 6-bit pairs in twelve bytes. */
export function scale6(bytes: Uint8Array, at: number, j: number): number {
  return j < 4 ? bytes[at + j]! & 63 : (bytes[at + j + 4]! & 15) | ((bytes[at + j - 4]! >> 6) << 4);
}

/** Minimum number `j` of the eight 6-bit pairs. */
export function minimum6(bytes: Uint8Array, at: number, j: number): number {
  return j < 4 ? bytes[at + j + 4]! & 63 : (bytes[at + j + 4]! >> 4) | ((bytes[at + j]! >> 6) << 4);
}

/** d, dmin, eight 6-bit pairs, 128 bytes of nibbles: of each 64 values the first 32 low. value = d sc q - dmin m. */
export const decodeQ4_K: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 144, to += 256) {
    const d = half(bytes, at);
    const dmin = half(bytes, at + 2);
    for (let pair = 0; pair < 4; pair += 1) {
      const codes = at + 16 + 32 * pair;
      const first = to + 64 * pair;
      const d1 = d * scale6(bytes, at + 4, 2 * pair);
      const m1 = dmin * minimum6(bytes, at + 4, 2 * pair);
      const d2 = d * scale6(bytes, at + 4, 2 * pair + 1);
      const m2 = dmin * minimum6(bytes, at + 4, 2 * pair + 1);
      for (let l = 0; l < 32; l += 1) {
        const q = bytes[codes + l]!;
        out[first + l] = d1 * (q & 15) - m1;
        out[first + 32 + l] = d2 * (q >> 4) - m2;
      }
    }
  }
};

/** As Q4_K with 32 bytes of fifth bits before the nibbles: bit `i` of byte `l` belongs to value l of block i. */
export const decodeQ5_K: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 176, to += 256) {
    const d = half(bytes, at);
    const dmin = half(bytes, at + 2);
    for (let pair = 0; pair < 4; pair += 1) {
      const codes = at + 48 + 32 * pair;
      const first = to + 64 * pair;
      const d1 = d * scale6(bytes, at + 4, 2 * pair);
      const m1 = dmin * minimum6(bytes, at + 4, 2 * pair);
      const d2 = d * scale6(bytes, at + 4, 2 * pair + 1);
      const m2 = dmin * minimum6(bytes, at + 4, 2 * pair + 1);
      for (let l = 0; l < 32; l += 1) {
        const q = bytes[codes + l]!;
        const high = bytes[at + 16 + l]! >> (2 * pair);
        out[first + l] = d1 * ((q & 15) | ((high & 1) << 4)) - m1;
        out[first + 32 + l] = d2 * ((q >> 4) | ((high & 2) << 3)) - m2;
      }
    }
  }
};

/** 128 bytes of low nibbles, 64 of high two bits, 16 signed scales, d. value = d sc (q - 32). */
export const decodeQ6_K: BlockDecoder = (bytes, at, blocks, out, to) => {
  for (let b = 0; b < blocks; b += 1, at += 210, to += 256) {
    const d = half(bytes, at + 208);
    for (let part = 0; part < 2; part += 1) {
      const low = at + 64 * part;
      const high = at + 128 + 32 * part;
      const first = to + 128 * part;
      for (let side = 0; side < 2; side += 1) {
        const scales = at + 192 + 8 * part + side;
        const s0 = d * ((bytes[scales]! << 24) >> 24);
        const s1 = d * ((bytes[scales + 2]! << 24) >> 24);
        const s2 = d * ((bytes[scales + 4]! << 24) >> 24);
        const s3 = d * ((bytes[scales + 6]! << 24) >> 24);
        for (let l = 16 * side; l < 16 * side + 16; l += 1) {
          const h = bytes[high + l]!;
          out[first + l] = s0 * (((bytes[low + l]! & 15) | ((h & 3) << 4)) - 32);
          out[first + 32 + l] = s1 * (((bytes[low + 32 + l]! & 15) | ((h & 12) << 2)) - 32);
          out[first + 64 + l] = s2 * (((bytes[low + l]! >> 4) | (h & 48)) - 32);
          out[first + 96 + l] = s3 * (((bytes[low + 32 + l]! >> 4) | ((h & 192) >> 2)) - 32);
        }
      }
    }
  }
};
