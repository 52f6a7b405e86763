/** Python's mutable containers, each able to be snapshot, restored and merged (see evaluation/journal.ts). */
import { clock } from './clock';
import { Absent, Choice, PyFloat, PyTuple, UnknownValue, mergeMaps, sameValue, type Instance, type PyClass, type Value } from './values';

interface ListState { items: Value[]; rest: Value | undefined }

/** A list: known items, then possibly an unknown number of `rest`. */
export class PyList {
  /** From JSON, which has one kind of sequence: code that asks for a tuple gets one too. */
  fromJson = false;
  readonly born = clock.now;
  /** `depth`: how many loops of unknown count surrounded its creation. */
  constructor(public items: Value[], public rest: Value | undefined = undefined, readonly depth = 0) {}
  snapshot(): ListState { return { items: [...this.items], rest: this.rest }; }
  restore(state: unknown): void { const from = state as ListState; this.items = [...from.items]; this.rest = from.rest; }
  merge(states: readonly unknown[], why: UnknownValue): ListState {
    const from = states as readonly ListState[];
    const shortest = Math.min(...from.map((s) => s.items.length));
    const longest = Math.max(...from.map((s) => s.items.length));
    const rests = from.flatMap((s) => (s.rest === undefined ? [] : [s.rest]));
    let same = 0;
    while (same < shortest && from.every((s) => sameValue(s.items[same]!, from[0]!.items[same]!))) same += 1;
    if (shortest === longest) {
      return { items: from[0]!.items.map((_, i) => Choice.of(from.map((s) => s.items[i]!), why)), rest: rests.length ? Choice.of(rests, why) : undefined };
    }
    if (same === shortest && rests.length === 0) {
      // One is the other and more: what follows may be absent.
      const items = Array.from({ length: longest }, (_, i) => Choice.of(from.map((s) => s.items[i] ?? (i < s.items.length ? null : Absent.value)), why));
      return { items, rest: undefined };
    }
    const tails = from.flatMap((s) => s.items.slice(same));
    return { items: from[0]!.items.slice(0, same), rest: Choice.of([...tails, ...rests], why) };
  }
}

/** What makes two keys equal in Python, as a value a Map compares. Undefined when the key is not known or not hashable. */
export function hashKey(key: Value): unknown {
  if (typeof key === 'boolean') return Number(key);
  if (key instanceof PyFloat) return key.value;
  if (key instanceof PyTuple) {
    const parts = key.items.map(hashKey);
    return parts.some((part) => part === undefined || (typeof part === 'object' && part !== null) || typeof part === 'function')
      ? undefined : `\0(${parts.map((part) => `${typeof part}:${String(part)}`).join('\0')}`;
  }
  if (key === null || typeof key !== 'object') return key;
  if (key instanceof Choice || key instanceof Absent) return undefined;
  return key instanceof UnknownValue || key instanceof PyList || key instanceof PyDict || key instanceof PySet ? undefined : key;
}

type Entries = Map<unknown, { key: Value; value: Value }>;
interface DictState { entries: Map<unknown, Value>; keys: Map<unknown, Value>; rest: Value | undefined }

export class PyDict {
  readonly born = clock.now;
  entries: Entries = new Map();
  /** Value under keys that are not known. */
  rest: Value | undefined = undefined;
  /** Called for a missing key by a defaultdict. */
  factory: Value | undefined = undefined;
  /** `module._modules` and its like write through to the module. */
  owner: { instance: Instance; kind: 'modules' | 'parameters' | 'buffers' } | null = null;
  /** Attribute access reads items (EasyDict, OmegaConf, argparse-like). */
  attributeAccess = false;
  cls: PyClass | null = null;
  /** Made while a module's top level ran: decorators elsewhere may fill it. */
  registry = false;
  /** It was written without an item. */
  beganEmpty = false;
  /** The global or class variable that it was first bound to. */
  boundTo: string | null = null;
  constructor(pairs: Iterable<readonly [Value, Value]> = []) { for (const [key, value] of pairs) this.set(key, value); }
  get(key: Value): Value | undefined { return this.entries.get(hashKey(key))?.value; }
  set(key: Value, value: Value): void {
    const hash = hashKey(key);
    if (hash === undefined) this.rest = value;
    else { const known = this.entries.get(hash); this.entries.set(hash, { key: known ? known.key : key, value }); }
  }
  delete(key: Value): boolean { return this.entries.delete(hashKey(key)); }
  snapshot(): DictState {
    return { entries: new Map([...this.entries].map(([hash, entry]) => [hash, entry.value])),
      keys: new Map([...this.entries].map(([hash, entry]) => [hash, entry.key])), rest: this.rest };
  }
  restore(state: unknown): void {
    const from = state as DictState;
    this.entries = new Map([...from.entries].map(([hash, value]) => [hash, { key: from.keys.get(hash) ?? null, value }]));
    this.rest = from.rest;
  }
  merge(states: readonly unknown[], why: UnknownValue): DictState {
    const from = states as readonly DictState[];
    const rests = from.flatMap((s) => (s.rest === undefined ? [] : [s.rest]));
    return { entries: mergeMaps(from.map((s) => s.entries), why), keys: new Map(from.flatMap((s) => [...s.keys])),
      rest: rests.length ? Choice.of(rests, why) : undefined };
  }
}

export class PySet {
  readonly born = clock.now;
  items = new Map<unknown, Value>();
  open = false;
  constructor(values: Iterable<Value> = []) { for (const value of values) this.add(value); }
  add(value: Value): void { const hash = hashKey(value); if (hash === undefined) this.open = true; else this.items.set(hash, value); }
  has(value: Value): boolean { return this.items.has(hashKey(value)); }
  snapshot(): Map<unknown, Value> { return new Map(this.items); }
  restore(state: unknown): void { this.items = new Map(state as Map<unknown, Value>); }
  merge(states: readonly unknown[]): Map<unknown, Value> { this.open = true; return new Map((states as Map<unknown, Value>[]).flatMap((s) => [...s])); }
}
