import type { ImportList } from './pickle-imports';
import type { Limits } from './limits';
import { BytesNode, CallNode, DictNode, EMPTY_TUPLE, FloatNode, GlobalNode, isFilled, ListNode, NewNode, OpaqueNode, PersistNode, SetNode, TextNode, TupleNode, type PickleValue } from './pickle-nodes';
import { counted, IS } from './problems';
import { pythonLiteral, rawUnicodeEscape, small, twosComplement } from './pickle-text';

/** Why a pickle could not be read to its end. `offset` is within its stream. */
export interface PickleBreak { readonly message: string; readonly offset: number }

class Broken extends Error {}
/** More bytes of the stream are needed before the current opcode can be read. */
const MORE = new Error('more bytes are needed');

/** Longest integer that is given its value; Python itself refuses longer decimal ones. */
const MOST_INTEGER_BYTES = 1024;

/**
 * Reads one pickle stream (protocols 0 to 5, https://docs.python.org/3/library/pickletools.html) into inert records.
 * Nothing is imported, called or looked up; memory and steps are bounded, and the stack is a plain array.
 */
export class PickleMachine {
  /** Next byte to read. */
  position: number;
  readonly imports: ImportList;
  result: PickleValue | undefined;
  broken: PickleBreak | null = null;
  /** The first frame that claims more bytes than there are: Python refuses such a pickle, other loaders may not. */
  longFrame: PickleBreak | null = null;
  /** Every persistent id, in order: how a checkpoint refers to its storages. */
  readonly persistent: PersistNode[] = [];
  ops = 0;

  private bytes: Buffer = Buffer.alloc(0);
  private complete = false;
  private nodes = 0;
  private readonly stack: PickleValue[] = [];
  private readonly marks: number[] = [];
  /** Picklers number their memo 0, 1, 2, ...: kept as an array, and any other index in a map. */
  private readonly memo: PickleValue[] = [];
  private readonly sparseMemo = new Map<number, PickleValue>();

  /** @param start byte of the stream at which this pickle begins (pickles may stand one behind another). */
  constructor(private readonly start: number, imports: ImportList, private readonly limits: Limits) {
    this.position = start;
    this.imports = imports;
  }

  /**
   * Goes on with what is there. The stream may grow between calls but must begin with the same bytes.
   * @returns `stop` at the end of the pickle, `broken` when it cannot go on, `more` when it needs more bytes, `pause` after `most` steps.
   */
  run(bytes: Buffer, complete: boolean, most: number): 'stop' | 'broken' | 'more' | 'pause' {
    this.bytes = bytes;
    this.complete = complete;
    let at = this.position;
    try {
      for (let steps = 0; steps < most; steps++) {
        at = this.position;
        if (++this.ops > this.limits.pickleOps) throw new Broken(`it has more than ${this.limits.pickleOps} operations`);
        const code = this.u8();
        if (code === 0x2e) {
          this.result = this.pop();
          return 'stop';
        }
        this.step(code, at);
        if (this.stack.length > this.limits.pickleStack) throw new Broken(`its stack grows beyond ${this.limits.pickleStack} items`);
      }
      return 'pause';
    } catch (error) {
      this.position = at;
      if (error === MORE) {
        this.ops--;
        return 'more';
      }
      if (!(error instanceof Broken)) throw error;
      this.broken = { message: error.message, offset: at - this.start };
      return 'broken';
    }
  }

