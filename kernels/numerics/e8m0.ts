/** E8M0, the scale of OCP MX blocks as a number type: 2^(code - 127), code 255 is NaN. */

const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);

/**
 * The code of a float32. `nearest` goes half way up in the value, as ml_dtypes converts: zero, negative numbers, infinities and NaN
 * have no code but 255. `up` is ONNX's cast (round_mode up, saturating): the power of two at or above, zero the least of them.
 * (Scales of blocks are chosen by neither: see kernels/formats/scale.ts.)
 */
export function encodeE8m0(x: number, mode: 'nearest' | 'up' = 'nearest'): number {
  if (mode === 'up' && x === 0) return 0;
  if (!(x > 0)) return 255;
  if (x === Infinity) return mode === 'up' ? 254 : 255;
  word[0] = x;
  const exponent = bits[0]! >>> 23;
  const mantissa = bits[0]! & 0x7fffff;
  // Subnormal numbers above the least power, 2^-127, go up.
  if (exponent === 0) return mantissa > 0x400000 ? 1 : 0;
  const code = exponent + ((mode === 'up' ? mantissa > 0 : mantissa >= 0x400000) ? 1 : 0);
  return mode === 'up' ? Math.min(code, 254) : code;
}

export function decodeE8m0(code: number): number {
  return code === 255 ? NaN : 2 ** (code - 127);
}
