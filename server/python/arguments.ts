/** What a root is built with: arguments given by the user, else defaults, else configurations the source itself supplies. */
import { isUnknownArgument, type RootCandidate } from './module-tree';
import type { Expr } from './syntax/ast';
import { Instance, PyClass, PyDict, PyFloat, PyFunction, PyList, PyTuple, type Arguments, type UnknownValue, type Value } from './values/values';
import { callValue, noArguments } from './evaluation/calls';
import { evaluate } from './evaluation/expressions';
import { PyRaise, type Machine } from './evaluation/machine';
import type { ModuleScope } from './evaluation/scope';
import { spanOf } from './syntax/ast';
import { isModuleClass } from './library/types';
import { isConfiguration, keywordsOf } from './library/pretrained';
import { requiredFields } from './library/dataclasses';
import { torchClass } from './library/torch-classes';

/** JSON as a Python value; objects can be read by item and by attribute. */
export function fromJson(value: unknown): Value {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return typeof value === 'string' ? namedClass(value) ?? value : value;
  if (typeof value === 'number') return Number.isInteger(value) ? value : new PyFloat(value);
  if (Array.isArray(value)) { const made = new PyList(value.map(fromJson)); made.fromJson = true; return made; }
  if (typeof value !== 'object') return null;
  const made = new PyDict(Object.entries(value).map(([key, item]) => [key, fromJson(item)] as const));
  made.attributeAccess = true;
  return made;
}
const namedClass = (text: string): PyClass | undefined => (/^(torch\.)?nn\.[A-Z]\w*$/.test(text) ? torchClass(text.startsWith('torch.') ? text : `torch.${text}`) : undefined);

/** The function whose parameters a root takes, without `self`. */
export function signatureOf(target: PyClass | PyFunction): { fn: PyFunction; parameters: PyFunction['definition']['parameters'] } | null {
  if (target instanceof PyFunction) return { fn: target, parameters: target.definition.parameters };
  const init = target.lookup('__init__');
  return init instanceof PyFunction ? { fn: init, parameters: init.definition.parameters.slice(1) } : null;
}

/** Required parameters that neither a default nor a configuration class fills. */
export function missingArguments(machine: Machine, target: PyClass | PyFunction): string[] {
  const signature = signatureOf(target);
  if (!signature) return target instanceof PyClass && target.kind === 'dataclass' ? requiredFields(target) : [];
  return required(signature).filter((parameter) => !configurationFor(machine, target, signature.fn, parameter)).map((parameter) => parameter.name);
}
/** Names of the parameters that can be given by keyword, so that values found elsewhere can fill them. */
export function keywordParameters(target: PyClass | PyFunction): string[] {
  const signature = signatureOf(target);
  if (!signature) return target instanceof PyClass && target.kind === 'dataclass' ? (target.fields ?? []).map((field) => field.name) : [];
  return signature.parameters.filter((parameter) => parameter.kind !== 'varargs' && parameter.kind !== 'kwargs' && parameter.kind !== 'positional').map((parameter) => parameter.name);
}
const required = ({ fn, parameters }: NonNullable<ReturnType<typeof signatureOf>>): PyFunction['definition']['parameters'] =>
  parameters.filter((parameter) => parameter.kind !== 'varargs' && parameter.kind !== 'kwargs' && !fn.defaults.has(parameter.name));

/** The function that a decorator wrapped, as `functools.wraps` says: its signature is what callers see. */
export function undecorated(fn: PyFunction): PyFunction {
  let inner = fn;
  for (let depth = 0; depth < 8; depth++) {
    const wrapped = inner.attributes.get('__wrapped__');
    if (!(wrapped instanceof PyFunction)) break;
    inner = wrapped;
  }
  return inner;
}

