/** Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict: names are positions or keys. */
import type { PyClass} from '../values/values';
import {
  Choice, Instance, PyDict, PyList, PySlice, PyTuple, Tensor, UnknownValue, type Arguments, type Value,
} from '../values/values';
import { asNumber, valuesOf } from '../evaluation/iteration';
import type { Machine } from '../evaluation/machine';
import { sliceIndices } from '../evaluation/items';
import { method } from './support';
import { moduleClass, nativeClass, parameterClass } from './types';

type Kind = 'modules' | 'parameters';
const instance = (args: Arguments): Instance => args.positional[0] as Instance;

const star = (machine: Machine, object: Instance, kind: Kind, value: Value): void => {
  const known = object[kind].get('*');
  object[kind].set('*', known === undefined ? value : Choice.of([known, value], machine.unknown('one of several modules whose position is not known')));
};

/** Adds at the end; under `*` when the position is not known. */
function append(machine: Machine, object: Instance, kind: Kind, value: Value): void {
  machine.touch(object);
  const stored = kind === 'parameters' && value instanceof Tensor && !value.parameter ? asParameter(value) : value;
  if (object[kind].has('*') || (machine.loopDepth > 0 && openSince(object, machine))) { star(machine, object, kind, stored); return; }
  object[kind].set(String(object[kind].size), stored);
}
/** Loop depth at which a container was made: appending in a deeper loop of unknown count repeats. */
const madeAt = new WeakMap<Instance, number>();
const openSince = (object: Instance, machine: Machine): boolean => machine.loopDepth > (madeAt.get(object) ?? 0);
function asParameter(value: Tensor): Tensor { const made = new Tensor(value.shape, value.span); made.parameter = true; return made; }

function fill(machine: Machine, object: Instance, kind: Kind, source: Value): void {
  const sequence = valuesOf(machine, source);
  for (const item of sequence.items) { machine.step(); append(machine, object, kind, item); }
  if (sequence.rest !== undefined) { machine.touch(object); star(machine, object, kind, sequence.rest); }
}
function begin(machine: Machine, object: Instance): void { machine.touch(object); object.initialized = true; madeAt.set(object, machine.loopDepth); }

/** Values in order, what repeats last. */
function contents(object: Instance, kind: Kind): PyList {
  const rest = object[kind].get('*');
  // `nn.ModuleList([norm, None])` gives None back; elsewhere a child that is None is one that was taken away.
  const list = object.cls.mro.some((cls) => cls.qualifiedName === 'torch.nn.ModuleList' || cls.name === 'ModuleList');
  return new PyList([...object[kind]].filter(([name, value]) => name !== '*' && (list || value !== null)).map(([, value]) => value), rest);
}
function renumber(object: Instance, kind: Kind, values: readonly Value[], rest: Value | undefined): void {
  object[kind] = new Map(values.map((value, i) => [String(i), value] as const));
  if (rest !== undefined) object[kind].set('*', rest);
}

function positionOf(object: Instance, kind: Kind, index: Value): string | undefined {
  const at = asNumber(index);
  if (at === undefined) return undefined;
  const names = [...object[kind].keys()].filter((name) => name !== '*');
  return at < 0 ? names[at + names.length] : names[at];
}

function getPosition(machine: Machine, cls: PyClass, kind: Kind, args: Arguments): Value {
  const object = instance(args);
  const index = args.positional[1] ?? null;
  const { items, rest } = contents(object, kind);
  if (index instanceof PySlice) {
    const bounds = [index.start, index.stop, index.step].map((bound) => (bound === null ? null : asNumber(bound)));
    const made = new Instance(cls, object.span);
    begin(machine, made);
    if (bounds.includes(undefined) || (rest !== undefined && !(typeof bounds[1] === 'number' && bounds[1] >= 0 && bounds[1] <= items.length))) {
      const all = [...items, ...(rest === undefined ? [] : [rest])];
      if (all.length) made[kind].set('*', Choice.of(all, machine.unknown('a slice that is not known')));
      return made;
    }
    const names = [...object[kind].keys()].filter((name) => name !== '*');
    const picked = sliceIndices(names.length, bounds[0]!, bounds[1]!, bounds[2]!);
    // Sequential keeps the names of what it slices? No: torch builds it from an OrderedDict of the same items, so it does.
    if (cls === sequentialClass) for (const i of picked) made.modules.set(names[i]!, object.modules.get(names[i]!)!);
    else renumber(made, kind, picked.map((i) => items[i]!), undefined);
    return made;
  }
  const name = positionOf(object, kind, index);
  if (name !== undefined && !(rest !== undefined && (asNumber(index) ?? 0) < 0)) return object[kind].get(name)!;
  if (rest !== undefined) return rest;
  if (index instanceof UnknownValue && items.length > 0 && items.length <= 8) return Choice.of(items, machine.unknown(`an item at an index that is not known: ${index.reason}`));
  return machine.soft('IndexError', 'there is no item at that index');
}

