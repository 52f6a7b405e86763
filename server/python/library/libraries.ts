/** Library modules by name. What a module here does not name exists and does not matter ({@link Opaque}). */
import {
  Builtin, Instance, Namespace, Opaque, Partial, PropertyValue, PyClass, PyDict, PyFunction, PyList, PySet, PyTuple, Tensor, type Value,
} from '../values/values';
import { getAttribute, setAttribute } from '../evaluation/attributes';
import { callValue, noArguments } from '../evaluation/calls';
import { getItem } from '../evaluation/items';
import { asNumber, valuesOf } from '../evaluation/iteration';
import { binary } from '../evaluation/operators';
import { builtinNames } from './builtins';
import { asdict, attributeAccess, attributeDict, dataclass, field, fieldsOf, namedTupleClass, namedtuple, replace, simpleNamespace } from './dataclasses';
import { automatic, enumClasses, enumMeta } from './enums';
import { argumentParser } from './argparse';
import { itertools } from './itertools';
import { numpy } from './numpy';
import { math } from './math';
import { deepCopy } from './nn-module';
import { json, omegaLoad, osPath, pathlib, yaml } from './files';
import { regex } from './regex';
import { suppress } from './contexts';
import { argument, builtin, decorator, method, namespace, openNamespace, transparent } from './support';
import { torchClass } from './torch-classes';
import { torchModuleNamespace } from './torch-library';
import { builtinTypes, moduleClass, nativeClass, objectClass, partialClass } from './types';

export { callNamespace } from './itertools';

const abstract = (name: string): PyClass => nativeClass(name, { isInstance: isCollection(name) });
function isCollection(name: string): (value: Value) => boolean {
  const mapping = (value: Value): boolean => value instanceof PyDict;
  const sequence = (value: Value): boolean => value instanceof PyList || value instanceof PyTuple || typeof value === 'string';
  if (/Mapping/.test(name)) return mapping;
  if (/Sequence/.test(name)) return sequence;
  if (/^(Iterable|Collection|Container|Sized|Iterator|Generator|Reversible)$/.test(name)) return (value) => mapping(value) || sequence(value) || value instanceof PySet || (value instanceof Instance && value.cls.lookup('__iter__') !== undefined) || (value instanceof Tensor);
  if (name === 'Callable') return (value) => value instanceof PyFunction || value instanceof Builtin || value instanceof PyClass || value instanceof Partial;
  if (name === 'Hashable') return (value) => !(value instanceof PyList || value instanceof PyDict || value instanceof PySet);
  if (name === 'Number') return (value) => asNumber(value) !== undefined;
  return () => false;
}
const collectionsAbc = namespace('collections.abc', Object.fromEntries(['Iterable', 'Sequence', 'MutableSequence', 'Mapping', 'MutableMapping', 'Callable', 'Iterator', 'Generator', 'Collection', 'Container', 'Sized', 'Hashable', 'Set', 'Reversible'].map((name) => [name, abstract(name)])));

const orderedDict = nativeClass('OrderedDict', { construct: builtinTypes.dict.native.construct!, isInstance: (value) => value instanceof PyDict }, [builtinTypes.dict]);
const defaultDict = nativeClass('defaultdict', { construct: (machine, args, site) => {
  const made = builtinTypes.dict.native.construct!(machine, { ...args, positional: args.positional.slice(1) }, site) as PyDict;
  const [factory] = args.positional;
  if (factory !== undefined && factory !== null) made.factory = factory;
  return made;
} }, [builtinTypes.dict]);
const userDict = nativeClass('UserDict', {}, [builtinTypes.dict]);

const typingNames = new Map<string, Value>();
const typing = new Namespace('typing', (name) => {
  const known = typingNames.get(name);
  if (known !== undefined) return known;
  const made: Value = name === 'NamedTuple' ? namedTupleClass
    : name === 'TYPE_CHECKING' ? false
    : name === 'TypedDict' ? builtinTypes.dict
    : name === 'Protocol' || name === 'Generic' ? nativeClass(name)
    : /^(cast|assert_type)$/.test(name) ? builtin(name, (_, args) => args.positional[1] ?? args.positional[0] ?? null)
    : /^(overload|final|no_type_check|runtime_checkable|override)$/.test(name) ? transparent(name)
    : /^(Iterable|Sequence|Mapping|MutableMapping|Callable|Iterator|Collection|MutableSequence|Hashable)$/.test(name) ? abstract(name)
    : name === 'List' ? builtinTypes.list : name === 'Dict' ? builtinTypes.dict : name === 'Tuple' ? builtinTypes.tuple : name === 'Set' ? builtinTypes.set : name === 'OrderedDict' ? orderedDict
    : /^(TypeVar|NewType|ParamSpec|TypeVarTuple)$/.test(name) ? builtin(name, () => new Opaque(name))
    : new Opaque(`typing.${name}`);
  typingNames.set(name, made);
  return made;
});