  private step(code: number, at: number): void {
    switch (code) {
      case 0x80: { const protocol = this.u8(); if (protocol > 5) throw new Broken(`protocol ${protocol} does not exist`); return; }
      case 0x95: this.frame(at); return;
      case 0x28: this.marks.push(this.stack.length); if (this.marks.length > this.limits.pickleStack) throw new Broken(`its stack grows beyond ${this.limits.pickleStack} items`); return;
      case 0x30: if (this.stack.length > this.floor()) this.stack.pop(); else { if (this.marks.length === 0) throw new Broken('it takes from an empty stack'); this.marks.pop(); } return;
      case 0x31: this.popMark(); return;
      case 0x32: this.push(this.top()); return;
      // Constants
      case 0x4e: this.push(null); return;
      case 0x88: this.push(true); return;
      case 0x89: this.push(false); return;
      case 0x49: this.push(this.integerLine()); return;
      case 0x4c: this.push(this.integerLine()); return;
      case 0x4a: this.push(this.u32() | 0); return;
      case 0x4b: this.push(this.u8()); return;
      case 0x4d: this.push(this.u16()); return;
      case 0x8a: this.push(twosComplement(this.take(this.u8()))); return;
      case 0x8b: { const length = this.u32() | 0; this.push(this.long(length)); return; }
      case 0x46: { const text = this.line(); const value = floatOf(text); if (value === null) throw new Broken('a float is not written as one'); this.push(this.made(new FloatNode(value))); return; }
      case 0x47: this.push(this.made(new FloatNode(this.take(8).readDoubleBE(0)))); return;
      // Strings
      case 0x53: { const text = pythonLiteral(this.line().trim()); if (text === null) throw new Broken('a string is not quoted'); this.pushText(text); return; }
      case 0x56: this.pushText(rawUnicodeEscape(this.line())); return;
      // Python 2 wrote the values of arrays so: kept as a range of the stream. Keys are shorter than 256 bytes and come as SHORT_BINSTRING.
      case 0x54: { const length = this.length4(true); const start = this.position; this.skip(length); this.push(this.made(new TextNode(start, length, true))); return; }
      case 0x55: this.text(this.u8(), true); return;
      case 0x58: this.text(this.length4(false), false); return;
      case 0x8c: this.text(this.u8(), false); return;
      case 0x8d: this.text(this.length8(), false); return;
      case 0x42: this.range(this.length4(false)); return;
      case 0x43: this.range(this.u8()); return;
      case 0x8e: this.range(this.length8()); return;
      case 0x96: this.range(this.length8()); return;
      case 0x97: this.push(this.made(new OpaqueNode('a buffer outside the pickle'))); return;
      case 0x98: this.top(); return;
      // Containers
      case 0x29: this.push(EMPTY_TUPLE); return;
      case 0x5d: this.push(this.made(new ListNode())); return;
      case 0x7d: this.push(this.made(new DictNode())); return;
      case 0x8f: this.push(this.made(new SetNode())); return;
      case 0x74: { const items = this.popMark(); this.push(items.length === 0 ? EMPTY_TUPLE : this.made(new TupleNode(items))); return; }
      case 0x85: case 0x86: case 0x87: { const items = this.popMany(code - 0x84); this.push(this.made(new TupleNode(items))); return; }
      case 0x6c: { const items = this.popMark(); const list = this.made(new ListNode()); for (const item of items) list.append(item); this.push(list); return; }
      case 0x64: { const items = this.popMark(); const dict = this.made(new DictNode()); this.setAll(dict, items); this.push(dict); return; }
      case 0x91: { const items = this.popMark(); const set = this.made(new SetNode()); for (const item of items) set.append(item); this.push(set); return; }
      case 0x61: { const item = this.pop(); this.appendAll([item]); return; }
      case 0x65: case 0x90: this.appendAll(this.popMark()); return;
      case 0x73: { const pair = this.popMany(2); this.setAll(this.top(), pair); return; }
      case 0x75: { const items = this.popMark(); this.setAll(this.top(), items); return; }
      // Memo
      case 0x70: this.put(this.index()); return;
      case 0x71: this.put(this.u8()); return;
      case 0x72: this.put(this.u32()); return;
      case 0x94: this.put(this.memo.length + this.sparseMemo.size); return;
      case 0x67: this.get(this.index()); return;
      case 0x68: this.get(this.u8()); return;
      case 0x6a: this.get(this.u32()); return;
      // Names and objects
      case 0x63: { const [module, name] = this.names(); this.global(module, name, at); return; }
      case 0x93: { const [module, name] = this.popMany(2); this.stackGlobal(module, name, at); return; }
      case 0x69: { const [module, name] = this.names(); const args = this.popMark(); this.global(module, name, at); const cls = this.pop(); this.push(this.made(new NewNode(cls, new TupleNode(args)))); return; }
      case 0x6f: { const items = this.popMark(); if (items.length === 0) throw new Broken('an object is made of nothing'); this.push(this.made(new NewNode(items[0], new TupleNode(items.slice(1))))); return; }
      case 0x81: { const [cls, args] = this.popMany(2); this.push(this.made(new NewNode(cls, args))); return; }
      case 0x92: { const [cls, args, kwargs] = this.popMany(3); this.push(this.made(new NewNode(cls, args, kwargs))); return; }
      case 0x52: { const [fn, args] = this.popMany(2); this.push(this.made(new CallNode(fn, args))); return; }
      case 0x62: { const state = this.pop(); const target = this.top(); if (isFilled(target)) target.state = state; return; }
      case 0x82: this.extension(this.u8(), at); return;
      case 0x83: this.extension(this.u16(), at); return;
      case 0x84: this.extension(this.u32() | 0, at); return;
      case 0x50: this.persist(this.line()); return;
      case 0x51: this.persist(this.pop()); return;
      default: throw new Broken(`the byte ${code.toString(16).padStart(2, '0')} is no pickle operation`);
    }
  }