function setPosition(machine: Machine, kind: Kind, args: Arguments): Value {
  const object = instance(args);
  machine.touch(object);
  const name = positionOf(object, kind, args.positional[1] ?? null);
  if (name !== undefined) object[kind].set(name, args.positional[2] ?? null);
  return null;
}
function deletePosition(machine: Machine, kind: Kind, args: Arguments): Value {
  const object = instance(args);
  machine.touch(object);
  const index = args.positional[1] ?? null;
  const names = [...object[kind].keys()].filter((name) => name !== '*');
  const doomed = index instanceof PySlice
    ? sliceIndices(names.length, asNumber(index.start) ?? null, asNumber(index.stop) ?? null, asNumber(index.step) ?? null).map((i) => names[i]!)
    : [positionOf(object, kind, index) ?? ''];
  for (const name of doomed) object[kind].delete(name);
  const { items, rest } = contents(object, kind);
  renumber(object, kind, items, rest);
  return null;
}

function listMethods(cls: PyClass, kind: Kind): void {
  const define = (name: string, run: (machine: Machine, args: Arguments) => Value): void => { cls.dict.set(name, method(name, run)); };
  define('append', (m, args) => { append(m, instance(args), kind, args.positional[1] ?? null); return instance(args); });
  define('extend', (m, args) => { fill(m, instance(args), kind, args.positional[1] ?? null); return instance(args); });
  define('__iadd__', (m, args) => { fill(m, instance(args), kind, args.positional[1] ?? null); return instance(args); });
  define('insert', (m, args) => {
    const object = instance(args);
    m.touch(object);
    const { items, rest } = contents(object, kind);
    if (rest !== undefined || (m.loopDepth > 0 && openSince(object, m))) {
      // Put in an unknown number of times, every item moves to a place that is not known.
      const all = [...items, ...(rest === undefined ? [] : [rest]), args.positional[2] ?? null];
      object[kind] = new Map();
      for (const item of all) star(m, object, kind, item);
      return object;
    }
    items.splice(asNumber(args.positional[1] ?? 0) ?? 0, 0, args.positional[2] ?? null);
    renumber(object, kind, items, rest);
    return object;
  });
  define('pop', (m, args) => {
    const object = instance(args);
    const value = getPosition(m, cls, kind, { ...args, positional: [object, args.positional[1] ?? -1] });
    deletePosition(m, kind, { ...args, positional: [object, args.positional[1] ?? -1] });
    return value;
  });
  define('__getitem__', (m, args) => getPosition(m, cls, kind, args));
  define('__setitem__', (m, args) => setPosition(m, kind, args));
  define('__delitem__', (m, args) => deletePosition(m, kind, args));
  define('__len__', (m, args) => { const { items, rest } = contents(instance(args), kind); return rest === undefined ? items.length : m.unknown('the length of a container that is not fully known'); });
  define('__iter__', (_, args) => contents(instance(args), kind));
  define('__add__', (m, args) => { const made = new Instance(cls, instance(args).span); begin(m, made); fill(m, made, kind, instance(args)); fill(m, made, kind, args.positional[1] ?? null); return made; });
}

