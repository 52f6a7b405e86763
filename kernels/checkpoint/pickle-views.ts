import type { JsonValue } from './checkpoint';
import { CallNode, DictNode, FloatNode, GlobalNode, isFilled, isGlobal, ListNode, NewNode, PersistNode, sequence, SetNode, TupleNode, type PickleNode, type PickleValue } from './pickle-nodes';

/** The class or function of an object, seen through the ('module', class, file, source) ids of legacy checkpoints. */
export function classOf(value: PickleValue): GlobalNode | null {
  for (let depth = 0; depth < 4; depth++) {
    if (value instanceof GlobalNode) return value;
    if (!(value instanceof PersistNode)) return null;
    const id = sequence(value.id);
    if (!id || id[0] !== 'module') return null;
    value = id[1];
  }
  return null;
}

/** Keys and values in turn, of a dict, OrderedDict, defaultdict or any object that items were set on; null when it is none. */
export function dictEntries(node: PickleValue): readonly PickleValue[] | null {
  if (node instanceof DictNode) return node.entries;
  if (!(node instanceof CallNode || node instanceof NewNode)) return null;
  const cls = classOf(node instanceof CallNode ? node.fn : node.cls);
  const dictLike = cls !== null && /(^|\.)(OrderedDict|defaultdict|dict|Counter|EasyDict|AttrDict|AttributeDict|FrozenDict)$/.test(cls.name);
  const first = sequence(node.args)?.[0];
  // Python 2 gave OrderedDict its pairs as an argument.
  const pairs = dictLike && first !== undefined ? sequence(first) : null;
  if (pairs && pairs.every((pair) => sequence(pair)?.length === 2)) return [...pairs.flatMap((pair) => sequence(pair)!), ...node.entries];
  if (dictLike && first instanceof DictNode) return [...first.entries, ...node.entries];
  return dictLike || node.entries.length > 0 ? node.entries : null;
}

/** The attributes BUILD gave to an object: its `__dict__`, and its slots. */
export function attributes(node: PickleValue): readonly PickleValue[] | null {
  if (!isFilled(node) || node.state === undefined) return null;
  const direct = dictEntries(node.state);
  if (direct) return direct;
  const parts = sequence(node.state);
  if (parts?.length !== 2) return null;
  const both = parts.map((part) => (part === null ? [] : dictEntries(part)));
  return both[0] && both[1] ? [...both[0], ...both[1]] : null;
}

/** The value of a string key; the last one wins, as in Python. */
export function entry(entries: readonly PickleValue[], key: string): PickleValue | undefined {
  for (let i = entries.length - 2; i >= 0; i -= 2) if (entries[i] === key) return entries[i + 1];
  return undefined;
}

/** A key as a part of a name; null for keys that cannot be one (tuples, objects). */
export function keyText(key: PickleValue): string | null {
  if (typeof key === 'string') return key;
  if (typeof key === 'number' || typeof key === 'bigint') return String(key);
  if (key === null) return 'None';
  if (typeof key === 'boolean') return key ? 'True' : 'False';
  return key instanceof FloatNode ? String(key.value) : null;
}

/**
 * The plain values of a top-level dict as JSON: what is neither a tensor nor an object of an unknown kind. Values that do
 * not fit into the space left are left out whole.
 *
 * @param most bytes of JSON, over all entries
 * @param isTensor tells tensors, which are left out
 */
export function plainValues(root: PickleValue, most: number, isTensor: (node: PickleNode) => boolean): Record<string, JsonValue> | undefined {
  const entries = dictEntries(root);
  if (!entries) return undefined;
  const found = Object.create(null) as Record<string, JsonValue>;
  let left = most;
  let any = false;
  for (let i = 0; i < entries.length && left > 0; i += 2) {
    const key = keyText(entries[i]);
    if (key === null || key.length > left) continue;
    const budget = { visits: 20_000, bytes: left };
    const json = toJson(entries[i + 1], isTensor, budget, 16);
    if (json === undefined || budget.bytes < 0 || budget.visits < 0) continue;
    const size = Buffer.byteLength(JSON.stringify(key)) + Buffer.byteLength(JSON.stringify(json)) + 2;
    if (size > left) continue;
    left -= size;
    found[key] = json;
    any = true;
  }
  return any ? found : undefined;
}

function toJson(value: PickleValue, isTensor: (node: PickleNode) => boolean, budget: { visits: number; bytes: number }, depth: number): JsonValue | undefined {
  if (--budget.visits < 0 || budget.bytes < 0 || depth === 0) return undefined;
  if (value === null || typeof value === 'boolean') { budget.bytes -= 4; return value; }
  if (typeof value === 'number') { budget.bytes -= 1; return value; }
  if (typeof value === 'bigint') return undefined;
  if (typeof value === 'string') { budget.bytes -= value.length + 2; return value; }
  if (value instanceof FloatNode) { budget.bytes -= 1; return Number.isFinite(value.value) ? value.value : undefined; }
  if (isTensor(value)) return undefined;
  const deeper = (inner: PickleValue): JsonValue | undefined => toJson(inner, isTensor, budget, depth - 1);
  if (value instanceof ListNode || value instanceof TupleNode || value instanceof SetNode) {
    const items = value.items.map(deeper);
    // A list with a hole would shift its places: kept whole or not at all.
    return items.some((item) => item === undefined) ? undefined : items as JsonValue[];
  }
  if (value instanceof CallNode && isGlobal(value.fn, 'torch', 'Size')) return deeper(sequence(value.args)?.[0] ?? null);
  const entries = dictEntries(value) ?? attributes(value);
  // A module is no plain value, whatever its attributes are.
  if (!entries || (!(value instanceof DictNode) && entry(entries, '_modules') !== undefined)) return undefined;
  const object = Object.create(null) as Record<string, JsonValue>;
  for (let i = 0; i < entries.length; i += 2) {
    const key = keyText(entries[i]);
    const json = key === null ? undefined : deeper(entries[i + 1]);
    if (json === undefined) continue;
    budget.bytes -= key!.length + 3;
    object[key!] = json;
  }
  return entries.length > 0 && Object.keys(object).length === 0 ? undefined : object;
}
