/** Encoders of MXFP4 and NVFP4: closed forms, byte for byte what ggml writes. Ties go to the smaller magnitude. */
import type { RowEncoder } from './block-codec';
import { halfE4M3 } from './decode-small-floats';

const f = Math.fround;
const bits = new Uint32Array(1);
const asFloat = new Float32Array(bits.buffer);

/** Code of E2M1 for a value, `d` being half the scale. */
function fp4(x: number, d: number): number {
  const a = Math.abs(x);
  // Midpoints of the doubled values 0 1 2 3 4 6 8 12.
  const code = a > 2.5 * d ? (a > 5 * d ? (a > 10 * d ? 7 : a > 7 * d ? 6 : 5) : a > 3.5 * d ? 4 : 3) : a > 1.5 * d ? 2 : a > 0.5 * d ? 1 : 0;
  return x < 0 && code > 0 ? code | 8 : code;
}

/** The scale is the power of two that brings the largest magnitude below 8, as the MX specification has it. */
export const encodeMxfp4: RowEncoder = (x, _importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 32, to += 17) {
    let amax = 0;
    for (let j = at; j < at + 32; j += 1) amax = Math.max(amax, Math.abs(x[j]!));
    const e = amax > 0 ? Math.max(0, Math.min(254, Math.floor(f(Math.log2(amax))) - 2 + 127)) : 0;
    const d = 2 ** (e - 128);
    out[to] = e;
    for (let j = 0; j < 16; j += 1) out[to + 1 + j] = fp4(x[at + j]!, d) | (fp4(x[at + j + 16]!, d) << 4);
  }
};

/** The nearest unsigned E4M3, halves up in magnitude, at most 448. */
function e4m3(x: number): number {
  if (!(x > 0)) return 0;
  asFloat[0] = Math.min(x, 448);
  const word = bits[0]!;
  let exponent = (word >>> 23) - 127 + 7;
  if (exponent <= 0) return Math.min(7, Math.trunc(f(f(asFloat[0] * 512) + 0.5)));
  if (exponent >= 15) return 0x7e;
  let mantissa = ((word >>> 20) & 7) + ((word >>> 19) & 1);
  if (mantissa > 7) {
    mantissa = 0;
    exponent += 1;
    if (exponent >= 15) return 0x7e;
  }
  return (exponent << 3) | mantissa;
}

/** Sub-blocks of 16 with a scale of their largest magnitude over 6. There is no scale of the whole tensor in the block. */
export const encodeNvfp4: RowEncoder = (x, _importance, out) => {
  for (let at = 0, to = 0; at < x.length; at += 64, to += 36) {
    for (let group = 0; group < 4; group += 1) {
      const first = at + 16 * group;
      let amax = 0;
      for (let j = first; j < first + 16; j += 1) amax = Math.max(amax, Math.abs(x[j]!));
      const scale = e4m3(f(amax / 6));
      const d = halfE4M3(scale);
      out[to + group] = scale;
      for (let j = 0; j < 8; j += 1) out[to + 4 + 8 * group + j] = d === 0 ? 0 : fp4(x[first + j]!, d) | (fp4(x[first + j + 8]!, d) << 4);
    }
  }
};