function dictMethods(cls: PyClass, kind: Kind): void {
  const define = (name: string, run: (machine: Machine, args: Arguments) => Value): void => { cls.dict.set(name, method(name, run)); };
  const put = (m: Machine, object: Instance, key: Value, value: Value): void => {
    m.touch(object);
    if (typeof key === 'string') object[kind].set(key, kind === 'parameters' && value instanceof Tensor && !value.parameter ? asParameter(value) : value);
    else star(m, object, kind, value);
  };
  const update = (m: Machine, object: Instance, source: Value | undefined): void => {
    if (source instanceof Instance) { for (const [key, value] of source[kind]) put(m, object, key, value); return; }
    if (source instanceof PyDict) { for (const entry of source.entries.values()) put(m, object, entry.key, entry.value); if (source.rest !== undefined) put(m, object, m.unknown('a key that is not known'), source.rest); return; }
    if (source === undefined || source === null) return;
    const sequence = valuesOf(m, source);
    for (const pair of [...sequence.items, ...(sequence.rest === undefined ? [] : [sequence.rest])]) {
      if (pair instanceof PyTuple || pair instanceof PyList) put(m, object, pair.items[0] ?? null, pair.items[1] ?? null);
      else if (pair instanceof UnknownValue) put(m, object, pair, pair);
    }
  };
  define('__init__', (m, args) => { begin(m, instance(args)); update(m, instance(args), args.positional[1] ?? args.keywords.get('modules') ?? args.keywords.get('parameters')); return null; });
  define('update', (m, args) => { update(m, instance(args), args.positional[1]); return null; });
  define('__setitem__', (m, args) => { put(m, instance(args), args.positional[1] ?? null, args.positional[2] ?? null); return null; });
  define('__getitem__', (m, args) => {
    const [object, key] = [instance(args), args.positional[1]];
    if (typeof key === 'string') return object[kind].get(key) ?? object[kind].get('*') ?? m.soft('KeyError', `there is no module ${key}`);
    return object[kind].get('*') ?? (key instanceof UnknownValue ? key : m.unknown('a module whose key is not known'));
  });
  define('__delitem__', (m, args) => { m.touch(instance(args)); if (typeof args.positional[1] === 'string') instance(args)[kind].delete(args.positional[1]); return null; });
  define('pop', (m, args) => { const object = instance(args); const key = args.positional[1]; m.touch(object); const value = typeof key === 'string' ? object[kind].get(key) ?? null : null; if (typeof key === 'string') object[kind].delete(key); return value; });
  define('__contains__', (m, args) => { const key = args.positional[1]; return typeof key === 'string' && !instance(args)[kind].has('*') ? instance(args)[kind].has(key) : m.unknown('whether a key is there'); });
  define('__len__', (m, args) => (instance(args)[kind].has('*') ? m.unknown('the size of a container that is not fully known') : instance(args)[kind].size));
  const keys = (object: Instance): PyList => new PyList([...object[kind].keys()].filter((name) => name !== '*'));
  define('keys', (_, args) => keys(instance(args)));
  define('__iter__', (_, args) => keys(instance(args)));
  define('values', (_, args) => contents(instance(args), kind));
  define('items', (m, args) => { const rest = instance(args)[kind].get('*'); return new PyList([...instance(args)[kind]].filter(([name]) => name !== '*').map(([name, value]) => new PyTuple([name, value])), rest === undefined ? undefined : new PyTuple([m.unknown('a key that is not known'), rest])); });
}

const container = (name: string): PyClass => nativeClass(name, {}, [moduleClass], `torch.nn.${name}`);
export const sequentialClass = container('Sequential');
export const moduleListClass = container('ModuleList');
export const moduleDictClass = container('ModuleDict');
export const parameterListClass = container('ParameterList');
export const parameterDictClass = container('ParameterDict');

listMethods(sequentialClass, 'modules');
sequentialClass.dict.set('__init__', method('__init__', (m, args) => {
  const object = instance(args);
  begin(m, object);
  const [only] = args.positional.slice(1);
  if (args.positional.length === 2 && only instanceof PyDict) {
    for (const entry of only.entries.values()) object.modules.set(typeof entry.key === 'string' ? entry.key : '*', entry.value);
    if (only.rest !== undefined) star(m, object, 'modules', only.rest);
    return null;
  }
  args.positional.slice(1).forEach((value, i) => { if (value !== null) object.modules.set(String(i), value); });
  if (args.rest !== undefined) star(m, object, 'modules', args.rest);
  return null;
}));
listMethods(moduleListClass, 'modules');
moduleListClass.dict.set('__init__', method('__init__', (m, args) => { begin(m, instance(args)); const source = args.positional[1] ?? args.keywords.get('modules') ?? null; if (source !== null) fill(m, instance(args), 'modules', source); return null; }));
listMethods(parameterListClass, 'parameters');
parameterListClass.dict.set('__init__', method('__init__', (m, args) => { begin(m, instance(args)); const source = args.positional[1] ?? args.keywords.get('values') ?? args.keywords.get('parameters') ?? null; if (source !== null) fill(m, instance(args), 'parameters', source); return null; }));
dictMethods(moduleDictClass, 'modules');
dictMethods(parameterDictClass, 'parameters');

/** The containers by class name. */
export const containerClasses: Readonly<Record<string, PyClass>> = {
  Module: moduleClass, Sequential: sequentialClass, ModuleList: moduleListClass, ModuleDict: moduleDictClass, ParameterList: parameterListClass, ParameterDict: parameterDictClass, Parameter: parameterClass,
};
