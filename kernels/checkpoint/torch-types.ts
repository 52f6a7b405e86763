import type { DType } from './checkpoint';
import { GlobalNode, type PickleValue } from './pickle-nodes';

const BY_NAME: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['float64', 'F64'], ['double', 'F64'], ['float32', 'F32'], ['float', 'F32'], ['float16', 'F16'], ['half', 'F16'], ['bfloat16', 'BF16'],
  ['float8_e4m3fn', 'F8_E4M3'], ['float8_e5m2', 'F8_E5M2'], ['float8_e4m3fnuz', 'F8_E4M3FNUZ'], ['float8_e5m2fnuz', 'F8_E5M2FNUZ'], ['float8_e8m0fnu', 'F8_E8M0'],
  ['int64', 'I64'], ['long', 'I64'], ['int32', 'I32'], ['int', 'I32'], ['int16', 'I16'], ['short', 'I16'], ['int8', 'I8'],
  ['uint64', 'U64'], ['uint32', 'U32'], ['uint16', 'U16'], ['uint8', 'U8'], ['bool', 'BOOL'],
  // Several values a byte, but PyTorch counts the bytes as elements.
  ['float4_e2m1fn_x2', 'U8'], ['bits1x8', 'U8'], ['bits2x4', 'U8'], ['bits4x2', 'U8'], ['bits8', 'U8'], ['bits16', 'U16'],
  // One value a byte, whatever its width.
  ...[1, 2, 3, 4, 5, 6, 7].flatMap((bits): [string, DType][] => [[`int${bits}`, 'I8'], [`uint${bits}`, 'U8']]),
  ['complex64', 'C64'], ['cfloat', 'C64'], ['complex128', 'C128'], ['cdouble', 'C128'],
  ['qint8', 'QI8'], ['quint8', 'QU8'], ['qint32', 'QI32'], ['quint4x2', 'QU4X2'], ['quint2x4', 'QU2X4'],
]);

const BY_STORAGE: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['Double', 'F64'], ['Float', 'F32'], ['Half', 'F16'], ['BFloat16', 'BF16'], ['Long', 'I64'], ['Int', 'I32'], ['Short', 'I16'], ['Char', 'I8'],
  ['Byte', 'U8'], ['Bool', 'BOOL'], ['ComplexFloat', 'C64'], ['ComplexDouble', 'C128'],
  ['QInt8', 'QI8'], ['QUInt8', 'QU8'], ['QInt32', 'QI32'], ['QUInt4x2', 'QU4X2'], ['QUInt2x4', 'QU2X4'],
]);

/** `torch.float32` and its kin. */
export function dtypeOf(value: PickleValue): DType | null {
  return value instanceof GlobalNode && value.module === 'torch' ? BY_NAME.get(value.name) ?? null : null;
}

/** Element type of a storage class (`torch.FloatStorage`, `torch.cuda.HalfStorage`), `bytes` for an untyped one, null for none. */
export function storageType(value: PickleValue): DType | 'bytes' | null {
  if (!(value instanceof GlobalNode) || !/^torch(\.cuda|\.storage)?$/.test(value.module)) return null;
  if (value.name === 'UntypedStorage' || value.name === '_UntypedStorage') return 'bytes';
  return value.name.endsWith('Storage') ? BY_STORAGE.get(value.name.slice(0, -'Storage'.length)) ?? null : null;
}

/** Numpy's array-protocol letters with their size. */
const BY_NUMPY: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['f8', 'F64'], ['f4', 'F32'], ['f2', 'F16'], ['i8', 'I64'], ['i4', 'I32'], ['i2', 'I16'], ['i1', 'I8'],
  ['u8', 'U64'], ['u4', 'U32'], ['u2', 'U16'], ['u1', 'U8'], ['b1', 'BOOL'], ['c8', 'C64'], ['c16', 'C128'],
]);

export function numpyType(code: string): DType | null {
  return BY_NUMPY.get(code) ?? null;
}
