/** Methods of str, list, tuple, dict, set, int and float. */
import {
  Builtin, Choice, PyDict, PyFloat, PyList, PyRange, PySet, PyTuple, UnknownValue, type Arguments, type Value,
} from '../values/values';
import { formatMethod } from '../evaluation/formatting';
import { asNumber, valuesOf } from '../evaluation/iteration';
import type { Machine } from '../evaluation/machine';
import { equals } from '../evaluation/operators';
import { getItem, setItem } from '../evaluation/items';
import { sortValues } from './builtins';

type Method<T> = (machine: Machine, self: T, args: Arguments) => Value;
type Methods<T> = Readonly<Record<string, Method<T>>>;

const text = (args: Arguments, i: number): string | undefined => { const value = args.positional[i]; return typeof value === 'string' ? value : undefined; };
const escapeRegExp = (source: string): string => source.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
function strip(self: string, characters: string | undefined, left: boolean, right: boolean): string {
  const set = characters === undefined ? '\\s' : escapeRegExp(characters).replaceAll('-', '\\-');
  const start = left ? self.replace(new RegExp(`^[${set}]+`), '') : self;
  return right ? start.replace(new RegExp(`[${set}]+$`), '') : start;
}
function anyOf(machine: Machine, args: Arguments, test: (piece: string) => boolean): Value {
  const [first] = args.positional;
  if (typeof first === 'string') return test(first);
  if (first instanceof PyTuple) return first.items.some((item) => typeof item === 'string' && test(item));
  return machine.unknown('a text that is not known');
}
const str: Methods<string> = {
  lower: (_, s) => s.toLowerCase(), upper: (_, s) => s.toUpperCase(), casefold: (_, s) => s.toLowerCase(),
  capitalize: (_, s) => s.charAt(0).toUpperCase() + s.slice(1).toLowerCase(), title: (_, s) => s.toLowerCase().replace(/\b\w/g, (c) => c.toUpperCase()),
  swapcase: (_, s) => [...s].map((c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase())).join(''),
  strip: (_, s, a) => strip(s, text(a, 0), true, true), lstrip: (_, s, a) => strip(s, text(a, 0), true, false), rstrip: (_, s, a) => strip(s, text(a, 0), false, true),
  startswith: (m, s, a) => anyOf(m, a, (piece) => s.startsWith(piece)), endswith: (m, s, a) => anyOf(m, a, (piece) => s.endsWith(piece)),
  removeprefix: (_, s, a) => (s.startsWith(text(a, 0) ?? '\0') ? s.slice(text(a, 0)!.length) : s), removesuffix: (_, s, a) => (text(a, 0) && s.endsWith(text(a, 0)!) ? s.slice(0, -text(a, 0)!.length) : s),
  replace: (m, s, a) => { const [from, to] = [text(a, 0), text(a, 1)]; return from === undefined || to === undefined ? m.unknown('a text that is not known') : typeof a.positional[2] === 'number' && a.positional[2] === 1 ? s.replace(from, () => to) : s.replaceAll(from, () => to); },
  split: (m, s, a) => splitText(m, s, a, false), rsplit: (m, s, a) => splitText(m, s, a, true),
  splitlines: (_, s) => new PyList(s.split(/\r\n|\r|\n/)),
  partition: (_, s, a) => { const by = text(a, 0) ?? ' '; const at = s.indexOf(by); return new PyTuple(at < 0 ? [s, '', ''] : [s.slice(0, at), by, s.slice(at + by.length)]); },
  rpartition: (_, s, a) => { const by = text(a, 0) ?? ' '; const at = s.lastIndexOf(by); return new PyTuple(at < 0 ? ['', '', s] : [s.slice(0, at), by, s.slice(at + by.length)]); },
  join: (m, s, a) => { const sequence = valuesOf(m, a.positional[0] ?? null); const items = [...sequence.items]; return sequence.rest !== undefined || items.some((item) => typeof item !== 'string') ? m.unknown('a text that is not known') : items.join(s); },
  format: (m, s, a) => formatMethod(m, s, a.positional, a.keywords) ?? m.unknown('a formatted text that is not known'),
  find: (_, s, a) => s.indexOf(text(a, 0) ?? '\0'), rfind: (_, s, a) => s.lastIndexOf(text(a, 0) ?? '\0'),
  index: (m, s, a) => { const at = s.indexOf(text(a, 0) ?? '\0'); return at < 0 ? m.soft('ValueError', 'substring not found') : at; },
  count: (_, s, a) => (text(a, 0) ? s.split(text(a, 0)!).length - 1 : 0),
  isdigit: (_, s) => /^\d+$/.test(s), isnumeric: (_, s) => /^\d+$/.test(s), isdecimal: (_, s) => /^\d+$/.test(s), isalpha: (_, s) => /^\p{L}+$/u.test(s), isalnum: (_, s) => /^[\p{L}\d]+$/u.test(s),
  isupper: (_, s) => s !== s.toLowerCase() && s === s.toUpperCase(), islower: (_, s) => s !== s.toUpperCase() && s === s.toLowerCase(), isidentifier: (_, s) => /^[A-Za-z_]\w*$/.test(s), isspace: (_, s) => /^\s+$/.test(s),
  zfill: (_, s, a) => s.padStart(asNumber(a.positional[0] ?? 0) ?? 0, '0'), encode: (_, s) => s, ljust: (_, s, a) => s.padEnd(Math.min(1000, asNumber(a.positional[0] ?? 0) ?? 0)), rjust: (_, s, a) => s.padStart(Math.min(1000, asNumber(a.positional[0] ?? 0) ?? 0)),
};
function splitText(machine: Machine, self: string, args: Arguments, fromRight: boolean): Value {
  const by = args.positional[0] ?? args.keywords.get('sep') ?? null;
  const limit = asNumber(args.positional[1] ?? args.keywords.get('maxsplit') ?? -1) ?? -1;
  if (by !== null && typeof by !== 'string') return machine.unknown('a text that is not known');
  if (by === '') return machine.soft('ValueError', 'empty separator');
  const pieces = by === null ? self.trim().split(/\s+/).filter((piece) => piece !== '') : self.split(by);
  if (limit < 0 || pieces.length <= limit + 1) return new PyList(pieces);
  const glue = by ?? ' ';
  return fromRight ? new PyList([pieces.slice(0, pieces.length - limit).join(glue), ...pieces.slice(pieces.length - limit)]) : new PyList([...pieces.slice(0, limit), pieces.slice(limit).join(glue)]);
}

