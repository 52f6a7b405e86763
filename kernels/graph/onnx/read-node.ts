/** NodeProto, read into a node of a Graph. What has no plain form (graphs of branches, types, binary texts) is handed on as the bytes it is. */
import { readPair, readTensorProto, type TensorProto } from '../../checkpoint/onnx/tensor-proto';
import { FIXED32, LENGTH, MOST_MESSAGES_DEEP, signed, VARINT, WireError, type WireReader } from '../../checkpoint/onnx/wire';
import type { Attribute, GraphNode } from '../graph';
import { modulePath } from './module-path';
import { smallValues } from './small-values';

/** Longer names no program writes. */
const LONGEST = 65_536;
const MOST_NUMBERS = 1_000_000;

/** What one file may make a reader hold; each part counts down. */
export class ReadBudget {
  /** @param bytes of names, attributes and inner graphs together */
  constructor(private bytes: number) {}
  take(bytes: number, at: number): void {
    this.bytes -= bytes;
    if (this.bytes < 0) throw new WireError('the graph holds more text and inner graphs than are read', at);
  }
}

export interface ReadNode {
  readonly node: GraphNode;
  /** Names that graphs within it look at, their own values among them. */
  readonly inner: ReadonlySet<string>;
  /** Tensors of attributes, by name: of a Constant, its value. */
  readonly tensors: ReadonlyMap<string, TensorProto>;
  /** Attributes that take the value of an attribute of the function they are in, by its name. */
  readonly references: ReadonlyMap<string, string>;
}

/**
 * @param constants the tensor of a Constant is left in the file, to become an initializer
 * @throws WireError
 */
export function readNode(wire: WireReader, at: number, end: number, budget: ReadBudget, constants = true): ReadNode {
  const [inputs, outputs]: [string[], string[]] = [[], []];
  const metadata: (readonly [string, string])[] = [];
  const ranges: (readonly [number, number])[] = [];
  let [name, op, domain] = ['', '', ''];
  for (let position = at; wire.next(position, end);) {
    const { field, wire: kind, start, end: after } = wire;
    if (kind === LENGTH) {
      if (field === 1) inputs.push(readName(wire, start, after, budget));
      else if (field === 2) outputs.push(readName(wire, start, after, budget));
      else if (field === 3) name = readName(wire, start, after, budget);
      else if (field === 4) op = readName(wire, start, after, budget);
      else if (field === 7) domain = readName(wire, start, after, budget);
      else if (field === 5) ranges.push([start, after]);
      else if (field === 9 && metadata.length < 64) metadata.push(readPair(wire, start, after));
    }
    position = after;
  }
  const inner = new Set<string>();
  const tensors = new Map<string, TensorProto>();
  const references = new Map<string, string>();
  const attributes = ranges.map(([start, after]) => readAttribute(wire, start, after, { budget, inner, tensors, references, constant: constants && op === 'Constant' }));
  return {
    node: { op, ...(domain === '' || domain === 'ai.onnx' ? {} : { domain }), inputs, outputs, ...(attributes.length > 0 ? { attributes: Object.fromEntries(attributes) } : {}), module: modulePath(name, metadata) },
    inner, tensors, references,
  };
}

/** An attribute by itself: of a function, the value it has when a call gives none. */
export const readOneAttribute = (wire: WireReader, at: number, end: number, budget: ReadBudget): [string, Attribute] =>
  readAttribute(wire, at, end, { budget, inner: new Set(), tensors: new Map(), references: new Map(), constant: false });

export function readName(wire: WireReader, start: number, end: number, budget: ReadBudget): string {
  if (end - start > LONGEST) throw new WireError(`a name is longer than ${LONGEST} bytes`, start);
  budget.take(end - start + 16, start);
  return wire.text(start, end, LONGEST);
}

/** AttributeProto.AttributeType. */
const FLOAT = 1, INT = 2, STRING = 3, TENSOR = 4, GRAPH = 5, FLOATS = 6, INTS = 7, STRINGS = 8, GRAPHS = 10;
/** Fields that values of a type stand in, for files that do not say the type. */
const TYPE_OF_FIELD: ReadonlyMap<number, number> = new Map([[2, FLOAT], [3, INT], [4, STRING], [5, TENSOR], [6, GRAPH], [7, FLOATS], [8, INTS], [9, STRINGS], [11, GRAPHS]]);

/** Plain numbers and texts, whatever the types of the tensors around them. */
const UNTYPED: ReadonlySet<number> = new Set([FLOAT, INT, STRING, FLOATS, INTS, STRINGS]);

interface Gathered { readonly budget: ReadBudget; readonly inner: Set<string>; readonly tensors: Map<string, TensorProto>; readonly references: Map<string, string>; readonly constant: boolean }

