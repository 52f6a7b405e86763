/** Python's operators on known values; unknown in, unknown out, with the reason of what was unknown. */
import type { Expr } from '../syntax/ast';
import {
  Absent, BoundMethod, Builtin, Choice, Instance, Namespace, Opaque, PyClass, PyDict, PyFloat, PyFunction, PyList, PyRange, PySet, PyTuple, Symbolic, Tensor, UnknownValue,
  hashKeyOf, type Value,
} from '../values/values';
import { tensorBinary } from '../library/tensors';
import { callValue } from './calls';
import { describe } from './expressions';
import { formatPercent } from './formatting';
import { asNumber, lengthOf, valuesOf } from './iteration';
import type { Machine } from './machine';
import { spanOf } from '../syntax/ast';

const MAX_REPEAT = 100_000;

/** `bool(value)`, undefined when not known. */
export function truth(machine: Machine, value: Value): boolean | undefined {
  if (value === null || value instanceof Absent) return false;
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return value !== 0;
  if (typeof value === 'string') return value !== '';
  if (value instanceof PyFloat) return value.value !== 0;
  if (machine.tracer && (value instanceof Tensor || value instanceof Symbolic)) return machine.tracer.truth(machine, value);
  if (value instanceof UnknownValue || value instanceof Opaque) return undefined;
  if (value instanceof Choice) {
    const truths = value.options.map((option) => truth(machine, option));
    return truths.every((t) => t === truths[0]) ? truths[0] : undefined;
  }
  if (value instanceof Tensor) return value.data && value.data.length === 1 ? value.data[0] !== 0 : undefined;
  if (value instanceof PyList) return value.items.length > 0 ? true : value.rest === undefined ? false : undefined;
  if (value instanceof PyTuple || value instanceof PyDict || value instanceof PySet || value instanceof PyRange) {
    const length = lengthOf(machine, value);
    return typeof length === 'number' ? length > 0 : undefined;
  }
  if (value instanceof Instance) {
    for (const name of ['__bool__', '__len__']) {
      const method = value.cls.lookup(name);
      if (method !== undefined) return truth(machine, callValue(machine, new BoundMethod(method, value), { positional: [], keywords: new Map() }, value.span));
    }
  }
  return true;
}

const isBuiltinType = (value: Value): boolean => value instanceof PyClass && value.span === null && value.native.construct !== undefined && value.qualifiedName === value.name;
const isForeign = (value: Value): boolean => value instanceof UnknownValue && value.origin !== undefined && value.origin.called === undefined && value.origin.package !== 'unknown' && /(^|\.)[A-Z]\w*$/.test(value.origin.name);

/** `a == b`, undefined when not known. */
export function equals(machine: Machine, a: Value, b: Value): boolean | undefined {
  if (a === b && !(a instanceof UnknownValue)) return true;
  // `type(x) == ListConfig`: a class of a package that is not here is none of Python's own.
  if ((isBuiltinType(a) && isForeign(b)) || (isBuiltinType(b) && isForeign(a))) return false;
  if (a instanceof UnknownValue || b instanceof UnknownValue) return undefined;
  if (a instanceof Choice) return agree(a.options.map((option) => equals(machine, option, b)));
  if (b instanceof Choice) return agree(b.options.map((option) => equals(machine, a, option)));
  if (a instanceof Symbolic || b instanceof Symbolic) return a instanceof Symbolic && b instanceof Symbolic && a.key === b.key;
  const [x, y] = [asNumber(a), asNumber(b)];
  if (x !== undefined && y !== undefined) return x === y;
  if ((a instanceof PyTuple && b instanceof PyTuple) || (a instanceof PyList && b instanceof PyList)) {
    if (a instanceof PyList && b instanceof PyList && (a.rest !== undefined || b.rest !== undefined)) return undefined;
    if (a.items.length !== b.items.length) return false;
    let result: boolean | undefined = true;
    for (let i = 0; i < a.items.length; i++) { const same = equals(machine, a.items[i]!, b.items[i]!); if (same === false) return false; if (same === undefined) result = undefined; }
    return result;
  }
  if (a instanceof PyDict && b instanceof PyDict) {
    if (a.rest !== undefined || b.rest !== undefined) return undefined;
    return a.entries.size === b.entries.size && [...a.entries.values()].every((entry) => { const other = b.get(entry.key); return other !== undefined && equals(machine, entry.value, other) === true; });
  }
  if (a instanceof PySet && b instanceof PySet) return a.open || b.open ? undefined : a.items.size === b.items.size && [...a.items.keys()].every((key) => b.items.has(key));
  if (a instanceof PyRange && b instanceof PyRange) return a.start === b.start && a.length === b.length && a.step === b.step;
  if (a instanceof Tensor || b instanceof Tensor) return undefined;
  if (a instanceof Opaque || b instanceof Opaque) return a instanceof Opaque && b instanceof Opaque ? (a.name === b.name ? true : undefined) : a === null || b === null ? false : undefined;
  for (const [side, other] of [[a, b], [b, a]] as const) {
    if (!(side instanceof Instance)) continue;
    const method = side.cls.lookup('__eq__');
    if (method instanceof PyFunction) return truth(machine, callValue(machine, new BoundMethod(method, side), { positional: [other], keywords: new Map() }, side.span));
    // A member of `class Kind(str, Enum)` equals its value.
    if (side.cls.kind === 'enum' && side.cls.mro.some((base) => base.name === 'str' || base.name === 'int')) return equals(machine, side.attributes.get('value') ?? null, other instanceof Instance ? other.attributes.get('value') ?? null : other);
    if (side.cls.kind === 'dataclass' && other instanceof Instance && other.cls === side.cls) return agree([...side.attributes].map(([name, value]) => equals(machine, value, other.attributes.get(name) ?? null)).concat(true));
  }
  return false;
}
const agree = (results: readonly (boolean | undefined)[]): boolean | undefined => (results.every((result) => result === results[0]) ? results[0] : undefined);

