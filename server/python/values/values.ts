/**
 * The values of the interpreter. Python's None, bool, int and str are null, boolean, number and string of TypeScript;
 * everything else is one of the classes here. What is not known is an {@link UnknownValue} with its reason, and what is
 * one of several things (after a branch on something unknown) is a {@link Choice}.
 */
import type { OnnxType } from '../../../kernels/graph/onnx-types';
import type { SourceSpan } from '../module-tree';
import type { Definition, Expr, Stmt } from '../syntax/ast';
import type { TorchModuleSpec } from '../torch/table';
import type { Machine } from '../evaluation/machine';
import type { Environment, ModuleScope } from '../evaluation/scope';
import { clock } from './clock';
import { PyDict, PyList, PySet } from './containers';
import { Symbolic, type Whole } from './symbolic';

export { PyDict, PyList, PySet, Symbolic };

export type Value =
  | null | boolean | number | string
  | PyFloat | PyTuple | PyList | PyDict | PySet | PyRange | PySlice
  | PyFunction | BoundMethod | Builtin | Partial | PyClass | Instance | SuperProxy | PropertyValue
  | Tensor | Symbolic | ModuleScope | Namespace | Opaque | UnknownValue | Choice | Absent;

export class PyFloat { constructor(readonly value: number) {} }
export class PyTuple {
  /** `fields` for named tuples. */
  constructor(readonly items: readonly Value[], readonly cls: PyClass | null = null, readonly fields: readonly string[] = []) {}
}
export class PyRange { constructor(readonly start: number, readonly stop: number, readonly step: number) {}
  get length(): number { return Math.max(0, Math.ceil((this.stop - this.start) / this.step)); } }
export class PySlice { constructor(readonly start: Value, readonly stop: Value, readonly step: Value) {} }

export class PyFunction {
  readonly attributes = new Map<string, Value>();
  constructor(readonly definition: Definition, readonly closure: Environment, readonly defaults: ReadonlyMap<string, Value>,
    readonly owner: PyClass | null, public kind: 'function' | 'static' | 'class' = 'function') {}
  get name(): string { return this.definition.name; }
}
export class BoundMethod { constructor(readonly callee: Value, readonly self: Value) {} }
export class PropertyValue {
  constructor(readonly getter: Value, readonly setter: Value = null) {}
  withSetter(setter: Value): PropertyValue { return new PropertyValue(this.getter, setter); }
}

/** Arguments of a call, stars already expanded. `open` when a `*args` or `**kwargs` of unknown content was among them. */
export interface Arguments {
  readonly positional: readonly Value[];
  readonly keywords: ReadonlyMap<string, Value>;
  /** Something that repeats an unknown number of times after the positional ones. */
  readonly rest?: Value;
  readonly openKeywords?: UnknownValue;
}
export type NativeCall = (machine: Machine, args: Arguments, site: SourceSpan) => Value;
/** A function of Python or a library that the interpreter implements. `bind` when it takes the instance it is found on. */
/** `bind`: does it take the object that it is looked up on, or with 'class' that object's class, as its first argument? */
export class Builtin { constructor(readonly name: string, readonly call: NativeCall, readonly bind: boolean | 'class' = false) {} }
export class Partial { constructor(readonly callee: Value, readonly args: Arguments) {} }

export interface NativeClass {
  /** Makes the instance instead of `__new__` and `__init__`. */
  readonly construct?: NativeCall;
  readonly isInstance?: (value: Value) => boolean;
  readonly spec?: TorchModuleSpec;
  /** Set for a class that is not in the workspace: nothing of it is known. */
  readonly unknown?: UnknownValue;
}
export class PyClass {
  readonly dict = new Map<string, Value>();
  mro: PyClass[] = [this];
  /** Fields of a dataclass or NamedTuple, by name, in order. */
  fields: { name: string; default: Expr | null; annotation: Expr | null; environment: Environment }[] | null = null;
  kind: 'class' | 'dataclass' | 'namedtuple' | 'enum' = 'class';
  constructor(public name: string, readonly qualifiedName: string, readonly bases: readonly PyClass[],
    readonly span: SourceSpan | null = null, readonly native: NativeClass = {}, readonly body: readonly Stmt[] = []) {}
  lookup(name: string): Value | undefined {
    for (const cls of this.mro) { const value = cls.dict.get(name); if (value !== undefined) return value; }
    return undefined;
  }
  isSubclassOf(other: PyClass): boolean { return this.mro.includes(other); }
  /** The unknown class among the bases, if one is. */
  get unknownBase(): UnknownValue | undefined {
    for (const cls of this.mro) if (cls.native.unknown) return cls.native.unknown;
    return undefined;
  }
}
export class SuperProxy { constructor(readonly cls: PyClass, readonly self: Value) {} }

