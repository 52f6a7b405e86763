/** Defining classes (with Python's method resolution order) and making instances of them. */
import type { SourceSpan } from '../module-tree';
import { spanOf, type Stmt } from '../syntax/ast';
import {
  Builtin, Choice, Instance, PyClass, PyDict, PyFunction, PyList, UnknownValue, type Arguments, type Value,
} from '../values/values';
import { finishEnum, enumMember } from '../library/enums';
import { dataclassFields, makeDataclass, namedTuple, rememberScope } from '../library/dataclasses';
import { finishConfiguration, isConfiguration, keepKeywords } from '../library/pretrained';
import { builtinTypes, objectClass } from '../library/types';
import { bindArguments, callFunction } from './calls';
import { describe, evaluateArguments } from './expressions';
import type { Machine } from './machine';
import { Environment } from './scope';
import { decorate, executeBlock } from './statements';

export function defineClass(machine: Machine, node: Extract<Stmt, { kind: 'class' }>, env: Environment): Value {
  const bases: PyClass[] = [];
  const { positional } = evaluateArguments(machine, node.bases.filter((base) => base.name === undefined && base.star !== 2), env);
  positional.forEach((value, i) => {
    const base = asBase(machine, value, node.bases[i] ? describe(node.bases[i].value) : 'base', spanOf(node));
    if (base && !bases.includes(base)) bases.push(base);
  });
  if (bases.length === 0) bases.push(objectClass);
  const qualifiedName = env.kind === 'class' && env.cls ? `${env.cls.qualifiedName}.${node.name}` : `${env.module.name}.${node.name}`;
  const cls = new PyClass(node.name, qualifiedName, bases, spanOf(node), {}, node.body);
  cls.mro = linearize(cls);
  const inherited = cls.mro[1];
  if (cls.mro.some((base) => base.kind === 'enum' || base.name === 'Enum')) cls.kind = 'enum';
  else if (bases.some((base) => base.kind === 'namedtuple')) cls.kind = 'namedtuple';
  const scope = new Environment(env.module, env, 'class', env.index);
  scope.cls = cls;
  rememberScope(cls, scope);
  machine.call(() => executeBlock(machine, node.body, scope));
  for (const [name, value] of scope.variables) {
    if (value instanceof PyDict) value.boundTo ??= name;
    cls.dict.set(name, value instanceof PyFunction && name === '__init_subclass__' ? new PyFunction(value.definition, value.closure, value.defaults, cls, 'class') : value);
  }
  // pydantic's BaseModel makes dataclasses of its subclasses.
  if (cls.mro.some((base) => base.kind === 'dataclass' && base.span === null)) makeDataclass(cls);
  if (cls.kind === 'enum') finishEnum(cls);
  // Pydantic models are dataclasses by inheritance.
  if (cls.mro.some((base) => base.qualifiedName === 'pydantic.BaseModel')) makeDataclass(cls);
  if (cls.kind === 'namedtuple') cls.fields = inherited?.fields ?? dataclassFields(cls, scope);
  // A metaclass or __init_subclass__ may register the class.
  const hook = cls.mro.slice(1).map((base) => base.dict.get('__init_subclass__')).find((value) => value instanceof PyFunction);
  if (hook instanceof PyFunction) callFunction(machine, hook, { positional: [cls], keywords: new Map() }, spanOf(node));
  return decorate(machine, node.decorators, cls, env);
}

function asBase(machine: Machine, value: Value, text: string, span: SourceSpan): PyClass | null {
  if (value instanceof PyClass) return value;
  if (value instanceof Choice) return value.options.find((option): option is PyClass => option instanceof PyClass) ?? null;
  if (value instanceof Builtin || value === null || value instanceof Instance) return objectClass;
  const unknown = value instanceof UnknownValue ? value : machine.unknown(`base class ${text} is not known`, span);
  return new PyClass(text.replace(/^.*\./, ''), unknown.origin ? `${unknown.origin.package}.${unknown.origin.name}` : text, [objectClass], null, { unknown });
}

/** C3 linearization; when the bases contradict each other, depth first. */
export function linearize(cls: PyClass): PyClass[] {
  const sequences = [...cls.bases.map((base) => [...base.mro]), [...cls.bases]].filter((list) => list.length > 0);
  const result: PyClass[] = [cls];
  while (sequences.some((list) => list.length > 0)) {
    const head = sequences.find((list) => list.length > 0 && !sequences.some((other) => other.indexOf(list[0]!) > 0))?.[0];
    if (!head) return [cls, ...new Set(cls.bases.flatMap((base) => base.mro))];
    result.push(head);
    for (const list of sequences) if (list[0] === head) list.shift();
  }
  return result;
}