const cachedProperty = builtin('cached_property', (_, args) => new PropertyValue(args.positional[0] ?? null));
const functools = openNamespace('functools', {
  partial: partialClass, partialmethod: partialClass, wraps: builtin('wraps', (_, wrapping) => builtin('wraps', (__, args) => {
    const [inner] = args.positional;
    if (inner instanceof PyFunction && wrapping.positional[0] !== undefined) inner.attributes.set('__wrapped__', wrapping.positional[0]);
    return inner ?? null;
  })), lru_cache: decorator('lru_cache'), cache: decorator('cache'), total_ordering: transparent('total_ordering'), cached_property: cachedProperty,
  singledispatch: transparent('singledispatch'), update_wrapper: transparent('update_wrapper'),
  reduce: builtin('reduce', (m, args) => {
    const [fn, source, start] = args.positional;
    const sequence = valuesOf(m, source ?? null);
    if (sequence.rest !== undefined || fn === undefined) return m.unknown('reduce(…) of something that is not known');
    let total = start;
    for (const item of sequence.items) { m.step(); total = total === undefined ? item : callValue(m, fn, { ...noArguments, positional: [total, item] }, m.site!); }
    return total ?? null;
  }),
});

const operator = openNamespace('operator', {
  mul: builtin('mul', (m, args) => binary(m, '*', args.positional[0] ?? null, args.positional[1] ?? null)), add: builtin('add', (m, args) => binary(m, '+', args.positional[0] ?? null, args.positional[1] ?? null)),
  itemgetter: builtin('itemgetter', (_, made) => builtin('itemgetter', (m, args) => getItem(m, args.positional[0] ?? null, made.positional[0] ?? null))),
  attrgetter: builtin('attrgetter', (_, made) => builtin('attrgetter', (m, args) => (typeof made.positional[0] === 'string' ? made.positional[0].split('.').reduce((value, name) => getAttribute(m, value, name), args.positional[0] ?? null) : m.unknown('attrgetter(…)')))),
});

const deepcopy = builtin('deepcopy', (m, args) => deepCopy(m, args.positional[0] ?? null));
/** `copy.copy`: containers are copied, what they hold is shared. */
const shallowCopy = builtin('copy', (m, args, site) => {
  const [value] = args.positional;
  if (value instanceof PyList) return new PyList(value.items.slice(), value.rest, m.loopDepth);
  if (value instanceof Instance) { const made = new Instance(value.cls, site); made.restore(value.snapshot()); return made; }
  if (value instanceof PyDict) { const made = m.dict([...value.entries.values()].map((entry) => [entry.key, entry.value] as const)); made.rest = value.rest; made.attributeAccess = value.attributeAccess; return made; }
  return value ?? null;
});

/** `pl.LightningModule`: `save_hyperparameters()` keeps the constructor's arguments as `self.hparams`. */
const lightningModule = nativeClass('LightningModule', {}, [moduleClass], 'lightning.LightningModule');
lightningModule.dict.set('save_hyperparameters', method('save_hyperparameters', (m, args) => {
  const [self, ...named] = args.positional;
  if (!(self instanceof Instance)) return null;
  const made = new PyDict();
  const [only] = named;
  if (only instanceof PyDict) for (const entry of only.entries.values()) made.set(entry.key, entry.value);
  else if (only instanceof Instance) for (const [name, value] of only.attributes) made.set(name, value);
  else for (const [name, value] of self.arguments) {
    if (value instanceof PyDict && name === 'kwargs') for (const entry of value.entries.values()) made.set(entry.key, entry.value);
    else if (named.length === 0 || named.includes(name)) made.set(name, value);
  }
  attributeAccess(made);
  setAttribute(m, self, 'hparams', made, self.span);
  return null;
}));
for (const name of ['log', 'log_dict', 'print', 'freeze', 'unfreeze', 'toggle_optimizer']) lightningModule.dict.set(name, method(name, () => null));
lightningModule.dict.set('automatic_optimization', true);
const pydanticModel = nativeClass('BaseModel', {}, [objectClass], 'pydantic.BaseModel');
pydanticModel.kind = 'dataclass';

