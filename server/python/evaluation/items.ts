/** Subscripts: `a[i]`, `a[i:j]`, `a[k] = v`, `del a[k]`. */
import type { Expr } from '../syntax/ast';
import {
  BoundMethod, Builtin, Choice, Instance, Namespace, Opaque, PyClass, PyDict, PyFunction, PyList, PyRange, PySlice, PyTuple, Tensor, UnknownValue, type Value,
} from '../values/values';
import { tensorItem } from '../library/tensors';
import { libraryModule } from '../library/libraries';
import { findAttribute, registerAttribute } from './attributes';
import { callValue, noArguments } from './calls';
import { describe } from './expressions';
import { asNumber, valuesOf } from './iteration';
import type { Machine } from './machine';
import { ModuleScope } from './scope';
import { formatValue } from './formatting';

export function getItem(machine: Machine, object: Value, index: Value, node?: Expr): Value {
  const text = node ? describe(node) : 'an item';
  if (object instanceof UnknownValue) return new UnknownValue(object.reason, object.span);
  if (object instanceof Choice) {
    const options = object.options.filter((option) => option !== null);
    return options.length ? Choice.of(options.map((option) => getItem(machine, option, index, node)), object.why) : object.why;
  }
  if (object instanceof Builtin && object.name === 'globals()') return object.call(machine, { positional: [index], keywords: new Map() }, machine.site!);
  if (object instanceof PyDict) return dictItem(machine, object, index, text, node);
  if (object instanceof PyList || object instanceof PyTuple || typeof object === 'string' || object instanceof PyRange) return sequenceItem(machine, object, index, text, node);
  if (object instanceof Tensor) return machine.tracer?.item(machine, object, index) ?? tensorItem(machine, object, index);
  if (object instanceof PyClass) {
    if (object.kind === 'enum') { const member = typeof index === 'string' ? object.dict.get(index) : undefined; return member ?? machine.unknown(`${text} is not known`, node); }
    const method = object.lookup('__class_getitem__');
    return method instanceof PyFunction ? callValue(machine, method, { ...noArguments, positional: [object, index] }, machine.site!) : object;
  }
  if (object instanceof Instance) {
    const method = object.cls.lookup('__getitem__');
    if (method !== undefined) return callValue(machine, new BoundMethod(method, object), { ...noArguments, positional: [index] }, object.span);
  }
  // `vars(nn)['Linear']`, `nn.__dict__['Linear']`: a package looked into by name.
  // `vars(nn)['Linear']`, `sys.modules[__name__]`
  if (typeof index === 'string' && (object instanceof Namespace || object instanceof ModuleScope)) {
    const found = object instanceof Namespace && object.name === 'sys.modules' ? machine.finder.find(index, null) ?? libraryModule(index) : findAttribute(machine, object, index);
    if (found !== undefined) return found;
  }
  if (object instanceof Opaque || object instanceof Namespace || object instanceof Builtin) return new Opaque(text);
  return machine.soft('TypeError', `${text} is not known`, node);
}

function dictItem(machine: Machine, object: PyDict, index: Value, text: string, node?: Expr): Value {
  if (index instanceof Choice) return Choice.of(index.options.map((option) => dictItem(machine, object, option, text, node)), index.why);
  const found = object.get(index);
  if (found !== undefined) return found;
  if (index instanceof UnknownValue) {
    const values = [...object.entries.values()].map((entry) => entry.value);
    return new UnknownValue(`${text} is not known: ${index.reason}${values.length ? '' : ''}`, index.span);
  }
  if (object.rest !== undefined) return object.rest;
  if (object.factory !== undefined) {
    const made = callValue(machine, object.factory, noArguments, machine.site!);
    machine.touch(object);
    object.set(index, made);
    return made;
  }
  const missing = object.cls?.lookup('__missing__');
  if (missing instanceof PyFunction) return callValue(machine, missing, { ...noArguments, positional: [object, index] }, machine.site!);
  // A registry may be filled by decorators that nothing has asked for yet.
  const later = machine.registered(object, index);
  if (later !== undefined) return later;
  return machine.soft('KeyError', `${text}: there is no key ${formatValue(machine, index, '', 'r') ?? '…'}`, node);
}

function sequenceItem(machine: Machine, object: PyList | PyTuple | PyRange | string, index: Value, text: string, node?: Expr): Value {
  const rest = object instanceof PyList ? object.rest : undefined;
  if (index instanceof PySlice) return slice(machine, object, index, text, node);
  const at = asNumber(index);
  const items = typeof object === 'string' ? null : object instanceof PyRange ? null : object.items;
  const length = typeof object === 'string' ? object.length : object instanceof PyRange ? object.length : items!.length;
  if (at === undefined || !Number.isInteger(at)) {
    if (index instanceof Choice) return Choice.of(index.options.map((option) => sequenceItem(machine, object, option, text, node)), index.why);
    const all = items ?? [];
    // Whatever the index, it is one of the items: a module list indexed by something unknown.
    if (rest === undefined && all.length > 0 && all.length <= 8 && all.every((item) => item instanceof Instance || item instanceof PyClass || item instanceof PyFunction)) return Choice.of(all, machine.unknown(`${text} is not known`, node));
    return machine.unknown(`${text} is not known${index instanceof UnknownValue ? `: ${index.reason}` : ''}`, node);
  }
  const position = at < 0 ? at + length : at;
  if (rest !== undefined && (at < 0 || position >= length)) return at < 0 && items!.length > 0 ? Choice.of([rest, items!.at(at) ?? rest], machine.unknown(`${text} is not known`, node)) : rest;
  if (position < 0 || position >= length) return machine.soft('IndexError', `${text}: index ${at} of ${length}`, node);
  return typeof object === 'string' ? object[position]! : object instanceof PyRange ? object.start + position * object.step : items![position]!;
}

