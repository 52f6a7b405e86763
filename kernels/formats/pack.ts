/**
 * Dense packing of b-bit codes into 32-bit words, as compressed-tensors `pack-quantized` stores them: each row starts a new
 * word, codes follow each other from the low bits up, a code may straddle two words, the last word is filled with zeros.
 */

/** Words of a row of `cols` codes. */
export function packedWords(cols: number, bits: number): number {
  return Math.ceil((cols * bits) / 32);
}

/** @param codes unsigned codes below 2^bits, row-major; `offset` is added first (2^(bits-1) turns signed codes into unsigned). */
export function packRows(codes: ArrayLike<number>, rows: number, cols: number, bits: number, offset: number): Int32Array {
  const words = packedWords(cols, bits);
  const packed = new Int32Array(rows * words);
  for (let row = 0; row < rows; row += 1) {
    for (let col = 0; col < cols; col += 1) {
      const code = codes[row * cols + col]! + offset;
      const bit = col * bits;
      const word = row * words + (bit >>> 5);
      const shift = bit & 31;
      packed[word]! |= code << shift;
      if (shift + bits > 32) packed[word + 1]! |= code >>> (32 - shift);
    }
  }
  return packed;
}

/** Inverse of {@link packRows}. */
export function unpackRows(packed: Int32Array, rows: number, cols: number, bits: number, offset: number): Int32Array {
  const words = packedWords(cols, bits);
  const codes = new Int32Array(rows * cols);
  const mask = bits === 32 ? -1 : (1 << bits) - 1;
  for (let row = 0; row < rows; row += 1) {
    for (let col = 0; col < cols; col += 1) {
      const bit = col * bits;
      const word = row * words + (bit >>> 5);
      const shift = bit & 31;
      let code = packed[word]! >>> shift;
      if (shift + bits > 32) code |= packed[word + 1]! << (32 - shift);
      codes[row * cols + col] = (code & mask) - offset;
    }
  }
  return codes;
}

/** Packs a [rows, cols] matrix along its rows (dimension 0), as zero points are: result is [packedWords(rows), cols]. */
export function packColumns(codes: ArrayLike<number>, rows: number, cols: number, bits: number, offset: number): Int32Array {
  const words = packedWords(rows, bits);
  const transposed = new Int32Array(rows * cols);
  for (let row = 0; row < rows; row += 1) for (let col = 0; col < cols; col += 1) transposed[col * rows + row] = codes[row * cols + col]!;
  const packed = packRows(transposed, cols, rows, bits, offset);
  const out = new Int32Array(words * cols);
  for (let word = 0; word < words; word += 1) for (let col = 0; col < cols; col += 1) out[word * cols + col] = packed[col * words + word]!;
  return out;
}
