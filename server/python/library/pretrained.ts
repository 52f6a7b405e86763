/** What the base classes of transformers do: configurations keep their keywords, models are built from a configuration. */
import type { SourceSpan } from '../module-tree';
import { Builtin, Instance, PyClass, PyDict, PyFunction, type Arguments, type Value } from '../values/values';
import { callFunction, callValue, noArguments } from '../evaluation/calls';
import type { Machine } from '../evaluation/machine';
import { configurationClass } from './auto-classes';
import { argument } from './support';
import { nativeClass } from './types';

const derives = (cls: PyClass, name: RegExp): boolean => cls.mro.some((base) => base.native.unknown !== undefined && name.test(base.name));
export const isConfiguration = (cls: PyClass): boolean => derives(cls, /^Pre[tT]rainedConfig$/);
const isPretrainedModel = (cls: PyClass): boolean => derives(cls, /^PreTrainedModel$/);

/** `Config(**values)`: every keyword becomes an attribute, also those that no class declares. */
export function keepKeywords(machine: Machine, made: Instance, keywords: ReadonlyMap<string, Value>): void {
  machine.touch(made);
  for (const [name, value] of keywords) made.attributes.set(name, value);
}

/** After its keywords are kept: a configuration without a constructor of its own runs the hook that dataclasses have. */
export function finishConfiguration(machine: Machine, made: Instance, args: Arguments, site: SourceSpan): void {
  const { cls } = made;
  const hook = cls.lookup('__post_init__');
  if (!cls.mro.some((base) => base.dict.get('__init__') instanceof PyFunction)) {
    const rest = new Map([...args.keywords].filter(([name]) => cls.lookup(name) === undefined));
    if (hook instanceof PyFunction) callFunction(machine, hook, { ...noArguments, positional: [made], keywords: rest }, site);
    else makeSubConfigurations(machine, made, site);
  }
  aliases(machine, made);
}

/** `attribute_map`: other names under which models read the same value. */
function aliases(machine: Machine, made: Instance): void {
  const map = made.cls.lookup('attribute_map');
  if (!(map instanceof PyDict)) return;
  machine.touch(made);
  for (const { key, value } of map.entries.values()) {
    if (typeof key !== 'string' || typeof value !== 'string') continue;
    const given = made.attributes.get(key);
    const own = made.attributes.get(value) ?? made.cls.lookup(value);
    if (given !== undefined) made.attributes.set(value, given);
    else if (own !== undefined) made.attributes.set(key, own);
  }
}

/** The base class's part of `__post_init__`: plain dictionaries become the configurations that the class names for them. */
export function makeSubConfigurations(machine: Machine, made: Instance, site: SourceSpan): void {
  const named = made.cls.lookup('sub_configs_defaults') ?? made.cls.lookup('sub_configs');
  if (!(named instanceof PyDict)) return;
  machine.touch(made);
  for (const { key, value } of named.entries.values()) {
    if (typeof key !== 'string') continue;
    const given = made.attributes.get(key) ?? made.cls.lookup(key) ?? null;
    if (given !== null && !(given instanceof PyDict)) continue;
    const spec = value instanceof Instance && value.cls === subConfigSpec ? value.attributes : new Map([['config_class', value]]);
    if (given === null && spec.get('optional') === true) continue;
    const cls = subConfigurationClass(machine, spec, given);
    const defaults = spec.get('init_kwargs');
    const values = given ?? (defaults instanceof PyDict ? defaults : null);
    if (cls) made.attributes.set(key, callValue(machine, cls, { ...noArguments, keywords: values ? keywordsOf(values) : new Map() }, site));
  }
}

/** The class that a table names, or the one of the model type where it leaves the choice to the values. */
function subConfigurationClass(machine: Machine, spec: ReadonlyMap<string, Value>, given: PyDict | null): PyClass | null {
  const cls = spec.get('config_class');
  if (cls instanceof PyClass && isConfiguration(cls)) return cls;
  const type = given?.get('model_type') ?? spec.get('model_type');
  return typeof type === 'string' ? configurationClass(machine, type) : null;
}

/** `SubConfigSpec(config_class, model_type, init_kwargs, optional)`: how a configuration makes one inside it. */
export const subConfigSpec: PyClass = nativeClass('SubConfigSpec', { construct: (_, args, site) => {
  const made = new Instance(subConfigSpec, site);
  ['config_class', 'model_type', 'init_kwargs', 'optional'].forEach((name, i) => { const value = argument(args, i, name); if (value !== undefined) made.attributes.set(name, value); });
  return made;
} });

/** String keys of a dictionary with their values. */
export const keywordsOf = (dict: PyDict): Map<string, Value> =>
  new Map([...dict.entries.values()].flatMap(({ key, value }) => (typeof key === 'string' ? [[key, value] as const] : [])));

/** `Model._from_config(config)`: the constructor. The other keywords choose element types and kernels. */
export function pretrainedClassMethod(cls: PyClass, name: string): Value | undefined {
  if (name !== '_from_config' || !isPretrainedModel(cls)) return undefined;
  return new Builtin(name, (machine, args, site) => callValue(machine, cls, { ...noArguments, positional: args.positional.slice(0, 1), keywords: new Map([...args.keywords].filter(([key]) => key === 'config')) }, site));
}

/** `_tied_weights_keys` of a model class: names that hold no tensor of their own when embeddings are tied, and where it is. */
export function declaredTies(cls: PyClass): { ties?: readonly (readonly [string, string])[] } {
  const keys = isPretrainedModel(cls) ? cls.lookup('_tied_weights_keys') : undefined;
  if (!(keys instanceof PyDict)) return {};
  return { ties: [...keys.entries.values()].flatMap(({ key, value }) => (typeof key === 'string' && typeof value === 'string' ? [[key, value] as const] : [])) };
}
