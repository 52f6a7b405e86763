/**
 * Reading configuration files of the workspace: `open`, `pathlib`, `os.path`, `json` and `yaml` as far as sizes of models
 * are read through them. A file that is not in the workspace, or whose text is not read here, is unknown.
 */
import path from 'node:path';
import { Instance, PyDict, PropertyValue, PyFloat, PyList, type Arguments, type Namespace, type Value } from '../values/values';
import type { Machine } from '../evaluation/machine';
import { attributeAccess } from './dataclasses';
import { argument, builtin, method, openNamespace } from './support';
import { nativeClass } from './types';
import { parseYaml, YamlFloat, type Yaml } from './yaml';

export const pathClass = nativeClass('Path');
const fileClass = nativeClass('TextIOWrapper');

/** Text of a path: a string, or what `Path(...)` keeps. */
export function pathText(value: Value | undefined): string | undefined {
  if (typeof value === 'string') return value;
  const kept = value instanceof Instance && value.cls === pathClass ? value.attributes.get('text') : undefined;
  return typeof kept === 'string' ? kept : undefined;
}
function makePath(machine: Machine, text: string): Instance {
  const made = new Instance(pathClass, machine.site!);
  made.attributes.set('text', text);
  const { base, ext, name } = path.parse(text);
  for (const [key, value] of [['name', base], ['suffix', ext], ['stem', name]] as const) made.attributes.set(key, value);
  return made;
}

function openFile(machine: Machine, target: Value | undefined): Value {
  const name = pathText(target);
  if (name === undefined) return machine.unknown('open(…) of a file whose name is not known');
  const found = machine.finder.readText?.(name, machine.site?.file);
  if (!found) return machine.soft('FileNotFoundError', `${path.basename(name)} is not in the workspace`);
  const made = new Instance(fileClass, machine.site!);
  made.attributes.set('text', found.text);
  made.attributes.set('name', found.file);
  machine.assume(`what is in ${path.basename(found.file)}`, machine.site);
  return made;
}
const textOf = (value: Value | undefined): string | undefined => {
  if (value instanceof Instance && value.cls === fileClass) { const text = value.attributes.get('text'); return typeof text === 'string' ? text : undefined; }
  return typeof value === 'string' ? value : undefined;
};
const lines = (text: string): PyList => new PyList(text.split(/(?<=\n)/).filter((line) => line !== ''));

const reading = (name: string, make: (text: string) => Value) => method(name, (machine, args) => {
  const text = textOf(args.positional[0]);
  return text === undefined ? machine.unknown(`${name}() of a file that is not known`) : make(text);
});
fileClass.dict.set('read', reading('read', (text) => text));
fileClass.dict.set('readlines', reading('readlines', lines));
fileClass.dict.set('__iter__', reading('__iter__', lines));
fileClass.dict.set('__enter__', method('__enter__', (_, args) => args.positional[0] ?? null));
for (const name of ['close', '__exit__', 'seek']) fileClass.dict.set(name, method(name, () => null));

// ---- pathlib ----

const joined = (machine: Machine, args: Arguments): Value => {
  const parts = args.positional.map(pathText);
  return parts.some((part) => part === undefined) ? machine.unknown('a path that is not known') : makePath(machine, joinPaths(parts as string[]));
};
/** As Python joins: a part that is absolute starts anew. */
const joinPaths = (parts: readonly string[]): string => parts.reduce((all, part) => (part.startsWith('/') || all === '' ? part : `${all.replace(/\/$/, '')}/${part}`), '');

const construct = (machine: Machine, args: Arguments): Value => (args.positional.length === 0 ? makePath(machine, '.') : joined(machine, args));
(pathClass.native as { construct?: typeof construct }).construct = construct;
pathClass.dict.set('__truediv__', method('__truediv__', joined));
pathClass.dict.set('joinpath', method('joinpath', joined));
const parentOf = (machine: Machine, value: Value | undefined): Value => {
  const text = pathText(value);
  return text === undefined ? machine.unknown('a path that is not known') : makePath(machine, path.dirname(text));
};
for (const name of ['resolve', 'absolute', 'expanduser']) pathClass.dict.set(name, method(name, (_, args) => args.positional[0] ?? null));
pathClass.dict.set('open', method('open', (machine, args) => openFile(machine, args.positional[0])));
pathClass.dict.set('read_text', method('read_text', (machine, args) => { const file = openFile(machine, args.positional[0]); return textOf(file) ?? file; }));
pathClass.dict.set('with_suffix', method('with_suffix', (machine, args) => {
  const [text, suffix] = [pathText(args.positional[0]), args.positional[1]];
  return text === undefined || typeof suffix !== 'string' ? machine.unknown('a path that is not known') : makePath(machine, text.slice(0, text.length - path.extname(text).length) + suffix);
}));
const exists = (machine: Machine, target: Value | undefined): Value => {
  const name = pathText(target);
  return name !== undefined && machine.finder.readText?.(name, machine.site?.file) ? true : machine.unknown('whether a file exists');
};
for (const name of ['exists', 'is_file']) pathClass.dict.set(name, method(name, (machine, args) => exists(machine, args.positional[0])));
pathClass.dict.set('parent', new PropertyValue(builtin('parent', (machine, args) => parentOf(machine, args.positional[0]))));

