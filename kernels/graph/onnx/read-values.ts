/** ValueInfoProto: name, element type and shape of an input, an output or a value between nodes. */
import { LENGTH, signed, VARINT, WireError, type WireReader } from '../../checkpoint/onnx/wire';
import type { GraphDim, GraphValue } from '../graph';
import { onnxTypeOf, type OnnxType } from '../onnx-types';
import { readName, type ReadBudget } from './read-node';

const MOST_DIMS = 64;

export interface ReadValue {
  readonly name: string;
  /** Null for what is no tensor, or of a type that is not known. */
  readonly type: OnnxType | null;
  /** Null when not even the number of dimensions is said. */
  readonly shape: readonly GraphDim[] | null;
}

/** The value as graphs have it; null when its type or shape is not said. */
export const wholeValue = ({ name, type, shape }: ReadValue): GraphValue | null => (type !== null && shape !== null ? { name, type, shape } : null);

/** @throws WireError */
export function readValue(wire: WireReader, at: number, end: number, budget: ReadBudget): ReadValue {
  let name = '';
  let type: OnnxType | null = null;
  let dims: (GraphDim | null)[] | null = null;
  for (const [field, start, after] of messages(wire, at, end)) {
    if (field === 1) name = readName(wire, start, after, budget);
    // TypeProto: tensor_type is 1, then elem_type 1 and shape 2.
    if (field === 2) for (const [kind, from, to] of messages(wire, start, after)) {
      if (kind !== 1) continue;
      for (let position = from; wire.next(position, to);) {
        const { field: part, wire: how, start: s, end: e } = wire;
        if (part === 1 && how === VARINT) type = onnxTypeOf(Number(wire.value)) ?? null;
        if (part === 2 && how === LENGTH) dims = [...messages(wire, s, e)].map(([, dimAt, dimEnd]) => readDim(wire, dimAt, dimEnd, budget));
        position = e;
      }
    }
  }
  if (dims && dims.length > MOST_DIMS) throw new WireError(`a value has more than ${MOST_DIMS} dimensions`, at);
  return { name, type, shape: dims?.map((dim, i) => dim ?? `${name}.${i}`) ?? null };
}

/** A size, the name of a free one, or null for a free one without a name. */
function readDim(wire: WireReader, at: number, end: number, budget: ReadBudget): GraphDim | null {
  let dim: GraphDim | null = null;
  for (let position = at; wire.next(position, end);) {
    const { field, wire: kind, start, end: after } = wire;
    // 0 and -1 are how some exporters write a free dimension.
    if (field === 1 && kind === VARINT) { const size = signed(wire.value); dim = typeof size === 'number' && size > 0 ? size : null; }
    if (field === 2 && kind === LENGTH && after > start) dim = readName(wire, start, after, budget);
    position = after;
  }
  return dim;
}

/** Fields of a message that are messages or texts: number, start, end. */
export function messages(wire: WireReader, at: number, end: number): (readonly [field: number, start: number, end: number])[] {
  const found: (readonly [number, number, number])[] = [];
  for (let position = at; wire.next(position, end);) {
    if (wire.wire === LENGTH) found.push([wire.field, wire.start, wire.end]);
    position = wire.end;
  }
  return found;
}