function slice(machine: Machine, object: PyList | PyTuple | PyRange | string, index: PySlice, text: string, node?: Expr): Value {
  const rest = object instanceof PyList ? object.rest : undefined;
  const items = typeof object === 'string' ? [...object] : [...valuesOf(machine, object).items];
  const bounds = [index.start, index.stop, index.step].map((bound) => (bound === null ? null : asNumber(bound)));
  if (bounds.includes(undefined) || rest !== undefined) {
    if (rest !== undefined && bounds[1] === null && typeof bounds[0] === 'number' && bounds[0] >= 0 && (bounds[2] ?? 1) === 1) return new PyList(items.slice(bounds[0]), rest, machine.loopDepth);
    if (rest !== undefined && typeof bounds[1] === 'number' && bounds[1] >= 0 && bounds[1] <= items.length && (bounds[2] ?? 1) === 1) return new PyList(items.slice(bounds[0] ?? 0, bounds[1]), undefined, machine.loopDepth);
    const all = rest === undefined ? items : [...items, rest];
    return all.length && typeof object !== 'string' ? new PyList([], Choice.of(all, machine.unknown(`${text} is not known`, node)), machine.loopDepth) : machine.unknown(`${text} is not known`, node);
  }
  const picked = sliceIndices(items.length, bounds[0] ?? null, bounds[1] ?? null, bounds[2] ?? null).map((i) => items[i]!);
  if (typeof object === 'string') return picked.join('');
  return object instanceof PyTuple ? new PyTuple(picked) : new PyList(picked, undefined, machine.loopDepth);
}

/** Positions that `[start:stop:step]` picks of `length` items. */
export function sliceIndices(length: number, start: number | null, stop: number | null, step: number | null): number[] {
  const stride = step === null || step === 0 ? 1 : step;
  const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value < 0 ? value + length : value));
  const result: number[] = [];
  if (stride > 0) {
    const end = stop === null ? length : clamp(stop, 0, length);
    for (let i = start === null ? 0 : clamp(start, 0, length); i < end; i += stride) result.push(i);
  } else {
    const end = stop === null ? -1 : clamp(stop, -1, length - 1);
    for (let i = start === null ? length - 1 : clamp(start, -1, length - 1); i > end; i += stride) result.push(i);
  }
  return result;
}

export function setItem(machine: Machine, object: Value, index: Value, value: Value): void {
  if (object instanceof Tensor) { machine.tracer?.setItem(machine, object, index, value); return; }
  if (object instanceof PyDict) {
    machine.touch(object);
    if (object.owner) { const { instance } = object.owner; machine.touch(instance); registerAttribute(instance, typeof index === 'string' ? index : '*', value); }
    if (index instanceof UnknownValue && machine.loopDepth >= 0) object.rest = object.rest === undefined ? value : Choice.of([object.rest, value], index);
    else object.set(index, value);
    return;
  }
  if (object instanceof PyList) {
    machine.touch(object);
    if (index instanceof PySlice) {
      const bounds = [index.start, index.stop].map((bound) => (bound === null ? null : asNumber(bound) ?? null));
      const picked = sliceIndices(object.items.length, bounds[0]!, bounds[1]!, null);
      const sequence = valuesOf(machine, value);
      object.items.splice(picked[0] ?? bounds[0] ?? object.items.length, picked.length, ...sequence.items);
      if (sequence.rest !== undefined) object.rest = sequence.rest;
      return;
    }
    const at = asNumber(index);
    const position = at !== undefined && at < 0 ? at + object.items.length : at;
    if (position !== undefined && position >= 0 && position < object.items.length) object.items[position] = value;
    else if (at === undefined) object.items = object.items.map((item) => Choice.of([item, value], machine.unknown('a list changed at an index that is not known')));
    return;
  }
  if (object instanceof Instance) {
    const method = object.cls.lookup('__setitem__');
    if (method !== undefined) callValue(machine, new BoundMethod(method, object), { ...noArguments, positional: [index, value] }, object.span);
  }
}

export function deleteItem(machine: Machine, object: Value, index: Value): void {
  if (object instanceof PyDict) {
    machine.touch(object);
    object.delete(index);
    if (object.owner && typeof index === 'string') { machine.touch(object.owner.instance); object.owner.instance[object.owner.kind].delete(index); }
  } else if (object instanceof PyList) {
    machine.touch(object);
    const at = asNumber(index);
    if (index instanceof PySlice) {
      const picked = new Set(sliceIndices(object.items.length, index.start === null ? null : asNumber(index.start) ?? null, index.stop === null ? null : asNumber(index.stop) ?? null, index.step === null ? null : asNumber(index.step) ?? null));
      object.items = object.items.filter((_, i) => !picked.has(i));
    } else if (at !== undefined) object.items.splice(at < 0 ? at + object.items.length : at, 1);
  } else if (object instanceof Instance) {
    const method = object.cls.lookup('__delitem__');
    if (method !== undefined) callValue(machine, new BoundMethod(method, object), { ...noArguments, positional: [index] }, object.span);
  }
}