/** `a is b`, undefined when not known. */
export function identical(a: Value, b: Value): boolean | undefined {
  if (a instanceof UnknownValue || b instanceof UnknownValue) return undefined;
  if (a instanceof Choice) return agree(a.options.map((option) => identical(option, b)));
  if (b instanceof Choice) return agree(b.options.map((option) => identical(a, option)));
  if (a instanceof PyFloat && b instanceof PyFloat) return a.value === b.value;
  if (a instanceof Opaque && b instanceof Opaque) return a.name === b.name;
  return a === b;
}

export function compare(machine: Machine, operator: string, a: Value, b: Value, node: Expr): Value {
  if (machine.tracer) {
    machine.place = node;
    const traced = machine.tracer.compare(machine, operator, a, b);
    if (traced !== undefined) return traced;
  }
  const result = compareKnown(machine, operator, a, b);
  if (result !== undefined) return result;
  const [unknown] = [a, b].filter((side) => side instanceof UnknownValue);
  return machine.unknown(`${describe(node)} is not known${unknown ? `: ${unknown.reason}` : ''}`, node);
}

function compareKnown(machine: Machine, operator: string, a: Value, b: Value): boolean | undefined {
  switch (operator) {
    case '==': return equals(machine, a, b);
    case '!=': case '<>': { const same = equals(machine, a, b); return same === undefined ? undefined : !same; }
    case 'is': return identical(a, b);
    case 'is not': { const same = identical(a, b); return same === undefined ? undefined : !same; }
    case 'in': return contains(machine, b, a);
    case 'not in': { const has = contains(machine, b, a); return has === undefined ? undefined : !has; }
    default: return order(machine, operator, a, b);
  }
}

function order(machine: Machine, operator: string, a: Value, b: Value): boolean | undefined {
  const sign = compareOrder(machine, a, b);
  if (sign === undefined) return undefined;
  return operator === '<' ? sign < 0 : operator === '<=' ? sign <= 0 : operator === '>' ? sign > 0 : operator === '>=' ? sign >= 0 : undefined;
}

/** Negative, zero or positive as a sorts before, with or after b. */
export function compareOrder(machine: Machine, a: Value, b: Value): number | undefined {
  const [x, y] = [a, b].map((side) => (side instanceof Symbolic ? side.hint : asNumber(side)));
  if (x !== undefined && y !== undefined) return x - y;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  if ((a instanceof PyTuple && b instanceof PyTuple) || (a instanceof PyList && b instanceof PyList)) {
    for (let i = 0; i < Math.min(a.items.length, b.items.length); i++) {
      const sign = compareOrder(machine, a.items[i]!, b.items[i]!);
      if (sign === undefined || sign !== 0) return sign;
    }
    return a.items.length - b.items.length;
  }
  return undefined;
}

