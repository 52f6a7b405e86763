/** Reading, setting and deleting attributes, with nn.Module's registration of parameters, buffers and children. */
import type { SourceSpan } from '../module-tree';
import type { Expr } from '../syntax/ast';
import {
  Absent, BoundMethod, Builtin, Choice, Instance, Namespace, Opaque, Partial, PropertyValue, PyClass, PyDict, PyFunction, PyTuple, SuperProxy, Tensor,
  UnknownValue, type Value,
} from '../values/values';
import { containerMethod } from '../library/methods';
import { instanceDict, isModuleClass, typeOf } from '../library/types';
import { keepKeywords, makeSubConfigurations, pretrainedClassMethod } from '../library/pretrained';
import { tensorAttribute } from '../library/tensors';
import { callValue, noArguments } from './calls';
import { describe } from './expressions';
import { beyondBuiltIn, foreignMember } from './imports';
import { PyRaise, type Machine } from './machine';
import { ModuleScope } from './scope';

/** What models call their layers; an attribute of any other name is more likely a number or a flag. */
const LAYER_NAME = /^(?:layer|block|stage|conv|bn|norm|ln|fc|linear|features|classifier|encoder|decoder|stem|body|trunk|backbone|embed|patch_embed|visual|transformer|avgpool|maxpool|pool|relu|act)s?_?\d*$/;

/** `object.name`. */
export function getAttribute(machine: Machine, object: Value, name: string, node?: Expr): Value {
  const found = findAttribute(machine, object, name);
  if (found !== undefined) return found;
  if (object instanceof UnknownValue) {
    const { origin } = object;
    if (origin && !origin.called) return foreignMember(origin, name, object.span);
    // A layer of a model that somebody else's code made is a module too.
    return new UnknownValue(object.reason, object.span, origin?.called && LAYER_NAME.test(name) ? { ...origin, name: '' } : undefined);
  }
  const text = node && node.kind === 'attribute' ? describe(node.object) : 'the object';
  return machine.soft('AttributeError', `${text} has no attribute ${name} that the source shows`, node);
}

/** The attribute, or undefined when the object certainly has none. Unknown objects may have any: also undefined. */
export function findAttribute(machine: Machine, object: Value, name: string): Value | undefined {
  if (object instanceof Instance) return instanceAttribute(machine, object, name);
  if (object instanceof PyClass) return classAttribute(machine, object, name);
  if (name === '__dict__' && (object instanceof ModuleScope || object instanceof Namespace)) return object;
  if (object instanceof ModuleScope) return object.lookup(machine, name) ?? machine.finder.submodule(object, name) ?? (object.builtIn && !name.startsWith('__') ? beyondBuiltIn(object, name, machine.site) : undefined);
  if (object instanceof Namespace) return name === '__dict__' ? object : object.find(name);
  if (object instanceof SuperProxy) return superAttribute(machine, object, name);
  if (object instanceof Choice) return choiceAttribute(machine, object, name);
  if (object instanceof Tensor) return machine.tracer?.attribute(machine, object, name) ?? tensorAttribute(machine, object, name);
  if (object instanceof Opaque) return new Opaque(`${object.name}.${name}`);
  if (object instanceof UnknownValue || object instanceof Absent) return undefined;
  if (object instanceof PyFunction) {
    if (name === '__name__' || name === '__qualname__') return object.name;
    if (name === '__module__') return object.closure.module.name;
    if (name === '__doc__') return null;
    return object.attributes.get(name);
  }
  if (object instanceof PropertyValue) return undefined;
  if (object instanceof Partial) {
    if (name === 'func') return object.callee;
    if (name === 'args') return new PyTuple(object.args.positional);
    if (name === 'keywords') return new PyDict(object.args.keywords);
    return undefined;
  }
  if (object instanceof PyTuple) {
    const index = object.fields.indexOf(name);
    if (index >= 0) return object.items[index]!;
    const own = object.cls?.lookup(name);
    if (own !== undefined) return bindTo(machine, own, object, object.cls!);
  }
  if (object instanceof PyDict && object.cls) {
    const own = object.cls.lookup(name);
    if (own !== undefined && own instanceof PyFunction) return bindTo(machine, own, object, object.cls);
  }
  const method = containerMethod(machine, object, name);
  if (method !== undefined) return method;
  if (object instanceof PyDict && object.attributeAccess) { const item = object.get(name); return item === undefined ? object.rest : item; }
  if (name === '__class__') return typeOf(object);
  if (object instanceof Builtin && (name === '__name__' || name === '__qualname__')) return object.name;
  return undefined;
}

