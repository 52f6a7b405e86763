/** IQ types: groups of magnitudes from a code book (grids.ts), signs apart. Layouts: ggml-common.h of ggml. */
import type { BlockDecoder } from './block-codec';
import { gridOf } from './grids';
import { half, HALVES } from './half';

/** Signs that need only seven bits, because their number is even: the eighth is the parity of the others. */
export const EVEN_SIGNS = Uint8Array.from({ length: 128 }, (_, seven) => {
  let parity = 0;
  for (let bits = seven; bits > 0; bits >>= 1) parity ^= bits & 1;
  return seven | (parity << 7);
});

/** Eight values of a grid entry with signs; a set bit is negative. */
function signed(out: Float32Array, to: number, grid: Int8Array, entry: number, signs: number, scale: number): void {
  for (let j = 0; j < 8; j += 1) out[to + j] = (signs >> j) & 1 ? -scale * grid[entry + j]! : scale * grid[entry + j]!;
}

/** Two times four values. */
function signedPair(out: Float32Array, to: number, grid: Int8Array, first: number, second: number, signs: number, scale: number): void {
  for (let j = 0; j < 4; j += 1) {
    out[to + j] = (signs >> j) & 1 ? -scale * grid[first + j]! : scale * grid[first + j]!;
    out[to + j + 4] = (signs >> (j + 4)) & 1 ? -scale * grid[second + j]! : scale * grid[second + j]!;
  }
}

/** d, then for each 32 values four indices of a byte and a word of four 7-bit signs and a 4-bit scale. */
export const decodeIq2Xxs: BlockDecoder = (bytes, at, blocks, out, to) => {
  const { values } = gridOf('IQ2_XXS');
  for (let b = 0; b < blocks; b += 1, at += 66) {
    const d = half(bytes, at);
    for (let place = at + 2; place < at + 66; place += 8) {
      const word = bytes[place + 4]! | (bytes[place + 5]! << 8) | (bytes[place + 6]! << 16) | (bytes[place + 7]! << 24);
      const scale = d * (0.5 + (word >>> 28)) * 0.25;
      for (let l = 0; l < 4; l += 1, to += 8) signed(out, to, values, bytes[place + l]! * 8, EVEN_SIGNS[(word >>> (7 * l)) & 127]!, scale);
    }
  }
};

/** d, 32 words of a 9-bit index and 7-bit signs, eight bytes of two 4-bit scales. */
export const decodeIq2Xs: BlockDecoder = (bytes, at, blocks, out, to) => {
  const { values } = gridOf('IQ2_XS');
  for (let b = 0; b < blocks; b += 1, at += 74) {
    const d = half(bytes, at);
    for (let l = 0; l < 32; l += 1, to += 8) {
      const scales = bytes[at + 66 + (l >> 2)]!;
      const scale = d * (0.5 + (l & 2 ? scales >> 4 : scales & 15)) * 0.25;
      const code = bytes[at + 2 + 2 * l]! | (bytes[at + 3 + 2 * l]! << 8);
      signed(out, to, values, (code & 511) * 8, EVEN_SIGNS[code >> 9]!, scale);
    }
  }
};

/** d, 32 low index bytes, 32 bytes of signs, eight bytes of four high index bits, eight bytes of two 4-bit scales. */
export const decodeIq2S: BlockDecoder = (bytes, at, blocks, out, to) => {
  const { values } = gridOf('IQ2_S');
  for (let b = 0; b < blocks; b += 1, at += 82) {
    const d = half(bytes, at);
    for (let l = 0; l < 32; l += 1, to += 8) {
      const scales = bytes[at + 74 + (l >> 2)]!;
      const scale = d * (0.5 + (l & 2 ? scales >> 4 : scales & 15)) * 0.25;
      const index = bytes[at + 2 + l]! | (((bytes[at + 66 + (l >> 2)]! >> (2 * (l & 3))) & 3) << 8);
      signed(out, to, values, index * 8, bytes[at + 34 + l]!, scale);
    }
  }
};