/** The signatures that keywords of a call reach: the function's own, and behind a `**kwargs` those of the base classes. */
function signaturesOf(target: PyClass | PyFunction): NonNullable<ReturnType<typeof signatureOf>>[] {
  const first = signatureOf(target);
  if (!first) return [];
  const found = [first];
  if (!(target instanceof PyClass)) return found;
  const takesMore = (): boolean => found.at(-1)!.parameters.some((parameter) => parameter.kind === 'kwargs');
  for (const cls of target.mro.slice(first.fn.owner ? target.mro.indexOf(first.fn.owner) + 1 : 1)) {
    if (!takesMore()) break;
    const init = cls.dict.get('__init__');
    if (init instanceof PyFunction) found.push({ fn: init, parameters: init.definition.parameters.slice(1) });
  }
  return found;
}

/**
 * Parameters whose default is a plain value or a configuration object: what a checkpoint may have been built with
 * otherwise. `passedTo` is the class that the keywords a function does not name go to.
 */
export function adjustableParameters(machine: Machine, target: PyClass | PyFunction, passedTo: PyClass | null = null): NonNullable<RootCandidate['adjustable']> {
  const signatures = [...signaturesOf(target), ...(passedTo && signatureOf(target)?.parameters.some(({ kind }) => kind === 'kwargs') ? signaturesOf(passedTo) : [])];
  const found = new Map<string, NonNullable<RootCandidate['adjustable']>[number] | null>();
  for (const signature of signatures) {
    for (const parameter of signature.parameters) {
      if (!found.has(parameter.name)) found.set(parameter.name, adjustable(machine, target, signature.fn, parameter));
    }
  }
  return [...found.values()].filter((parameter) => parameter !== null);
}

function adjustable(machine: Machine, target: PyClass | PyFunction, fn: PyFunction, parameter: PyFunction['definition']['parameters'][number]): NonNullable<RootCandidate['adjustable']>[number] | null {
  const { name } = parameter;
  const value = fn.defaults.get(name);
  if (value === undefined) return parameter.kind === 'normal' && configurationFor(machine, target, fn, parameter) ? { name, kind: 'size' } : null;
  if (isSize(value)) return { name, kind: 'size', value: machine.plain(value) };
  return value === null || typeof value === 'boolean' || typeof value === 'string' ? { name, kind: 'option', value } : null;
}
const isSize = (value: Value): boolean => typeof value === 'number' || value instanceof PyFloat
  || ((value instanceof PyList || value instanceof PyTuple) && value.items.length > 0 && value.items.every(isSize));

/** Plain values for a parameter that takes a configuration of transformers: the object that its class makes of them. */
function configured(machine: Machine, signature: ReturnType<typeof signatureOf>, name: string, value: Value): Value {
  const parameter = signature?.parameters.find((one) => one.name === name);
  if (!(value instanceof PyDict) || !signature || !parameter) return value;
  const annotated = parameter.annotation && annotatedClass(machine, parameter.annotation, signature.fn, signature.fn.closure.module);
  const own = signature.fn.owner?.lookup('config_class');
  const cls = annotated && isConfiguration(annotated) && annotated.span ? annotated : own instanceof PyClass && isConfiguration(own) ? own : null;
  if (!cls) return value;
  try {
    const made = callValue(machine, cls, { ...noArguments, keywords: keywordsOf(value) }, cls.span ?? spanOf(signature.fn.definition));
    return made instanceof Instance ? made : value;
  } catch (error) {
    if (!(error instanceof PyRaise)) throw error;
    return value;
  }
}

const missingValues = new WeakSet<UnknownValue>();
/** Is this what stands for a required argument of the root that nobody gave? It may be anything, a module too. */
export const isMissingArgument = (value: UnknownValue): boolean => missingValues.has(value);