/** A class attribute seen through an instance. */
export function bindTo(machine: Machine, value: Value, self: Value, cls: PyClass): Value {
  if (value instanceof PyFunction) return value.kind === 'static' ? value : new BoundMethod(value, value.kind === 'class' ? cls : self);
  if (value instanceof Builtin) return value.bind ? new BoundMethod(value, value.bind === 'class' ? cls : self) : value;
  if (value instanceof PropertyValue) return value.getter === null ? null : callValue(machine, value.getter, { ...noArguments, positional: [self] }, machine.site ?? NOWHERE);
  return value;
}
const NOWHERE: SourceSpan = { file: '', startLine: 0, startColumn: 0, endLine: 0, endColumn: 0 };

/** `object.__getattribute__`: what is there without asking __getattr__, which calls it when it gives up itself. */
function ordinaryLookup(object: Instance): Value {
  return new Builtin('__getattribute__', (machine, args, site) => {
    const wanted = String(args.positional.at(-1));
    const found = instanceAttribute(machine, object, wanted, true);
    if (found === undefined) throw new PyRaise('AttributeError', `'${object.cls.name}' object has no attribute '${wanted}'`, site);
    return found;
  });
}

function instanceAttribute(machine: Machine, object: Instance, name: string, searching = false): Value | undefined {
  if (machine.tracer) {
    // A model is traced as it is used, not as it is trained; its constructor makes it for training.
    if (name === 'training') return !machine.tracer.strict;
    if (name === 'forward' && object.cls.lookup(name) === undefined) return machine.tracer.libraryForward(object, object.cls);
    if (name === '__call__' && isModuleClass(object.cls)) return object;
  }
  const own = object.cls.lookup(name);
  if (own instanceof PropertyValue) return bindTo(machine, own, object, object.cls);
  for (const map of [object.attributes, object.parameters, object.buffers, object.modules]) {
    const value = map.get(name);
    if (value !== undefined) return value;
  }
  if (own !== undefined) return bindTo(machine, own, object, object.cls);
  if (name === '__class__') return object.cls;
  if (machine.tracer && (name === 'weight' || name === 'bias')) { const derived = machine.tracer.derivedParameter(object, name); if (derived !== undefined) return derived; }
  if (name === '__dict__') return instanceDict(object);
  if (name === '_modules' || name === '_parameters' || name === '_buffers') {
    const kind = name.slice(1) as 'modules' | 'parameters' | 'buffers';
    const made = new PyDict(object[kind]);
    made.owner = { instance: object, kind };
    return made;
  }
  const star = object.modules.get('*');
  if (star !== undefined && /^\d+$|^layer|block/.test(name)) return star;
  if (name === '__doc__') return null;
  if (name === '__module__') return classAttribute(machine, object.cls, name);
  if (name === '__getattribute__') return ordinaryLookup(object);
  const fallback = searching ? undefined : object.cls.lookup('__getattr__');
  // Asked for by __getattr__ itself: its object was never set up as far as the source shows.
  const asking = machine.running.some(({ fn, bound }) => fn === fallback && [...bound.values()][0] === object && [...bound.values()][1] === name);
  if (asking) return object.cls.unknownBase ? new Opaque(`${object.cls.name}.${name}`) : undefined;
  if (fallback instanceof PyFunction) {
    try { return callValue(machine, fallback, { ...noArguments, positional: [object, name] }, object.span); } catch (error) {
      if (error instanceof PyRaise && error.type === 'AttributeError') return undefined;
      throw error;
    }
  }
  const unknown = object.cls.unknownBase;
  if (unknown) return new Opaque(`${object.cls.name}.${name}`);
  return undefined;
}

function classAttribute(machine: Machine, cls: PyClass, name: string): Value | undefined {
  const own = cls.lookup(name);
  if ((own instanceof PyFunction && own.kind === 'class') || (own instanceof Builtin && own.bind === 'class')) return new BoundMethod(own, cls);
  if (own instanceof Builtin && own.name === 'classmethod') return new BoundMethod(own, cls);
  if (own !== undefined) return own;
  if (name === '__name__' || name === '__qualname__') return cls.name;
  if (name === '__module__') return cls.qualifiedName.slice(0, Math.max(0, cls.qualifiedName.lastIndexOf('.')));
  if (name === '__mro__') return new PyTuple(cls.mro);
  if (name === '__doc__') return null;
  if (name === '__bases__') return new PyTuple(cls.bases);
  if (name === '__members__' && cls.kind === 'enum') return new PyDict([...cls.dict].filter(([, value]) => value instanceof Instance && value.cls === cls));
  if (name === '__init__') return new Builtin('__init__', () => null);
  if (cls.native.unknown) return machine.unknown(cls.native.unknown.reason);
  if (cls.unknownBase) return pretrainedClassMethod(cls, name) ?? new Opaque(`${cls.name}.${name}`);
  return undefined;
}