function readAttribute(wire: WireReader, at: number, end: number, { budget, inner, tensors, references, constant }: Gathered): [string, Attribute] {
  let name = '';
  let [said, seen] = [0, 0];
  let reference = '';
  let [float, int]: [number, number | bigint] = [0, 0];
  let text: Buffer = Buffer.alloc(0);
  let tensor: TensorProto | null = null;
  const [floats, texts]: [number[], Buffer[]] = [[], []];
  const ints: (number | bigint)[] = [];
  const push = <T>(list: T[], value: T, where: number): void => {
    if (list.length >= MOST_NUMBERS) throw new WireError(`an attribute has more than ${MOST_NUMBERS} values`, where);
    list.push(value);
  };
  for (let position = at; wire.next(position, end);) {
    const { field, wire: kind, start, end: after } = wire;
    if (TYPE_OF_FIELD.has(field)) seen = TYPE_OF_FIELD.get(field)!;
    if (field === 1 && kind === LENGTH) name = readName(wire, start, after, budget);
    else if (field === 20 && kind === VARINT) said = Number(wire.value);
    else if (field === 21 && kind === LENGTH) reference = readName(wire, start, after, budget);
    else if (field === 2 && kind === FIXED32) float = wire.bytes(start, 4).readFloatLE();
    else if (field === 3 && kind === VARINT) int = signed(wire.value);
    else if (field === 4 && kind === LENGTH) { budget.take(after - start, start); text = Buffer.from(wire.bytes(start, after - start)); }
    else if (field === 5 && kind === LENGTH) tensor = readTensorProto(wire, start, after);
    else if ((field === 6 || field === 11) && kind === LENGTH) innerNames(wire, start, after, inner, budget);
    else if (field === 7 && kind === FIXED32) push(floats, wire.bytes(start, 4).readFloatLE(), start);
    else if (field === 7 && kind === LENGTH) for (let each = start; each + 4 <= after; each += 4) push(floats, wire.bytes(each, 4).readFloatLE(), each);
    else if (field === 8 && kind === VARINT) push(ints, signed(wire.value), start);
    else if (field === 8 && kind === LENGTH) for (let each = start; each < after; each = wire.end) push(ints, signed(wire.varint(each, after)), each);
    else if (field === 9 && kind === LENGTH) { budget.take(after - start, start); push(texts, Buffer.from(wire.bytes(start, after - start)), start); }
    position = after;
  }
  const type = said === 0 ? seen : said;
  if (reference !== '') references.set(name, reference);
  const plain = plainAttribute(type, { float, int, text, floats, ints, texts });
  if (plain) return [name, plain];
  if (type === TENSOR && tensor) {
    tensors.set(name, tensor);
    // The value of a Constant becomes an initializer, which is read when it is needed.
    if (constant) return [name, { encoded: '' }];
    const small = smallValues(wire, tensor);
    if (small) return [name, { tensor: small }];
    if (tensor.outside) throw new WireError('a tensor in an attribute has its values in another file', tensor.at);
  }
  budget.take(end - at, at);
  return [name, { encoded: Buffer.from(wire.source.read(at, end - at)).toString('base64'), ...(UNTYPED.has(type) ? { untyped: true } : {}) }];
}

const isUtf8 = (bytes: Buffer): boolean => Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes);

/** Null for what no plain form has without loss. */
function plainAttribute(type: number, { float, int, text, floats, ints, texts }: { float: number; int: number | bigint; text: Buffer; floats: number[]; ints: (number | bigint)[]; texts: Buffer[] }): Attribute | null {
  switch (type) {
    case FLOAT: return Number.isFinite(float) ? { float } : null;
    case INT: return typeof int === 'number' ? { int } : null;
    case STRING: return isUtf8(text) ? { text: text.toString('utf8') } : null;
    case FLOATS: return floats.every(Number.isFinite) ? { floats } : null;
    case INTS: return ints.every((each) => typeof each === 'number') ? { ints } : null;
    case STRINGS: return texts.every(isUtf8) ? { texts: texts.map((each) => each.toString('utf8')) } : null;
    default: return null;
  }
}

/** Names that a graph and the graphs within it read. Level by level, so that depth is bounded without recursion. */
function innerNames(wire: WireReader, at: number, end: number, names: Set<string>, budget: ReadBudget): void {
  let level: (readonly [number, number])[] = [[at, end]];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MOST_MESSAGES_DEEP) throw new WireError(`graphs are nested more than ${MOST_MESSAGES_DEEP} deep`, level[0]![0]);
    const next: (readonly [number, number])[] = [];
    for (const [from, to] of level) {
      for (let position = from; wire.next(position, to);) {
        const { field, wire: kind, start, end: after } = wire;
        if (kind === LENGTH && field === 1) innerNode(wire, start, after, names, next, budget);
        else if (kind === LENGTH && field === 5 && readTensorProto(wire, start, after).outside) throw new WireError('a weight of a branch or loop has its values in another file; such a model is not run', start);
        // What a branch gives may be a value of the graph around it.
        else if (kind === LENGTH && field === 12) for (let inside = start; wire.next(inside, after); inside = wire.end) if (wire.field === 1 && wire.wire === LENGTH) names.add(readName(wire, wire.start, wire.end, budget));
        position = after;
      }
    }
    level = next;
  }
}

function innerNode(wire: WireReader, at: number, end: number, names: Set<string>, graphs: (readonly [number, number])[], budget: ReadBudget): void {
  for (let position = at; wire.next(position, end);) {
    const { field, wire: kind, start, end: after } = wire;
    if (kind === LENGTH && field === 1) names.add(readName(wire, start, after, budget));
    if (kind === LENGTH && field === 5) {
      for (let inside = start; wire.next(inside, after);) {
        const { field: part, wire: type, start: s, end: e } = wire;
        if ((part === 6 || part === 11) && type === LENGTH) graphs.push([s, e]);
        if (part === 5 && type === LENGTH && readTensorProto(wire, s, e).outside) throw new WireError('a constant of a branch or loop has its values in another file; such a model is not run', s);
        inside = e;
      }
    }
    position = after;
  }
}
