/** Element types of ONNX tensors, by the names that checkpoints use, with the codes of onnx.proto (TensorProto.DataType). */
import { DTYPE_BITS, type DType } from '../checkpoint/checkpoint';

/** Types of ONNX that no checkpoint of ours has: integers of 4 and 2 bits, packed with the first element in the low bits. */
export type PackedType = 'I4' | 'U4' | 'I2' | 'U2';
export type OnnxType = DType | PackedType;

const CODES: Readonly<Partial<Record<OnnxType, number>>> = {
  F32: 1, U8: 2, I8: 3, U16: 4, I16: 5, I32: 6, I64: 7, BOOL: 9, F16: 10, F64: 11, U32: 12, U64: 13, C64: 14, C128: 15, BF16: 16,
  F8_E4M3: 17, F8_E4M3FNUZ: 18, F8_E5M2: 19, F8_E5M2FNUZ: 20, U4: 21, I4: 22, F4: 23, F8_E8M0: 24, U2: 25, I2: 26,
  // Quantized types of PyTorch are the integers they are stored as.
  QI8: 3, QU8: 2, QI32: 6,
};
const PACKED_BITS: Readonly<Record<PackedType, number>> = { I4: 4, U4: 4, I2: 2, U2: 2 };

/** Code of the type, or undefined where ONNX has none. */
export const onnxTypeCode = (type: OnnxType): number | undefined => CODES[type];

/** Bits of one element as ONNX stores it. */
export const onnxTypeBits = (type: OnnxType): number => (type in PACKED_BITS ? PACKED_BITS[type as PackedType] : DTYPE_BITS[type as DType]);

const BY_CODE: ReadonlyMap<number, OnnxType> = new Map((Object.entries(CODES) as [OnnxType, number][]).filter(([type]) => !/^Q/.test(type)).map(([type, code]) => [code, type]));

/** The type with this code; undefined for texts and for types that are not known. */
export const onnxTypeOf = (code: number): OnnxType | undefined => BY_CODE.get(code);