interface InstanceState {
  attributes: Map<string, Value>; parameters: Map<string, Value>; buffers: Map<string, Value>; modules: Map<string, Value>;
  transient: Set<string>; initialized: boolean;
}
/** An object with attributes. For an nn.Module the registered parameters, buffers and children are kept apart, in order. */
export class Instance implements InstanceState {
  attributes = new Map<string, Value>();
  parameters = new Map<string, Value>();
  buffers = new Map<string, Value>();
  modules = new Map<string, Value>();
  /** Buffers that are not in state_dict. */
  transient = new Set<string>();
  /** True once `nn.Module.__init__` ran. */
  initialized = false;
  /** Constructor arguments by name, as far as bound. */
  arguments: ReadonlyMap<string, Value> = new Map();
  /** Why what is inside is not (fully) known. */
  unknown: UnknownValue | null = null;
  readonly born = clock.now;
  constructor(public cls: PyClass, public span: SourceSpan) {}
  snapshot(): InstanceState {
    return { attributes: new Map(this.attributes), parameters: new Map(this.parameters), buffers: new Map(this.buffers),
      modules: new Map(this.modules), transient: new Set(this.transient), initialized: this.initialized };
  }
  restore(state: unknown): void {
    const from = state as InstanceState;
    this.attributes = new Map(from.attributes); this.parameters = new Map(from.parameters);
    this.buffers = new Map(from.buffers); this.modules = new Map(from.modules);
    this.transient = new Set(from.transient); this.initialized = from.initialized;
  }
  merge(states: readonly unknown[], why: UnknownValue): InstanceState {
    const from = states as readonly InstanceState[];
    return { attributes: mergeMaps(from.map((s) => s.attributes), why), parameters: mergeMaps(from.map((s) => s.parameters), why),
      buffers: mergeMaps(from.map((s) => s.buffers), why), modules: mergeMaps(from.map((s) => s.modules), why),
      transient: new Set(from.flatMap((s) => [...s.transient])), initialized: from.some((s) => s.initialized) };
  }
}

/** A tensor: identity and shape only; small one-dimensional ones keep their numbers (`linspace` for drop-path rates). */
export class Tensor {
  parameter = false;
  /** What a tracer knows of its values. */
  traced: TracedValue | null = null;
  /** Set for a view: a change of one is a change of the other. */
  view: TensorView | null = null;
  constructor(public shape: readonly (number | null)[] | null, public span: SourceSpan, public data: readonly number[] | null = null, public whole = false) {}
}

/** The values of a tensor as a value of a graph. */
export interface TracedValue {
  readonly name: string;
  readonly type: OnnxType;
  readonly dims: readonly Whole[];
  /** The last dimension of the graph's value, which `dims` leaves out, holds real and imaginary part. */
  readonly complex: boolean;
}
/** How a tensor shows a part of another one. */
export interface TensorView {
  readonly base: Tensor;
  /** What the base held when the view was made. */
  of: TracedValue;
  /** The part, of what the base holds now. */
  part(base: Tensor): Tensor;
  /** The base with this part replaced. */
  whole(base: Tensor, part: Tensor): Tensor;
}

/** Attributes of a library module that the interpreter implements (`math`, `torch.nn`). */
export class Namespace {
  constructor(readonly name: string, readonly find: (name: string) => Value | undefined) {}
}
/** A thing that exists and whose content does not matter: a dtype, a device, a logger. */
export class Opaque { constructor(readonly name: string) {} }

/** Not known. `origin` names the package when it comes from outside the workspace. */
export class UnknownValue {
  constructor(readonly reason: string, readonly span: SourceSpan | undefined, readonly origin?: UnknownOrigin) {}
}
export interface UnknownOrigin {
  readonly package: string;
  /** Dotted name inside it. */
  readonly name: string;
  /** Where it was called, for the result of a call: it may be a module. */
  readonly called?: SourceSpan;
}

/** Stands in a {@link Choice} for "not there at all". */
export class Absent { private constructor() {} static readonly value = new Absent(); }

export class Choice {
  private constructor(readonly options: readonly Value[], readonly why: UnknownValue) {}
  /** One of several values; the value itself when they are all the same. */
  static of(values: readonly Value[], why: UnknownValue): Value {
    const options: Value[] = [];
    for (const value of values) {
      for (const option of value instanceof Choice ? value.options : [value]) {
        if (!options.some((known) => sameValue(known, option))) options.push(option);
      }
    }
    if (options.length === 1) return options[0]!;
    return options.length > (options.every((option) => option instanceof Instance) ? MAX_OBJECTS : MAX_OPTIONS) ? why : new Choice(options, why);
  }
}
const MAX_OPTIONS = 8;
/** What may stand at a place in a list of layers; nothing is computed with those, so that they may be more. */
const MAX_OBJECTS = 24;

/** The same object, or equal immutable values. */
export function sameValue(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (a instanceof PyFloat && b instanceof PyFloat) return a.value === b.value;
  if (a instanceof PyTuple && b instanceof PyTuple) return a.items.length === b.items.length && a.items.every((item, i) => sameValue(item, b.items[i]!));
  if (a instanceof PyRange && b instanceof PyRange) return a.start === b.start && a.stop === b.stop && a.step === b.step;
  if (a instanceof UnknownValue && b instanceof UnknownValue) return a.reason === b.reason;
  if (a instanceof Choice && b instanceof Choice) return a.options.length === b.options.length && a.options.every((option, i) => sameValue(option, b.options[i]!));
  if (a instanceof BoundMethod && b instanceof BoundMethod) return a.callee === b.callee && a.self === b.self;
  return false;
}

/** Merges maps of what may hold in different branches: a key that some lack gets {@link Absent} among its options. */
export function mergeMaps<K>(maps: readonly ReadonlyMap<K, Value>[], why: UnknownValue): Map<K, Value> {
  const merged = new Map<K, Value>();
  for (const map of maps) {
    for (const key of map.keys()) {
      if (merged.has(key)) continue;
      // What stands under `*` may occur any number of times, none included: nothing is added by saying it may be absent.
      if (key === '*') merged.set(key, Choice.of(maps.flatMap((m) => (m.has(key) ? [m.get(key)!] : [])), why));
      else merged.set(key, Choice.of(maps.map((m) => m.get(key) ?? (m.has(key) ? null : Absent.value)), why));
    }
  }
  return merged;
}

export { hashKey as hashKeyOf } from './containers';
