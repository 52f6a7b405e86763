/** Python's built-in functions. */
import {
  Absent, BoundMethod, Builtin, Choice, Instance, Namespace, Opaque, Partial, PropertyValue, PyClass, PyDict, PyFloat, PyFunction, PyList, PySlice, PyTuple, Tensor, UnknownValue, type Value,
} from '../values/values';
import { findAttribute, getAttribute, setAttribute, deleteAttribute } from '../evaluation/attributes';
import { callValue, noArguments } from '../evaluation/calls';
import { formatValue, toRepr } from '../evaluation/formatting';
import { asNumber, lengthOf, valuesOf } from '../evaluation/iteration';
import type { Machine } from '../evaluation/machine';
import { ModuleScope } from '../evaluation/scope';
import { binary, compareOrder, truth } from '../evaluation/operators';
import { openBuiltin } from './files';
import { argument, builtin, nothing } from './support';
import { builtinTypes, instanceDict, isInstanceOf, isModuleClass, nativeClass, objectClass, typeClass } from './types';

/** Sorts by Python's order; undefined when two cannot be compared. */
export function sortValues(machine: Machine, items: readonly Value[], key: Value, reverse: boolean): Value[] | undefined {
  const keyed = items.map((item) => ({ item, key: key === null ? item : callValue(machine, key, { ...noArguments, positional: [item] }, machine.site!) }));
  let unknown = false;
  keyed.sort((a, b) => { const sign = compareOrder(machine, a.key, b.key); if (sign === undefined) unknown = true; return reverse ? -(sign ?? 0) : sign ?? 0; });
  return unknown ? undefined : keyed.map(({ item }) => item);
}

function extreme(name: string, sign: number): Builtin {
  return builtin(name, (m, args) => {
    const sequence = args.positional.length === 1 ? valuesOf(m, args.positional[0]!) : { items: args.positional, rest: args.rest };
    if (sequence.rest !== undefined) return m.unknown(`${name}(…) of something that is not known`);
    const key = args.keywords.get('key') ?? null;
    let best: { item: Value; key: Value } | null = null;
    for (const item of sequence.items) {
      const ranked = key === null ? item : callValue(m, key, { ...noArguments, positional: [item] }, m.site!);
      if (best === null) { best = { item, key: ranked }; continue; }
      const order = compareOrder(m, ranked, best.key);
      if (order === undefined) return ranked instanceof UnknownValue ? ranked : best.key instanceof UnknownValue ? best.key : m.unknown(`${name}(…) of something that is not known`);
      if (order * sign > 0) best = { item, key: ranked };
    }
    const fallback = args.keywords.get('default');
    return best ? best.item : fallback !== undefined ? fallback : m.soft('ValueError', `${name}() of nothing`);
  });
}

function round(machine: Machine, value: Value, digits: Value | undefined): Value {
  const number = asNumber(value);
  if (number === undefined) return value instanceof UnknownValue ? value : machine.unknown('round(…) of something that is not known');
  const places = digits === undefined || digits === null ? null : asNumber(digits) ?? 0;
  const scale = 10 ** (places ?? 0);
  const scaled = number * scale;
  const floor = Math.floor(scaled);
  const rounded = (scaled - floor === 0.5 ? (floor % 2 === 0 ? floor : floor + 1) : Math.round(scaled)) / scale;
  return places === null ? rounded : value instanceof PyFloat ? new PyFloat(rounded) : rounded;
}

const quantifier = (name: string, stop: boolean): Builtin => builtin(name, (m, args) => {
  const sequence = valuesOf(m, args.positional[0] ?? null);
  let unknown = sequence.rest !== undefined;
  for (const item of sequence.items) { const held = truth(m, item); if (held === stop) return stop; if (held === undefined) unknown = true; }
  return unknown ? m.unknown(`${name}(…) of something that is not known`) : !stop;
});

