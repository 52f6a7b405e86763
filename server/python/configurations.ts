/**
 * Objects that a model is configured with (`config: ModelArgs`): which class of the source they are of, which of its fields
 * may have been other values, and how plain values (params.json, `model_args`) become one.
 */
import { isUnknownArgument, type RootCandidate } from './module-tree';
import type { Expr } from './syntax/ast';
import { Instance, PyClass, PyDict, PyFloat, PyFunction, PyList, PyTuple, type Value } from './values/values';
import { callValue, noArguments } from './evaluation/calls';
import { evaluate } from './evaluation/expressions';
import { PyRaise, type Machine } from './evaluation/machine';
import type { Environment, ModuleScope } from './evaluation/scope';
import { spanOf } from './syntax/ast';
import { requiredFields } from './library/dataclasses';
import { isConfiguration, keywordsOf } from './library/pretrained';
import { isModuleClass } from './library/types';

export type Parameter = PyFunction['definition']['parameters'][number];
type Adjustable = NonNullable<RootCandidate['adjustable']>[number];

const CONFIG_PARAMETER = /^(config|cfg|conf|args|params|hparams|hps|hp|opt|opts|options|model_args|model_config|configs|c|mc)$/i;
const CONFIG_CLASS = /(Config|Args|Arguments|Cfg|Params|Parameters|HParams|Hyperparameters|Options|Settings)$/;

/** The function whose parameters a class or function takes, without `self`. */
export function signatureOf(target: PyClass | PyFunction): { fn: PyFunction; parameters: readonly Parameter[] } | null {
  if (target instanceof PyFunction) return { fn: target, parameters: target.definition.parameters };
  const init = target.lookup('__init__');
  return init instanceof PyFunction ? { fn: init, parameters: init.definition.parameters.slice(1) } : null;
}
export const required = ({ fn, parameters }: { fn: PyFunction; parameters: readonly Parameter[] }): Parameter[] =>
  parameters.filter((parameter) => parameter.kind !== 'varargs' && parameter.kind !== 'kwargs' && !fn.defaults.has(parameter.name));

export const isSize = (value: Value): boolean => typeof value === 'number' || value instanceof PyFloat
  || ((value instanceof PyList || value instanceof PyTuple) && value.items.length > 0 && value.items.every(isSize));

/** The class in the source that such a parameter is an object of, when it can be built without arguments. */
export function configurationFor(machine: Machine, target: PyClass | PyFunction, fn: PyFunction, parameter: Parameter): PyClass | null {
  const { module } = fn.closure;
  if (parameter.annotation) {
    const cls = annotatedClass(machine, parameter.annotation, fn.closure, module);
    return cls && buildable(cls) ? cls : null;
  }
  if (!CONFIG_PARAMETER.test(parameter.name)) return null;
  const candidates = [...module.boundNames()].filter((name) => CONFIG_CLASS.test(name))
    .map((name) => module.lookup(machine, name)).filter((value): value is PyClass => value instanceof PyClass && buildable(value));
  const wanted = [`${target.name}Config`, `${target.name}Args`, `${target.name}Cfg`];
  return candidates.find((cls) => wanted.includes(cls.name)) ?? (candidates.length === 1 ? candidates[0]! : null);
}

/** The class that an annotation names: `Config`, `'Config'`, `Optional[Config]`, `Config | None`. */
export function annotatedClass(machine: Machine, annotation: Expr, scope: Environment, module: ModuleScope): PyClass | null {
  switch (annotation.kind) {
    case 'str': {
      const value = /^[A-Za-z_]\w*$/.test(annotation.value) ? module.lookup(machine, annotation.value) : undefined;
      return value instanceof PyClass ? value : null;
    }
    case 'name': case 'attribute': {
      const value = evaluate(machine, annotation, scope);
      return value instanceof PyClass ? value : null;
    }
    case 'subscript': return annotatedClass(machine, annotation.index.kind === 'tuple' ? annotation.index.items[0]! : annotation.index, scope, module);
    case 'binary': return annotatedClass(machine, annotation.left, scope, module);
    default: return null;
  }
}

/** A plain class of the workspace whose constructor needs nothing. */
function buildable(cls: PyClass): boolean {
  if (!isPlainClass(cls)) return false;
  if (cls.kind === 'dataclass' || cls.kind === 'namedtuple') return requiredFields(cls).length === 0;
  const signature = signatureOf(cls);
  return !signature || required(signature).length === 0;
}
const isPlainClass = (cls: PyClass): boolean => cls.span !== null && !isModuleClass(cls) && cls.kind !== 'enum';

/** Names that the constructor of a configuration takes, or null when it takes any. */
function fieldNames(cls: PyClass): string[] | null {
  if (cls.kind === 'dataclass' || cls.kind === 'namedtuple') return (cls.fields ?? []).map(({ name }) => name);
  const parameters = signatureOf(cls)?.parameters ?? [];
  return parameters.some(({ kind }) => kind === 'kwargs') ? null : parameters.map(({ name }) => name);
}

/**
 * The fields of a configuration object as parameters of their own: `config.n_layer`. A field that the object fills itself
 * (`head_size: Optional[int] = None`) counts with the value it gets.
 */