/** Arguments for building a root. What is assumed is recorded. */
export function rootArguments(machine: Machine, target: PyClass | PyFunction, given: Readonly<Record<string, unknown>>): Arguments {
  const signature = signatureOf(target);
  const where = signature ? spanOf(signature.fn.definition) : undefined;
  const unknownArgument = (name: string): Value => machine.unknown(`the checkpoint was not built with the default of ${name}`, where);
  const keywords = new Map<string, Value>(Object.entries(given)
    .map(([name, value]) => [name, isUnknownArgument(value) ? unknownArgument(name) : configured(machine, signature, name, fromJson(value))] as const));
  const names = new Set(signature?.parameters.map((parameter) => parameter.name));
  if (signature && !signature.parameters.some((parameter) => parameter.kind === 'kwargs')) {
    for (const name of keywords.keys()) if (!names.has(name)) machine.note({ reason: `${name} is not a parameter of ${target.name}`, span: spanOf(signature.fn.definition) });
  }
  if (!signature) return { positional: [], keywords };
  for (const parameter of required(signature)) {
    if (keywords.has(parameter.name)) continue;
    const span = spanOf(parameter.annotation ?? signature.fn.definition);
    const cls = configurationFor(machine, target, signature.fn, parameter);
    if (cls) {
      keywords.set(parameter.name, callValue(machine, cls, noArguments, span));
      machine.assume(`${parameter.name} = ${cls.name}() with all defaults`, cls.span ?? span);
    } else {
      const value = machine.unknown(`argument ${parameter.name} of ${target.name} is not given`, span);
      missingValues.add(value);
      keywords.set(parameter.name, value);
    }
  }
  return { positional: [], keywords };
}

const CONFIG_PARAMETER = /^(config|cfg|conf|args|params|hparams|hps|hp|opt|opts|options|model_args|model_config|configs|c|mc)$/i;
const CONFIG_CLASS = /(Config|Args|Arguments|Cfg|Params|Parameters|HParams|Hyperparameters|Options|Settings)$/;

/** The class in the source that such a parameter is an object of, when it can be built without arguments. */
function configurationFor(machine: Machine, target: PyClass | PyFunction, fn: PyFunction, parameter: PyFunction['definition']['parameters'][number]): PyClass | null {
  const { module } = fn.closure;
  if (parameter.annotation) {
    const cls = annotatedClass(machine, parameter.annotation, fn, module);
    return cls && buildable(cls) ? cls : null;
  }
  if (!CONFIG_PARAMETER.test(parameter.name)) return null;
  const candidates = [...module.boundNames()].filter((name) => CONFIG_CLASS.test(name))
    .map((name) => module.lookup(machine, name)).filter((value): value is PyClass => value instanceof PyClass && buildable(value));
  const wanted = [`${target.name}Config`, `${target.name}Args`, `${target.name}Cfg`];
  return candidates.find((cls) => wanted.includes(cls.name)) ?? (candidates.length === 1 ? candidates[0]! : null);
}

function annotatedClass(machine: Machine, annotation: Expr, fn: PyFunction, module: ModuleScope): PyClass | null {
  switch (annotation.kind) {
    case 'str': {
      const value = /^[A-Za-z_]\w*$/.test(annotation.value) ? module.lookup(machine, annotation.value) : undefined;
      return value instanceof PyClass ? value : null;
    }
    case 'name': case 'attribute': {
      const value = evaluate(machine, annotation, fn.closure);
      return value instanceof PyClass ? value : null;
    }
    // Optional[Config], Union[Config, dict], Config | None
    case 'subscript': return annotatedClass(machine, annotation.index.kind === 'tuple' ? annotation.index.items[0]! : annotation.index, fn, module);
    case 'binary': return annotatedClass(machine, annotation.left, fn, module);
    default: return null;
  }
}

/** A plain class of the workspace whose constructor needs nothing. */
function buildable(cls: PyClass): boolean {
  if (cls.span === null || isModuleClass(cls) || cls.kind === 'enum') return false;
  if (cls.kind === 'dataclass' || cls.kind === 'namedtuple') return requiredFields(cls).length === 0;
  const signature = signatureOf(cls);
  return !signature || required(signature).length === 0;
}
