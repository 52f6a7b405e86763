/** Element types: PyTorch's names, ONNX's, and which of two an operation gives. */
import type { OnnxType } from '../../kernels/graph/onnx-types';
import type { TracedValue } from '../python/values/values';

const ALIASES: Readonly<Record<string, string>> = { float: 'float32', double: 'float64', half: 'float16', long: 'int64', int: 'int32', short: 'int16', cfloat: 'complex64', cdouble: 'complex128' };
/** One name for each dtype: `torch.float` is `torch.float32`. */
export function canonicalDtype(name: string): string {
  const short = name.replace(/^.*\./, '');
  return ALIASES[short] ?? short;
}
const NAMES: Readonly<Partial<Record<OnnxType, string>>> = { F32: 'float32', F64: 'float64', F16: 'float16', I64: 'int64', I32: 'int32', I16: 'int16', I8: 'int8', U8: 'uint8', BOOL: 'bool' };
export const dtypeName = ({ type, complex }: Pick<TracedValue, 'type' | 'complex'>): string => (complex ? 'complex64' : NAMES[type] ?? 'float32');

/** Everything real is computed in float32, whatever precision the source casts to: the model is traced at full precision. */
export function typeNamed(dtype: string): OnnxType | 'complex' | undefined {
  const name = canonicalDtype(dtype);
  if (/^(float|bfloat)/.test(name)) return 'F32';
  if (/^complex/.test(name)) return 'complex';
  return ({ int64: 'I64', int32: 'I32', int16: 'I16', int8: 'I8', uint8: 'U8', bool: 'BOOL' } as const)[name];
}
export const isFloat = (type: OnnxType): boolean => type === 'F32' || type === 'F64' || type === 'F16';

const ORDER: readonly OnnxType[] = ['BOOL', 'U8', 'I8', 'I16', 'I32', 'I64', 'F16', 'F32', 'F64'];
/** The type of an operation on both; a plain number does not widen within its kind. */
export function promote(a: OnnxType, b: OnnxType, aPlain: boolean, bPlain: boolean): OnnxType {
  if (a === b) return a;
  const kind = (type: OnnxType): number => (type === 'BOOL' ? 0 : isFloat(type) ? 2 : 1);
  if (aPlain !== bPlain) {
    const [tensor, number] = aPlain ? [b, a] : [a, b];
    return kind(number) <= kind(tensor) ? tensor : kind(number) === 2 ? 'F32' : number;
  }
  return ORDER.indexOf(a) > ORDER.indexOf(b) ? a : b;
}
