/** Python's own types as classes, nn.Module, and the questions asked of types. */
import {
  Builtin, Choice, Instance, Opaque, PyClass, PyDict, PyFloat, PyFunction, PyList, PyRange, PySet, PyTuple, Symbolic, Tensor, UnknownValue, BoundMethod, Partial, type NativeCall, type NativeClass, type Value,
} from '../values/values';
import { asNumber, valuesOf } from '../evaluation/iteration';
import { truth } from '../evaluation/operators';
import { toText } from '../evaluation/formatting';
import type { Machine } from '../evaluation/machine';

export const objectClass = new PyClass('object', 'object', [], null, { isInstance: () => true });

/** A class of the library. */
export function nativeClass(name: string, native: NativeClass = {}, bases: readonly PyClass[] = [objectClass], qualifiedName = name): PyClass {
  const cls = new PyClass(name, qualifiedName, bases, null, native);
  cls.mro = [cls, ...new Set(bases.flatMap((base) => base.mro))];
  return cls;
}
const type = (name: string, isInstance: (value: Value) => boolean, construct?: NativeCall): PyClass => nativeClass(name, { isInstance, ...(construct ? { construct } : {}) });

/** Counting to a free dimension needs its number. */
function machineFix(machine: Machine, values: readonly Value[]): UnknownValue | null {
  const free = values.find((value) => value instanceof Symbolic);
  return free && machine.tracer ? machine.tracer.fix(free) : null;
}

function toInt(machine: Machine, value: Value, base: Value | undefined): Value {
  if (typeof value === 'string') {
    const radix = typeof base === 'number' ? base : 10;
    const number = parseInt(value, radix);
    return Number.isNaN(number) ? machine.soft('ValueError', `int(${JSON.stringify(value)})`) : number;
  }
  if (value instanceof Symbolic) return value;
  const number = asNumber(value);
  if (number !== undefined && Number.isFinite(number)) return Math.trunc(number);
  if (value instanceof UnknownValue) return value;
  if (value instanceof Choice) return Choice.of(value.options.map((option) => toInt(machine, option, base)), value.why);
  return machine.unknown('int(…) of something that is not known');
}
function toFloat(machine: Machine, value: Value): Value {
  if (typeof value === 'string') {
    const text = value.trim().toLowerCase().replace(/^([+-]?)(inf|infinity)$/, '$1Infinity');
    const number = Number(text.replace(/nan/, 'NaN'));
    return Number.isNaN(number) && text !== 'nan' ? machine.soft('ValueError', `float(${JSON.stringify(value)})`) : new PyFloat(number);
  }
  if (value instanceof Symbolic) return machine.tracer ? machine.tracer.fix(value) : machine.unknown('float(…) of a free dimension');
  const number = asNumber(value);
  return number === undefined ? (value instanceof UnknownValue ? value : machine.unknown('float(…) of something that is not known')) : new PyFloat(number);
}
function toList(machine: Machine, value: Value | undefined): PyList {
  if (value === undefined) return new PyList([], undefined, machine.loopDepth);
  const sequence = valuesOf(machine, value);
  const items: Value[] = [];
  for (const item of sequence.items) { machine.step(); items.push(item); }
  return new PyList(items, sequence.rest, machine.loopDepth);
}
function toDict(machine: Machine, source: Value | undefined, keywords: ReadonlyMap<string, Value>): PyDict {
  const made = machine.dict();
  if (source instanceof PyDict) { for (const entry of source.entries.values()) made.set(entry.key, entry.value); made.rest = source.rest; }
  else if (source instanceof UnknownValue) made.rest = source;
  else if (source !== undefined && source !== null) {
    const sequence = valuesOf(machine, source);
    for (const pair of sequence.items) {
      const [key, value] = pair instanceof PyTuple || pair instanceof PyList ? pair.items : [];
      if (key !== undefined && value !== undefined) { if (key instanceof UnknownValue) made.rest = value; else made.set(key, value); }
    }
    if (sequence.rest !== undefined) made.rest = sequence.rest instanceof PyTuple ? sequence.rest.items[1] ?? sequence.rest : sequence.rest;
  }
  for (const [key, value] of keywords) made.set(key, value);
  made.beganEmpty = made.entries.size === 0 && made.rest === undefined;
  return made;
}

