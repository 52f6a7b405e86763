/** What a value yields when iterated: known items, then possibly an unknown number of further ones. */
import type { Expr } from '../syntax/ast';
import {
  BoundMethod, Choice, Instance, PyClass, PyDict, PyFunction, PyList, PyRange, PySet, PyTuple, Symbolic, Tensor, UnknownValue, Builtin, PyFloat, type Value,
} from '../values/values';
import { callValue, noArguments } from './calls';
import { describe } from './expressions';
import type { Machine } from './machine';

export interface Sequence {
  readonly items: Iterable<Value>;
  /** Present when more items of unknown number follow: what each of them is. */
  readonly rest: Value | undefined;
  readonly why?: UnknownValue;
}

const known = (items: Iterable<Value>): Sequence => ({ items, rest: undefined });

export function valuesOf(machine: Machine, value: Value, node?: Expr): Sequence {
  if (value instanceof PyList) return { items: value.items.slice(), rest: value.rest };
  if (value instanceof PyTuple) return known(value.items);
  if (typeof value === 'string') return known([...value]);
  if (value instanceof PyRange) return known(rangeItems(value));
  if (value instanceof PyDict) {
    const keys = [...value.entries.values()].map((entry) => entry.key);
    return value.rest === undefined ? known(keys) : { items: keys, rest: machine.unknown('a key that is not known') };
  }
  if (value instanceof PySet) return value.open ? { items: [...value.items.values()], rest: machine.unknown('an element of a set that is not fully known') } : known([...value.items.values()]);
  if (value instanceof PyClass && value.kind === 'enum') return known([...new Set([...value.dict.values()].filter((member) => member instanceof Instance && member.cls === value))]);
  if (value instanceof Tensor && machine.tracer) {
    const items = machine.tracer.iterate(machine, value);
    if (items) return known(items);
  }
  if (value instanceof Tensor && value.shape && value.shape.length > 0 && value.shape[0] !== null) {
    const { data } = value;
    return known(Array.from({ length: Math.min(value.shape[0]!, 65536) }, (_, i) => (data ? new Tensor([], value.span, [data[i]!], value.whole) : new Tensor(value.shape!.slice(1), value.span))));
  }
  if (value instanceof Instance) {
    const method = value.cls.lookup('__iter__');
    if (method instanceof PyFunction || method instanceof Builtin) {
      const result = callValue(machine, new BoundMethod(method, value), noArguments, value.span);
      if (result !== value) return valuesOf(machine, result, node);
    }
    const length = value.cls.lookup('__len__');
    const item = value.cls.lookup('__getitem__');
    if (length !== undefined && item !== undefined) {
      const count = callValue(machine, new BoundMethod(length, value), noArguments, value.span);
      if (typeof count === 'number') return known(Array.from({ length: Math.min(count, 65536) }, (_, i) => callValue(machine, new BoundMethod(item, value), { ...noArguments, positional: [i] }, value.span)));
    }
  }
  if (value instanceof Choice) {
    const sequences = value.options.filter((option) => option !== null).map((option) => valuesOf(machine, option, node)).map((sequence) => ({ ...sequence, items: [...sequence.items] }));
    const [first] = sequences;
    if (first && sequences.every((sequence) => sequence.items.length === first.items.length && sequence.rest === undefined)) {
      return known(first.items.map((_, i) => Choice.of(sequences.map((sequence) => sequence.items[i]!), value.why)));
    }
    const all = sequences.flatMap((sequence) => [...sequence.items, ...(sequence.rest === undefined ? [] : [sequence.rest])]);
    return { items: [], rest: all.length ? Choice.of(all, value.why) : value.why, why: value.why };
  }
  const why = value instanceof UnknownValue ? value : machine.unknown(`${node ? describe(node) : 'this'} cannot be iterated`, node);
  return { items: [], rest: new UnknownValue(`an element of ${node ? describe(node) : 'something'} that is not known`, why.span), why };
}

function* rangeItems(range: PyRange): Generator<Value> {
  for (let i = 0, value = range.start; i < range.length; i++, value += range.step) yield value;
}

/** Spreads a value over `count` targets, one of which may be starred. */
export function unpack(machine: Machine, value: Value, count: number, star: number, node: Expr): Value[] {
  const sequence = valuesOf(machine, value, node);
  if (sequence.rest === undefined) {
    const items: Value[] = [];
    for (const item of sequence.items) { machine.step(); items.push(item); }
    if (star < 0 && items.length === count) return items;
    if (star >= 0 && items.length >= count - 1) {
      const after = count - star - 1;
      return [...items.slice(0, star), new PyList(items.slice(star, items.length - after), undefined, machine.loopDepth), ...items.slice(items.length - after)];
    }
    const wrong = machine.soft('ValueError', `${items.length} values for ${count} targets`, node);
    return Array.from({ length: count }, (_, i) => (i < items.length ? items[i]! : wrong));
  }
  const items = [...sequence.items];
  return Array.from({ length: count }, (_, i) => (i === star ? new PyList([], sequence.rest, machine.loopDepth) : items[i] !== undefined && (star < 0 || i < star) ? items[i]! : sequence.rest!));
}

/** Number of items, or why it is not known. */
export function lengthOf(machine: Machine, value: Value): number | Symbolic | UnknownValue {
  if (value instanceof PyList) return value.rest === undefined ? value.items.length : machine.unknown('the length of a sequence that is not fully known');
  if (value instanceof PyTuple) return value.items.length;
  if (typeof value === 'string') return [...value].length;
  if (value instanceof PyRange) return value.length;
  if (value instanceof PyDict) return value.rest === undefined ? value.entries.size : machine.unknown('the size of a dict that is not fully known');
  if (value instanceof PySet) return value.open ? machine.unknown('the size of a set that is not fully known') : value.items.size;
  if (value instanceof Tensor && value.shape && typeof value.shape[0] === 'number') return value.shape[0];
  if (value instanceof Tensor && value.traced?.dims[0] instanceof Symbolic) return value.traced.dims[0];
  if (value instanceof Instance) {
    const method = value.cls.lookup('__len__');
    if (method !== undefined) {
      const result = callValue(machine, new BoundMethod(method, value), noArguments, value.span);
      if (typeof result === 'number') return result;
    }
  }
  if (value instanceof PyClass && value.kind === 'enum') return [...valuesOf(machine, value).items].length;
  if (value instanceof UnknownValue) return value;
  if (value instanceof Choice) {
    const lengths = value.options.map((option) => lengthOf(machine, option));
    return lengths.every((length) => length === lengths[0]) ? lengths[0]! : value.why;
  }
  return machine.unknown('the length of something without one');
}

/** A whole or real number as TypeScript's, else undefined. */
export function asNumber(value: Value): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return Number(value);
  if (value instanceof PyFloat) return value.value;
  if (value instanceof Tensor && value.data && value.shape?.length === 0) return value.data[0];
  // A member of an IntEnum is its number.
  if (value instanceof Instance && value.cls.kind === 'enum' && value.cls.mro.some((base) => base.name === 'IntEnum' || base.name === 'IntFlag' || base.name === 'int')) {
    return asNumber(value.attributes.get('value') ?? null);
  }
  return undefined;
}
