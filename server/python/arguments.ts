/** What a root is built with: arguments given by the user, else defaults, else configurations the source itself supplies. */
import { isUnknownArgument, type RootCandidate } from './module-tree';
import { PyClass, PyDict, PyFloat, PyFunction, PyList, type Arguments, type UnknownValue, type Value } from './values/values';
import { callValue, noArguments } from './evaluation/calls';
import type { Machine } from './evaluation/machine';
import { spanOf, type Expr } from './syntax/ast';
import { adjustableFields, annotatedClass, configurationFor, configured, configuredWith, gatherFields, isSize, required, signatureOf, type Parameter } from './configurations';
import { isModuleClass } from './library/types';
import { isConfiguration } from './library/pretrained';
import { requiredFields } from './library/dataclasses';
import { torchClass } from './library/torch-classes';

export { signatureOf } from './configurations';

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
export function adjustableParameters(machine: Machine, target: PyClass | PyFunction, passedTo: PyClass | null = null, depth = 0): NonNullable<RootCandidate['adjustable']> {
  const signatures = [...signaturesOf(target), ...(passedTo && signatureOf(target)?.parameters.some(({ kind }) => kind === 'kwargs') ? signaturesOf(passedTo) : [])];
  const found = new Map<string, NonNullable<RootCandidate['adjustable']>[number][]>();
  for (const signature of signatures) {
    for (const parameter of signature.parameters) {
      if (!found.has(parameter.name)) found.set(parameter.name, adjustable(machine, target, signature.fn, parameter, depth));
    }
  }
  return [...found.values()].flat();
}

function adjustable(machine: Machine, target: PyClass | PyFunction, fn: PyFunction, parameter: Parameter, depth: number): NonNullable<RootCandidate['adjustable']>[number][] {
  const { name } = parameter;
  const value = fn.defaults.get(name);
  if (value === undefined) {
    const cls = parameter.kind === 'normal' ? configurationFor(machine, target, fn, parameter) : null;
    const handed = cls ? null : handedClass(machine, target, fn, parameter, depth);
    if (handed) return adjustableParameters(machine, handed, null, depth + 1).map((inner) => ({ ...inner, name: `${name}.${inner.name}` }));
    if (!cls) return [];
    const fields = isConfiguration(cls) ? [] : adjustableFields(machine, name, cls);
    return fields.length > 0 ? fields : [{ name, kind: 'size' }];
  }
  if (isSize(value)) return [{ name, kind: 'size', value: machine.plain(value) }];
  if (typeof value === 'string') {
    const choices = comparedWith(fn, name).filter((choice) => choice !== value);
    return [{ name, kind: 'option', value, ...(choices.length > 0 ? { choices } : {}) }];
  }
  // `block_kwargs={}`: further arguments for something inside.
  if (value instanceof PyDict && value.entries.size === 0 && value.rest === undefined) return [{ name, kind: 'option', value: {} }];
  return value === null || typeof value === 'boolean' ? [{ name, kind: 'option', value }] : [];
}

const MAX_CHOICES = 8;
/** Texts that a function compares its parameter with (`==`, `in`), by itself or as the attribute it is kept in. */
function comparedWith(fn: PyFunction, parameter: string): string[] {
  const found = new Set<string>();
  const isIt = (node: Expr): boolean => (node.kind === 'name' && node.name === parameter) || (node.kind === 'attribute' && node.name === parameter && node.object.kind === 'name' && node.object.name === 'self');
  const texts = (node: Expr): string[] => (node.kind === 'str' ? [node.value] : node.kind === 'tuple' || node.kind === 'list' || node.kind === 'set' ? node.items.flatMap(texts) : []);
  const walk = (node: unknown): void => {
    if (Array.isArray(node)) { node.forEach(walk); return; }
    if (typeof node !== 'object' || node === null) return;
    const { kind, first, rest, statements } = node as { kind?: unknown; first?: Expr; rest?: readonly { operator: string; value: Expr }[]; statements?: unknown };
    // Functions inside a function compare their own names.
    if (typeof statements === 'function') return;
    if (kind === 'compare' && first && rest?.length === 1 && isIt(first)) for (const text of texts(rest[0]!.value)) found.add(text);
    for (const [key, part] of Object.entries(node)) if (key !== 'anchor') walk(part);
  };
  walk(fn.definition.body.statements());
  return [...found].slice(0, MAX_CHOICES);
}