const isString = (value: Value): boolean => typeof value === 'string' || (value instanceof Instance && value.cls.mro.some((base) => base.name === 'str'));
export const builtinTypes = {
  int: type('int', (v) => typeof v === 'number' || typeof v === 'boolean' || v instanceof Symbolic, (m, args) => (args.positional.length === 0 ? 0 : toInt(m, args.positional[0]!, args.positional[1]))),
  float: type('float', (v) => v instanceof PyFloat, (m, args) => (args.positional.length === 0 ? new PyFloat(0) : toFloat(m, args.positional[0]!))),
  bool: type('bool', (v) => typeof v === 'boolean', (m, args) => { const held = truth(m, args.positional[0] ?? false); return held === undefined ? m.unknown('bool(…) of something that is not known') : held; }),
  str: type('str', isString, (m, args) => { const text = toText(m, args.positional[0] ?? ''); return text === undefined ? m.unknown('str(…) of something that is not known') : text; }),
  bytes: type('bytes', () => false, (m) => m.unknown('bytes')),
  list: type('list', (v) => v instanceof PyList, (m, args) => toList(m, args.positional[0])),
  tuple: type('tuple', (v) => v instanceof PyTuple || (v instanceof PyList && v.fromJson), (m, args) => { const made = toList(m, args.positional[0]); return made.rest === undefined ? new PyTuple(made.items) : made; }),
  dict: type('dict', (v) => v instanceof PyDict, (m, args) => toDict(m, args.positional[0], args.keywords)),
  set: type('set', (v) => v instanceof PySet, (m, args) => { const made = toList(m, args.positional[0]); const set = new PySet(made.items); set.open ||= made.rest !== undefined; return set; }),
  frozenset: type('frozenset', (v) => v instanceof PySet, (m, args) => new PySet(toList(m, args.positional[0]).items)),
  range: type('range', (v) => v instanceof PyRange, (m, args) => {
    const free = machineFix(m, args.positional);
    if (free) return free;
    const numbers = args.positional.map(asNumber);
    const unknown = args.positional.find((v) => asNumber(v) === undefined);
    if (unknown !== undefined || numbers.length === 0) return unknown instanceof UnknownValue ? unknown : unknown instanceof Choice ? unknown.why : m.unknown('range(…) of something that is not known');
    const [start, stop, step] = numbers.length === 1 ? [0, numbers[0]!, 1] : [numbers[0]!, numbers[1]!, numbers[2] ?? 1];
    return step === 0 ? m.soft('ValueError', 'range() with step 0') : new PyRange(start, stop, step);
  }),
  slice: type('slice', () => false),
  function: type('function', (v) => v instanceof PyFunction || v instanceof Builtin || v instanceof BoundMethod),
  NoneType: type('NoneType', (v) => v === null),
};

export const typeClass = type('type', (v) => v instanceof PyClass, (m, args) => {
  if (args.positional.length === 1) return typeOf(args.positional[0]!) ?? m.unknown('type(…) of something that is not known');
  const [name, bases] = args.positional;
  const parents = bases instanceof PyTuple ? bases.items.filter((base): base is PyClass => base instanceof PyClass) : [];
  return nativeClass(typeof name === 'string' ? name : 'type', {}, parents.length ? parents : [objectClass]);
});
export const moduleClass = nativeClass('Module', {}, [objectClass], 'torch.nn.Module');
export const tensorClass = type('Tensor', (v) => v instanceof Tensor);
export const partialClass = type('partial', (v) => v instanceof Partial, (_, args) => (args.positional[0] instanceof UnknownValue ? args.positional[0] : new Partial(args.positional[0] ?? null, { ...args, positional: args.positional.slice(1) })));
export const parameterClass = nativeClass('Parameter', { isInstance: (v) => v instanceof Tensor && v.parameter });

export const isModuleClass = (cls: PyClass): boolean => cls.mro.includes(moduleClass);
/** A module, as far as source can tell: its class derives from nn.Module, or from something unknown and it holds modules. */
export const isModule = (value: Value): value is Instance => value instanceof Instance
  && (isModuleClass(value.cls) || (value.cls.unknownBase !== undefined && (value.modules.size > 0 || value.parameters.size > 0 || value.initialized)));

export function typeOf(value: Value): PyClass | undefined {
  if (value instanceof Instance) return value.cls;
  if (value instanceof PyTuple && value.cls) return value.cls;
  if (value instanceof PyDict && value.cls) return value.cls;
  if (value instanceof PyClass) return typeClass;
  if (value instanceof Partial) return partialClass;
  if (value instanceof Tensor) return value.parameter ? parameterClass : tensorClass;
  if (typeof value === 'boolean') return builtinTypes.bool;
  return Object.values(builtinTypes).find((candidate) => candidate.native.isInstance!(value));
}

export function instanceDict(object: Instance): PyDict {
  return new PyDict(object.attributes);
}

/** `isinstance(value, type)`, undefined when not known. */
export function isInstanceOf(machine: Machine, value: Value, cls: Value): boolean | undefined {
  if (cls instanceof PyTuple || cls instanceof PyList) {
    let result: boolean | undefined = false;
    for (const option of cls.items) { const is = isInstanceOf(machine, value, option); if (is) return true; if (is === undefined) result = undefined; }
    return result;
  }
  if (value instanceof UnknownValue) return undefined;
  if (value instanceof Choice) {
    const results = value.options.map((option) => isInstanceOf(machine, option, cls));
    return results.every((result) => result === results[0]) ? results[0] : undefined;
  }
  if (!(cls instanceof PyClass)) {
    if (cls === null) return value === null;
    // A type outside the workspace: what the interpreter made itself is not of it, unless it is an object of unknown base.
    return value instanceof Instance && value.cls.unknownBase ? undefined : value instanceof Opaque ? undefined : false;
  }
  if (value instanceof Instance) {
    if (value.cls.isSubclassOf(cls)) return true;
    if (cls.native.isInstance && cls !== objectClass) return cls.native.isInstance(value);
    return value.cls.unknownBase ? undefined : false;
  }
  if (value instanceof PyTuple && value.cls?.isSubclassOf(cls)) return true;
  if (value instanceof PyDict && value.cls?.isSubclassOf(cls)) return true;
  // Plain values found beside a checkpoint stand for whatever configuration object the program makes of them.
  if (value instanceof PyDict && value.attributeAccess && cls.span !== null) return undefined;
  if (value instanceof Opaque) return cls.native.unknown ? undefined : cls === objectClass ? true : undefined;
  if (cls === builtinTypes.int || cls === builtinTypes.float) { if (value instanceof Tensor) return false; }
  if (value instanceof Partial && cls === builtinTypes.function) return false;
  return cls.native.isInstance ? cls.native.isInstance(value) : false;
}