function superAttribute(machine: Machine, proxy: SuperProxy, name: string): Value | undefined {
  const cls = proxy.self instanceof Instance ? proxy.self.cls : proxy.self instanceof PyClass ? proxy.self : proxy.self instanceof PyDict ? proxy.self.cls : null;
  const mro = cls && cls.mro.includes(proxy.cls) ? cls.mro : proxy.cls.mro;
  for (const base of mro.slice(mro.indexOf(proxy.cls) + 1)) {
    const value = base.dict.get(name);
    if (value !== undefined) return proxy.self instanceof PyClass ? (value instanceof PyFunction && value.kind === 'class' ? new BoundMethod(value, proxy.self) : value) : bindTo(machine, value, proxy.self, cls ?? proxy.cls);
    if (base.native.unknown && (name === '__init__' || !mro.slice(mro.indexOf(base) + 1).some((next) => next.dict.has(name)))) return unknownBaseMethod(base, proxy.self, name);
  }
  if (name === 'forward' && machine.tracer && proxy.self instanceof Instance) {
    const base = mro.slice(mro.indexOf(proxy.cls) + 1).find((each) => each.span === null);
    if (base) return machine.tracer.libraryForward(proxy.self, base);
  }
  if (name === '__init__' || name === '__setattr__' || name === '__init_subclass__' || name === '__post_init__') {
    if (proxy.self instanceof PyDict && name === '__init__') return containerMethod(machine, proxy.self, 'update');
    if (name === '__setattr__') return new Builtin('__setattr__', (m, args) => { setAttribute(m, proxy.self, String(args.positional[0]), args.positional[1] ?? null, m.site ?? NOWHERE); return null; });
    return new Builtin(name, () => null);
  }
  if (proxy.self instanceof PyDict) return containerMethod(machine, proxy.self, name);
  if (name === '__getattribute__' && proxy.self instanceof Instance) return ordinaryLookup(proxy.self);
  if (name === '__new__') return new Builtin('__new__', (_, args, site) => (args.positional[0] instanceof PyClass ? new Instance(args.positional[0], site) : null));
  return undefined;
}

/** A method of a base class that is not in the workspace: its constructor keeps the configuration, as Hugging Face's does. */
function unknownBaseMethod(base: PyClass, self: Value, name: string): Value {
  if (name === '__new__') return new Builtin('__new__', (_, args, site) => (args.positional[0] instanceof PyClass ? new Instance(args.positional[0], site) : null));
  if (name === '__post_init__' && self instanceof Instance) return new Builtin(name, (machine, args, site) => { keepKeywords(machine, self, args.keywords); makeSubConfigurations(machine, self, site); return null; });
  if (name !== '__init__') return new Opaque(`${base.name}.${name}`);
  return new Builtin('__init__', (machine, args) => {
    if (self instanceof Instance) {
      machine.touch(self);
      self.initialized = true;
      if (/PreTrainedModel$|Pre[tT]rainedConfig$/.test(base.name)) {
        if (args.positional[0] !== undefined) self.attributes.set('config', args.positional[0]);
        for (const [key, value] of args.keywords) self.attributes.set(key, value);
      }
    }
    return null;
  });
}

function choiceAttribute(machine: Machine, choice: Choice, name: string): Value | undefined {
  const options = choice.options.filter((option) => option !== null && !(option instanceof Absent));
  const found = options.map((option) => findAttribute(machine, option, name));
  const known = found.filter((value): value is Value => value !== undefined);
  return known.length === 0 ? undefined : Choice.of(known.length === found.length ? known : [...known, choice.why], choice.why);
}