/** Adds to a list: at its known end, or to what repeats when the position is not known. */
export function appendTo(machine: Machine, list: PyList, value: Value): void {
  machine.touch(list);
  if (list.rest === undefined && machine.loopDepth <= list.depth) list.items.push(value);
  else list.rest = list.rest === undefined ? value : Choice.of([list.rest, value], machine.unknown('an element of a list of unknown length'));
}
const list: Methods<PyList> = {
  append: (m, self, a) => { appendTo(m, self, a.positional[0] ?? null); return null; },
  extend: (m, self, a) => {
    const sequence = valuesOf(m, a.positional[0] ?? null);
    for (const item of sequence.items) { m.step(); appendTo(m, self, item); }
    if (sequence.rest !== undefined) { m.touch(self); self.rest = self.rest === undefined ? sequence.rest : Choice.of([self.rest, sequence.rest], m.unknown('an element of a list of unknown length')); }
    return null;
  },
  insert: (m, self, a) => { m.touch(self); const at = asNumber(a.positional[0] ?? 0); if (at !== undefined) self.items.splice(at < 0 ? Math.max(0, at + self.items.length) : at, 0, a.positional[1] ?? null); return null; },
  pop: (m, self, a) => {
    m.touch(self);
    const at = asNumber(a.positional[0] ?? -1);
    if (self.rest !== undefined || at === undefined) return self.rest ?? m.unknown('an element that is not known');
    const [taken] = self.items.splice(at < 0 ? at + self.items.length : at, 1);
    return taken === undefined ? m.soft('IndexError', 'pop from empty list') : taken;
  },
  remove: (m, self, a) => { m.touch(self); const at = self.items.findIndex((item) => equals(m, item, a.positional[0] ?? null)); if (at >= 0) self.items.splice(at, 1); return null; },
  clear: (m, self) => { m.touch(self); self.items = []; self.rest = undefined; return null; },
  reverse: (m, self) => { m.touch(self); self.items.reverse(); return null; },
  copy: (m, self) => new PyList(self.items.slice(), self.rest, m.loopDepth),
  sort: (m, self, a) => { m.touch(self); self.items = sortValues(m, self.items, a.keywords.get('key') ?? null, a.keywords.get('reverse') === true) ?? self.items; return null; },
  index: (m, self, a) => sequenceIndex(m, self.items, a), count: (m, self, a) => self.items.filter((item) => equals(m, item, a.positional[0] ?? null)).length,
  appendleft: (m, self, a) => { m.touch(self); self.items.unshift(a.positional[0] ?? null); return null; },
  popleft: (m, self) => { m.touch(self); return self.items.shift() ?? m.unknown('an element that is not known'); },
};
function sequenceIndex(machine: Machine, items: readonly Value[], args: Arguments): Value {
  const at = items.findIndex((item) => equals(machine, item, args.positional[0] ?? null));
  return at < 0 ? machine.soft('ValueError', 'not in the list') : at;
}
const tuple: Methods<PyTuple> = {
  index: (m, self, a) => sequenceIndex(m, self.items, a), count: (m, self, a) => self.items.filter((item) => equals(m, item, a.positional[0] ?? null)).length,
  _asdict: (_, self) => new PyDict(self.fields.map((name, i) => [name, self.items[i]!] as const)),
  _replace: (_, self, a) => new PyTuple(self.fields.map((name, i) => a.keywords.get(name) ?? self.items[i]!), self.cls, self.fields),
  numel: (m, self) => self.items.reduce<Value>((product, item) => (typeof product === 'number' && typeof item === 'number' ? product * item : m.unknown('a size that is not known')), 1),
};