export const pathlib: Namespace = openNamespace('pathlib', { Path: pathClass, PurePath: pathClass, PosixPath: pathClass });

// ---- os.path ----

const onText = (name: string, make: (text: string) => Value) => builtin(name, (machine, args) => {
  const text = pathText(args.positional[0]);
  return text === undefined ? machine.unknown('a path that is not known') : make(text);
});
export const osPath: Namespace = openNamespace('os.path', {
  join: builtin('join', (machine, args) => {
    const parts = args.positional.map(pathText);
    return parts.some((part) => part === undefined) ? machine.unknown('a path that is not known') : joinPaths(parts as string[]);
  }),
  dirname: onText('dirname', (text) => (text.includes('/') ? path.dirname(text) : '')),
  basename: onText('basename', (text) => text.slice(text.lastIndexOf('/') + 1)),
  abspath: onText('abspath', (text) => text), realpath: onText('realpath', (text) => text), normpath: onText('normpath', (text) => path.normalize(text)),
  expanduser: onText('expanduser', (text) => text),
  splitext: onText('splitext', (text) => { const ext = path.extname(text); return new PyList([text.slice(0, text.length - ext.length), ext]); }),
  exists: builtin('exists', (machine, args) => exists(machine, args.positional[0])), isfile: builtin('isfile', (machine, args) => exists(machine, args.positional[0])),
});

export const openBuiltin = builtin('open', (machine, args) => openFile(machine, argument(args, 0, 'file')));

// ---- json, yaml ----

function fromYaml(value: Yaml): Value {
  if (value instanceof YamlFloat) return new PyFloat(value.value);
  if (Array.isArray(value)) return new PyList(value.map(fromYaml));
  if (value instanceof Map) return new PyDict([...value].map(([key, item]) => [fromYaml(key), fromYaml(item)] as const));
  return value;
}
/** JSON with Python's difference between 1 and 1.0, which JSON.parse does not keep. */
function fromJsonText(text: string): Value | undefined {
  try {
    JSON.parse(text);
  } catch { return undefined; }
  // JSON is YAML but for numbers such as 1e5, which are floats here.
  const plain = (value: unknown): Value => (value === null || typeof value === 'string' || typeof value === 'boolean' ? value
    : typeof value === 'number' ? (Number.isInteger(value) ? value : new PyFloat(value))
    : Array.isArray(value) ? new PyList(value.map(plain))
    : new PyDict(Object.entries(value as Record<string, unknown>).map(([key, item]) => [key, plain(item)] as const)));
  return plain(JSON.parse(text));
}

const loading = (what: string, parse: (text: string) => Value | undefined) => builtin('load', (machine, args) => {
  const [source] = args.positional;
  const text = textOf(source);
  if (text === undefined) return machine.unknown(`${what}(…) of a file that is not known`);
  return parse(text) ?? machine.unknown(`${what}(…): the text is not read`);
});
const yamlText = (text: string): Value | undefined => { const value = parseYaml(text); return value === undefined ? undefined : fromYaml(value); };
const loadYaml = loading('yaml.load', yamlText);
export const yaml: Namespace = openNamespace('yaml', { load: loadYaml, safe_load: loadYaml, full_load: loadYaml, unsafe_load: loadYaml });
const loadJson = loading('json.load', fromJsonText);
export const json: Namespace = openNamespace('json', { load: loadJson, loads: loadJson });

/** `OmegaConf.load(path)`: a configuration whose items are attributes too. */
export const omegaLoad = builtin('load', (machine, args) => {
  const file = openFile(machine, argument(args, 0, 'file_'));
  const text = textOf(file);
  if (text === undefined) return file;
  const value = yamlText(text);
  return value === undefined ? machine.unknown('OmegaConf.load(…): the text is not read') : attributeAccess(value);
});