/** `cls(...)`. */
export function instantiate(machine: Machine, cls: PyClass, args: Arguments, site: SourceSpan): Value {
  if (cls.native.construct) return cls.native.construct(machine, args, site);
  if (cls.kind === 'enum') return enumMember(machine, cls, args.positional[0] ?? null);
  if (cls.kind === 'namedtuple') return namedTuple(machine, cls, args, site);
  if (cls.native.unknown) {
    const { reason, span, origin } = cls.native.unknown;
    return new UnknownValue(reason, span, origin ? { ...origin, called: site } : undefined);
  }
  const create = cls.lookup('__new__');
  if (create instanceof PyFunction) {
    const made = callFunction(machine, create, { ...args, positional: [cls, ...args.positional] }, site);
    if (!(made instanceof Instance && made.cls.isSubclassOf(cls))) return made;
    return initialize(machine, made, args, site);
  }
  if (cls.mro.includes(builtinTypes.dict)) return dictSubclass(machine, cls, args, site);
  if (cls.mro.includes(builtinTypes.list)) {
    const made = builtinTypes.list.native.construct!(machine, args, site);
    return made instanceof PyList ? made : new PyList([]);
  }
  for (const type of [builtinTypes.str, builtinTypes.int, builtinTypes.float, builtinTypes.tuple]) if (cls.mro.includes(type)) return type.native.construct!(machine, args, site);
  return initialize(machine, new Instance(cls, site), args, site);
}

/** Runs `__init__` on a new instance. */
export function initialize(machine: Machine, made: Instance, args: Arguments, site: SourceSpan = made.span): Instance {
  const init = made.cls.lookup('__init__');
  const configuration = isConfiguration(made.cls);
  if (configuration) keepKeywords(machine, made, args.keywords);
  if (init instanceof PyFunction) {
    const bound = bindArguments(machine, init, { ...args, positional: [made, ...args.positional] }, site);
    const self = init.definition.parameters[0]?.name;
    if (self !== undefined) bound.delete(self);
    made.arguments = bound;
    callFunction(machine, init, { ...args, positional: [made, ...args.positional] }, site);
  } else if (init instanceof Builtin) {
    made.arguments = args.keywords;
    init.call(machine, { ...args, positional: [made, ...args.positional] }, site);
  }
  if (configuration) { finishConfiguration(machine, made, args, site); return made; }
  const unknownBase = made.cls.unknownBase;
  if (unknownBase && !isKnownModuleBase(made.cls)) made.unknown ??= unknownBase;
  return made;
}

/** Base classes outside the workspace that add no parameters of their own. */
export const PASSIVE_BASES = new Set([
  'LightningModule', 'PreTrainedModel', 'GenerationMixin', 'PyTorchModelHubMixin', 'BaseModule', 'ModelMixin', 'ConfigMixin', 'ModuleUtilsMixin',
  'PeftAdapterMixin', 'BaseModel', 'ABC', 'Generic', 'Protocol', 'DeviceDtypeModuleMixin', 'HyperparametersMixin', 'FromOriginalModelMixin',
  'FromOriginalVAEMixin', 'UNet2DConditionLoadersMixin', 'CacheMixin', 'AttentionMixin', 'GradientCheckpointingLayer', 'PushToHubMixin', 'EmbeddingAccessMixin', 'BackboneMixin',
]);
function isKnownModuleBase(cls: PyClass): boolean {
  return cls.mro.every((base) => !base.native.unknown || PASSIVE_BASES.has(base.name) || /PreTrainedModel$|Mixin$/.test(base.name));
}

/** `class Config(dict)`: a dict whose attributes are its items. */
function dictSubclass(machine: Machine, cls: PyClass, args: Arguments, site: SourceSpan): Value {
  const made = new PyDict();
  made.cls = cls;
  made.attributeAccess = true;
  const init = cls.lookup('__init__');
  if (init instanceof PyFunction) callFunction(machine, init, { ...args, positional: [made, ...args.positional] }, site);
  else {
    const filled = builtinTypes.dict.native.construct!(machine, args, site);
    if (filled instanceof PyDict) { for (const entry of filled.entries.values()) made.set(entry.key, entry.value); made.rest = filled.rest; }
  }
  return made;
}