export function contains(machine: Machine, container: Value, item: Value): boolean | undefined {
  if (container instanceof Choice) return agree(container.options.map((option) => contains(machine, option, item)));
  if (container instanceof UnknownValue) return undefined;
  if (typeof container === 'string') return typeof item === 'string' ? container.includes(item) : undefined;
  if (container instanceof PyDict) {
    if (hashKeyOf(item) === undefined) return undefined;
    if (container.get(item) !== undefined) return true;
    if (container.rest !== undefined) return undefined;
    return machine.topLevel === 0 && machine.registered(container, item) !== undefined;
  }
  // A model is built the same everywhere unless somebody sets a variable.
  if (container instanceof Namespace && typeof item === 'string') {
    if (container.name === 'os.environ') { machine.assume(`the environment variable ${item} is not set`, machine.site); return false; }
    return container.name === 'torch.nn.functional' && /^(silu|mish|gelu|hardswish|hardsigmoid|hardtanh|selu|celu|scaled_dot_product_attention|rms_norm|pixel_unshuffle)$/.test(item) ? true : undefined;
  }
  if (container instanceof PySet) return hashKeyOf(item) === undefined ? undefined : container.has(item) || (container.open ? undefined : false);
  if (container instanceof PyRange) {
    const n = asNumber(item);
    return n === undefined ? undefined : (n - container.start) % container.step === 0 && (n - container.start) / container.step >= 0 && (n - container.start) / container.step < container.length;
  }
  if (container instanceof Instance) {
    const method = container.cls.lookup('__contains__');
    if (method !== undefined) return truth(machine, callValue(machine, new BoundMethod(method, container), { positional: [item], keywords: new Map() }, container.span));
  }
  if (container instanceof PyList || container instanceof PyTuple || container instanceof PyClass || container instanceof Instance) {
    const sequence = valuesOf(machine, container);
    let result: boolean | undefined = sequence.rest === undefined ? false : undefined;
    for (const candidate of sequence.items) { const same = equals(machine, candidate, item); if (same) return true; if (same === undefined) result = undefined; }
    return result;
  }
  return undefined;
}

export function unary(machine: Machine, operator: string, value: Value, node: Expr): Value {
  if (operator === 'not') {
    const known = truth(machine, value);
    return known === undefined ? machine.unknown(`${describe(node)} is not known`, node) : !known;
  }
  if (machine.tracer) {
    machine.place = node;
    const traced = machine.tracer.unary(machine, operator, value);
    if (traced !== undefined) return traced;
  }
  if (value instanceof Tensor) return new Tensor(value.shape, value.span, value.data && operator === '-' ? value.data.map((n) => -n) : null, value.whole);
  const n = asNumber(value);
  if (n === undefined) return value instanceof UnknownValue ? value : machine.unknown(`${describe(node)} is not known`, node);
  const float = value instanceof PyFloat;
  if (operator === '-') return float ? new PyFloat(-n) : 0 - n;
  if (operator === '+') return float ? value : n;
  if (operator === '~' && !float) return ~n;
  return machine.unknown(`${describe(node)} is not known`, node);
}

const METHODS: Readonly<Record<string, readonly [string, string, string]>> = {
  '+': ['__add__', '__radd__', '__iadd__'], '-': ['__sub__', '__rsub__', '__isub__'], '*': ['__mul__', '__rmul__', '__imul__'], '/': ['__truediv__', '__rtruediv__', '__itruediv__'],
  '//': ['__floordiv__', '__rfloordiv__', '__ifloordiv__'], '%': ['__mod__', '__rmod__', '__imod__'], '**': ['__pow__', '__rpow__', '__ipow__'], '|': ['__or__', '__ror__', '__ior__'],
  '&': ['__and__', '__rand__', '__iand__'], '@': ['__matmul__', '__rmatmul__', '__imatmul__'],
};

