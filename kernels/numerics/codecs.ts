/** Stored bytes to float32 and back, little-endian, one function per direction. */
import type { DType } from '../checkpoint/checkpoint';
import { BFLOAT16, E4M3FN, E4M3FNUZ, E5M2, E5M2FNUZ, FLOAT16, decodeTable, encodeMinifloat, type MinifloatSpec } from './minifloat';

/** Dtypes of 8 or 16 bits that are small floats. */
export const MINIFLOAT_DTYPES: Readonly<Partial<Record<DType, MinifloatSpec>>> = {
  F16: FLOAT16,
  BF16: BFLOAT16,
  F8_E4M3: E4M3FN,
  F8_E5M2: E5M2,
  F8_E4M3FNUZ: E4M3FNUZ,
  F8_E5M2FNUZ: E5M2FNUZ,
};

/** Decodes `count` elements. F64 rounds to the nearest float32 (overflow becomes infinity). @throws RangeError for dtypes that are not floating point. */
export function decodeFloats(dtype: DType, bytes: Uint8Array, count: number, out: Float32Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === 'F32') {
    for (let i = 0; i < count; i += 1) out[i] = view.getFloat32(4 * i, true);
    return;
  }
  if (dtype === 'F64') {
    for (let i = 0; i < count; i += 1) out[i] = view.getFloat64(8 * i, true);
    return;
  }
  const spec = MINIFLOAT_DTYPES[dtype];
  if (!spec) throw new RangeError(`${dtype} is not a floating-point type`);
  const table = decodeTable(spec);
  if (table.length === 256) for (let i = 0; i < count; i += 1) out[i] = table[bytes[i]!]!;
  else for (let i = 0; i < count; i += 1) out[i] = table[view.getUint16(2 * i, true)]!;
}

/**
 * Encodes float32 values in a stored type, nearest with ties to even. Small floats saturate at their largest finite value,
 * so that a dequantized weight never becomes infinite in storage; infinities and NaNs of the input stay what they are where the type has them.
 */
export function encodeFloats(dtype: DType, values: Float32Array, count: number, out: Uint8Array): void {
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  if (dtype === 'F32') {
    for (let i = 0; i < count; i += 1) view.setFloat32(4 * i, values[i]!, true);
    return;
  }
  if (dtype === 'F64') {
    for (let i = 0; i < count; i += 1) view.setFloat64(8 * i, values[i]!, true);
    return;
  }
  const spec = MINIFLOAT_DTYPES[dtype];
  if (!spec) throw new RangeError(`${dtype} is not a floating-point type`);
  const bytesEach = spec.exponentBits + spec.mantissaBits === 7 ? 1 : 2;
  for (let i = 0; i < count; i += 1) {
    const code = encodeMinifloat(spec, values[i]!, Number.isFinite(values[i]!));
    if (bytesEach === 1) out[i] = code;
    else view.setUint16(2 * i, code, true);
  }
}
