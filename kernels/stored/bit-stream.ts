/** Codes of b bits that follow each other from the low bits of 32-bit words up, and may straddle two words. */

/**
 * @param words a run of words `stride` apart, starting at `at`
 * @returns code number `index` of the run
 */
export function codeAt(words: Int32Array, at: number, stride: number, index: number, bits: number): number {
  const bit = index * bits;
  const word = at + (bit >>> 5) * stride;
  const shift = bit & 31;
  let code = words[word]! >>> shift;
  if (shift + bits > 32) code |= words[word + stride]! << (32 - shift);
  return code & (2 ** bits - 1);
}
