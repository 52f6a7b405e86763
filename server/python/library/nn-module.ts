/** `torch.nn.Module`: registration, traversal, and the methods that give the module back. */
import {
  Builtin, Choice, Instance, Opaque, PyDict, PyList, PyTuple, Tensor, type Value,
} from '../values/values';
import { registerAttribute } from '../evaluation/attributes';
import type { Machine } from '../evaluation/machine';
import { argument, method, notKnown } from './support';
import { isModule, moduleClass, parameterClass } from './types';

/** Name and module of everything below, the module itself first, each module once. */
export function walkModules(root: Instance, prefix = '', seen = new Set<Instance>()): { name: string; module: Instance }[] {
  if (seen.has(root)) return [];
  seen.add(root);
  const result = [{ name: prefix, module: root }];
  for (const [name, value] of root.modules) {
    for (const option of value instanceof Choice ? value.options : [value]) if (isModule(option)) result.push(...walkModules(option, prefix === '' ? name : `${prefix}.${name}`, seen));
  }
  return result;
}
const tensorsOf = (root: Instance, kind: 'parameters' | 'buffers', recurse: boolean): { name: string; value: Value }[] =>
  (recurse ? walkModules(root) : [{ name: '', module: root }]).flatMap(({ name, module }) =>
    [...module[kind]].filter(([, value]) => value !== null).map(([own, value]) => ({ name: name === '' ? own : `${name}.${own}`, value })));

const self = (value: Value | undefined): Instance | null => (value instanceof Instance ? value : null);
const pairs = (items: readonly { name: string; value: Value }[]): Value => new PyList(items.map(({ name, value }) => new PyTuple([name, value])));

function register(machine: Machine, object: Instance, name: Value | undefined, value: Value): void {
  machine.touch(object);
  registerAttribute(object, typeof name === 'string' ? name : '*', value);
}

const addModule: Builtin = method('add_module', (m, args) => {
  const object = self(args.positional[0]);
  const child = argument(args, 2, 'module') ?? null;
  const name = argument(args, 1, 'name');
  if (!object) return null;
  if (child === null) { m.touch(object); object.modules.set(typeof name === 'string' ? name : '*', null); } else register(m, object, name, child);
  return null;
});

const methods: Readonly<Record<string, Builtin>> = {
  __init__: method('__init__', (m, args) => { const object = self(args.positional[0]); if (object) { m.touch(object); object.initialized = true; } return null; }),
  add_module: addModule, register_module: addModule,
  register_buffer: method('register_buffer', (m, args) => {
    const object = self(args.positional[0]);
    const name = argument(args, 1, 'name');
    if (!object) return null;
    m.touch(object);
    const key = typeof name === 'string' ? name : '*';
    object.attributes.delete(key);
    object.buffers.set(key, argument(args, 2, 'tensor') ?? null);
    const persistent = argument(args, 3, 'persistent');
    if (persistent === false) object.transient.add(key); else object.transient.delete(key);
    return null;
  }),
  register_parameter: method('register_parameter', (m, args) => {
    const object = self(args.positional[0]);
    const name = argument(args, 1, 'name');
    const value = argument(args, 2, 'param') ?? null;
    if (!object) return null;
    m.touch(object);
    const key = typeof name === 'string' ? name : '*';
    object.attributes.delete(key);
    object.parameters.set(key, value);
    return null;
  }),
  __setattr__: method('__setattr__', (m, args) => { const object = self(args.positional[0]); if (object) register(m, object, args.positional[1], args.positional[2] ?? null); return null; }),
  // What nn.Module finds its parameters, buffers and children with, which is asked for by name too.
  __getattr__: method('__getattr__', (m, args) => {
    const object = self(args.positional[0]);
    const name = argument(args, 1, 'name');
    if (!object || typeof name !== 'string') return m.unknown('an attribute whose name is not known');
    const own = [object.parameters, object.buffers, object.modules, object.attributes].find((map) => map.has(name));
    return own ? own.get(name)! : m.tracer?.derivedParameter(object, name) ?? object.unknown ?? m.soft('AttributeError', `${object.cls.name} has no attribute ${name} that the source shows`);
  }),
  modules: method('modules', (_, args) => { const object = self(args.positional[0]); return new PyList(object ? walkModules(object).map(({ module }) => module) : []); }),
  named_modules: method('named_modules', (_, args) => { const object = self(args.positional[0]); return new PyList(object ? walkModules(object).map(({ name, module }) => new PyTuple([name, module])) : []); }),
  children: method('children', (_, args) => new PyList([...self(args.positional[0])?.modules.values() ?? []].filter((value) => value !== null))),
  named_children: method('named_children', (_, args) => new PyList([...self(args.positional[0])?.modules ?? []].filter(([, value]) => value !== null).map(([name, value]) => new PyTuple([name, value])))),
  parameters: method('parameters', (_, args) => { const object = self(args.positional[0]); return new PyList(object ? tensorsOf(object, 'parameters', argument(args, 1, 'recurse') !== false).map(({ value }) => value) : []); }),
  named_parameters: method('named_parameters', (_, args) => { const object = self(args.positional[0]); return object ? pairs(tensorsOf(object, 'parameters', args.keywords.get('recurse') !== false)) : new PyList([]); }),
  buffers: method('buffers', (_, args) => { const object = self(args.positional[0]); return new PyList(object ? tensorsOf(object, 'buffers', true).map(({ value }) => value) : []); }),
  named_buffers: method('named_buffers', (_, args) => { const object = self(args.positional[0]); return object ? pairs(tensorsOf(object, 'buffers', true)) : new PyList([]); }),
  state_dict: method('state_dict', (_, args) => { const object = self(args.positional[0]); const made = new PyDict(); if (object) for (const { name, value } of [...tensorsOf(object, 'parameters', true), ...tensorsOf(object, 'buffers', true)]) made.set(name, value); return made; }),
  load_state_dict: method('load_state_dict', () => new Opaque('load_state_dict')),
  get_submodule: method('get_submodule', (m, args) => {
    let module: Value = args.positional[0] ?? null;
    const name = args.positional[1];
    if (typeof name !== 'string') return notKnown(m, 'a submodule');
    for (const part of name === '' ? [] : name.split('.')) module = module instanceof Instance ? module.modules.get(part) ?? null : null;
    return module ?? m.unknown(`there is no submodule ${name}`);
  }),
  get_parameter: method('get_parameter', (m) => notKnown(m, 'get_parameter')),
  apply: method('apply', (_, args) => args.positional[0] ?? null),
  __repr__: method('__repr__', (m) => notKnown(m, 'repr of a module')),
  extra_repr: method('extra_repr', () => ''), _get_name: method('_get_name', (_, args) => self(args.positional[0])?.cls.name ?? ''),
};
for (const [name, value] of Object.entries(methods)) moduleClass.dict.set(name, value);
for (const name of ['to', 'cuda', 'cpu', 'float', 'half', 'double', 'bfloat16', 'train', 'eval', 'requires_grad_', 'type', 'share_memory', 'xpu', 'to_empty', 'compile']) {
  moduleClass.dict.set(name, method(name, (_, args) => args.positional[0] ?? null));
}
for (const name of ['zero_grad', 'register_forward_hook', 'register_forward_pre_hook', 'register_full_backward_hook', 'register_backward_hook', '_register_load_state_dict_pre_hook', 'register_load_state_dict_post_hook', '_register_state_dict_hook', 'register_state_dict_post_hook', 'register_load_state_dict_pre_hook', 'register_state_dict_pre_hook']) {
  moduleClass.dict.set(name, method(name, () => new Opaque(name)));
}
moduleClass.dict.set('training', true);
moduleClass.dict.set('dump_patches', false);

