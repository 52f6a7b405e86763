/** `@dataclass`, `NamedTuple`, `namedtuple`, `SimpleNamespace` and their like: classes whose content is a list of fields. */
import type { SourceSpan } from '../module-tree';
import type { Expr } from '../syntax/ast';
import {
  Instance, Opaque, PyClass, PyDict, PyFunction, PyList, PyTuple, UnknownValue, type Arguments, type Value,
} from '../values/values';
import { callFunction, callValue, noArguments } from '../evaluation/calls';
import { evaluate } from '../evaluation/expressions';
import { valuesOf } from '../evaluation/iteration';
import type { Machine } from '../evaluation/machine';
import { Environment, ModuleScope } from '../evaluation/scope';
import { argument, builtin, method } from './support';
import { nativeClass } from './types';

type Fields = NonNullable<PyClass['fields']>;

/** Annotated names of a class body, in order. */
export function dataclassFields(cls: PyClass, environment: Environment): Fields {
  const fields: Fields = [];
  for (const node of cls.body) {
    if (node.kind !== 'annotated' || node.target.kind !== 'name') continue;
    if (isClassVar(node.annotation)) continue;
    const field = { name: node.target.name, default: node.value, annotation: node.annotation, environment };
    const known = fields.findIndex((other) => other.name === field.name);
    if (known >= 0) fields[known] = field; else fields.push(field);
  }
  return fields;
}
function isClassVar(annotation: Expr): boolean {
  const head = annotation.kind === 'subscript' ? annotation.object : annotation;
  return (head.kind === 'name' && head.name === 'ClassVar') || (head.kind === 'attribute' && head.name === 'ClassVar');
}

/** `dataclasses.field(...)`: remembers the default or how to make it. */
class FieldDefault extends Opaque { constructor(readonly value: Value | undefined, readonly factory: Value | undefined, readonly init: boolean) { super('field'); } }
export const field = builtin('field', (_, args) => new FieldDefault(args.keywords.get('default'), args.keywords.get('default_factory'), args.keywords.get('init') !== false));

/** Gives a class the fields of its annotations and an `__init__` that fills them. */
export function makeDataclass(cls: PyClass): PyClass {
  const environment = classEnvironment(cls);
  const inherited = [...cls.mro].slice(1).reverse().flatMap((base) => (base.kind === 'dataclass' ? base.fields ?? [] : []));
  const merged: Fields = [];
  for (const item of [...inherited, ...(environment ? dataclassFields(cls, environment) : [])]) {
    const known = merged.findIndex((other) => other.name === item.name);
    if (known >= 0) merged[known] = item; else merged.push(item);
  }
  cls.fields = merged;
  cls.kind = 'dataclass';
  if (!cls.dict.has('__init__')) cls.dict.set('__init__', method('__init__', (m, args, site) => initialize(m, cls, args, site)));
  return cls;
}
/** The scope default expressions are evaluated in: any function of the class closes over it; else the module's. */
function classEnvironment(cls: PyClass): Environment | null {
  for (const value of cls.dict.values()) if (value instanceof PyFunction && value.closure.cls === cls) return value.closure;
  return classScopes.get(cls) ?? null;
}
const classScopes = new WeakMap<PyClass, Environment>();
/** Remembers where a class body ran. */
export function rememberScope(cls: PyClass, environment: Environment): void { classScopes.set(cls, environment); }

function initialize(machine: Machine, cls: PyClass, args: Arguments, site: SourceSpan): Value {
  const self = args.positional[0]!;
  const given = args.positional.slice(1);
  const put = (name: string, value: Value): void => {
    if (self instanceof Instance) { machine.touch(self); self.attributes.set(name, value); } else if (self instanceof PyDict) self.set(name, value);
  };
  let next = 0;
  for (const { name, default: node, environment } of cls.fields ?? []) {
    const keyword = args.keywords.get(name);
    const own = cls.lookup(name);
    const fallback = own instanceof FieldDefault || own !== undefined ? own : node ? evaluate(machine, node, environment) : undefined;
    if (!(fallback instanceof FieldDefault && !fallback.init)) {
      if (next < given.length) { put(name, given[next++]!); continue; }
      if (keyword !== undefined) { put(name, keyword); continue; }
      if (args.openKeywords) { put(name, args.openKeywords); continue; }
    }
    if (fallback instanceof FieldDefault) {
      if (fallback.factory !== undefined) put(name, callValue(machine, fallback.factory, noArguments, site));
      else if (fallback.value !== undefined) put(name, fallback.value);
      else if (fallback.init) put(name, machine.unknown(`field ${name} of ${cls.name} is not given`, site));
    } else put(name, fallback === undefined ? machine.unknown(`field ${name} of ${cls.name} is not given`, site) : fallback);
  }
  const after = cls.lookup('__post_init__');
  if (self instanceof Instance) {
    self.arguments = new Map(self.attributes);
    const hook = self.cls.lookup('__post_init__') ?? after;
    if (hook instanceof PyFunction) callFunction(machine, hook, { ...noArguments, positional: [self] }, site);
  }
  return null;
}

