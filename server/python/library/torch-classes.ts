/** The classes and reparametrizations of the torch table as Python values. */
import type { SourceSpan } from '../module-tree';
import { torchModule, type TorchChild, type TorchModuleSpec, type TorchParameter } from '../torch/table';
import { torchReparametrization } from '../torch/reparametrize';
import type { Builtin, PyClass} from '../values/values';
import {
  Absent, Choice, Instance, PyDict, PyFloat, PyTuple, Tensor, UnknownValue, type Arguments, type Value,
} from '../values/values';
import { callValue } from '../evaluation/calls';
import type { Machine } from '../evaluation/machine';
import { deepCopy } from './nn-module';
import { containerClasses } from './nn-containers';
import { asNumber } from '../evaluation/iteration';
import { builtin, method, nameTorchFunction } from './support';
import { moduleClass, nativeClass } from './types';

const classes = new Map<string, PyClass>();

/** The class of a qualified name, if the table has it. */
export function torchClass(qualifiedName: string): PyClass | undefined {
  const short = /^torch\.nn\.(?:modules\.(?:\w+\.)?)?(\w+)$/.exec(qualifiedName)?.[1];
  if (short !== undefined && Object.hasOwn(containerClasses, short)) return containerClasses[short];
  const spec = torchModule(qualifiedName);
  return spec && classOf(spec);
}

const subsequentMask = builtin('generate_square_subsequent_mask', (_, args, site) => { const n = asNumber(args.positional[0] ?? null) ?? null; return new Tensor([n, n], site); });
nameTorchFunction(subsequentMask, 'torch.nn.Transformer.generate_square_subsequent_mask');

function classOf(spec: TorchModuleSpec): PyClass {
  const known = classes.get(spec.qualifiedName);
  if (known) return known;
  const cls = nativeClass(spec.className, { spec }, [moduleClass], spec.qualifiedName);
  classes.set(spec.qualifiedName, cls);
  if (spec.qualifiedName === 'torch.nn.Transformer') cls.dict.set('generate_square_subsequent_mask', subsequentMask);
  cls.dict.set('__init__', method('__init__', (machine, args, site) => {
    const [self] = args.positional;
    if (self instanceof Instance) construct(machine, self, spec, bindSpec(machine, spec, { ...args, positional: args.positional.slice(1) }), site);
    return null;
  }));
  return cls;
}

function bindSpec(machine: Machine, spec: TorchModuleSpec, args: Arguments): Map<string, Value | undefined> {
  const bound = new Map<string, Value | undefined>();
  const keywords = new Map(args.keywords);
  let next = 0;
  for (const { name, kind, ...rest } of spec.signature) {
    if (kind === 'varargs') { bound.set(name, new PyTuple(args.positional.slice(next))); next = args.positional.length; continue; }
    if (kind === 'kwargs') { bound.set(name, new PyDict(keywords)); continue; }
    if (kind !== 'keyword' && next < args.positional.length) bound.set(name, args.positional[next++]!);
    else if (keywords.has(name)) { bound.set(name, keywords.get(name)!); keywords.delete(name); }
    else if (args.rest !== undefined || args.openKeywords) bound.set(name, args.openKeywords ?? machine.unknown('an argument of a call with unknown arguments'));
    else bound.set(name, 'default' in rest ? fromPlain(rest.default) : undefined);
  }
  return bound;
}
/** A table default as a value; objects (`F.relu`) are left to the table. */
function fromPlain(value: unknown): Value | undefined {
  if (Array.isArray(value)) return new PyTuple(value.map((item) => { const made = fromPlain(item); return made === undefined ? new UnknownValue('a dimension that is not known', undefined) : made; }));
  if (typeof value === 'number' && !Number.isInteger(value)) return new PyFloat(value);
  return value === null || typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean' ? value : undefined;
}

/** Fills a module with what the table says it holds. */
function construct(machine: Machine, self: Instance, spec: TorchModuleSpec, bound: ReadonlyMap<string, Value | undefined>, site: SourceSpan): void {
  const args: Record<string, unknown> = {};
  for (const { name, ...rest } of spec.signature) {
    const value = bound.get(name);
    args[name] = value === undefined ? ('default' in rest ? rest.default : undefined) : machine.plain(value);
  }
  machine.touch(self);
  self.initialized = true;
  const known = new Map<string, Value>();
  for (const [name, value] of bound) if (value !== undefined) known.set(name, value);
  if (self.cls.native.spec === spec) self.arguments = known;
  for (const [name, value] of known) {
    if (name === 'device' || name === 'dtype') continue;
    self.attributes.set(name, value);
  }
  fill(machine, self, spec, args, site);
}
function fill(machine: Machine, self: Instance, spec: TorchModuleSpec, args: Record<string, unknown>, site: SourceSpan): void {
  const missing = spec.signature.filter((parameter) => !parameter.kind && !('default' in parameter) && args[parameter.name] === undefined).map((parameter) => parameter.name);
  const why = machine.unknown(missing.length ? `${missing.join(', ')} of ${spec.className} is not known` : `an argument of ${spec.className} is not known`, site);
  let content: ReturnType<TorchModuleSpec['build']>;
  try { content = spec.build(args); } catch { self.unknown = machine.unknown(`the arguments of ${spec.className} make no sense`, site); return; }
  for (const [name, item] of Object.entries(spec.attributes?.(args) ?? {})) {
    const value = fromPlain(item);
    self.attributes.set(name, value === undefined ? machine.unknown(`${name} of ${spec.className} is not known`, site) : value);
  }
  if (missing.length && content.parameters.some((parameter) => parameter.shape === null || parameter.shape.includes(null))) machine.note(why);
  for (const parameter of content.parameters) {
    const made = new Tensor(parameter.shape, site);
    made.parameter = parameter.kind === 'parameter';
    const value = parameter.optional ? Choice.of([made, Absent.value], why) : made;
    self.attributes.delete(parameter.name);
    self[parameter.kind === 'parameter' ? 'parameters' : 'buffers'].set(parameter.name, value);
    if (parameter.persistent === false) self.transient.add(parameter.name);
  }
  // `conv.bias is None` is asked of a convolution made without one.
  for (const name of ['weight', 'bias']) if (self.attributes.has(name) && !self.parameters.has(name)) self.attributes.set(name, null);
  for (const child of content.children) addChild(machine, self, child, site, why);
}