const omegaConf = namespace('OmegaConf', {
  create: builtin('create', (m, args, site) => attributeDict.native.construct!(m, args, site)), structured: builtin('structured', (m, args) => (args.positional[0] instanceof PyClass ? callValue(m, args.positional[0], noArguments, m.site!) : args.positional[0] ?? null)),
  load: omegaLoad, to_container: transparent('to_container'), to_object: transparent('to_object'),
}, (name) => builtin(name, (m) => m.unknown(`OmegaConf.${name}(…) is not evaluated`)));

/** `inspect.signature(fn).parameters`, for decorators that rearrange arguments by kind. */
const parameterKinds: Readonly<Record<string, Value>> = {
  POSITIONAL_ONLY: 'POSITIONAL_ONLY', POSITIONAL_OR_KEYWORD: 'POSITIONAL_OR_KEYWORD', KEYWORD_ONLY: 'KEYWORD_ONLY', VAR_POSITIONAL: 'VAR_POSITIONAL', VAR_KEYWORD: 'VAR_KEYWORD', empty: new Opaque('inspect.Parameter.empty'),
};
const KIND_NAMES = { normal: 'POSITIONAL_OR_KEYWORD', positional: 'POSITIONAL_ONLY', keyword: 'KEYWORD_ONLY', varargs: 'VAR_POSITIONAL', kwargs: 'VAR_KEYWORD' } as const;
const signature = builtin('signature', (machine, args, site) => {
  let target: Value = args.positional[0] ?? null;
  let skip = 0;
  for (let wrapped = target; wrapped instanceof PyFunction; wrapped = wrapped.attributes.get('__wrapped__') ?? null) target = wrapped;
  if (target instanceof PyClass) { target = target.lookup('__init__') ?? null; skip = 1; }
  if (!(target instanceof PyFunction)) return machine.unknown('signature(…) of something that is not known');
  const made = new PyDict();
  for (const { name, kind } of target.definition.parameters.slice(skip)) {
    const parameter = new Instance(simpleNamespace, site);
    parameter.attributes = new Map<string, Value>([...Object.entries(parameterKinds), ['name', name], ['kind', KIND_NAMES[kind]], ['default', target.defaults.get(name) ?? (target.defaults.has(name) ? null : parameterKinds.empty!)]]);
    made.set(name, parameter);
  }
  const result = new Instance(simpleNamespace, site);
  result.attributes.set('parameters', made);
  return result;
});

/** A model is built the same everywhere unless somebody sets a variable: the default counts, and it is said. */
const environmentVariable = builtin('getenv', (machine, args, site) => {
  const name = argument(args, 0, 'key');
  if (typeof name !== 'string') return machine.unknown('an environment variable whose name is not known', site);
  machine.assume(`the environment variable ${name} is not set`, site);
  return argument(args, 1, 'default') ?? null;
});

/** Versions as code compares them, `version.parse(torch.__version__) >= version.parse('2.0')`: the numbers of the release. */
const parseVersion = builtin('parse', (machine, args) => {
  const [text] = args.positional;
  const release = typeof text === 'string' ? /^v?(\d+(?:\.\d+)*)/.exec(text.trim())?.[1] : undefined;
  if (release === undefined) return machine.unknown('a version that is not known');
  const numbers = release.split('.').map(Number);
  while (numbers.length < 3) numbers.push(0);
  return new PyTuple(numbers, undefined, ['major', 'minor', 'micro']);
});
const packagingVersion = openNamespace('packaging.version', { parse: parseVersion, Version: parseVersion, LegacyVersion: parseVersion });