/** `object.name = value`. */
export function setAttribute(machine: Machine, object: Value, name: string, value: Value, span: SourceSpan): void {
  if (object instanceof Choice) { for (const option of object.options) if (option instanceof Instance) setOption(machine, choiceWhy(object), option, name, value, span); return; }
  if (object instanceof PyClass) {
    machine.spoil();
    // A decorator's own subclass takes the name of the class it stands for.
    if (name === '__name__' && typeof value === 'string') object.name = value;
    object.dict.set(name, value);
    return;
  }
  if (object instanceof PyFunction) { machine.spoil(); object.attributes.set(name, value); return; }
  if (object instanceof PyDict) { machine.touch(object); object.set(name, value); return; }
  if (object instanceof ModuleScope) { machine.spoil(); object.bind(name, value, Infinity); return; }
  if (object instanceof Tensor) { if (name === 'data' && value instanceof Tensor) object.shape = value.shape; return; }
  if (!(object instanceof Instance)) return;
  const own = object.cls.lookup(name);
  if (own instanceof PropertyValue) {
    if (own.setter !== null) callValue(machine, own.setter, { ...noArguments, positional: [object, value] }, span);
    return;
  }
  machine.touch(object);
  if (!isModuleClass(object.cls) && !object.cls.unknownBase) { object.attributes.set(name, value); return; }
  registerAttribute(object, name, value);
}
const choiceWhy = (choice: Choice): UnknownValue => choice.why;
function setOption(machine: Machine, why: UnknownValue, option: Instance, name: string, value: Value, span: SourceSpan): void {
  machine.fork([() => undefined, () => setAttribute(machine, option, name, value, span)], why);
}

/** What `nn.Module.__setattr__` does. */
export function registerAttribute(object: Instance, name: string, value: Value): void {
  const kind = registrationKind(value);
  if (kind === 'parameter') { remove(object, name, object.parameters); object.parameters.set(name, value); return; }
  if (kind === 'module') { remove(object, name, object.modules); object.modules.set(name, value); return; }
  for (const map of [object.parameters, object.modules, object.buffers]) {
    if (map.has(name) && (value === null || map === object.buffers)) { map.set(name, value); return; }
  }
  remove(object, name, object.attributes);
  object.attributes.set(name, value);
}
function remove(object: Instance, name: string, except: Map<string, Value>): void {
  for (const map of [object.attributes, object.parameters, object.buffers, object.modules]) if (map !== except) map.delete(name);
}

/** Where a module keeps a value: among its parameters, its children, or as a plain attribute. */
export function registrationKind(value: Value): 'parameter' | 'module' | 'attribute' {
  if (value instanceof Tensor) return value.parameter ? 'parameter' : 'attribute';
  if (value instanceof Instance) return isModuleClass(value.cls) || (value.cls.unknownBase !== undefined && (value.modules.size > 0 || value.initialized)) ? 'module' : 'attribute';
  if (value instanceof UnknownValue) return mayBeModule(value) ? 'module' : 'attribute';
  if (value instanceof Choice) {
    const kinds = value.options.map(registrationKind);
    return kinds.includes('module') ? 'module' : kinds.includes('parameter') ? 'parameter' : 'attribute';
  }
  return 'attribute';
}

const NOT_MODULES = /(Tokenizer|Processor|Logger|Config|Scheduler|Optimizer|Sampler|Metric|Accuracy|Dataset|Loader|Compose|Extractor)\b|logger|getLogger|tokenizer|config|(^|[._])cfgs?$/i;
/** The result of calling something outside the workspace may be a module, unless its name says otherwise. */
function mayBeModule(value: UnknownValue): boolean {
  // Hydra's other functions give paths and configurations.
  if (value.origin?.package.startsWith('hydra')) return value.origin.called !== undefined && /(^|\.)instantiate$/.test(value.origin.name);
  return value.origin?.called !== undefined && !NOT_MODULES.test(value.origin.name) && !PLAIN_PACKAGES.has(value.origin.package.split('.')[0]!);
}
const PLAIN_PACKAGES = new Set(['numpy', 'np', 'scipy', 'pandas', 'logging', 'os', 'sys', 'json', 'yaml', 're', 'tqdm', 'PIL', 'cv2', 'matplotlib', 'sklearn', 'torchmetrics',
  'wandb', 'random', 'time', 'pathlib', 'sentencepiece', 'tiktoken', 'regex', 'ftfy', 'requests', 'omegaconf', 'hydra', 'absl', 'argparse', 'threading', 'packaging', 'einops', 'loguru',
  'tensorboard', 'datasets', 'tokenizers', 'nltk', 'networkx', 'jax', 'tensorflow', 'builtins']);

export function deleteAttribute(machine: Machine, object: Value, name: string): void {
  if (!(object instanceof Instance)) return;
  machine.touch(object);
  for (const map of [object.attributes, object.parameters, object.buffers, object.modules]) map.delete(name);
}
