/** TensorProto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): where a tensor's values are, without reading them. */
import type { DType } from '../checkpoint';
import { FIXED32, FIXED64, LENGTH, signed, VARINT, WireError, type WireReader } from './wire';

/** How an element type is stored. `bits` per element in raw data; `field` holds its values otherwise. */
export interface ElementType {
  readonly name: string;
  /** The type of its values; of integers below a byte, the one that holds their values. */
  readonly dtype: DType;
  readonly bits: number;
  /** Number of the typed field: 4 float_data, 5 int32_data, 7 int64_data, 10 double_data, 11 uint64_data. */
  readonly field: number;
}

const element = (name: string, dtype: DType, bits: number, field: number): ElementType => ({ name, dtype, bits, field });

/** TensorProto.DataType, by number. 8 (STRING) has no numbers. */
export const ELEMENT_TYPES: ReadonlyMap<number, ElementType> = new Map([
  [1, element('FLOAT', 'F32', 32, 4)], [2, element('UINT8', 'U8', 8, 5)], [3, element('INT8', 'I8', 8, 5)], [4, element('UINT16', 'U16', 16, 5)], [5, element('INT16', 'I16', 16, 5)],
  [6, element('INT32', 'I32', 32, 5)], [7, element('INT64', 'I64', 64, 7)], [9, element('BOOL', 'BOOL', 8, 5)], [10, element('FLOAT16', 'F16', 16, 5)], [11, element('DOUBLE', 'F64', 64, 10)],
  [12, element('UINT32', 'U32', 32, 11)], [13, element('UINT64', 'U64', 64, 11)], [14, element('COMPLEX64', 'C64', 64, 4)], [15, element('COMPLEX128', 'C128', 128, 10)],
  [16, element('BFLOAT16', 'BF16', 16, 5)], [17, element('FLOAT8E4M3FN', 'F8_E4M3', 8, 5)], [18, element('FLOAT8E4M3FNUZ', 'F8_E4M3FNUZ', 8, 5)], [19, element('FLOAT8E5M2', 'F8_E5M2', 8, 5)],
  [20, element('FLOAT8E5M2FNUZ', 'F8_E5M2FNUZ', 8, 5)], [21, element('UINT4', 'U8', 4, 5)], [22, element('INT4', 'I8', 4, 5)], [23, element('FLOAT4E2M1', 'F4', 4, 5)],
  [24, element('FLOAT8E8M0', 'F8_E8M0', 8, 5)], [25, element('UINT2', 'U8', 2, 5)], [26, element('INT2', 'I8', 2, 5)],
]);
export const STRING_TYPE = 8;

/** Dimensions kept; a tensor with more is impossible. */
const MOST_DIMS = 1024;
const LONGEST = 65_536;
const MOST_EXTERNAL = 64;

export interface Range { readonly start: number; readonly length: number }

export interface TensorProto {
  /** Byte offset and end of the message. */
  readonly at: number;
  readonly end: number;
  readonly name: string;
  readonly dims: readonly (number | bigint)[];
  readonly type: number;
  readonly raw: Range | null;
  /** Typed fields that hold values, by number: their range when they stand in one packed run, else null. */
  readonly typed: ReadonlyMap<number, Range | null>;
  readonly external: readonly (readonly [string, string])[];
  /** data_location says that the values are in another file. */
  readonly outside: boolean;
  /** It is one part of a tensor. */
  readonly segment: boolean;
}

/** @throws WireError for a message that is no tensor */
export function readTensorProto(wire: WireReader, at: number, end: number): TensorProto {
  const dims: (number | bigint)[] = [];
  const typed = new Map<number, Range | null>();
  const external: (readonly [string, string])[] = [];
  let name = '';
  let type = 0;
  let raw: Range | null = null;
  let outside = false;
  let segment = false;
  const dim = (value: number | bigint, where: number): void => {
    if (dims.length >= MOST_DIMS) throw new WireError(`a tensor has more than ${MOST_DIMS} dimensions`, where);
    dims.push(signed(value));
  };
  for (let position = at; wire.next(position, end);) {
    const { field, wire: kind, start } = wire;
    const { end: after } = wire;
    switch (field) {
      case 1:
        if (kind === VARINT) dim(wire.value, position);
        else if (kind === LENGTH) for (let each = start; each < after; each = wire.end) dim(wire.varint(each, after), each);
        else wrong('dims', position);
        break;
      case 2:
        if (kind !== VARINT) wrong('data_type', position);
        type = typeof wire.value === 'number' ? wire.value : -1;
        break;
      case 3: segment = true; break;
      case 4: case 5: case 6: case 7: case 10: case 11: {
        const scattered = kind !== LENGTH || typed.has(field);
        // An empty run is no value.
        if (field !== 6 && kind === LENGTH && after === start) break;
        const fits = kind === LENGTH || (field === 4 ? kind === FIXED32 : field === 10 ? kind === FIXED64 : kind === VARINT);
        if (!fits) wrong('values', position);
        typed.set(field, scattered ? null : { start, length: after - start });
        break;
      }
      case 8: if (kind === LENGTH) name = wire.text(start, after, LONGEST); else wrong('name', position); break;
      case 9: if (kind === LENGTH) raw = { start, length: after - start }; else wrong('raw_data', position); break;
      case 13:
        if (kind !== LENGTH) wrong('external_data', position);
        if (external.length >= MOST_EXTERNAL) throw new WireError(`a tensor has more than ${MOST_EXTERNAL} entries of external data`, position);
        external.push(readPair(wire, start, after));
        break;
      case 14: if (kind === VARINT) outside = wire.value === 1; else wrong('data_location', position); break;
    }
    position = after;
  }
  return { at, end, name, dims, type, raw, typed, external, outside, segment };
}

/** StringStringEntryProto: key 1, value 2. */
export function readPair(wire: WireReader, at: number, end: number): readonly [string, string] {
  let [key, value] = ['', ''];
  for (let position = at; wire.next(position, end);) {
    const { field, wire: kind, start, end: after } = wire;
    if (kind === LENGTH && field === 1) key = wire.text(start, after, LONGEST);
    if (kind === LENGTH && field === 2) value = wire.text(start, after, LONGEST);
    position = after;
  }
  return [key, value];
}

function wrong(what: string, at: number): never {
  throw new WireError(`${what} of a tensor is not of its type`, at);
}