const modules: ReadonlyMap<string, Namespace> = new Map<string, Namespace>([
  ['packaging', openNamespace('packaging', { version: packagingVersion })], ['packaging.version', packagingVersion],
  ['distutils.version', openNamespace('distutils.version', { LooseVersion: parseVersion, StrictVersion: parseVersion })],
  ['pkg_resources', openNamespace('pkg_resources', { parse_version: parseVersion })],
  ['math', math], ['cmath', math], ['typing', typing], ['typing_extensions', typing], ['functools', functools], ['operator', operator],
  ['itertools', itertools],
  ['collections', openNamespace('collections', { OrderedDict: orderedDict, defaultdict: defaultDict, namedtuple, deque: builtinTypes.list, abc: collectionsAbc, UserDict: userDict, Counter: defaultDict,
    ...Object.fromEntries(['Iterable', 'Sequence', 'Mapping', 'Callable'].map((name) => [name, collectionsAbc.find(name)!])) })],
  ['collections.abc', collectionsAbc],
  ['copy', openNamespace('copy', { deepcopy, copy: shallowCopy })],
  ['dataclasses', openNamespace('dataclasses', { dataclass, field, asdict, astuple: asdict, fields: fieldsOf, replace, is_dataclass: builtin('is_dataclass', (_, args) => { const [v] = args.positional; return (v instanceof Instance ? v.cls : v) instanceof PyClass && (v instanceof Instance ? v.cls : (v as PyClass)).kind === 'dataclass'; }), MISSING: new Opaque('MISSING'), KW_ONLY: new Opaque('KW_ONLY') })],
  ['attr', openNamespace('attr', { s: dataclass, attrs: dataclass, define: dataclass, frozen: dataclass, mutable: dataclass, ib: field, attrib: field, field, asdict })],
  ['attrs', openNamespace('attrs', { define: dataclass, frozen: dataclass, mutable: dataclass, field, asdict })],
  ['pydantic', openNamespace('pydantic', { BaseModel: pydanticModel, BaseSettings: pydanticModel, Field: builtin('Field', (m, args, site) => field.call(m, { positional: [], keywords: new Map([...args.keywords, ...(args.positional.length && !(args.positional[0] instanceof Opaque) ? [['default', args.positional[0]!] as const] : [])]) }, site)), dataclasses: openNamespace('pydantic.dataclasses', { dataclass }) })],
  ['pydantic.dataclasses', openNamespace('pydantic.dataclasses', { dataclass })],
  ['enum', openNamespace('enum', { ...enumClasses, EnumMeta: enumMeta, EnumType: enumMeta, auto: automatic, unique: transparent('unique') })],
  ['types', openNamespace('types', { SimpleNamespace: simpleNamespace, FunctionType: builtinTypes.function, LambdaType: builtinTypes.function, NoneType: builtinTypes.NoneType, MethodType: builtin('MethodType', (_, args) => args.positional[0] ?? null) })],
  ['abc', openNamespace('abc', { ABC: nativeClass('ABC'), ABCMeta: new Opaque('ABCMeta'), abstractmethod: transparent('abstractmethod'), abstractproperty: builtinNames.get('property')! })],
  ['numbers', openNamespace('numbers', { Number: abstract('Number'), Real: abstract('Number'), Integral: builtinTypes.int })],
  ['argparse', openNamespace('argparse', { ArgumentParser: argumentParser, Namespace: simpleNamespace, ArgumentDefaultsHelpFormatter: new Opaque('formatter') })],
  ['easydict', openNamespace('easydict', { EasyDict: attributeDict })], ['addict', openNamespace('addict', { Dict: attributeDict })], ['munch', openNamespace('munch', { Munch: attributeDict })], ['box', openNamespace('box', { Box: attributeDict })],
  ['ml_collections', openNamespace('ml_collections', { ConfigDict: attributeDict, config_dict: openNamespace('ml_collections.config_dict', { ConfigDict: attributeDict }) })], ['ml_collections.config_dict', openNamespace('ml_collections.config_dict', { ConfigDict: attributeDict })],
  ['omegaconf', openNamespace('omegaconf', { OmegaConf: omegaConf, DictConfig: attributeDict, ListConfig: builtinTypes.list, MISSING: new Opaque('MISSING') })],
  ['numpy', numpy],
  ['builtins', namespace('builtins', {}, (name) => builtinNames.get(name))],
  ['inspect', openNamespace('inspect', { isclass: builtin('isclass', (_, args) => args.positional[0] instanceof PyClass), isfunction: builtin('isfunction', (_, args) => args.positional[0] instanceof PyFunction), signature, Parameter: namespace('inspect.Parameter', parameterKinds) })],
  ['sys', openNamespace('sys', { version_info: new PyTuple([3, 11, 0]), platform: 'linux', maxsize: Number.MAX_SAFE_INTEGER, modules: openNamespace('sys.modules') })],
  ['importlib', openNamespace('importlib', { import_module: builtin('import_module', (m, args) => { const [name] = args.positional; return typeof name === 'string' ? m.finder.find(name, null) ?? libraryModule(name) ?? m.unknown(`${name} is not in the workspace`) : m.unknown('a module whose name is not known'); }) })],
  ['re', regex],
  ['os.path', osPath], ['json', json], ['yaml', yaml], ['pathlib', pathlib],
  ['os', openNamespace('os', { path: osPath, getenv: environmentVariable, environ: openNamespace('os.environ', { get: environmentVariable }) })],
  ['contextlib', openNamespace('contextlib', { contextmanager: transparent('contextmanager'), suppress })],
  ['__future__', openNamespace('__future__')],
  ...['pytorch_lightning', 'lightning', 'lightning.pytorch', 'pytorch_lightning.core', 'pytorch_lightning.core.lightning', 'lightning.pytorch.core'].map((name) => [name, namespace(name, { LightningModule: lightningModule, LightningDataModule: nativeClass('LightningDataModule') }, (member) => (member === 'pytorch' ? libraryModule('lightning.pytorch') : new Opaque(`${name}.${member}`)))] as const),
]);
const STANDARD = new Set(('os os.path re json logging warnings random time datetime pathlib string struct pickle io glob shutil subprocess hashlib base64 csv tempfile traceback weakref threading '
  + 'multiprocessing queue socket ssl urllib urllib.request urllib.parse http email uuid platform getpass gc ctypes importlib importlib.util importlib.metadata pkgutil textwrap pprint statistics fractions decimal heapq bisect array '
  + 'codecs locale unittest doctest cProfile signal atexit concurrent concurrent.futures asyncio tarfile zipfile gzip bz2 lzma configparser secrets ast dis tokenize keyword errno stat fnmatch posixpath typing.io resource').split(' '));
