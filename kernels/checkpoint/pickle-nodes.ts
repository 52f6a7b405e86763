/**
 * What a pickle says, as inert records. Nothing here is ever called: a class is a name, a call is a record of what would
 * be called with what. Records are shared by identity exactly as the pickle's memo shares them.
 *
 * Plain values are JavaScript's own: null for None, booleans, strings, numbers for integers below 2^53, bigints above.
 */
export type PickleValue = null | boolean | number | bigint | string | PickleNode;

export type PickleNode =
  | FloatNode | TextNode | BytesNode | ListNode | TupleNode | SetNode | DictNode | GlobalNode | CallNode | NewNode | PersistNode | OpaqueNode;

/** Kept apart from integers, so that 3.0 is never taken for a size. */
export class FloatNode { constructor(readonly value: number) {} }
/** A string too long to keep: a range of the pickle stream. `raw` when its bytes are the value (a byte string), not UTF-8. */
export class TextNode { constructor(readonly start: number, readonly length: number, readonly raw: boolean) {} }
/** Bytes: a range of the pickle stream, never copied. */
export class BytesNode { constructor(readonly start: number, readonly length: number) {} }
/** Something whose value does not matter here (a huge integer, an out-of-band buffer). */
export class OpaqueNode { constructor(readonly what: string) {} }
/** A name that Python would import. */
export class GlobalNode { constructor(readonly module: string, readonly name: string) {} }
export class TupleNode { constructor(readonly items: readonly PickleValue[]) {} }
/** Python's persistent id: how torch refers to a storage. */
export class PersistNode { constructor(readonly id: PickleValue) {} }

const NONE: readonly never[] = Object.freeze([]);

/** What APPENDS, SETITEMS and BUILD may add to an object after it was made. Lists are made on first use: empty objects stay small. */
abstract class Filled {
  private list: PickleValue[] | null = null;
  private pairs: PickleValue[] | null = null;
  /** What BUILD was given, the last one. */
  state: PickleValue | undefined = undefined;

  get items(): readonly PickleValue[] { return this.list ?? NONE; }
  /** Keys and values in turn, as SETITEM gave them. */
  get entries(): readonly PickleValue[] { return this.pairs ?? NONE; }
  append(value: PickleValue): void { (this.list ??= []).push(value); }
  set(key: PickleValue, value: PickleValue): void { (this.pairs ??= []).push(key, value); }
}

export class ListNode extends Filled {}
export class SetNode extends Filled {}
export class DictNode extends Filled {}
/** `fn(*args)`: REDUCE. */
export class CallNode extends Filled { constructor(readonly fn: PickleValue, readonly args: PickleValue) { super(); } }
/** `cls.__new__(cls, *args, **kwargs)`: NEWOBJ, OBJ, INST. */
export class NewNode extends Filled { constructor(readonly cls: PickleValue, readonly args: PickleValue, readonly kwargs: PickleValue = null) { super(); } }

export const EMPTY_TUPLE = new TupleNode(NONE);

export function isFilled(value: PickleValue): value is ListNode | SetNode | DictNode | CallNode | NewNode {
  return value instanceof Filled;
}

export function isGlobal(value: PickleValue, module: string, name: string): boolean {
  return value instanceof GlobalNode && value.name === name && value.module === module;
}

/** The items of a list or tuple, else null. */
export function sequence(value: PickleValue): readonly PickleValue[] | null {
  return value instanceof TupleNode || value instanceof ListNode ? value.items : null;
}