  /**
   * A frame only promises how many bytes follow. Python reads them all before it goes on; here the opcodes are read one by
   * one all the same, so that a false promise hides nothing of what stands behind it.
   */
  private frame(at: number): void {
    const length = this.take(8).readBigUInt64LE(0);
    const there = BigInt(this.bytes.length - this.position);
    if (length <= there) return;
    if (!this.complete && length <= BigInt(this.limits.pickleBytes)) throw MORE;
    const follow = this.complete ? `${counted(there, 'byte', ['follows', 'follow'])}` : `at most ${this.limits.pickleBytes} are read`;
    this.longFrame ??= { message: `a frame claims ${counted(length, 'byte')}, but ${follow}`, offset: at - this.start };
  }

  // Names

  private names(): [string, string] {
    return [utf8(this.line()), utf8(this.line())];
  }

  private global(module: string, name: string, at: number): void {
    this.imports.add(module, name, at - this.start);
    this.push(this.made(new GlobalNode(module, name)));
  }

  /** A name taken from the stack. When it is not a literal string it is computed while loading: shown so, never guessed. */
  private stackGlobal(module: PickleValue, name: PickleValue, at: number): void {
    if (typeof module === 'string' && typeof name === 'string') return this.global(module, name, at);
    const known = (value: PickleValue): string => (typeof value === 'string' ? value : '<computed>');
    this.imports.add(known(module), known(name), at - this.start, 'code');
    this.push(this.made(new OpaqueNode('a computed name')));
  }

  private extension(code: number, at: number): void {
    this.imports.add('copyreg', `<extension ${code}>`, at - this.start, 'code');
    this.push(this.made(new OpaqueNode('a registered extension')));
  }

  private persist(id: PickleValue): void {
    const node = this.made(new PersistNode(id));
    this.persistent.push(node);
    this.push(node);
  }

  // Stack

  private made<T extends PickleValue>(node: T): T {
    if (++this.nodes > this.limits.pickleNodes) throw new Broken(`it makes more than ${this.limits.pickleNodes} objects`);
    return node;
  }

  private floor(): number {
    return this.marks.length === 0 ? 0 : this.marks[this.marks.length - 1];
  }

  private push(value: PickleValue): void {
    this.stack.push(value);
  }

  private pop(): PickleValue {
    if (this.stack.length <= this.floor()) throw new Broken('it takes from an empty stack');
    return this.stack.pop()!;
  }

  private popMany(count: number): PickleValue[] {
    const from = this.stack.length - count;
    if (from < this.floor()) throw new Broken('it takes from an empty stack');
    const items = this.stack.slice(from);
    this.stack.length = from;
    return items;
  }

  private top(): PickleValue {
    if (this.stack.length <= this.floor()) throw new Broken('it looks at an empty stack');
    return this.stack[this.stack.length - 1];
  }

  private popMark(): PickleValue[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw new Broken('it goes back to a mark that was never set');
    const items = this.stack.slice(mark);
    this.stack.length = mark;
    return items;
  }

  private appendAll(items: readonly PickleValue[]): void {
    const target = this.top();
    if (!isFilled(target)) throw new Broken('it appends to something that is not a list');
    for (const item of items) target.append(item);
  }

