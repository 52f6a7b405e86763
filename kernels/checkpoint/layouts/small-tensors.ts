/** Shapes and settings that layouts keep as small tensors. */
import type { TensorInfo } from '../checkpoint';
import { checkedProduct } from '../checked';
import type { TensorTable } from './tensor-table';

/** The numbers in a small integer tensor; null when it is large, unreadable or of another type. */
export function smallIntegers(tensors: TensorTable, tensor: TensorInfo | null): number[] | null {
  const bytes = tensor && tensors.contents(tensor);
  if (!bytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const each = (width: number, read: (at: number) => number): number[] => Array.from({ length: bytes.length / width }, (_, i) => read(i * width));
  switch (tensor.dtype) {
    case 'U8': case 'BOOL': return each(1, (at) => view.getUint8(at));
    case 'I8': return each(1, (at) => view.getInt8(at));
    case 'I16': return each(2, (at) => view.getInt16(at, true));
    case 'I32': return each(4, (at) => view.getInt32(at, true));
    case 'I64': return each(8, (at) => Number(view.getBigInt64(at, true)));
    default: return null;
  }
}

/** One whole number. */
export function smallInteger(tensors: TensorTable, tensor: TensorInfo | null): number | null {
  const values = smallIntegers(tensors, tensor);
  return values?.length === 1 && Number.isSafeInteger(values[0]) ? values[0]! : null;
}

/** A shape that a file carries as data: 1 to 8 dimensions of at least one element, with a number of elements below 2^53; else null. */
export function soundShape(values: readonly unknown[] | null): number[] | null {
  if (!values || values.length === 0 || values.length > 8) return null;
  if (!values.every((dim): dim is number => typeof dim === 'number' && Number.isSafeInteger(dim) && dim > 0)) return null;
  return checkedProduct(values, Number.MAX_SAFE_INTEGER) === null ? null : [...values];
}