const dict: Methods<PyDict> = {
  get: (m, self, a) => {
    const key = a.positional[0] ?? null;
    const fallback = a.positional[1] ?? a.keywords.get('default') ?? null;
    const found = self.get(key);
    if (found !== undefined) return found;
    if (key instanceof UnknownValue) return m.unknown(`an item under a key that is not known: ${key.reason}`, key.span);
    if (key instanceof Choice) return Choice.of(key.options.map((option) => { const item = self.get(option); return item === undefined ? fallback : item; }), key.why);
    if (self.rest !== undefined) return self.rest;
    return m.registered(self, key) ?? fallback;
  },
  pop: (m, self, a) => {
    const found = self.get(a.positional[0] ?? null);
    m.touch(self);
    if (found !== undefined) { self.delete(a.positional[0] ?? null); if (self.owner && typeof a.positional[0] === 'string') { m.touch(self.owner.instance); self.owner.instance[self.owner.kind].delete(a.positional[0]); } return found; }
    if (self.rest !== undefined) return self.rest;
    return a.positional[1] !== undefined ? a.positional[1] : m.soft('KeyError', `there is no key ${String(a.positional[0])}`);
  },
  setdefault: (m, self, a) => {
    const found = self.get(a.positional[0] ?? null);
    if (found !== undefined) return found;
    m.touch(self);
    if (self.rest !== undefined) return self.rest;
    self.set(a.positional[0] ?? null, a.positional[1] ?? null);
    return a.positional[1] ?? null;
  },
  update: (m, self, a) => {
    m.touch(self);
    const [source] = a.positional;
    if (source instanceof PyDict) { for (const entry of source.entries.values()) setItem(m, self, entry.key, entry.value); if (source.rest !== undefined) self.rest = source.rest; }
    else if (source instanceof UnknownValue) self.rest = source;
    else if (source !== undefined && source !== null) for (const pair of valuesOf(m, source).items) if (pair instanceof PyTuple || pair instanceof PyList) setItem(m, self, pair.items[0] ?? null, pair.items[1] ?? null);
    for (const [key, value] of a.keywords) setItem(m, self, key, value);
    return null;
  },
  keys: (m, self) => new PyList([...self.entries.values()].map((entry) => entry.key), self.rest === undefined ? undefined : m.unknown('a key that is not known')),
  values: (_, self) => new PyList([...self.entries.values()].map((entry) => entry.value), self.rest),
  items: (m, self) => new PyList([...self.entries.values()].map((entry) => new PyTuple([entry.key, entry.value])), self.rest === undefined ? undefined : new PyTuple([m.unknown('a key that is not known'), self.rest])),
  copy: (m, self) => { const made = m.dict([...self.entries.values()].map((entry) => [entry.key, entry.value] as const)); made.rest = self.rest; made.attributeAccess = self.attributeAccess; made.factory = self.factory; made.cls = self.cls; return made; },
  clear: (m, self) => { m.touch(self); self.entries.clear(); self.rest = undefined; return null; },
  popitem: (m, self) => { m.touch(self); const last = [...self.entries.values()].at(-1); if (!last) return m.soft('KeyError', 'popitem of an empty dict'); self.delete(last.key); return new PyTuple([last.key, last.value]); },
  move_to_end: () => null,
  __getitem__: (m, self, a) => getItem(m, self, a.positional[0] ?? null),
  __setitem__: (m, self, a) => { setItem(m, self, a.positional[0] ?? null, a.positional[1] ?? null); return null; },
  __contains__: (_, self, a) => self.get(a.positional[0] ?? null) !== undefined,
  to_dict: (_, self) => self,
};