const functions: readonly Builtin[] = [
  builtin('len', (m, args) => lengthOf(m, args.positional[0] ?? null)),
  builtin('print', () => null),
  builtin('abs', (m, args) => { const n = asNumber(args.positional[0] ?? null); return n === undefined ? m.unknown('abs(…) of something that is not known') : args.positional[0] instanceof PyFloat ? new PyFloat(Math.abs(n)) : Math.abs(n); }),
  extreme('max', 1), extreme('min', -1), quantifier('any', true), quantifier('all', false),
  builtin('sum', (m, args) => {
    const sequence = valuesOf(m, args.positional[0] ?? null);
    if (sequence.rest !== undefined) return m.unknown('sum(…) of something that is not known');
    let total: Value = args.positional[1] ?? args.keywords.get('start') ?? 0;
    for (const item of sequence.items) { m.step(); total = binary(m, '+', total, item); }
    return total;
  }),
  builtin('round', (m, args) => round(m, args.positional[0] ?? null, argument(args, 1, 'ndigits'))),
  builtin('pow', (m, args) => binary(m, '**', args.positional[0] ?? null, args.positional[1] ?? null)),
  builtin('divmod', (m, args) => { const [a, b] = [args.positional[0] ?? null, args.positional[1] ?? null]; return new PyTuple([binary(m, '//', a, b), binary(m, '%', a, b)]); }),
  builtin('enumerate', (m, args) => {
    const sequence = valuesOf(m, args.positional[0] ?? null);
    const start = asNumber(argument(args, 1, 'start') ?? 0) ?? 0;
    const items: Value[] = [];
    for (const item of sequence.items) { m.step(); items.push(new PyTuple([start + items.length, item])); }
    return new PyList(items, sequence.rest === undefined ? undefined : new PyTuple([m.unknown('an index in a loop of unknown count'), sequence.rest]), m.loopDepth);
  }),
  builtin('zip', (m, args) => {
    const sequences = args.positional.map((value) => valuesOf(m, value));
    if (args.rest !== undefined || sequences.length === 0) return new PyList([], args.rest === undefined ? undefined : m.unknown('zip(…) of something that is not known'), m.loopDepth);
    const iterators = sequences.map((sequence) => sequence.items[Symbol.iterator]());
    const items: Value[] = [];
    for (;;) {
      m.step();
      const round = iterators.map((iterator) => iterator.next());
      const over = round.findIndex((result, i) => result.done && sequences[i]!.rest === undefined);
      if (over >= 0) return new PyList(items, undefined, m.loopDepth);
      if (round.every((result, i) => result.done && sequences[i]!.rest !== undefined) || (round.some((result) => result.done) && sequences.every((s) => s.rest !== undefined))) {
        return new PyList(items, new PyTuple(sequences.map((sequence) => sequence.rest!)), m.loopDepth);
      }
      // A side of unknown length beside a known one gives as many items as the known one, as far as the source shows.
      items.push(new PyTuple(round.map((result, i) => (result.done ? sequences[i]!.rest! : result.value))));
      if (items.length > 100_000) return new PyList(items, m.unknown('zip(…) without end'), m.loopDepth);
    }
  }),
  builtin('reversed', (m, args) => {
    const sequence = valuesOf(m, args.positional[0] ?? null);
    const items = [...sequence.items].reverse();
    return sequence.rest === undefined ? new PyList(items, undefined, m.loopDepth) : new PyList([], Choice.of([sequence.rest, ...items], m.unknown('an element of a sequence of unknown length')), m.loopDepth);
  }),
  builtin('sorted', (m, args) => {
    const sequence = valuesOf(m, args.positional[0] ?? null);
    const sorted = sequence.rest === undefined ? sortValues(m, [...sequence.items], args.keywords.get('key') ?? null, args.keywords.get('reverse') === true) : undefined;
    return sorted ? new PyList(sorted, undefined, m.loopDepth) : m.unknown('sorted(…) of something that is not known');
  }),
  builtin('map', (m, args) => {
    const [fn, ...sources] = args.positional;
    const sequences = sources.map((value) => valuesOf(m, value));
    if (fn === undefined || sequences.length === 0) return m.unknown('map(…)');
    const iterators = sequences.map((sequence) => sequence.items[Symbol.iterator]());
    const items: Value[] = [];
    for (;;) {
      m.step();
      const round = iterators.map((iterator) => iterator.next());
      if (round.some((result) => result.done)) break;
      items.push(callValue(m, fn, { ...noArguments, positional: round.map((result) => result.value as Value) }, m.site!));
    }
    const rest = sequences.every((sequence) => sequence.rest !== undefined) ? callValue(m, fn, { ...noArguments, positional: sequences.map((sequence) => sequence.rest!) }, m.site!) : undefined;
    return new PyList(items, rest, m.loopDepth);
  }),
  builtin('filter', (m, args) => {
    const sequence = valuesOf(m, args.positional[1] ?? null);
    const items: Value[] = [];
    let rest = sequence.rest;
    for (const item of sequence.items) {
      const held = truth(m, args.positional[0] === null || args.positional[0] === undefined ? item : callValue(m, args.positional[0], { ...noArguments, positional: [item] }, m.site!));
      if (held === true) items.push(item);
      else if (held === undefined) rest = rest === undefined ? item : Choice.of([rest, item], m.unknown('a filtered element'));
    }
    return new PyList(items, rest, m.loopDepth);
  }),
  builtin('iter', (m, args) => { const sequence = valuesOf(m, args.positional[0] ?? null); return args.positional[0] instanceof PyList ? args.positional[0] : new PyList([...sequence.items], sequence.rest, m.loopDepth); }),
  builtin('next', (m, args) => {
    const [source] = args.positional;
    const sequence = valuesOf(m, source ?? null);
    for (const item of sequence.items) { if (source instanceof PyList && source.items.length > 1) { m.touch(source); source.items.shift(); } return item; }
    return sequence.rest !== undefined ? sequence.rest : args.positional[1] !== undefined ? args.positional[1] : m.soft('StopIteration', 'next() of nothing');
  }),
  builtin('isinstance', (m, args) => {
    const is = isInstanceOf(m, args.positional[0] ?? null, args.positional[1] ?? null);
    return is ?? m.unknown('isinstance(…) of something that is not known');
  }),
  builtin('issubclass', (m, args) => {
    const [cls, other] = args.positional;
    const others = other instanceof PyTuple ? other.items : [other ?? null];
    if (!(cls instanceof PyClass)) return cls instanceof UnknownValue ? cls : m.unknown('issubclass(…) of something that is not known');
    return others.some((candidate) => candidate instanceof PyClass && cls.isSubclassOf(candidate)) || (cls.unknownBase ? m.unknown('issubclass(…) of a class with a base that is not known') : false);
  }),
  builtin('callable', (m, args) => {
    const [value] = args.positional;
    if (value instanceof UnknownValue || value instanceof Choice || value instanceof Opaque) return m.unknown('callable(…) of something that is not known');
    return value instanceof PyFunction || value instanceof Builtin || value instanceof BoundMethod || value instanceof Partial || value instanceof PyClass || (value instanceof Instance && (isModuleClass(value.cls) || value.cls.lookup('__call__') !== undefined));
  }),
  builtin('hasattr', (m, args) => {
    const [object, name] = args.positional;
    if (typeof name !== 'string' || object === undefined || object instanceof UnknownValue || object instanceof Opaque || object instanceof Tensor) return m.unknown('hasattr(…) of something that is not known');
    if (object instanceof Namespace && name === 'scaled_dot_product_attention') m.assume('PyTorch has scaled_dot_product_attention (2.0 or later)', m.site);
    if (object instanceof Choice) {
      const results = object.options.map((option) => (option === null || option instanceof Absent ? false : findAttribute(m, option, name) !== undefined));
      return results.every((result) => result === results[0]) ? results[0]! : object.why;
    }
    const value = findAttribute(m, object, name);
    if (object instanceof Instance && object.cls.unknownBase && value instanceof Opaque) return m.unknown(`whether ${object.cls.name} has ${name} is not known`);
    return value !== undefined;
  }),
  builtin('getattr', (m, args) => {
    const [object, name, fallback] = args.positional;
    if (object === undefined) return null;
    if (name instanceof Choice) return Choice.of(name.options.map((option) => (typeof option === 'string' ? getAttribute(m, object, option) : name.why)), name.why);
    if (typeof name !== 'string') {
      // A module whose name is not known: one of those under `*`.
      if (object instanceof Instance && object.modules.has('*')) return object.modules.get('*')!;
      return name instanceof UnknownValue ? name : m.unknown('an attribute whose name is not known');
    }
    if (fallback === undefined) return getAttribute(m, object, name);
    const found = findAttribute(m, object, name);
    if (found instanceof Choice && found.options.includes(Absent.value)) return Choice.of([...found.options.filter((option) => option !== Absent.value), fallback], found.why);
    if (found !== undefined && !(object instanceof Instance && object.cls.unknownBase && found instanceof Opaque)) return found;
    return object instanceof UnknownValue ? getAttribute(m, object, name) : object instanceof Instance && object.cls.unknownBase ? m.unknown(`${object.cls.name}.${name} is not known`) : fallback;
  }),
  builtin('setattr', (m, args, site) => {
    const [object, name, value] = args.positional;
    if (object !== undefined && value !== undefined) setAttribute(m, object, typeof name === 'string' ? name : '*', value, site);
    return null;
  }),
  builtin('delattr', (m, args) => { const [object, name] = args.positional; if (object !== undefined && typeof name === 'string') deleteAttribute(m, object, name); return null; }),
  builtin('vars', (m, args) => { const [object] = args.positional; return object instanceof Instance ? instanceDict(object) : object instanceof PyDict || object instanceof Namespace || object instanceof ModuleScope ? object : m.unknown('vars(…)'); }),
  builtin('id', () => new Opaque('id')), builtin('hash', (m) => m.unknown('hash(…)')), builtin('input', (m) => m.unknown('input()')),
  builtin('repr', (m, args) => toRepr(m, args.positional[0] ?? null) ?? m.unknown('repr(…) of something that is not known')),
  builtin('format', (m, args) => formatValue(m, args.positional[0] ?? null, typeof args.positional[1] === 'string' ? args.positional[1] : '') ?? m.unknown('format(…) of something that is not known')),
  builtin('chr', (_, args) => String.fromCodePoint(Math.min(0x10ffff, Math.max(0, asNumber(args.positional[0] ?? 0) ?? 0)))),
  builtin('ord', (m, args) => (typeof args.positional[0] === 'string' ? args.positional[0].codePointAt(0) ?? 0 : m.unknown('ord(…)'))),
  builtin('hex', (m, args) => { const n = asNumber(args.positional[0] ?? null); return n === undefined ? m.unknown('hex(…)') : `0x${n.toString(16)}`; }),
  builtin('bin', (m, args) => { const n = asNumber(args.positional[0] ?? null); return n === undefined ? m.unknown('bin(…)') : `0b${n.toString(2)}`; }),
  openBuiltin, builtin('eval', (m) => m.unknown('eval(…) is not evaluated')), builtin('exec', (m) => m.unknown('exec(…) is not evaluated')),
  builtin('__import__', (m) => m.unknown('__import__(…) is not evaluated')), nothing('breakpoint'), nothing('exit'), nothing('quit'),
  builtin('dir', (m, args) => (args.positional[0] instanceof Namespace ? args.positional[0] : m.unknown('dir(…)'))), builtin('globals', (m) => m.unknown('globals()')), builtin('locals', (m) => m.unknown('locals()')),
];