export function binary(machine: Machine, operator: string, a: Value, b: Value, node?: Expr, inPlace = false): Value {
  const unknown = (): Value => {
    const side = a instanceof UnknownValue ? a : b instanceof UnknownValue ? b : a instanceof Choice ? a.why : b instanceof Choice ? b.why : null;
    return new UnknownValue(`${node ? describe(node) : `a ${operator} b`} is not known${side ? `: ${side.reason}` : ''}`, node ? spanOf(node) : machine.site);
  };
  if (machine.tracer) {
    if (node) machine.place = node;
    const traced = machine.tracer.binary(machine, operator, a, b, inPlace);
    if (traced !== undefined) return traced;
  }
  const [x, y] = [asNumber(a), asNumber(b)];
  if (a instanceof Tensor || b instanceof Tensor) return tensorBinary(machine, operator, a, b);
  if (x !== undefined && y !== undefined) {
    const result = arithmetic(operator, x, y, !(a instanceof PyFloat || b instanceof PyFloat));
    if (result === undefined && y === 0) return machine.soft('ZeroDivisionError', `${node ? describe(node) : 'division'} divides by zero`, node);
    return result ?? unknown();
  }
  for (const [side, other, index] of [[a, b, inPlace ? 2 : 0], [a, b, 0], [b, a, 1]] as const) {
    if (!(side instanceof Instance)) continue;
    const method = side.cls.lookup(METHODS[operator]?.[index] ?? '');
    if (method !== undefined) return callValue(machine, new BoundMethod(method, side), { positional: [other], keywords: new Map() }, node ? spanOf(node) : side.span);
  }
  if (operator === '+') {
    if (typeof a === 'string' && typeof b === 'string') return a + b;
    if (a instanceof PyTuple && b instanceof PyTuple) return new PyTuple([...a.items, ...b.items]);
    if (a instanceof PyList && (b instanceof PyList || b instanceof PyTuple)) {
      const rest = b instanceof PyList ? b.rest : undefined;
      if (a.rest === undefined) return new PyList([...a.items, ...b.items], rest, machine.loopDepth);
      return new PyList(a.items.slice(), Choice.of([a.rest, ...b.items, ...(rest === undefined ? [] : [rest])], machine.unknown('position in a sequence of unknown length')), machine.loopDepth);
    }
    if (a instanceof PyList && b instanceof UnknownValue) return new PyList(a.items.slice(), b, machine.loopDepth);
  }
  if (operator === '*') {
    const [sequence, count] = typeof b === 'number' || typeof b === 'boolean' ? [a, Number(b)] : [b, asNumber(a)];
    if (count !== undefined) {
      if (typeof sequence === 'string') return sequence.length * count <= MAX_REPEAT ? sequence.repeat(Math.max(0, count)) : unknown();
      if (sequence instanceof PyTuple || sequence instanceof PyList) {
        if (sequence.items.length * count > MAX_REPEAT) return unknown();
        const items = Array.from({ length: Math.max(0, count) }, () => sequence.items).flat();
        return sequence instanceof PyTuple ? new PyTuple(items) : new PyList(items, sequence.rest, machine.loopDepth);
      }
    }
    // A list times an unknown count.
    const list = a instanceof PyList || a instanceof PyTuple ? a : b instanceof PyList || b instanceof PyTuple ? b : null;
    if (list && list.items.length > 0) return new PyList([], Choice.of(list.items, machine.unknown('an element of a repeated sequence')), machine.loopDepth);
  }
  if (operator === '%' && typeof a === 'string') return formatPercent(machine, a, b) ?? unknown();
  if (operator === '|' && a instanceof PyDict && b instanceof PyDict) {
    const made = new PyDict([...a.entries.values(), ...b.entries.values()].map((entry) => [entry.key, entry.value] as const));
    made.rest = b.rest ?? a.rest;
    return made;
  }
  if (a instanceof PySet && b instanceof PySet) {
    const [left, right] = [[...a.items.values()], [...b.items.values()]];
    const made = new PySet(operator === '|' ? [...left, ...right] : operator === '&' ? left.filter((v) => b.has(v)) : operator === '-' ? left.filter((v) => !b.has(v)) : [...left.filter((v) => !b.has(v)), ...right.filter((v) => !a.has(v))]);
    made.open = a.open || b.open;
    return made;
  }
  if (operator === '|' && [a, b].every((side) => side instanceof PyClass || side === null || side instanceof Opaque)) return new Opaque('union type');
  if (operator === '/' && (a instanceof Opaque || b instanceof Opaque)) return new Opaque('path');
  if (a instanceof Builtin || b instanceof Builtin) return unknown();
  return unknown();
}

/** Python's arithmetic: floor division and modulo follow the divisor's sign. Undefined when it has no value. */
export function arithmetic(operator: string, x: number, y: number, whole: boolean): Value | undefined {
  const give = (n: number): Value | undefined => (Number.isNaN(n) ? undefined : whole ? n : new PyFloat(n));
  switch (operator) {
    case '+': return give(x + y);
    case '-': return give(x - y);
    case '*': return give(x * y);
    case '/': return y === 0 ? undefined : new PyFloat(x / y);
    case '//': return y === 0 ? undefined : give(Math.floor(x / y));
    case '%': return y === 0 ? undefined : give(x - y * Math.floor(x / y));
    case '**': return whole && y >= 0 ? x ** y : Number.isNaN(x ** y) ? undefined : new PyFloat(x ** y);
    case '<<': return whole && y >= 0 && y < 64 ? x * 2 ** y : undefined;
    case '>>': return whole && y >= 0 ? Math.floor(x / 2 ** y) : undefined;
    case '&': return whole ? Number(BigInt(x) & BigInt(y)) : undefined;
    case '|': return whole ? Number(BigInt(x) | BigInt(y)) : undefined;
    case '^': return whole ? Number(BigInt(x) ^ BigInt(y)) : undefined;
    default: return undefined;
  }
}