const openModules = new Map<string, Namespace>();

/** A library module that the interpreter knows, by dotted name. */
export function libraryModule(name: string): Namespace | undefined {
  if (name === 'torch' || name.startsWith('torch.')) return torchModuleNamespace(name);
  const known = modules.get(name);
  if (known) return known;
  if (name.startsWith('numpy.')) return numpy;
  if (!STANDARD.has(name)) return undefined;
  const made = openModules.get(name) ?? openNamespace(name);
  openModules.set(name, made);
  return made;
}
export function libraryMember(module: string, member: string): Value | undefined {
  return libraryModule(module)?.find(member);
}

// ---- packages that are often not in the workspace, whose small helpers everybody knows ----

const toTuple = (n: number): Builtin => builtin(`to_${n}tuple`, (m, args) => {
  const [value] = args.positional;
  if (value === undefined || typeof value !== 'object' || value === null || asNumber(value) !== undefined) return new PyTuple(Array.from({ length: n }, () => value ?? null));
  const sequence = valuesOf(m, value);
  return sequence.rest === undefined ? new PyTuple([...sequence.items]) : new PyTuple(Array.from({ length: n }, () => value));
});
const helpers: Readonly<Record<string, Value>> = {
  to_1tuple: toTuple(1), to_2tuple: toTuple(2), to_3tuple: toTuple(3), to_4tuple: toTuple(4), to_ntuple: builtin('to_ntuple', (_, args) => toTuple(asNumber(args.positional[0] ?? 1) ?? 1)),
  trunc_normal_: transparent('trunc_normal_'), lecun_normal_: transparent('lecun_normal_'), variance_scaling_: transparent('variance_scaling_'), register_model: decorator('register_model'), register_notrace_module: transparent('register_notrace_module'), register_notrace_function: transparent('register_notrace_function'),
  make_divisible: builtin('make_divisible', (m, args) => {
    const [v, divisor] = [asNumber(args.positional[0] ?? null), asNumber(argument(args, 1, 'divisor') ?? 8)];
    if (v === undefined || divisor === undefined) return m.unknown('make_divisible(…) of something that is not known');
    const made = Math.max(asNumber(argument(args, 2, 'min_value') ?? divisor) ?? divisor, Math.floor((v + divisor / 2) / divisor) * divisor);
    return made < 0.9 * v ? made + divisor : made;
  }),
};
/** YOLO's own rounding, always upwards. */
const roundedUp = builtin('make_divisible', (m, args) => {
  const [x, divisor] = [asNumber(args.positional[0] ?? null), asNumber(argument(args, 1, 'divisor') ?? null)];
  return x === undefined || !divisor ? m.unknown('make_divisible(…) of something that is not known') : Math.ceil(x / divisor) * divisor;
});
export function thirdPartyMember(module: string, member: string): Value | undefined {
  if (/^ultralytics(\.|$)/.test(module) && member === 'make_divisible') return roundedUp;
  if (/^timm(\.|$)/.test(module) && Object.hasOwn(helpers, member)) return helpers[member];
  if (member === 'LightningModule') return lightningModule;
  if (module === 'torchvision' || /^torchvision\./.test(module)) { const own = torchClass(`${module}.${member}`); if (own) return own; }
  const cls = torchClass(`${module}.${member}`);
  if (cls) return cls;
  return undefined;
}