const missingValues = new WeakSet<UnknownValue>();
/** Is this what stands for a required argument of the root that nobody gave? It may be anything, a module too. */
export const isMissingArgument = (value: UnknownValue): boolean => missingValues.has(value);

/** Arguments for building a root. What is assumed is recorded. */
export function rootArguments(machine: Machine, target: PyClass | PyFunction, given: Readonly<Record<string, unknown>>, depth = 0): Arguments {
  const signature = signatureOf(target);
  const where = signature ? spanOf(signature.fn.definition) : undefined;
  const unknownArgument = (name: string): Value => machine.unknown(`the checkpoint was not built with the default of ${name}`, where);
  const { whole, fields } = gatherFields(given);
  const keywords = new Map<string, Value>([...whole]
    .map(([name, value]) => [name, isUnknownArgument(value) ? unknownArgument(name) : fields.has(name) ? fromJson(value) : configured(machine, target, name, fromJson(value))] as const));
  for (const [name, values] of fields) {
    const made = configuredWith(machine, target, name, keywords.get(name), values, fromJson);
    if (made !== undefined) keywords.set(name, made);
  }
  const names = new Set(signature?.parameters.map((parameter) => parameter.name));
  if (signature && !signature.parameters.some((parameter) => parameter.kind === 'kwargs')) {
    for (const name of keywords.keys()) if (!names.has(name)) machine.note({ reason: `${name} is not a parameter of ${target.name}`, span: spanOf(signature.fn.definition) });
  }
  if (!signature) return { positional: [], keywords };
  for (const parameter of required(signature)) {
    if (keywords.has(parameter.name)) continue;
    const span = spanOf(parameter.annotation ?? signature.fn.definition);
    const cls = configurationFor(machine, target, signature.fn, parameter);
    const handed = cls ? undefined : handedModule(machine, target, signature.fn, parameter, Object.fromEntries(fields.get(parameter.name) ?? []), depth);
    if (cls) {
      keywords.set(parameter.name, callValue(machine, cls, noArguments, span));
      machine.assume(`${parameter.name} = ${cls.name}() with all defaults`, cls.span ?? span);
    } else if (handed !== undefined) {
      keywords.set(parameter.name, handed);
      machine.assume(`${parameter.name} is of the class that its annotation names`, span);
    } else {
      const value = machine.unknown(`argument ${parameter.name} of ${target.name} is not given`, span);
      missingValues.add(value);
      keywords.set(parameter.name, value);
    }
  }
  return { positional: [], keywords };
}

/** Modules in modules in arguments are followed this far. */
const MAX_HANDED = 3;

/** `bert: BERT`: the class of a module that is handed in, when no other class in sight derives from it. */
function handedClass(machine: Machine, target: PyClass | PyFunction, fn: PyFunction, parameter: Parameter, depth: number): PyClass | null {
  if (!parameter.annotation || depth >= MAX_HANDED) return null;
  const cls = annotatedClass(machine, parameter.annotation, fn.closure, fn.closure.module);
  if (!cls || cls.span === null || cls === target || !isModuleClass(cls) || cls.unknownBase) return null;
  return [...machine.finder.loaded()].some((module) => module.derives(cls.name)) ? null : cls;
}

/** Such a module, made as a root would be: `given` are arguments of its constructor. */
function handedModule(machine: Machine, target: PyClass | PyFunction, fn: PyFunction, parameter: Parameter, given: Readonly<Record<string, unknown>>, depth: number): Value | undefined {
  const cls = handedClass(machine, target, fn, parameter, depth);
  return cls ? callValue(machine, cls, rootArguments(machine, cls, given, depth + 1), spanOf(parameter.annotation!)) : undefined;
}