export function adjustableFields(machine: Machine, parameter: string, cls: PyClass): Adjustable[] {
  const made = build(machine, cls, new Map());
  if (!(made instanceof Instance)) return [];
  const plain = [...made.cls.mro].reverse().flatMap((base) => (base.span ? [...base.dict] : []));
  const values = new Map([...(cls.kind === 'dataclass' ? [] : plain), ...made.attributes]);
  const taken = fieldNames(cls) ?? [];
  return [...values].flatMap(([field, value]): Adjustable[] => {
    if (field.startsWith('_') || (cls.kind === 'dataclass' && !taken.includes(field))) return [];
    const name = `${parameter}.${field}`;
    if (isSize(value)) return [{ name, kind: 'size', value: machine.plain(value) }];
    return value === null || typeof value === 'boolean' || typeof value === 'string' ? [{ name, kind: 'option', value }] : [];
  });
}

/** An object of the class with these values: those its constructor takes, and where it has none, as attributes. */
function build(machine: Machine, cls: PyClass, values: ReadonlyMap<string, Value>): Value | null {
  const names = isConfiguration(cls) ? null : fieldNames(cls);
  const attributes = cls.kind === 'class' && !isConfiguration(cls);
  const keywords = new Map([...values].filter(([name]) => names === null || names.includes(name)));
  for (const [name, value] of keywords) {
    const nested = value instanceof PyDict ? nestedClass(machine, cls, name) : null;
    if (nested) keywords.set(name, build(machine, nested, keywordsOf(value as PyDict)) ?? value);
  }
  try {
    const made = callValue(machine, cls, { ...noArguments, keywords }, cls.span!);
    if (attributes && made instanceof Instance) for (const [name, value] of values) if (!keywords.has(name)) { machine.touch(made); made.attributes.set(name, value); }
    return made;
  } catch (error) {
    if (!(error instanceof PyRaise)) throw error;
    return null;
  }
}
function nestedClass(machine: Machine, cls: PyClass, name: string): PyClass | null {
  const field = cls.kind === 'dataclass' ? cls.fields?.find((one) => one.name === name) : undefined;
  if (!field?.annotation) return null;
  const found = annotatedClass(machine, field.annotation, field.environment, field.environment.module);
  return found && isPlainClass(found) ? found : null;
}

/**
 * Plain values for a parameter that takes a configuration object: the object that its class makes of them. Values stay as
 * they are when no class is known, or when it has none of their names.
 */
export function configured(machine: Machine, target: PyClass | PyFunction, name: string, value: Value): Value {
  const signature = signatureOf(target);
  const parameter = signature?.parameters.find((one) => one.name === name);
  if (!(value instanceof PyDict) || !signature || !parameter) return value;
  const cls = classOf(machine, target, signature.fn, parameter);
  if (!cls) return value;
  const given = keywordsOf(value);
  const names = isConfiguration(cls) ? null : fieldNames(cls);
  if (names && names.length > 0 && !names.some((field) => given.has(field))) return value;
  const made = build(machine, cls, given);
  return made instanceof Instance || made instanceof PyTuple ? made : value;
}
function classOf(machine: Machine, target: PyClass | PyFunction, fn: PyFunction, parameter: Parameter): PyClass | null {
  const annotated = parameter.annotation && annotatedClass(machine, parameter.annotation, fn.closure, fn.closure.module);
  if (annotated && isPlainClass(annotated) && (isConfiguration(annotated) || annotated.unknownBase === undefined || annotated.kind === 'dataclass')) return annotated;
  const own = fn.owner?.lookup('config_class');
  if (own instanceof PyClass && isConfiguration(own)) return own;
  return parameter.annotation ? null : configurationFor(machine, target, fn, parameter);
}

/** `config.n_layer` among the arguments changes one field: the arguments with such names gathered under their object's. */
export function gatherFields(given: Readonly<Record<string, unknown>>): { whole: Map<string, unknown>; fields: Map<string, Map<string, unknown>> } {
  const whole = new Map<string, unknown>();
  const fields = new Map<string, Map<string, unknown>>();
  for (const [name, value] of Object.entries(given)) {
    const dot = name.indexOf('.');
    if (dot < 0) { whole.set(name, value); continue; }
    const object = name.slice(0, dot);
    fields.set(object, (fields.get(object) ?? new Map<string, unknown>()).set(name.slice(dot + 1), value));
  }
  return { whole, fields };
}

/** A configuration object with some fields given: over its defaults, or over the values that came with the weights. */
export function configuredWith(machine: Machine, target: PyClass | PyFunction, name: string, base: Value | undefined, fields: ReadonlyMap<string, unknown>, convert: (value: unknown) => Value): Value | undefined {
  const signature = signatureOf(target);
  const parameter = signature?.parameters.find((one) => one.name === name);
  if (!signature || !parameter) return undefined;
  const given = new Map([...fields].map(([field, value]): [string, Value] => [field,
    isUnknownArgument(value) ? machine.unknown(`the checkpoint was not built with the default of ${name}.${field}`, spanOf(signature.fn.definition)) : convert(value)]));
  if (base instanceof PyDict) {
    for (const [field, value] of given) base.set(field, value);
    return configured(machine, target, name, base);
  }
  const cls = configurationFor(machine, target, signature.fn, parameter);
  return cls ? build(machine, cls, given) ?? undefined : undefined;
}