/** d, 64 index bytes of four values each, eight words of four 7-bit signs and a 4-bit scale. */
export const decodeIq3Xxs: BlockDecoder = (bytes, at, blocks, out, to) => {
  const { values } = gridOf('IQ3_XXS');
  for (let b = 0; b < blocks; b += 1, at += 98) {
    const d = half(bytes, at);
    for (let block = 0; block < 8; block += 1) {
      const place = at + 66 + 4 * block;
      const word = bytes[place]! | (bytes[place + 1]! << 8) | (bytes[place + 2]! << 16) | (bytes[place + 3]! << 24);
      const scale = d * (0.5 + (word >>> 28)) * 0.5;
      for (let l = 0; l < 4; l += 1, to += 8) {
        const codes = at + 2 + 8 * block + 2 * l;
        signedPair(out, to, values, bytes[codes]! * 4, bytes[codes + 1]! * 4, EVEN_SIGNS[(word >>> (7 * l)) & 127]!, scale);
      }
    }
  }
};

/** d, 64 low index bytes, eight bytes of ninth bits, 32 bytes of signs, four bytes of two 4-bit scales. */
export const decodeIq3S: BlockDecoder = (bytes, at, blocks, out, to) => {
  const { values } = gridOf('IQ3_S');
  for (let b = 0; b < blocks; b += 1, at += 110) {
    const d = half(bytes, at);
    for (let block = 0; block < 8; block += 1) {
      const scale = d * (1 + 2 * ((bytes[at + 106 + (block >> 1)]! >> (4 * (block & 1))) & 15));
      const high = bytes[at + 66 + block]!;
      for (let l = 0; l < 4; l += 1, to += 8) {
        const codes = at + 2 + 8 * block + 2 * l;
        const first = bytes[codes]! | (((high >> (2 * l)) & 1) << 8);
        const second = bytes[codes + 1]! | (((high >> (2 * l + 1)) & 1) << 8);
        signedPair(out, to, values, first * 4, second * 4, bytes[at + 74 + 4 * block + l]!, scale);
      }
    }
  }
};

/** What is added to each value of the 1-bit grids, up or down. */
export const IQ1_DELTA = 0.125;

/** d, 32 low index bytes, eight words of four 3-bit high parts, a 3-bit scale and the sign of the shift. */
export const decodeIq1S: BlockDecoder = (bytes, at, blocks, out, to) => {
  const { values } = gridOf('IQ1_S');
  for (let b = 0; b < blocks; b += 1, at += 50) {
    const d = half(bytes, at);
    for (let block = 0; block < 8; block += 1) {
      const word = bytes[at + 34 + 2 * block]! | (bytes[at + 35 + 2 * block]! << 8);
      const scale = d * (2 * ((word >> 12) & 7) + 1);
      const delta = word & 0x8000 ? -IQ1_DELTA : IQ1_DELTA;
      for (let l = 0; l < 4; l += 1, to += 8) {
        const entry = (bytes[at + 2 + 4 * block + l]! | (((word >> (3 * l)) & 7) << 8)) * 8;
        for (let j = 0; j < 8; j += 1) out[to + j] = scale * (values[entry + j]! + delta);
      }
    }
  }
};

/** 32 low index bytes, 16 bytes of two 3-bit high parts and shift signs, four words of four 3-bit scales whose top bits are d. */
export const decodeIq1M: BlockDecoder = (bytes, at, blocks, out, to) => {
  const { values } = gridOf('IQ1_S');
  for (let b = 0; b < blocks; b += 1, at += 56) {
    const d = HALVES[(bytes[at + 49]! >> 4) | (bytes[at + 51]! & 0xf0) | ((bytes[at + 53]! & 0xf0) << 4) | ((bytes[at + 55]! & 0xf0) << 8)]!;
    for (let l = 0; l < 32; l += 1, to += 8) {
      // Sixteen values share a scale: four of them in each word.
      const sixteenth = l >> 1;
      const word = bytes[at + 48 + 2 * (sixteenth >> 2)]! | (bytes[at + 49 + 2 * (sixteenth >> 2)]! << 8);
      const scale = d * (2 * ((word >> (3 * (sixteenth & 3))) & 7) + 1);
      const high = bytes[at + 32 + sixteenth]! >> (4 * (l & 1));
      const delta = high & 8 ? -IQ1_DELTA : IQ1_DELTA;
      const entry = (bytes[at + l]! | ((high & 7) << 8)) * 8;
      for (let j = 0; j < 8; j += 1) out[to + j] = scale * (values[entry + j]! + delta);
    }
  }
};
