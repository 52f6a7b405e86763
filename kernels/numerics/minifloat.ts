/**
 * Small floating-point types: codes to values and back, rounding to nearest, ties to even.
 * Specifications: IEEE 754 (binary16), OCP 8-bit floating point (E4M3FN, E5M2), and the FNUZ variants (bias one higher,
 * no infinities, no negative zero, NaN is the code of negative zero).
 */

export interface MinifloatSpec {
  readonly name: string;
  readonly exponentBits: number;
  readonly mantissaBits: number;
  readonly bias: number;
  /** Largest finite value. */
  readonly maxFinite: number;
  /** `ieee`: infinities and NaNs in the top exponent; `fn`: only the all-ones code is NaN; `fnuz`: code of -0 is NaN; `none`: every code is finite. */
  readonly specials: 'ieee' | 'fn' | 'fnuz' | 'none';
}

export const FLOAT16: MinifloatSpec = { name: 'float16', exponentBits: 5, mantissaBits: 10, bias: 15, maxFinite: 65504, specials: 'ieee' };
export const BFLOAT16: MinifloatSpec = { name: 'bfloat16', exponentBits: 8, mantissaBits: 7, bias: 127, maxFinite: 3.3895313892515355e38, specials: 'ieee' };
export const E4M3FN: MinifloatSpec = { name: 'float8_e4m3fn', exponentBits: 4, mantissaBits: 3, bias: 7, maxFinite: 448, specials: 'fn' };
export const E5M2: MinifloatSpec = { name: 'float8_e5m2', exponentBits: 5, mantissaBits: 2, bias: 15, maxFinite: 57344, specials: 'ieee' };
export const E4M3FNUZ: MinifloatSpec = { name: 'float8_e4m3fnuz', exponentBits: 4, mantissaBits: 3, bias: 8, maxFinite: 240, specials: 'fnuz' };
export const E5M2FNUZ: MinifloatSpec = { name: 'float8_e5m2fnuz', exponentBits: 5, mantissaBits: 2, bias: 16, maxFinite: 57344, specials: 'fnuz' };

/** The type of this split, bias and meaning of the top codes, with its largest finite value. */
export function minifloatSpec(exponentBits: number, mantissaBits: number, bias: number, specials: MinifloatSpec['specials']): MinifloatSpec {
  const top = 2 ** exponentBits - 1 - bias;
  const full = 2 - 2 ** -mantissaBits;
  // `fn` gives up the all-ones code, `ieee` the whole top exponent.
  const maxFinite = specials === 'ieee' ? full * 2 ** (top - 1)
    : specials !== 'fn' ? full * 2 ** top
      : mantissaBits > 0 ? (full - 2 ** -mantissaBits) * 2 ** top : 2 ** (top - 1);
  return { name: `e${exponentBits}m${mantissaBits}b${bias}${specials}`, exponentBits, mantissaBits, bias, maxFinite, specials };
}

/** Nearest integer, ties to even. Exact for |x| < 2^52. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

const wide = new Float64Array(1);
const wideHigh = new Uint32Array(wide.buffer);

/** floor(log2 |x|) of a finite non-zero double that is not subnormal (every non-zero float32 qualifies). */
export function exponentOf(x: number): number {
  wide[0] = x;
  return ((wideHigh[1]! >>> 20) & 0x7ff) - 1023;
}

/** 2^n for a whole n: what `2 ** n` gives, which is a general power and takes longer than all else here. */
function powerOfTwo(n: number): number {
  if ((n | 0) !== n || n < -1022 || n > 1023) return 2 ** n;
  wideHigh[0] = 0;
  wideHigh[1] = (n + 1023) << 20;
  return wide[0]!;
}

/** The nearest value of the type (ties to even), saturating at its largest finite value. NaN stays NaN. */
export function roundToMinifloat(spec: MinifloatSpec, x: number): number {
  if (x === 0 || Number.isNaN(x)) return x;
  if (Math.abs(x) >= spec.maxFinite) return x < 0 ? -spec.maxFinite : spec.maxFinite;
  const exponent = Math.max(exponentOf(x), 1 - spec.bias);
  const quantum = powerOfTwo(exponent - spec.mantissaBits);
  return roundHalfEven(x / quantum) * quantum;
}

/**
 * The code of the nearest value.
 * @param saturate overflow becomes the largest finite value; otherwise infinity, or NaN where the type has no infinity.
 */
export function encodeMinifloat(spec: MinifloatSpec, x: number, saturate: boolean): number {
  const { mantissaBits, exponentBits, bias, specials } = spec;
  const signBit = 1 << (exponentBits + mantissaBits);
  const top = ((1 << exponentBits) - 1) << mantissaBits;
  if (Number.isNaN(x)) {
    // Without a NaN, the code of negative zero (as ml_dtypes has it).
    if (specials === 'fnuz' || specials === 'none') return signBit;
    return specials === 'fn' ? signBit - 1 : top | (1 << (mantissaBits - 1));
  }
  const sign = x < 0 || Object.is(x, -0) ? signBit : 0;
  let magnitude = Math.abs(x);
  if (magnitude === 0) return specials === 'fnuz' ? 0 : sign;
  if (magnitude !== Infinity) {
    const quantum = powerOfTwo(Math.max(exponentOf(magnitude), 1 - bias) - mantissaBits);
    magnitude = roundHalfEven(magnitude / quantum) * quantum;
  }
  if (magnitude > spec.maxFinite) {
    if (!saturate && specials === 'ieee') return sign | top;
    if (!saturate && specials === 'fn') return sign | (signBit - 1);
    if (!saturate && specials === 'fnuz') return signBit;
    magnitude = spec.maxFinite;
  }
  if (magnitude === 0) return specials === 'fnuz' ? 0 : sign;
  const exponent = exponentOf(magnitude);
  if (exponent < 1 - bias) return sign | (magnitude * powerOfTwo(mantissaBits + bias - 1));
  return sign | ((exponent + bias) << mantissaBits) | ((magnitude * powerOfTwo(-exponent) - 1) * powerOfTwo(mantissaBits));
}

/** The value of one code. */
export function decodeMinifloat(spec: MinifloatSpec, code: number): number {
  const { mantissaBits, exponentBits, bias, specials } = spec;
  const signBit = 1 << (exponentBits + mantissaBits);
  const negative = (code & signBit) !== 0;
  const exponent = (code >> mantissaBits) & ((1 << exponentBits) - 1);
  const mantissa = code & ((1 << mantissaBits) - 1);
  const topExponent = (1 << exponentBits) - 1;
  if (specials === 'fnuz' && code === signBit) return NaN;
  if (specials === 'fn' && (code & (signBit - 1)) === signBit - 1) return NaN;
  if (specials === 'ieee' && exponent === topExponent) return mantissa ? NaN : negative ? -Infinity : Infinity;
  const magnitude = exponent === 0
    ? mantissa * powerOfTwo(1 - bias - mantissaBits)
    : (1 + mantissa * powerOfTwo(-mantissaBits)) * powerOfTwo(exponent - bias);
  return negative ? -magnitude : magnitude;
}

const tables = new Map<string, Float32Array>();

/** Value of every code of the type (2^bits entries), made once. */
export function decodeTable(spec: MinifloatSpec): Float32Array {
  let table = tables.get(spec.name);
  if (!table) {
    table = new Float32Array(2 ** (1 + spec.exponentBits + spec.mantissaBits));
    for (let code = 0; code < table.length; code += 1) table[code] = decodeMinifloat(spec, code);
    tables.set(spec.name, table);
  }
  return table;
}