const exceptions = ['BaseException', 'Exception', 'ValueError', 'TypeError', 'KeyError', 'IndexError', 'AttributeError', 'ImportError', 'ModuleNotFoundError', 'NotImplementedError', 'RuntimeError',
  'AssertionError', 'StopIteration', 'OSError', 'IOError', 'FileNotFoundError', 'NameError', 'ZeroDivisionError', 'LookupError', 'ArithmeticError', 'OverflowError', 'Warning', 'UserWarning',
  'DeprecationWarning', 'FutureWarning', 'RuntimeWarning', 'EnvironmentError', 'PermissionError', 'KeyboardInterrupt', 'SystemExit', 'UnicodeDecodeError', 'MemoryError', 'RecursionError'];

/** What a name means when neither the function, the module nor its star imports define it. */
export const builtinNames: ReadonlyMap<string, Value> = new Map<string, Value>([
  ...functions.map((fn) => [fn.name, fn] as const),
  ...Object.entries(builtinTypes).filter(([name]) => name !== 'function' && name !== 'NoneType'),
  ...exceptions.map((name) => [name, nativeClass(name, { construct: () => new Opaque(name) })] as const),
  ['object', objectClass], ['type', typeClass],
  ['property', builtin('property', (_, args) => new PropertyValue(argument(args, 0, 'fget') ?? null, argument(args, 1, 'fset') ?? null))],
  ['staticmethod', builtin('staticmethod', (_, args) => withKind(args.positional[0] ?? null, 'static'))],
  ['classmethod', builtin('classmethod', (_, args) => withKind(args.positional[0] ?? null, 'class'))],
  ['slice', builtin('slice', (_, args) => (args.positional.length === 1 ? new PySlice(null, args.positional[0]!, null) : new PySlice(args.positional[0] ?? null, args.positional[1] ?? null, args.positional[2] ?? null)))],
  ['NotImplemented', new Opaque('NotImplemented')], ['Ellipsis', new Opaque('...')], ['__debug__', true], ['__builtins__', new Opaque('builtins')], ['__doc__', null], ['__spec__', null],
  ['complex', new Opaque('complex')], ['memoryview', new Opaque('memoryview')], ['bytearray', new Opaque('bytearray')],
]);

function withKind(value: Value, kind: 'static' | 'class'): Value {
  return value instanceof PyFunction ? new PyFunction(value.definition, value.closure, value.defaults, value.owner, kind) : value;
}