export const dataclass = builtin('dataclass', (_, args) => {
  const cls = args.positional[0];
  if (cls instanceof PyClass) return makeDataclass(cls);
  return builtin('dataclass', (_, inner) => (inner.positional[0] instanceof PyClass ? makeDataclass(inner.positional[0]) : inner.positional[0] ?? null));
});

/** Required fields without a default. */
export function requiredFields(cls: PyClass): string[] {
  return (cls.fields ?? []).filter((item) => item.default === null && cls.lookup(item.name) === undefined).map((item) => item.name);
}

export const namedTupleClass = nativeClass('NamedTuple');
namedTupleClass.kind = 'namedtuple';

/** Makes a tuple of a NamedTuple class. */
export function namedTuple(machine: Machine, cls: PyClass, args: Arguments, site: SourceSpan): Value {
  const fields = cls.fields ?? [];
  const items = fields.map(({ name, default: node, environment }, i): Value => {
    const given = argument(args, i, name);
    if (given !== undefined) return given;
    if (node) return evaluate(machine, node, environment);
    const fallback = cls.dict.get(name) ?? laterDefault(cls, i - fields.length);
    return fallback === undefined ? machine.unknown(`field ${name} of ${cls.name} is not given`, site) : fallback;
  });
  return new PyTuple(items, cls, fields.map((item) => item.name));
}

/** `Point.__new__.__defaults__ = (None,) * 2`: given after the class was made, counted from the last field. */
function laterDefault(cls: PyClass, fromEnd: number): Value | undefined {
  const make = cls.lookup('__new__');
  const defaults = make instanceof Instance ? make.attributes.get('__defaults__') : undefined;
  return defaults instanceof PyTuple ? defaults.items.at(fromEnd) : undefined;
}

/** `collections.namedtuple('Point', 'x y')`. */
export const namedtuple = builtin('namedtuple', (machine, args, site) => {
  const [name, names] = args.positional;
  const fields = typeof names === 'string' ? names.split(/[\s,]+/).filter(Boolean) : names === undefined ? [] : [...valuesOf(machine, names).items].filter((item): item is string => typeof item === 'string');
  const cls = nativeClass(typeof name === 'string' ? name : 'namedtuple', {}, [namedTupleClass]);
  cls.kind = 'namedtuple';
  const environment = new Environment(new ModuleScope('', '', false, []), null, 'module', 0);
  cls.fields = fields.map((item) => ({ name: item, default: null, annotation: null, environment }));
  cls.dict.set('_fields', new PyTuple(fields));
  cls.dict.set('__new__', new Instance(simpleNamespace, site));
  const defaults = args.keywords.get('defaults');
  if (defaults !== undefined) {
    const values = [...valuesOf(machine, defaults).items];
    values.forEach((value, i) => cls.dict.set(fields[fields.length - values.length + i] ?? '', value));
  }
  return cls;
});

/** An object made of keyword arguments: SimpleNamespace, argparse.Namespace. */
export const simpleNamespace: PyClass = nativeClass('SimpleNamespace', { construct: (_, args, site) => {
  const made = new Instance(simpleNamespace, site);
  const [first] = args.positional;
  if (first instanceof PyDict) for (const entry of first.entries.values()) if (typeof entry.key === 'string') made.attributes.set(entry.key, entry.value);
  for (const [name, value] of args.keywords) made.attributes.set(name, value);
  return made;
} });

/** A dict whose items are attributes too, nested ones included: EasyDict, OmegaConf, ml_collections. */
export const attributeDict: PyClass = nativeClass('EasyDict', { construct: (machine, args) => {
  const made = machine.dict();
  made.attributeAccess = true;
  const [first] = args.positional;
  if (first instanceof PyDict) { for (const entry of first.entries.values()) made.set(entry.key, attributeAccess(entry.value)); made.rest = first.rest; }
  else if (first instanceof UnknownValue) made.rest = first;
  for (const [name, value] of args.keywords) made.set(name, attributeAccess(value));
  return made;
} });
/** Makes nested dicts readable by attribute. */
export function attributeAccess(value: Value): Value {
  if (value instanceof PyDict) {
    value.attributeAccess = true;
    for (const entry of value.entries.values()) attributeAccess(entry.value);
  } else if (value instanceof PyList) value.items.forEach(attributeAccess);
  return value;
}

export const asdict = builtin('asdict', (machine, args) => {
  const [self] = args.positional;
  return self instanceof Instance ? new PyDict(self.attributes) : self instanceof PyDict ? self : machine.unknown('asdict(…) of something that is not known');
});
export const fieldsOf = builtin('fields', (machine, args, site) => {
  const [target] = args.positional;
  const cls = target instanceof Instance ? target.cls : target instanceof PyClass ? target : null;
  if (!cls?.fields) return machine.unknown('fields(…) of something that is not known');
  return new PyTuple(cls.fields.map(({ name }) => { const made = new Instance(simpleNamespace, site); made.attributes.set('name', name); return made; }));
});
export const replace = builtin('replace', (machine, args, site) => {
  const [self] = args.positional;
  if (!(self instanceof Instance)) return machine.unknown('replace(…) of something that is not known');
  const made = new Instance(self.cls, site);
  made.attributes = new Map(self.attributes);
  for (const [name, value] of args.keywords) made.attributes.set(name, value);
  return made;
});