function addChild(machine: Machine, self: Instance, child: TorchChild, site: SourceSpan, why: UnknownValue): void {
  let value: Value;
  if ('spec' in child) {
    const cls = torchClass(child.spec) ?? torchClass(`torch.nn.${child.spec}`);
    const spec = cls && (cls.native.spec ?? torchModule(cls.qualifiedName));
    if (!cls || !spec) return;
    const made = new Instance(cls, site);
    const complete: Record<string, unknown> = {};
    for (const parameter of spec.signature) complete[parameter.name] = parameter.name in child.args ? child.args[parameter.name] : 'default' in parameter ? parameter.default : undefined;
    made.initialized = true;
    // A container's arguments are children, not values.
    if (cls.native.spec) made.arguments = new Map(Object.entries(complete).flatMap(([name, item]) => { const plain = fromPlain(item); return plain === undefined ? [] : [[name, plain] as const]; }));
    for (const [name, item] of made.arguments) made.attributes.set(name, item);
    fill(machine, made, spec, complete, site);
    value = made;
  } else if (child.call) {
    // A class given as an argument (`norm_layer`), called by the module that was given it.
    const factory = child.module as Value | undefined;
    const positional = child.call.map((item): Value => fromPlain(item) ?? machine.unknown(`an argument of ${self.cls.name} is not known`, site));
    value = factory === undefined || factory === null ? machine.unknown(`the class given to ${self.cls.name} is not known`, site) : callValue(machine, factory, { positional, keywords: new Map() }, site);
    if (value instanceof UnknownValue) value = new UnknownValue(value.reason, value.span, value.origin ?? { package: 'the workspace', name: child.name, called: site });
  } else {
    const handle = child.module as Value;
    value = child.copied && handle instanceof Instance ? deepCopy(machine, handle) : handle ?? null;
    if (child.module === undefined) value = machine.unknown(`the module given to ${self.cls.name} is not known`, site);
  }
  // Dotted names are modules inside modules.
  const path = child.name.split('.');
  let holder = self;
  for (const name of path.slice(0, -1)) {
    const next = holder.modules.get(name);
    const inner = next instanceof Instance ? next : new Instance(containerClasses.ModuleList!, site);
    holder.modules.set(name, inner);
    holder = inner;
  }
  holder.modules.set(path.at(-1)!, child.optional ? Choice.of([value, Absent.value], why) : value);
}

// ---- weight_norm and its like ----

export function reparametrizationFunction(qualifiedName: string): Builtin | undefined {
  const rule = torchReparametrization(qualifiedName);
  if (!rule) return undefined;
  return builtin(qualifiedName.slice(qualifiedName.lastIndexOf('.') + 1), (machine, args) => {
    const [target] = args.positional;
    const modules = target instanceof Choice ? target.options : [target ?? null];
    const plain: Record<string, unknown> = {};
    let next = 0;
    for (const parameter of rule.signature) {
      if (parameter.kind === 'varargs' || parameter.kind === 'kwargs') continue;
      const value = next < args.positional.length ? args.positional[next] : args.keywords.get(parameter.name);
      next += 1;
      plain[parameter.name] = value === undefined ? parameter.default : machine.plain(value);
    }
    for (const module of modules) {
      if (!(module instanceof Instance)) continue;
      machine.touch(module);
      const outputAxis = module.cls.native.spec?.outputAxis;
      const after = rule.apply(plain, ownTensors(module), outputAxis === undefined ? {} : { outputAxis });
      if (after) replaceTensors(module, after);
    }
    return target ?? null;
  });
}

function ownTensors(module: Instance): TorchParameter[] {
  return (['parameter', 'buffer'] as const).flatMap((kind) => [...(kind === 'parameter' ? module.parameters : module.buffers)].flatMap(([name, value]) => {
    const tensor = value instanceof Choice ? value.options.find((option): option is Tensor => option instanceof Tensor) : value;
    return tensor instanceof Tensor ? [{ name, kind, shape: tensor.shape, ...(value instanceof Choice ? { optional: true } : {}) }] : [];
  }));
}
const parametrizationList = nativeClass('ParametrizationList', {}, [moduleClass], 'torch.nn.utils.parametrize.ParametrizationList');
function replaceTensors(module: Instance, after: readonly TorchParameter[]): void {
  const before = new Map([...module.parameters, ...module.buffers]);
  module.parameters = new Map([...module.parameters].filter(([, value]) => value === null));
  module.buffers = new Map();
  for (const item of after) {
    const path = item.name.split('.');
    let holder = module;
    for (const name of path.slice(0, -1)) {
      const known = holder.modules.get(name);
      const inner = known instanceof Instance ? known : new Instance(holder === module ? containerClasses.ModuleDict! : parametrizationList, module.span);
      holder.modules.set(name, inner);
      holder = inner;
    }
    const made = new Tensor(item.shape, module.span);
    made.parameter = item.kind === 'parameter';
    holder[item.kind === 'parameter' ? 'parameters' : 'buffers'].set(path.at(-1)!, before.get(item.name) ?? made);
  }
}