/** `nn.Parameter(data)`: a new tensor of the same shape. */
const makeParameter = new Builtin('Parameter', (_, args, site) => {
  const data = argument(args, 0, 'data');
  const made = new Tensor(data instanceof Tensor ? data.shape : data === undefined ? [0] : null, site);
  made.parameter = true;
  return made;
});
Object.assign(parameterClass.native, { construct: makeParameter.call });

/** A deep copy: new modules and tensors, shared ones shared again inside the copy. */
export function deepCopy(machine: Machine, value: Value, memo = new Map<Value, Value>()): Value {
  machine.step();
  const known = memo.get(value);
  if (known !== undefined) return known;
  if (value instanceof Tensor) {
    const made = new Tensor(value.shape, value.span, value.data, value.whole);
    made.parameter = value.parameter;
    made.traced = value.traced;
    memo.set(value, made);
    return made;
  }
  if (value instanceof Instance) {
    const made = new Instance(value.cls, value.span);
    memo.set(value, made);
    const copy = (map: ReadonlyMap<string, Value>): Map<string, Value> => new Map([...map].map(([name, item]) => [name, deepCopy(machine, item, memo)]));
    made.attributes = copy(value.attributes); made.parameters = copy(value.parameters); made.buffers = copy(value.buffers); made.modules = copy(value.modules);
    made.transient = new Set(value.transient); made.initialized = value.initialized; made.arguments = value.arguments; made.unknown = value.unknown;
    return made;
  }
  if (value instanceof PyList) { const made = new PyList([], undefined, machine.loopDepth); memo.set(value, made); made.items = value.items.map((item) => deepCopy(machine, item, memo)); made.rest = value.rest === undefined ? undefined : deepCopy(machine, value.rest, memo); return made; }
  if (value instanceof PyTuple) return new PyTuple(value.items.map((item) => deepCopy(machine, item, memo)), value.cls, value.fields);
  if (value instanceof PyDict) {
    const made = new PyDict();
    memo.set(value, made);
    for (const entry of value.entries.values()) made.set(entry.key, deepCopy(machine, entry.value, memo));
    made.rest = value.rest; made.attributeAccess = value.attributeAccess; made.factory = value.factory; made.cls = value.cls;
    return made;
  }
  if (value instanceof Choice) return Choice.of(value.options.map((option) => deepCopy(machine, option, memo)), value.why);
  return value;
}