const set: Methods<PySet> = {
  add: (m, self, a) => { m.touch(self); self.add(a.positional[0] ?? null); return null; },
  update: (m, self, a) => { m.touch(self); for (const value of valuesOf(m, a.positional[0] ?? null).items) self.add(value); return null; },
  discard: (m, self, a) => { m.touch(self); self.items.delete(a.positional[0]); return null; }, remove: (m, self, a) => { m.touch(self); self.items.delete(a.positional[0]); return null; },
  union: (m, self, a) => new PySet([...self.items.values(), ...a.positional.flatMap((other) => [...valuesOf(m, other).items])]),
  intersection: (m, self, a) => { const other = new PySet(valuesOf(m, a.positional[0] ?? null).items); return new PySet([...self.items.values()].filter((value) => other.has(value))); },
  difference: (m, self, a) => { const other = new PySet(valuesOf(m, a.positional[0] ?? null).items); return new PySet([...self.items.values()].filter((value) => !other.has(value))); },
  copy: (_, self) => new PySet(self.items.values()),
  issubset: (m, self, a) => { const other = new PySet(valuesOf(m, a.positional[0] ?? null).items); return [...self.items.values()].every((value) => other.has(value)); },
};
const number: Methods<number | boolean | PyFloat> = {
  bit_length: (_, self) => { const n = Math.abs(asNumber(self)!); return n === 0 ? 0 : Math.floor(Math.log2(n)) + 1; },
  is_integer: (_, self) => Number.isInteger(asNumber(self)), item: (_, self) => self, conjugate: (_, self) => self,
};

/** The method of a container, text or number, bound. */
export function containerMethod(_machine: Machine, self: Value, name: string): Value | undefined {
  const pick = <T>(methods: Methods<T>, value: T): Builtin | undefined => {
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
    return method && new Builtin(name, (m, args) => method(m, value, args));
  };
  if (typeof self === 'string') return pick(str, self);
  if (self instanceof PyList) return pick(list, self);
  if (self instanceof PyTuple) return pick(tuple, self);
  if (self instanceof PyDict) return pick(dict, self);
  if (self instanceof PySet) return pick(set, self);
  if (self instanceof PyRange) return name === 'start' || name === 'stop' || name === 'step' ? self[name] : undefined;
  if (typeof self === 'number' || typeof self === 'boolean' || self instanceof PyFloat) {
    if (name === 'real') return self;
    return pick(number, self);
  }
  return undefined;
}