  private setAll(target: PickleValue, items: readonly PickleValue[]): void {
    if (items.length % 2 !== 0) throw new Broken('a key has no value');
    if (!isFilled(target)) throw new Broken('it sets an item of something that is not a dict');
    for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1]);
  }

  private put(index: number): void {
    const value = this.top();
    if (index < this.memo.length) this.memo[index] = value;
    else if (this.memo.length + this.sparseMemo.size >= this.limits.pickleNodes) throw new Broken(`it remembers more than ${this.limits.pickleNodes} objects`);
    else if (index === this.memo.length && this.sparseMemo.size === 0) this.memo.push(value);
    else this.sparseMemo.set(index, value);
  }

  private get(index: number): void {
    const value = index < this.memo.length ? this.memo[index] : this.sparseMemo.get(index);
    if (value === undefined) throw new Broken(`it recalls object ${index}, which was never remembered`);
    this.push(value);
  }

  // Bytes

  private need(length: number): void {
    if (this.position + length <= this.bytes.length) return;
    if (!this.complete) throw MORE;
    throw new Broken(`it ends in the middle: ${counted(this.position + length - this.bytes.length, 'byte', IS)} missing`);
  }

  private skip(length: number): void {
    this.need(length);
    this.position += length;
  }

  private u8(): number {
    this.need(1);
    return this.bytes[this.position++];
  }

  private u16(): number {
    this.need(2);
    const { bytes, position } = this;
    this.position += 2;
    return bytes[position] | (bytes[position + 1] << 8);
  }

  private u32(): number {
    this.need(4);
    const { bytes, position } = this;
    this.position += 4;
    return (bytes[position] | (bytes[position + 1] << 8) | (bytes[position + 2] << 16) | (bytes[position + 3] << 24)) >>> 0;
  }

  /** A view of the next bytes, not a copy. */
  private take(length: number): Buffer {
    this.need(length);
    const view = this.bytes.subarray(this.position, this.position + length);
    this.position += length;
    return view;
  }

  private length4(signed: boolean): number {
    const length = signed ? this.u32() | 0 : this.u32();
    if (length < 0) throw new Broken('a length is negative');
    return this.plausible(length);
  }

  private length8(): number {
    const length = this.take(8).readBigUInt64LE(0);
    return this.plausible(length > BigInt(Number.MAX_SAFE_INTEGER) ? Infinity : Number(length));
  }

  private plausible(length: number): number {
    if (length > this.limits.pickleBytes) throw new Broken(`it claims an item of ${length === Infinity ? '2^53 or more' : length} bytes, more than the ${this.limits.pickleBytes} that are read`);
    return length;
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.position);
    if (end < 0) {
      if (!this.complete) throw MORE;
      throw new Broken('a line does not end');
    }
    const text = this.bytes.toString('latin1', this.position, end);
    this.position = end + 1;
    return text;
  }

  private index(): number {
    const text = this.line().trim();
    if (!/^\d{1,15}$/.test(text)) throw new Broken('a memo index is not a number');
    return Number(text);
  }

  private integerLine(): PickleValue {
    const text = this.line().trim().replace(/[lL]$/, '');
    if (text === '00') return false;
    if (text === '01') return true;
    if (!/^[+-]?\d+$/.test(text)) throw new Broken('an integer is not written as one');
    return text.length > MOST_INTEGER_BYTES ? this.made(new OpaqueNode('a huge integer')) : small(BigInt(text.replace(/^\+/, '')));
  }

  private long(length: number): PickleValue {
    if (length < 0) throw new Broken('a length is negative');
    const bytes = this.take(this.plausible(length));
    return length > MOST_INTEGER_BYTES ? this.made(new OpaqueNode('a huge integer')) : twosComplement(bytes);
  }

  private text(length: number, raw: boolean): void {
    const start = this.position;
    this.skip(length);
    if (length > this.limits.stringKept) this.push(this.made(new TextNode(start, length, raw)));
    else this.push(this.bytes.toString(raw ? 'latin1' : 'utf8', start, start + length));
  }

  private pushText(text: string): void {
    if (text.length > this.limits.stringKept) this.push(this.made(new OpaqueNode('a long string')));
    else this.push(text);
  }

  private range(length: number): void {
    const start = this.position;
    this.skip(length);
    this.push(this.made(new BytesNode(start, length)));
  }
}

function utf8(latin1: string): string {
  // eslint-disable-next-line no-control-regex
  return /[^\x00-\x7f]/.test(latin1) ? Buffer.from(latin1, 'latin1').toString('utf8') : latin1;
}

function floatOf(text: string): number | null {
  const trimmed = text.trim();
  if (/^[+-]?(inf(inity)?)$/i.test(trimmed)) return trimmed.startsWith('-') ? -Infinity : Infinity;
  if (/^[+-]?nan$/i.test(trimmed)) return NaN;
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(trimmed) ? Number(trimmed) : null;
}
